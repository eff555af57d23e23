/**
 * Line charts over time by uPlot: our palette, a crosshair with a tooltip of the nearest series,
 * dragging zooms, arrow keys move the crosshair. Pages hand in columns and get a chart back that
 * they can focus, hide and destroy.
 */

import uPlot from "uplot";
import { all, make } from "./dom";
import { value } from "./format";
import { zone } from "./times";

/** What the server embeds: one value per step and series, null for a gap. */
export interface Columns {
  /** Seconds since 1970. */
  start: number;
  /** Seconds. */
  step: number;
  count: number;
  /** The series stand on each other, the first at the bottom. */
  stacked?: boolean;
  series: { name: string; color: number; dash: number; values: (number | null)[] }[];
}

export interface ChartOptions {
  /** Called with milliseconds since 1970 when a part was dragged out. */
  onZoom?: (fromMs: number, toMs: number) => void;
  /** Called when the pointer is nearest to another series; null for none. */
  onFocus?: (series: number | null) => void;
  /** Charts with the same key share their crosshair. */
  sync?: string;
}

/** What was drawn, and can be taken away. */
export interface Plotted {
  destroy(): void;
}

export interface LineChart extends Plotted {
  /** Lifts one series over the others; null lifts none. */
  focus(series: number | null): void;
  /** Shows or hides a series. */
  show(series: number, visible: boolean): void;
}

/** Series listed in the tooltip. */
const TIP_MAX = 8;

/** Number of the dash pattern from which on series are grey. */
const GREY = 3;

const DASHES: (number[] | undefined)[] = [undefined, [6, 3], [2, 2]];

/** A colour of the theme, resolved: canvas knows no CSS variables. */
export function colour(css: string): string {
  const probe = make("i", { class: "probe" });
  probe.style.color = css;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** What the axes of all charts have in common. */
export function axis(): uPlot.Axis {
  return {
    stroke: colour("var(--fg2)"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("var(--line)"), width: 1 },
    ticks: { show: false },
    gap: 6,
  };
}

/** Draws a chart into an element, in the place of what it holds. */
export function lineChart(place: HTMLElement, columns: Columns, options: ChartOptions = {}): LineChart {
  const times = Array.from({ length: columns.count }, (_, i) => columns.start + i * columns.step);
  const hidden = new Set<number>();
  const still = window.matchMedia("(pointer: coarse)").matches;
  let plot: uPlot | null = null;
  let focused: number | null = null;
  let restack = false;
  const tip = make("div", { class: "tip", hidden: "" });

  const draw = () => {
    plot?.destroy();
    place.replaceChildren();
    const lines = columns.stacked ? stacked(columns, hidden) : columns.series.map((line) => line.values);
    const common = axis();
    plot = new uPlot(
      {
        ...placeSize(place),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone()),
        legend: { show: false },
        focus: { alpha: 0.25 },
        padding: [8, 14, 0, 0],
        cursor: {
          y: false,
          points: { size: 6 },
          focus: { prox: still ? 30 : 16 },
          drag: { x: true, y: false, setScale: false },
          ...(options.sync ? { sync: { key: options.sync } } : {}),
        },
        scales: { x: { time: true }, y: { range: (_, min, max) => (columns.stacked ? bounds(Math.min(min ?? 0, 0), Math.max(max ?? 0, 0)) : bounds(min, max)) } },
        axes: [
          { ...common, size: 26, values: clock },
          { ...common, size: 58, values: (_, ticks) => ticks.map(value) },
        ],
        series: [
          {},
          ...columns.series.map((line, i) => {
            const dash = DASHES[line.dash];
            const token = line.dash >= GREY ? "var(--line2)" : `var(--c${line.color})`;
            return {
              label: line.name,
              stroke: colour(token),
              ...(columns.stacked ? { fill: colour(`color-mix(in srgb, ${token} 55%, transparent)`) } : {}),
              width: 1.5,
              points: { show: lone(line.values) },
              spanGaps: false,
              show: !hidden.has(i),
              ...(dash ? { dash } : {}),
            };
          }),
        ],
        ...(columns.stacked ? { bands: bands(columns, hidden) } : {}),
        hooks: { setCursor: [pointed], setSelect: [selected], setSeries: [lifted] },
      },
      [times, ...lines] as uPlot.AlignedData,
      place,
    );
    plot.over.append(tip);
  };

  const lifted = (_: uPlot, series: number | null) => {
    const next = series === null || series === 0 ? null : series - 1;
    if (next === focused) return;
    focused = next;
    options.onFocus?.(next);
  };

  const selected = (chart: uPlot) => {
    const { left, width } = chart.select;
    // A click is no drag.
    if (width > 4) options.onZoom?.(chart.posToVal(left, "x") * 1000, chart.posToVal(left + width, "x") * 1000);
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  };

  const pointed = (chart: uPlot) => {
    const { idx, left = -1 } = chart.cursor;
    tip.hidden = idx === null || idx === undefined || left < 0;
    if (idx === null || idx === undefined || left < 0) return;
    const rows = columns.series
      .map((line, i) => ({ i, name: line.name, at: line.values[idx] }))
      .filter((row): row is typeof row & { at: number } => row.at !== null && row.at !== undefined && chart.series[row.i + 1]?.show !== false)
      .sort((a, b) => Number(b.i === focused) - Number(a.i === focused) || b.at - a.at);
    const shown = rows.slice(0, TIP_MAX).sort((a, b) => b.at - a.at);
    tip.replaceChildren(
      make("header", {}, moment(times[idx] ?? 0)),
      ...shown.map((row) => make("div", row.i === focused ? { class: "near" } : {}, swatch(columns.series[row.i]), make("span", { class: "name" }, row.name), make("span", { class: "num" }, value(row.at)))),
      ...(rows.length > shown.length ? [make("div", {}, make("span", { class: "name" }, `${rows.length - shown.length} more`))] : []),
      ...(columns.stacked && rows.length > 1 ? [make("div", { class: "near" }, make("span", { class: "name" }, "together"), make("span", { class: "num" }, value(rows.reduce((sum, row) => sum + row.at, 0))))] : []),
      ...(rows.length === 0 ? [make("div", {}, make("span", { class: "name" }, "no value here"))] : []),
    );
    // Beside the crosshair, on the side that has room.
    const room = chart.over.clientWidth - left;
    const wide = tip.offsetWidth + 16;
    tip.style.left = `${room > wide ? left + 12 : Math.max(0, left - wide + 4)}px`;
    tip.style.top = "4px";
  };

  const resize = new ResizeObserver(() => plot?.setSize(placeSize(place)));
  const theme = () => draw();
  const keys = (event: KeyboardEvent) => {
    if (!plot || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const now = plot.cursor.idx ?? (event.key === "ArrowLeft" ? times.length : -1);
    const next = Math.min(Math.max(now + (event.key === "ArrowLeft" ? -1 : 1), 0), times.length - 1);
    plot.setCursor({ left: plot.valToPos(times[next] ?? 0, "x"), top: 10 });
    event.preventDefault();
  };
  const calm = window.matchMedia("(prefers-color-scheme: dark)");

  draw();
  resize.observe(place);
  place.tabIndex = 0;
  place.addEventListener("keydown", keys);
  document.addEventListener("yagura:look", theme);
  calm.addEventListener("change", theme);

  return {
    focus: (series) => plot?.setSeries(series === null ? null : series + 1, { focus: true }),
    show(series, visible) {
      if (visible) hidden.delete(series);
      else hidden.add(series);
      if (!columns.stacked) plot?.setSeries(series + 1, { show: visible });
      // What stands on it moves; many that change at once are drawn once.
      else if (!restack) {
        restack = true;
        queueMicrotask(() => {
          restack = false;
          draw();
        });
      }
    },
    destroy() {
      resize.disconnect();
      place.removeEventListener("keydown", keys);
      document.removeEventListener("yagura:look", theme);
      calm.removeEventListener("change", theme);
      plot?.destroy();
    },
  };
}

/** Connects the rows of a legend: pointing lifts a series, a click shows it alone. */
export function connectLegend(chart: LineChart, rows: HTMLElement[]): (series: number | null) => void {
  let alone: number | null = null;
  const number = (row: HTMLElement) => Number(row.dataset["series"]);
  const toggle = (row: HTMLElement) => {
    alone = alone === number(row) ? null : number(row);
    for (const other of rows) {
      const visible = alone === null || alone === number(other);
      chart.show(number(other), visible);
      other.toggleAttribute("data-off", !visible);
    }
  };
  for (const row of rows) {
    row.addEventListener("mouseenter", () => chart.focus(number(row)));
    row.addEventListener("mouseleave", () => chart.focus(null));
    row.addEventListener("click", () => toggle(row));
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter") toggle(row);
    });
  }
  return (series) => {
    for (const row of rows) row.toggleAttribute("data-near", number(row) === series);
  };
}

/** The rows of a legend in the document. */
export function legendRows(root: ParentNode): HTMLElement[] {
  return all("[data-series]", root);
}

/** The room that a chart has. */
export function placeSize(place: HTMLElement): { width: number; height: number } {
  const style = getComputedStyle(place);
  const inner = (whole: number, ...paddings: string[]) => whole - paddings.reduce((sum, padding) => sum + parseFloat(padding), 0);
  return {
    width: Math.max(inner(place.clientWidth, style.paddingLeft, style.paddingRight), 50),
    height: Math.max(inner(place.clientHeight, style.paddingTop, style.paddingBottom), 50),
  };
}

/** From 0 where that costs less than half of the height, as the server's drawing does. */
function bounds(min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  if (min >= 0 && min < max / 2) return [0, max * 1.04];
  if (max <= 0 && max > min / 2) return [min * 1.04, 0];
  const margin = (max - min || Math.abs(max) || 1) * 0.06;
  return [min - margin, max + margin];
}

/** Where each series ends when it stands on those before it; a gap adds nothing, and is a gap. */
function stacked(columns: Columns, hidden: Set<number>): (number | null)[][] {
  const sums = new Array<number>(columns.count).fill(0);
  return columns.series.map((line, s) =>
    line.values.map((v, i) => {
      if (v === null || hidden.has(s)) return null;
      return (sums[i] = (sums[i] ?? 0) + v);
    }));
}

/** Each area ends where the one below it begins. */
function bands(columns: Columns, hidden: Set<number>): uPlot.Band[] {
  const shown = columns.series.flatMap((_, i) => (hidden.has(i) ? [] : [i + 1]));
  return shown.slice(1).map((upper, i) => ({ series: [upper, shown[i] ?? 1] }));
}

/** A series of points that have no neighbours would be invisible as a line. */
function lone(values: (number | null)[]): boolean {
  return !values.some((v, i) => v !== null && values[i + 1] !== null && values[i + 1] !== undefined);
}

export function clock(chart: uPlot, ticks: number[]): string[] {
  const span = (chart.scales["x"]?.max ?? 0) - (chart.scales["x"]?.min ?? 0);
  const days = span > 2 * 86_400;
  const seconds = span < 300;
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone(),
    ...(days ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" }),
    ...(seconds ? { second: "2-digit" } : {}),
  });
  return ticks.map((tick) => format.format(tick * 1000));
}

export function moment(seconds: number): string {
  return new Intl.DateTimeFormat("en-GB", {
    timeZone: zone(), month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  }).format(seconds * 1000);
}

function swatch(line: Columns["series"][number] | undefined): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "key");
  svg.setAttribute("viewBox", "0 0 18 8");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M1 4h16");
  path.setAttribute("class", !line || line.dash >= GREY ? "rest" : `c${line.color} d${line.dash}`);
  svg.append(path);
  return svg;
}
