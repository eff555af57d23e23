/**
 * The Logs page. Each concern has a file of its own (`log-*.ts`); this one puts them together and
 * gives them their keys.
 */

import "./base";
import { copy, find } from "./dom";
import { onKey } from "./keys";
import { Columns } from "./log-columns";
import { startCompletion } from "./log-complete";
import { context } from "./log-context";
import { details, filterHref, linkTo } from "./log-details";
import { startFacets, toggleBar } from "./log-facets";
import { Finder } from "./log-find";
import { type Item, LogList, lineItem } from "./log-list";
import { Live } from "./log-live";
import { Pages, words } from "./log-pages";
import { type LogRecord, fetchRecord, textOf } from "./log-record";
import { drawItem } from "./log-row";
import { startRun } from "./log-run";
import { isPhone, sheet } from "./log-sheet";
import { startTables } from "./log-table";
import { marksOf, plain } from "./log-text";
import { startZoom } from "./log-zoom";
import { refresh } from "./refresh";

/** The histogram and the fields are drawn anew so often while lines arrive. */
const REDRAW_MS = 10_000;

startRun();
startZoom();
startFacets();
startTables();
startCompletion();
onKey("b", "bar with fields on or off", toggleBar);
onKey("p", "similar lines as one, or single lines", () => find<HTMLAnchorElement>("#group, #ungroup")?.click());
onKey("r", "run the search again", () => location.reload());
// What stands in the field, or was sorted or typed, is not the server's to draw anew.
for (const kept of [find(".ask"), find("#table"), find("#groups")]) kept?.setAttribute("data-keep", "");
const lines = find("#lines");
if (lines) start(lines);
// A link to a line shows that line, not the top of its page.
if (!location.hash) find("#this")?.scrollIntoView({ block: "center" });
// What took too long to wait for with the lines comes now.
if (find("[data-late]")) void refresh();

function start(root: HTMLElement): void {
  const { q = "", from: fromMs = "0", to: toMs = "0" } = root.dataset;
  const follows = "follow" in root.dataset;
  const from = new Date(Number(fromMs)).toISOString();
  const to = () => new Date(follows ? Date.now() + 60_000 : Number(toMs)).toISOString();
  const asked = marksOf(JSON.parse(root.dataset["marks"] ?? "[]") as string[]);
  const first = JSON.parse(find("#records")?.textContent ?? "[]") as LogRecord[];

  const draw = (item: Item) =>
    drawItem(item, { marks: { asked, found: finder.pattern }, withDay: "day" in root.dataset, columns: columns.chosen });
  const theList = () => list;
  let live: Live | null = null;
  const pages = new Pages(theList, { q, from, to }, !("more" in root.dataset), () => live?.pause("you scrolled"));
  const finder: Finder = new Finder(theList, () => list.redrawAll(), () => live?.pause("you look for something"));
  const columns: Columns = new Columns(theList, () => list.redrawAll());
  const list: LogList = new LogList(root, draw, {
    nearEnd: () => void pages.older(),
    nearStart: () => void pages.newer(),
  });
  list.reset(first.map(lineItem));
  columns.recall();
  pages.end();
  // What the script draws belongs to it; the server draws the histogram and the fields anew.
  find("#stream")?.setAttribute("data-keep", "");

  if (follows) {
    live = new Live(q, from, theList, pages, (state) => {
      remember({ live: state === "off" ? "0" : "" });
    });
    const params = new URLSearchParams(location.search);
    if (params.get("live") !== "0" && !params.get("open")) live.start();
    window.setInterval(() => {
      const busy = document.hidden || document.activeElement?.matches("input:not([type=checkbox])");
      if (!busy && find("#live")?.dataset["state"] !== "off") void refresh();
    }, REDRAW_MS);
  }
  const goLive = () => location.assign(`/logs?${withParams({ from: "now-15m", to: "now", live: "", open: "" })}`);

  clicks(list, pages, () => live?.pause("a line is open"));
  find("#live")?.addEventListener("click", () => (live ? live.toggle() : goLive()));
  keys(list, finder, live, goLive);
  wrapping(list);
  const open = list.items.find((item) => item.key === new URLSearchParams(location.search).get("open"));
  if (open) void openDetails(list, open);
}

/** What a row's parts do when they are clicked. */
function clicks(list: LogList, pages: Pages, reads: () => void): void {
  list.root.addEventListener("click", (event) => {
    const target = event.target as Element;
    const item = list.itemOf(target);
    if (!item || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const does = target.closest<HTMLElement>("[data-do]")?.dataset["do"];
    if (does === "load-gap") return void pages.fill(item).catch((error) => say(`Cannot load them: ${words(error)}.`));
    if (does === "unfold") {
      item.unfolded = !item.unfolded;
      reads();
      list.current = item;
      return list.redraw(item);
    }
    if (!target.closest(".line")) return;
    const link = target.closest("a");
    if (link && !link.matches(".when")) return;
    if (!link && !window.getSelection()?.isCollapsed) return;
    event.preventDefault();
    list.current = item;
    reads();
    void toggleDetails(list, item);
  });
  list.root.addEventListener("focusin", (event) => {
    const item = list.itemOf(event.target as Element);
    if (item?.record) list.current = item;
  });
  list.root.addEventListener("keydown", (event) => {
    const line = event.target as HTMLElement;
    const item = list.itemOf(line);
    if (event.key !== "Enter" || !item || !line.matches(".line")) return;
    event.preventDefault();
    reads();
    void toggleDetails(list, item);
  });
}

function keys(list: LogList, finder: Finder, live: Live | null, goLive: () => void): void {
  const current = () => list.itemOf(document.activeElement) ?? list.current;
  const isError = (record: LogRecord) => record.level === "error" || record.level === "fatal";
  const toError = (by: 1 | -1) => {
    const item = list.next(by, isError);
    if (item) list.show(item, "center");
    else say(`No ${by > 0 ? "older" : "newer"} error in the ${list.items.length.toLocaleString("en")} loaded lines.`);
  };
  const filter = (sign: "+" | "-") => {
    const field = document.activeElement?.closest<HTMLElement>("[data-name]") ?? hovered;
    const { name, value } = field?.dataset ?? {};
    if (name !== undefined && value !== undefined) location.assign(filterHref(name, value, sign));
    else say("Point at a field first, with the mouse or the keyboard.");
  };
  let hovered: HTMLElement | null = null;
  document.addEventListener("mouseover", (event) => {
    hovered = (event.target as Element).closest<HTMLElement>("[data-name][data-value]");
  });
  onKey("j", "next line", () => list.step(1));
  onKey("k", "line before", () => list.step(-1));
  onKey("o", "open or close the line", () => void withItem(current(), (item) => toggleDetails(list, item)));
  onKey("c", "lines around, in place", () => {
    live?.pause("a line is open");
    void withItem(current(), (item) => toggleContext(list, item));
  });
  onKey("e", "next error", () => toError(1));
  onKey("E", "error before", () => toError(-1));
  onKey("f", "find in the loaded lines", () => finder.open());
  onKey("n", "next found", () => finder.step(1));
  onKey("N", "found before", () => finder.step(-1));
  onKey("x", "only lines with the field under the cursor", () => filter("+"));
  onKey("X", "only lines without it", () => filter("-"));
  onKey("y", "copy line", () => void withItem(current(), copyLine));
  onKey("Y", "copy link to the line", () => {
    void withItem(current(), async ({ record }) => record && told(await copy(linkTo(record)), "Link copied."));
  });
  onKey("l", "live on or off", () => (live ? live.toggle() : goLive()));
  onKey(" ", "pause, or go on", () => live?.pauseOrResume());
  onKey("G", "newest line, and follow", () => {
    if (live) void live.follow();
    else window.scrollTo({ top: 0 });
  });
}

async function withItem(item: Item | null, run: (item: Item) => unknown): Promise<void> {
  if (item?.record) await run(item);
  else say("Choose a line first: j and k go through them.");
}

async function copyLine({ record }: Item): Promise<void> {
  if (!record) return;
  const whole = record.cut === undefined ? record : await fetchRecord(record.id, record.time);
  told(await copy(plain(textOf(whole ?? record))), "Line copied.");
}

function told(done: boolean, sentence: string): void {
  say(done ? sentence : "The browser does not let this page copy: open the line and select the text.");
}

/** Says something in passing. */
function say(sentence: string): void {
  const region = find("#said");
  if (region) region.textContent = sentence;
}

async function toggleDetails(list: LogList, item: Item): Promise<void> {
  if (item.below && !isPhone()) {
    delete item.below;
    list.redraw(item);
  } else await openDetails(list, item);
}

async function openDetails(list: LogList, item: Item): Promise<void> {
  if (!item.record) return;
  const acts = { around: () => toggleContext(list, item) };
  let content: HTMLElement;
  try {
    const record = item.record.cut === undefined ? item.record : await fetchRecord(item.record.id, item.record.time);
    content = record ? details(record, acts) : note("This line is no longer stored.");
  } catch (error) {
    content = note(`Cannot show this line: ${words(error)}.`);
  }
  below(list, item, content, "Line");
}

function toggleContext(list: LogList, item: Item): void {
  if (!item.record) return;
  if (item.below?.matches(".context") && !isPhone()) {
    delete item.below;
    return list.redraw(item);
  }
  below(list, item, context(item.record, () => list.update()), "Lines around");
}

/** Shows something of a line: under it, or on phones as a sheet. */
function below(list: LogList, item: Item, content: HTMLElement, title: string): void {
  if (isPhone()) {
    find<HTMLDialogElement>("dialog.sheet[open]")?.close();
    sheet(title, content);
    return;
  }
  item.below = content;
  list.redraw(item);
}

function note(text: string): HTMLElement {
  const paragraph = document.createElement("p");
  paragraph.className = "details";
  paragraph.textContent = text;
  return paragraph;
}

function withParams(changes: Record<string, string>): string {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === "") params.delete(name);
    else params.set(name, value);
  }
  return params.toString();
}

/** Writes into the address what would otherwise be forgotten. */
function remember(changes: Record<string, string>): void {
  const query = withParams(changes);
  if (`?${query}` !== (location.search || "?")) history.replaceState(null, "", `?${query}${location.hash}`);
}

function wrapping(list: LogList): void {
  const flip = () => {
    const on = list.root.classList.toggle("wrap");
    find("#wrap")?.setAttribute("aria-pressed", String(on));
    remember({ wrap: on ? "1" : "" });
    list.forget();
  };
  onKey("w", "wrap long lines", flip);
  find("#wrap")?.addEventListener("click", (event) => {
    event.preventDefault();
    flip();
  });
}
