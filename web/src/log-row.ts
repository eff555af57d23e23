/** Log lines as rows, as `pages/logs/rows.rs` draws them; text is always text, never markup. */

import { make } from "./dom";
import type { Item } from "./log-list";
import { type LogRecord, textOf, valueOf } from "./log-record";
import { type Marks, drawText, printable } from "./log-text";
import { lineTime } from "./times";

/** What all rows of a list have in common. */
export interface Look {
  marks: Marks;
  /** Whether rows carry the day. */
  withDay: boolean;
  /** Fields with a column of their own. */
  columns: string[];
}

const MESSAGE_CHARS = 2048;
/** An unfolded line shows so much in the row; beyond, its details have it. */
const UNFOLDED_CHARS = 64 * 1024;
const PILLS = 3;
const PILL_CHARS = 40;
const LETTERS: Record<string, string> = { fatal: "F", error: "E", warn: "W", info: "I", debug: "D", trace: "T" };
const SOURCES = ["app", "container", "unit", "service", "job", "file"];
const ENVELOPE = new Set(
  "time ts t timestamp @timestamp _time @t date datetime asctime level lvl severity loglevel log.level levelname @l".split(" "),
);

/** An item of the list. */
export function drawItem(item: Item, look: Look): HTMLElement {
  const line = item.record ? row(item, item.record, look) : note(item);
  const element = make("div", { class: "item", "data-key": item.key }, line);
  if (item.below) element.append(item.below);
  return element;
}

/** A note between lines: something is missing here. */
function note(item: Item): HTMLElement {
  const words = make("p", { class: "gap" }, make("span", {}, item.note ?? ""));
  if (item.since !== undefined) {
    words.append(make("button", { class: "link", type: "button", "data-do": "load-gap" }, "load them"));
  }
  return words;
}

/** How collection marks a place where lines are known to be missing. */
const GAP_MARK = "⟦yagura gap⟧ ";
/** How collection ends a line that was longer than it keeps. */
const CUT_MARK = / …\[cut, (\d+) bytes\]$/;

/** The row of a line. */
function row(item: Item, record: LogRecord, look: Look): HTMLElement {
  const [source, colour] = sourceOf(record.labels);
  const { shown, more } = folded(record, item.unfolded === true);
  const isGap = record.message.startsWith(GAP_MARK);
  const cut = CUT_MARK.exec(shown);
  const said = shown.slice(isGap ? GAP_MARK.length : 0, cut ? cut.index : shown.length);
  const text = make("span", { class: "text" }, make("span", { class: "msg" }, ...drawText(said, look.marks)));
  if (cut) text.append(make("span", { class: "cut", title: "The line was longer than is kept" }, `cut, ${size(Number(cut[1]))} missing`));
  if (more) text.append(make("button", { class: "more", type: "button", "data-do": "unfold", tabindex: "-1" }, more));
  const pills = look.columns.length > 0 ? [] : pillsOf(record);
  if (pills.length > 0) text.append(make("span", { class: "pills" }, ...pills));
  const time = make("time", { datetime: record.time, "data-style": "line" }, lineTime(record.time, look.withDay));
  const labels = Object.entries(record.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const line = make(
    "div",
    {
      class: `line lv-${record.level}${item.below ? " open" : ""}${item.fresh ? " fresh" : ""}${item.unfolded ? " unfolded" : ""}${isGap ? " is-gap" : ""}`,
      "data-row": "",
      tabindex: "-1",
      id: record.id,
      "data-time": record.time,
    },
    make("a", { class: "when", href: `#${record.id}`, tabindex: "-1" }, time),
    make("span", { class: "lv", title: record.level }, LETTERS[record.level] ?? "·"),
    make("span", { class: `src c${colour}`, title: `{${labels.join(", ")}}` }, source),
    ...look.columns.map((name) => cell(record, name)),
    text,
  );
  delete item.fresh;
  return line;
}

function cell(record: LogRecord, name: string): HTMLElement {
  const value = valueOf(record, name);
  if (value === undefined) return make("span", { class: "cell none" }, "–");
  return make("span", { class: "cell", title: `${name}=${value}`, "data-name": name, "data-value": value }, printable(value));
}

/** What wrote the line, short, and the number of its colour. */
export function sourceOf(labels: Record<string, string>): [string, number] {
  const label = SOURCES.map((name) => labels[name]).find((value) => value) ?? Object.values(labels)[0] ?? "–";
  const name = label.split("/").pop() || label;
  let hash = 7n;
  for (const byte of new TextEncoder().encode(name)) hash = BigInt.asUintN(64, hash * 31n + BigInt(byte));
  const replica = labels["pod"]?.split("-").slice(1).pop() ?? "";
  return [replica.length > 0 && replica.length <= 5 ? `${name} ${replica}` : name, Number(hash % 8n)];
}

/** The part of a line that its row shows, and what is behind it. */
function folded(record: LogRecord, unfolded: boolean): { shown: string; more: string } {
  const message = record.message.replace(/[\r\n]+$/, "");
  const firstBreak = message.indexOf("\n");
  const line = firstBreak < 0 ? message : message.slice(0, firstBreak).replace(/\r$/, "");
  const lines = firstBreak < 0 ? 0 : message.split("\n").length - 1;
  if (unfolded) return { shown: message.slice(0, UNFOLDED_CHARS), more: "show less" };
  const shown = line.slice(0, MESSAGE_CHARS);
  const over = line.length - shown.length + (record.text === undefined ? (record.cut ?? 0) : 0);
  if (lines > 0) return { shown, more: `+${lines} ${lines === 1 ? "line" : "lines"}` };
  return { shown, more: over > 0 ? `show ${size(over)} more` : "" };
}

/** Characters as people measure text. */
export function size(chars: number): string {
  if (chars < 1024) return `${chars} B`;
  const kib = chars / 1024;
  return kib < 1024 ? `${kib < 10 ? kib.toFixed(1) : Math.round(kib)} KB` : `${(kib / 1024).toFixed(1)} MB`;
}

function pillsOf(record: LogRecord): HTMLElement[] {
  // Without a text of its own the fields stand in the message already.
  if (record.text === undefined) return [];
  return Object.entries(record.fields)
    .filter((field): field is [string, string] => typeof field[1] === "string")
    .filter(([name, value]) => !ENVELOPE.has(name) && value !== "" && value.length <= PILL_CHARS)
    .slice(0, PILLS)
    .map(([name, value]) =>
      make("span", { class: "pill", "data-name": name, "data-value": value }, make("i", {}, `${name}=`), printable(value)),
    );
}

/** Whether a line has the text, as find-in-loaded understands it. */
export function holds(record: LogRecord, pattern: RegExp): boolean {
  pattern.lastIndex = 0;
  const hit = pattern.test(textOf(record)) || (record.text !== undefined && pattern.test(record.message));
  pattern.lastIndex = 0;
  return hit;
}
