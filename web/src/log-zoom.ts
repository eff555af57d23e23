/** Dragging over the histogram chooses a part of the time range. */

import { find } from "./dom";

/** A shorter drag is a click on a bar. */
const DRAG_PX = 5;
const SPAN_MIN_MS = 100;

/** Listens on the document: the histogram is drawn anew now and then. */
export function startZoom(): void {
  let from: { x: number; plot: HTMLElement } | null = null;
  let box: SVGRectElement | null = null;
  let dragged = false;

  document.addEventListener("pointerdown", (event) => {
    const plot = (event.target as Element).closest<HTMLElement>(".plot");
    if (!plot || event.button !== 0 || event.pointerType === "touch") return;
    from = { x: event.clientX, plot };
    dragged = false;
    event.preventDefault();
  });
  document.addEventListener("pointermove", (event) => {
    if (!from) return;
    dragged ||= Math.abs(event.clientX - from.x) > DRAG_PX;
    const bars = find<SVGSVGElement>(".bars", from.plot);
    if (!dragged || !bars) return;
    if (!box?.isConnected) {
      box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      box.setAttribute("class", "zoom");
      box.setAttribute("height", "100%");
      bars.append(box);
    }
    const [a, b] = ends(bars, from.x, event.clientX);
    box.setAttribute("x", `${a * 100}%`);
    box.setAttribute("width", `${(b - a) * 100}%`);
  });
  document.addEventListener("pointerup", (event) => {
    const begin = from;
    from = null;
    box?.remove();
    if (!begin || !dragged) return;
    const bars = find<SVGSVGElement>(".bars", begin.plot);
    if (!bars) return;
    const [a, b] = ends(bars, begin.x, event.clientX);
    const start = Number(begin.plot.dataset["from"]);
    const span = Number(begin.plot.dataset["to"]) - start;
    if ((b - a) * span < SPAN_MIN_MS) return;
    const params = new URLSearchParams(location.search);
    params.delete("open");
    params.set("from", new Date(Math.round(start + a * span)).toISOString());
    params.set("to", new Date(Math.round(start + b * span)).toISOString());
    location.assign(`/logs?${params}`);
  });
  // The click that ends a drag must not open the bar under it.
  document.addEventListener(
    "click",
    (event) => {
      if (dragged && (event.target as Element).closest(".plot")) event.preventDefault();
      dragged = false;
    },
    true,
  );
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      from = null;
      box?.remove();
    }
  });
}

/** Both ends as shares of the width, in order. */
function ends(bars: SVGSVGElement, one: number, other: number): [number, number] {
  const place = bars.getBoundingClientRect();
  const share = (x: number) => Math.min(Math.max((x - place.left) / place.width, 0), 1);
  const [a, b] = [share(one), share(other)];
  return a < b ? [a, b] : [b, a];
}
