/** Log lines as rows, as `pages/logs/rows.rs` draws them; text is always text, never markup. */

import { make } from "./dom";
import { lineTime } from "./times";

/** A line as the API gives it. */
export interface LogRecord {
  id: string;
  time: string;
  level: string;
  message: string;
  labels: Record<string, string>;
  fields: Record<string, string | string[]>;
  /** The line as it was written, where that is not the message. */
  text?: string;
}

const MESSAGE_CHARS = 2048;
const PILLS = 3;
const PILL_CHARS = 40;
const MARKS_MAX = 50;
const LETTERS: Record<string, string> = { fatal: "F", error: "E", warn: "W", info: "I", debug: "D", trace: "T" };
const SOURCES = ["app", "container", "unit", "service", "job", "file"];
const ENVELOPE = new Set(
  "time ts t timestamp @timestamp _time @t date datetime asctime level lvl severity loglevel log.level levelname @l".split(" "),
);

/** The row of a line. */
export function row(record: LogRecord, marks: RegExp | null, withDay: boolean): HTMLElement {
  const [source, colour] = sourceOf(record.labels);
  const { shown, more } = firstLine(record.message);
  const text = make("span", { class: "text" }, marked(printable(shown), marks));
  if (more) text.append(make("span", { class: "more" }, more));
  const pills = pillsOf(record);
  if (pills.length > 0) text.append(make("span", { class: "pills" }, ...pills));
  const time = make("time", { datetime: record.time, "data-style": "line" }, lineTime(record.time, withDay));
  const labels = Object.entries(record.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return make(
    "div",
    { class: `line lv-${record.level}`, "data-row": "", tabindex: "-1", id: record.id, "data-time": record.time },
    make("a", { class: "when", href: `#${record.id}` }, time),
    make("span", { class: "lv", title: record.level }, LETTERS[record.level] ?? "·"),
    make("span", { class: `src c${colour}`, title: `{${labels.join(", ")}}` }, source),
    text,
  );
}

/** What wrote the line, short, and the number of its colour. */
function sourceOf(labels: Record<string, string>): [string, number] {
  const label = SOURCES.map((name) => labels[name]).find((value) => value) ?? Object.values(labels)[0] ?? "–";
  const name = label.split("/").pop() || label;
  let hash = 7n;
  for (const byte of new TextEncoder().encode(name)) hash = BigInt.asUintN(64, hash * 31n + BigInt(byte));
  const replica = labels["pod"]?.split("-").slice(1).pop() ?? "";
  return [replica.length > 0 && replica.length <= 5 ? `${name} ${replica}` : name, Number(hash % 8n)];
}

function firstLine(message: string): { shown: string; more: string } {
  const [line = "", ...rest] = message.replace(/[\r\n]+$/, "").split("\n");
  const shown = line.slice(0, MESSAGE_CHARS);
  if (rest.length > 0) return { shown, more: `+${rest.length} ${rest.length === 1 ? "line" : "lines"}` };
  const over = line.length - shown.length;
  return { shown, more: over > 0 ? `+${over} characters` : "" };
}

function pillsOf(record: LogRecord): HTMLElement[] {
  // Without a text of its own the fields stand in the message already.
  if (record.text === undefined) return [];
  return Object.entries(record.fields)
    .filter((field): field is [string, string] => typeof field[1] === "string")
    .filter(([name, value]) => !ENVELOPE.has(name) && value !== "" && value.length <= PILL_CHARS)
    .slice(0, PILLS)
    .map(([name, value]) => make("span", { class: "pill" }, make("i", {}, `${name}=`), printable(value)));
}

/** The text without terminal colours, and with other control characters made visible. */
export function printable(text: string): string {
  return text
    .replace(/\x1b\[[0-9;]*[A-Za-z]/g, "")
    .replace(/[\x00-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\x7f-\x9f]/g, "\ufffd");
}

/** A pattern for the words that the query looks for; null for none. */
export function marksOf(words: string[]): RegExp | null {
  if (words.length === 0) return null;
  const edge = /[\p{L}\p{N}_]/u;
  const parts = words.map((word) => {
    const before = edge.test(word[0] ?? "") ? "(?<![\\p{L}\\p{N}_])" : "";
    return before + word.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  });
  try {
    return new RegExp(parts.join("|"), "giv");
  } catch {
    return null;
  }
}

function marked(text: string, marks: RegExp | null): HTMLElement {
  const out = make("span", { class: "msg" });
  let at = 0;
  let n = 0;
  for (const match of marks ? text.matchAll(marks) : []) {
    if (n++ >= MARKS_MAX) break;
    out.append(text.slice(at, match.index), make("mark", {}, match[0]));
    at = match.index + match[0].length;
  }
  out.append(text.slice(at));
  return out;
}
