/**
 * The pages of metrics: runs the expressions without leaving the page, draws graphs and heatmaps
 * that share their crosshair, completes names. All data comes with the page itself; what is in the
 * address is what is shown.
 */

import "./base";
import { type Columns, connectLegend, legendRows, lineChart, type Plotted } from "./charts";
import { all, copy, find } from "./dom";
import { type Cells, heatChart } from "./heat";
import { onKey } from "./keys";
import { promqlEditors, rememberQuery } from "./promql-editor";
import { refresh } from "./refresh";

/** Charts with this key share their crosshair. */
const SYNC = "metrics";

let drawn: Plotted[] = [];

/** Shows an address: the page is fetched and morphed in. */
async function show(url: string): Promise<void> {
  const root = document.documentElement;
  root.toggleAttribute("data-busy", true);
  await refresh(url);
  root.toggleAttribute("data-busy", false);
}

/** Shows the page with other parameters. */
function go(changes: Record<string, string>): Promise<void> {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  return show(url.href);
}

function draw(): void {
  for (const old of drawn) old.destroy();
  drawn = all("[data-plot]").map((place) => {
    const number = place.dataset["plot"] ?? "";
    const json = (kind: string) => find(`script[data-${kind}="${number}"]`)?.textContent ?? "";
    const zoom = (fromMs: number, toMs: number) => void go({ from: iso(fromMs), to: iso(toMs) });
    const cells = json("heat");
    if (cells) return heatChart(place, JSON.parse(cells) as Cells, { onZoom: zoom, sync: SYNC });
    let near: (series: number | null) => void = () => {};
    const columns = JSON.parse(json("columns")) as Columns;
    const chart = lineChart(place, columns, { onZoom: zoom, onFocus: (series) => near(series), sync: SYNC });
    near = connectLegend(chart, legendRows(place.closest(".chart") ?? document));
    return chart;
  });
}

function iso(ms: number): string {
  return new Date(Math.round(ms / 1000) * 1000).toISOString().replace(".000", "");
}

/** Runs what is written; `without` leaves one field out, `add` asks for one more. */
async function run(form: HTMLFormElement, without: number, add: boolean): Promise<void> {
  const url = new URL(location.href);
  const texts = all<HTMLTextAreaElement>("textarea[data-promql]")
    .filter((_, i) => i + 1 !== without)
    .map((area) => area.value.trim())
    .filter((q) => q !== "");
  for (const name of [...url.searchParams.keys()]) {
    if (/^(q\d?|add|remove|find)$/.test(name)) url.searchParams.delete(name);
  }
  texts.forEach((q, i) => {
    rememberQuery(q);
    url.searchParams.set(i ? `q${i + 1}` : "q", q);
  });
  if (add) url.searchParams.set("add", "1");
  await show(url.href);
  if (add) all<HTMLTextAreaElement>("textarea[data-promql]", form.ownerDocument).at(-1)?.focus();
}

function click(selector: string): void {
  find(selector)?.click();
}

function start(): void {
  draw();
  promqlEditors(() => find<HTMLFormElement>("#ask")?.requestSubmit());
  document.addEventListener("yagura:fresh", () => {
    draw();
    promqlEditors(() => find<HTMLFormElement>("#ask")?.requestSubmit());
  });
  window.addEventListener("popstate", () => void show(location.href));
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.id !== "ask") return;
    event.preventDefault();
    const button = event.submitter as HTMLButtonElement | null;
    void run(form, button?.name === "remove" ? Number(button.value) : 0, button?.name === "add");
  });
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>("a[data-view], a[data-stack], a[data-share]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (!("share" in link.dataset)) void show(link.href);
    else void copy(link.href).then((done) => (link.lastChild!.textContent = done ? "Copied" : "Not allowed to copy"));
  });
  if (!find("#ask")) return;
  onKey("a", "another query", () => click("[name=add]"));
  onKey("s", "series on each other", () => click("[data-stack]"));
  onKey("Y", "copy a link with absolute times", () => click("[data-share]"));
  for (const [key, view] of [["g", ""], ["t", "table"], ["h", "heat"], ["e", "explain"]] as const) {
    onKey(`v ${key}`, `show ${view || "graph"}`, () => click(`[data-view="${view}"]`));
  }
}

start();
