/** Numbers as people read them: the twin of `humanize::value` on the server. */

const UNITS: [number, string][] = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e5, " k"]];

/** Up to five significant digits: 0.12346, 99999, 1.5 G. */
export function value(v: number | null | undefined): string {
  if (v === null || v === undefined || Number.isNaN(v)) return "–";
  if (v === 0) return "0";
  const size = Math.abs(v);
  if (size >= 1e15 || size < 1e-4) return v.toExponential(3);
  const [from, unit] = UNITS.find(([limit]) => size >= limit) ?? [1, ""];
  const scaled = v / (from === 1e5 ? 1e3 : from);
  return `${Number(scaled.toPrecision(5))}${unit}`;
}
