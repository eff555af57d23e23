/**
 * Heatmaps over time: cells in rows of buckets, drawn into a uPlot chart, so that axes, crosshair
 * and zoom are those of the line charts beside it.
 */

import uPlot from "uplot";
import { axis, clock, type ChartOptions, colour, moment, placeSize, type Plotted } from "./charts";
import { make } from "./dom";
import { value } from "./format";
import { zone } from "./times";

/** What the server embeds: one count per row and step, null for a gap. */
export interface Cells {
  /** Seconds since 1970. */
  start: number;
  /** Seconds. */
  step: number;
  count: number;
  /** As they are shown, from the lowest: one more than rows. */
  bounds: string[];
  rows: (number | null)[][];
  most: number;
}

/** Strengths of the colour, as on the server. */
const LEVELS = 9;
/** So much height a bound on the axis needs, px. */
const BOUND_PX = 22;

/** Draws a heatmap into an element, in the place of what it holds. */
export function heatChart(place: HTMLElement, cells: Cells, options: ChartOptions = {}): Plotted {
  const { start, step, count, bounds, rows, most } = cells;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const tip = make("div", { class: "tip", hidden: "" });
  let plot: uPlot | null = null;

  const draw = () => {
    plot?.destroy();
    place.replaceChildren();
    plot = new uPlot(
      {
        ...placeSize(place),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone()),
        legend: { show: false },
        padding: [8, 14, 0, 0],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false },
          ...(options.sync ? { sync: { key: options.sync } } : {}),
        },
        scales: {
          x: { time: true, range: () => [start - step / 2, start + (count - 0.5) * step] },
          y: { range: () => [0, rows.length] },
        },
        axes: [
          { ...axis(), grid: { show: false }, size: 26, values: clock },
          {
            ...axis(),
            grid: { show: false },
            size: 58,
            splits: (chart) => {
              const every = Math.max(1, Math.ceil((rows.length * BOUND_PX) / Math.max(chart.bbox.height / devicePixelRatio, 1)));
              return bounds.flatMap((_, i) => (i % every === 0 ? [i] : []));
            },
            values: (_, splits) => splits.map((i) => bounds[i] ?? ""),
          },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [fill], setCursor: [pointed], setSelect: [selected] },
      },
      [times, times.map(() => 0)],
      place,
    );
    plot.over.append(tip);
  };

  const fill = (chart: uPlot) => {
    const { ctx } = chart;
    const colours = Array.from({ length: LEVELS }, (_, i) => colour(`var(--h${i + 1})`));
    ctx.save();
    ctx.beginPath();
    ctx.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height);
    ctx.clip();
    // A hair of the ground between the cells, where they are wide enough for one.
    const wide = chart.bbox.width / Math.max(count, 1) > 6 * devicePixelRatio ? devicePixelRatio : 0;
    rows.forEach((row, r) => {
      const top = Math.round(chart.valToPos(r + 1, "y", true));
      const bottom = Math.round(chart.valToPos(r, "y", true));
      row.forEach((n, i) => {
        if (!n || n <= 0) return;
        const left = Math.round(chart.valToPos(start + (i - 0.5) * step, "x", true));
        const right = Math.round(chart.valToPos(start + (i + 0.5) * step, "x", true));
        const level = Math.min(Math.max(Math.ceil(Math.sqrt(n / (most || 1)) * LEVELS), 1), LEVELS);
        ctx.fillStyle = colours[level - 1] ?? "";
        ctx.fillRect(left, top, Math.max(right - left - wide, 1), Math.max(bottom - top - wide, 1));
      });
    });
    ctx.restore();
  };

  const pointed = (chart: uPlot) => {
    const { idx, left = -1, top = -1 } = chart.cursor;
    const own = chart.over.matches(":hover") || place === document.activeElement;
    tip.hidden = idx === null || idx === undefined || left < 0 || !own;
    if (idx === null || idx === undefined || tip.hidden) return;
    const at = Math.min(Math.max(Math.floor(chart.posToVal(top, "y")), 0), rows.length - 1);
    const total = rows.reduce((sum, row) => sum + (row[idx] ?? 0), 0);
    const count = rows[at]?.[idx];
    const share = total > 0 && count ? ` · ${Number(((count / total) * 100).toPrecision(2))} %` : "";
    tip.replaceChildren(
      make("header", {}, moment(times[idx] ?? 0)),
      make("div", { class: "near" }, make("span", { class: "name" }, `${bounds[at] ?? ""} to ${bounds[at + 1] ?? ""}`), make("span", { class: "num" }, `${value(count)}${share}`)),
      make("div", {}, make("span", { class: "name" }, "all buckets"), make("span", { class: "num" }, value(total))),
    );
    const room = chart.over.clientWidth - left;
    const wide = tip.offsetWidth + 16;
    tip.style.left = `${room > wide ? left + 12 : Math.max(0, left - wide + 4)}px`;
    tip.style.top = "4px";
  };

  const selected = (chart: uPlot) => {
    const { left, width } = chart.select;
    if (width > 4) options.onZoom?.(chart.posToVal(left, "x") * 1000, chart.posToVal(left + width, "x") * 1000);
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  };

  /** Arrow keys go from cell to cell. */
  const keys = (event: KeyboardEvent) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!plot || !by) return;
    const idx = Math.min(Math.max((plot.cursor.idx ?? times.length - 1) + (by[0] ?? 0), 0), times.length - 1);
    const now = plot.cursor.top && plot.cursor.top > 0 ? Math.floor(plot.posToVal(plot.cursor.top, "y")) : 0;
    const row = Math.min(Math.max(now + (by[1] ?? 0), 0), rows.length - 1);
    plot.setCursor({ left: plot.valToPos(times[idx] ?? 0, "x"), top: plot.valToPos(row + 0.5, "y") });
    event.preventDefault();
  };

  const resize = new ResizeObserver(() => plot?.setSize(placeSize(place)));
  const calm = window.matchMedia("(prefers-color-scheme: dark)");
  draw();
  resize.observe(place);
  place.tabIndex = 0;
  place.addEventListener("keydown", keys);
  document.addEventListener("yagura:look", draw);
  calm.addEventListener("change", draw);
  return {
    destroy() {
      resize.disconnect();
      place.removeEventListener("keydown", keys);
      document.removeEventListener("yagura:look", draw);
      calm.removeEventListener("change", draw);
      plot?.destroy();
    },
  };
}
