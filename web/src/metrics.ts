/**
 * The Metrics page: runs the expression without leaving the page, draws the graph, completes
 * names. All data comes with the page itself; what is in the address is what is shown.
 */

import "./base";
import { type Columns, type LineChart, connectLegend, legendRows, lineChart } from "./charts";
import { all, find } from "./dom";
import { promqlEditors, rememberQuery } from "./promql-editor";
import { refresh } from "./refresh";

let chart: LineChart | null = null;
/** The graphs of a metric's own page. */
let small: LineChart[] = [];

/** Shows an expression or a range: the address changes, the page is fetched and morphed in. */
async function go(changes: Record<string, string>): Promise<void> {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  document.documentElement.toggleAttribute("data-busy", true);
  await refresh(url.href);
  document.documentElement.toggleAttribute("data-busy", false);
}

function draw(): void {
  chart?.destroy();
  chart = null;
  const place = find("#plot");
  const data = find("#data");
  if (!place || !data?.textContent) return;
  const columns = JSON.parse(data.textContent) as Columns;
  let near: (series: number | null) => void = () => {};
  chart = lineChart(place, columns, {
    onZoom: (fromMs, toMs) => void go({ from: iso(fromMs), to: iso(toMs) }),
    onFocus: (series) => near(series),
  });
  near = connectLegend(chart, legendRows(document));
}

/** Charts that share their crosshair; dragging zooms the page's range. */
function drawSmall(): void {
  for (const old of small) old.destroy();
  small = all("[data-plot]").flatMap((place) => {
    const data = find(`[data-columns="${place.dataset["plot"]}"]`)?.textContent;
    if (!data) return [];
    const onZoom = (fromMs: number, toMs: number) => void go({ from: iso(fromMs), to: iso(toMs) });
    return [lineChart(place, JSON.parse(data) as Columns, { onZoom, sync: "metric" })];
  });
}

function iso(ms: number): string {
  return new Date(Math.round(ms / 1000) * 1000).toISOString().replace(".000", "");
}

function start(): void {
  draw();
  drawSmall();
  document.addEventListener("yagura:fresh", () => {
    draw();
    drawSmall();
  });
  window.addEventListener("popstate", () => void refresh());
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.id !== "ask") return;
    event.preventDefault();
    const q = find<HTMLTextAreaElement>("#q")?.value.trim() ?? "";
    rememberQuery(q);
    void go({ q, find: "" });
  });
  promqlEditors(() => find<HTMLFormElement>("#ask")?.requestSubmit());
}

start();
