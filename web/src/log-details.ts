/** A line, opened: its text, its labels and fields with links that filter, and what to copy. */

import { copy, icon, make } from "./dom";
import { type LogRecord, printable } from "./log-row";

const TEXT_CHARS = 65_536;

/** Fetches a line anew by its time: rows keep no more than they show. */
export async function fetchRecord(id: string, time: string): Promise<LogRecord | null> {
  const params = new URLSearchParams({ from: time, to: justAfter(time), limit: "100000", text: "1" });
  const response = await fetch(`/api/v1/logs/query?${params}`);
  for (const line of (await response.text()).split("\n")) {
    if (!line) continue;
    const record = JSON.parse(line) as LogRecord & { error?: string };
    if (record.error) throw new Error(record.error);
    if (record.id === id) return record;
  }
  return null;
}

/** The next nanosecond. */
export function justAfter(time: string): string {
  const [seconds = time, fraction = "Z"] = time.split(".");
  const ns = Number(fraction.slice(0, 9).replace("Z", "")) + 1;
  if (ns < 1_000_000_000) return `${seconds}.${String(ns).padStart(9, "0")}Z`;
  return new Date(Date.parse(`${seconds}Z`) + 1000).toISOString().replace(/\.\d+Z$/, ".000000000Z");
}

/** What opens under a row. */
export function details(record: LogRecord): HTMLElement {
  const text = record.text ?? record.message;
  const pre = make("pre", {}, printable(text.slice(0, TEXT_CHARS)));
  const over = text.length - TEXT_CHARS;
  if (over > 0) pre.append(make("span", { class: "more" }, `+${over} characters`));
  const fields = make("dl", { class: "fields" });
  for (const [name, value] of Object.entries(record.labels)) addField(fields, name, value, true);
  for (const [name, value] of Object.entries(record.fields)) {
    for (const one of Array.isArray(value) ? value : [value]) addField(fields, name, one, false);
  }
  const tools = make(
    "div",
    { class: "tools" },
    button("copy", "Copy line", () => copy(text)),
    button("link", "Copy link", () => copy(linkTo(record))),
    make("a", { class: "btn", href: aroundHref(record) }, icon("clock"), "Around this line"),
  );
  return make("div", { class: "details", "data-of": record.id }, pre, fields, tools);
}

function addField(list: HTMLElement, name: string, value: string, isLabel: boolean): void {
  const acts = make(
    "dd",
    { class: "acts" },
    make("a", { href: filterHref(name, value, "+"), title: `Only lines with ${name} = ${value}` }, "+"),
    make("a", { href: filterHref(name, value, "-"), title: `Only lines without ${name} = ${value}` }, "−"),
    act("copy", "Copy value", () => copy(value)),
  );
  list.append(make("dt", isLabel ? { class: "label" } : {}, name), make("dd", {}, printable(value)), acts);
}

function act(name: string, title: string, run: () => Promise<boolean>): HTMLElement {
  const button = make("button", { type: "button", title }, icon(name));
  button.addEventListener("click", () => void run().then((done) => flash(button, done)));
  return button;
}

function button(name: string, label: string, run: () => Promise<boolean>): HTMLElement {
  const words = make("span", {}, label);
  const button = make("button", { type: "button", class: "btn" }, icon(name), words);
  button.addEventListener("click", () =>
    void run().then((done) => {
      words.textContent = done ? "Copied" : "Select the text and copy it";
      window.setTimeout(() => (words.textContent = label), 1500);
    }),
  );
  return button;
}

function flash(button: HTMLElement, done: boolean): void {
  button.replaceChildren(icon(done ? "ok" : "err"));
  window.setTimeout(() => button.replaceChildren(icon("copy")), 1200);
}

/** The server knows how terms are written and leads on to the search with this one. */
function filterHref(name: string, value: string, sign: string): string {
  const params = new URLSearchParams(location.search);
  for (const gone of ["open", "name", "value", "sign"]) params.delete(gone);
  for (const [key, text] of [["name", name], ["value", value], ["sign", sign]] as const) params.append(key, text);
  return `/logs/filter?${params}`;
}

/** Everything that the same stream said a minute before and after. */
function aroundHref(record: LogRecord): string {
  const at = Date.parse(record.time);
  const params = new URLSearchParams({ from: new Date(at - 60_000).toISOString(), to: new Date(at + 60_000).toISOString(), open: record.id });
  const name = ["pod", "container", "file", "app"].find((name) => record.labels[name]);
  const value = name ? record.labels[name] : undefined;
  if (!name || value === undefined) return `/logs?${params}#${record.id}`;
  for (const [key, text] of [["name", name], ["value", value], ["sign", "+"]] as const) params.append(key, text);
  return `/logs/filter?${params}`;
}

/** A link that shows this line also tomorrow. */
export function linkTo(record: { id: string; time: string }): string {
  const at = Date.parse(record.time);
  const params = new URLSearchParams(location.search);
  params.set("from", new Date(at - 900_000).toISOString());
  params.set("to", new Date(at + 1000).toISOString());
  params.set("open", record.id);
  return `${location.origin}/logs?${params}#${record.id}`;
}
