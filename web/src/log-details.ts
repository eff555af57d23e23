/** A line, opened: its text, its labels and fields with links that filter, and what to copy. */

import { copy, icon, make } from "./dom";
import { type LogRecord, pageOf, textOf } from "./log-record";
import { size } from "./log-row";
import { drawText, plain } from "./log-text";
import { printable } from "./log-text";
import { tree } from "./log-tree";

/** What a page can show of a text without becoming slow. */
const TEXT_CHARS = 65_536;

export interface DetailActs {
  /** Opens the lines around this one. */
  around: () => void;
}

/** What opens under a row. */
export function details(record: LogRecord, acts: DetailActs): HTMLElement {
  const text = textOf(record);
  const pre = make("pre", {}, ...drawText(text.slice(0, TEXT_CHARS), { asked: null, found: null }));
  const over = text.length - TEXT_CHARS;
  if (over > 0) pre.append(make("span", { class: "more" }, `${size(over)} more: copy the line to have all of it`));
  const labels = make("dl", { class: "fields" });
  for (const [name, value] of Object.entries(record.labels)) addField(labels, name, value, true);
  const json = text.length <= TEXT_CHARS ? tree(text, (name, value) => fieldActs(name, value)) : null;
  if (!json) {
    for (const [name, value] of Object.entries(record.fields)) {
      for (const one of Array.isArray(value) ? value : [value]) addField(labels, name, one, false);
    }
  }
  const tools = make(
    "div",
    { class: "tools" },
    button("copy", "Copy line", "y", () => copy(plain(text))),
    button("link", "Copy link", "Shift y", () => copy(linkTo(record))),
    button("clock", "Context", "c", () => {
      acts.around();
      return null;
    }),
    make("a", { class: "btn", href: pageOf(record) }, icon("logs"), "Page of this line"),
  );
  return make("div", { class: "details", "data-of": record.id }, ...(json ? [json] : [pre]), labels, tools);
}

function addField(list: HTMLElement, name: string, value: string, isLabel: boolean): void {
  list.append(
    make("dt", isLabel ? { class: "label" } : {}, name),
    make("dd", { "data-name": name, "data-value": value }, printable(value)),
    make("dd", { class: "acts" }, ...fieldActs(name, value).childNodes),
  );
}

/** What can be done with a value: only lines with it, only lines without it, copy it. */
function fieldActs(name: string, value: string): HTMLElement {
  const copying = make("button", { type: "button", title: "Copy value", "aria-label": `Copy value of ${name}` }, icon("copy"));
  copying.addEventListener("click", () => void copy(value).then((done) => flash(copying, done)));
  return make(
    "span",
    { class: "acts", "data-name": name, "data-value": value },
    make("a", { href: filterHref(name, value, "+"), title: `Only lines with ${name} = ${value}` }, "+"),
    make("a", { href: filterHref(name, value, "-"), title: `Only lines without ${name} = ${value}` }, "−"),
    copying,
  );
}

function button(name: string, label: string, key: string, run: () => Promise<boolean> | null): HTMLElement {
  const words = make("span", {}, label);
  const button = make("button", { type: "button", class: "btn", title: key }, icon(name), words);
  button.addEventListener("click", () =>
    void run()?.then((done) => {
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
export function filterHref(name: string, value: string, sign: "+" | "-"): string {
  const params = new URLSearchParams(location.pathname === "/logs" ? location.search : "");
  for (const gone of ["open", "name", "value", "sign", "group"]) params.delete(gone);
  for (const [key, text] of [["name", name], ["value", value], ["sign", sign]] as const) params.append(key, text);
  return `/logs/filter?${params}`;
}

/** A link that shows this line also tomorrow: its page, and with it what was being looked for. */
export function linkTo(record: { id: string; time: string }): string {
  const q = new URLSearchParams(location.search).get("q");
  return `${location.origin}${pageOf(record)}${q ? `?${new URLSearchParams({ q })}` : ""}`;
}
