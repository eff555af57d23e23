/**
 * The text of a line as nodes: terminal colours become classes, what was looked for is marked,
 * control characters are made visible. Everything is a text node in the end, never markup.
 */

import { make } from "./dom";

/** Marks in one line, at most: more do not help anybody to see. */
const MARKS_MAX = 50;
/** Longer texts are not searched for marks. */
const MARKED_CHARS = 8 * 1024;

/** What to mark: what the query asks for, and what is being looked for in the page. */
export interface Marks {
  asked: RegExp | null;
  found: RegExp | null;
}

interface Piece {
  text: string;
  /** Class names of the terminal colours in force. */
  look: string;
}

const SGR = /\x1b\[([0-9;:]*)m/g;
const OTHER_SEQUENCES = /\x1b\[[0-?]*[ -/]*[@-ln-~]/g;

/** Whether a text brings its own colours. */
export function isColoured(text: string): boolean {
  return text.includes("\x1b[");
}

/** The text without terminal colours, and with other control characters made visible. */
export function printable(text: string): string {
  return visible(text.replace(/\x1b\[[0-9;:]*m/g, "").replace(OTHER_SEQUENCES, ""));
}

/** The text without terminal colours, as it goes to the clipboard. */
export function plain(text: string): string {
  return text.replace(/\x1b\[[0-9;:]*m/g, "");
}

function visible(text: string): string {
  return text
    .replace(/[\x00-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** The text as nodes, coloured and marked. */
export function drawText(text: string, marks: Marks): (Node | string)[] {
  const parts = isColoured(text) ? pieces(text) : [{ text: visible(text), look: "" }];
  const whole = parts.map((part) => part.text).join("");
  const ranges = whole.length <= MARKED_CHARS ? marked(whole, marks) : [];
  const out: (Node | string)[] = [];
  let start = 0;
  for (const part of parts) {
    const end = start + part.text.length;
    const nodes = within(whole, start, end, ranges);
    if (part.look) out.push(make("span", { class: part.look }, ...nodes));
    else out.push(...nodes);
    start = end;
  }
  return out;
}

interface Range {
  from: number;
  to: number;
  kind: string;
}

function marked(text: string, marks: Marks): Range[] {
  const all: Range[] = [];
  for (const [kind, pattern] of [["found", marks.found], ["", marks.asked]] as const) {
    let n = 0;
    for (const match of pattern ? text.matchAll(pattern) : []) {
      if (n++ >= MARKS_MAX) break;
      if (match[0]) all.push({ from: match.index, to: match.index + match[0].length, kind });
    }
  }
  // What is being looked for now comes before what the query asked for.
  const apart: Range[] = [];
  for (const range of all) {
    if (!apart.some((other) => range.from < other.to && other.from < range.to)) apart.push(range);
  }
  return apart.sort((a, b) => a.from - b.from);
}

function within(text: string, start: number, end: number, ranges: Range[]): (Node | string)[] {
  const out: (Node | string)[] = [];
  let at = start;
  for (const range of ranges) {
    const from = Math.max(range.from, start);
    const to = Math.min(range.to, end);
    if (from >= to) continue;
    if (from > at) out.push(text.slice(at, from));
    out.push(make("mark", range.kind ? { class: range.kind } : {}, text.slice(from, to)));
    at = to;
  }
  if (at < end) out.push(text.slice(at, end));
  return out;
}

/** Cuts a text at its colour sequences. */
function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  const state: Look = { colour: "", bold: false, dim: false, italic: false, underline: false };
  let at = 0;
  const push = (raw: string) => {
    const shown = visible(raw.replace(OTHER_SEQUENCES, ""));
    if (shown) out.push({ text: shown, look: classes(state) });
  };
  for (const match of text.matchAll(SGR)) {
    push(text.slice(at, match.index));
    apply(state, match[1] ?? "");
    at = match.index + match[0].length;
  }
  push(text.slice(at));
  return out;
}

interface Look {
  colour: string;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}

const COLOURS = ["k", "r", "g", "y", "b", "m", "c", "w"];

function classes(look: Look): string {
  return [
    look.colour && `a-${look.colour}`,
    look.bold && "a-bold",
    look.dim && "a-dim",
    look.italic && "a-italic",
    look.underline && "a-underline",
  ]
    .filter(Boolean)
    .join(" ");
}

function apply(look: Look, parameters: string): void {
  const codes = parameters.split(/[;:]/).map((code) => Number(code || "0"));
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 0) Object.assign(look, { colour: "", bold: false, dim: false, italic: false, underline: false });
    else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 3) look.italic = true;
    else if (code === 4) look.underline = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 23) look.italic = false;
    else if (code === 24) look.underline = false;
    else if (code === 39) look.colour = "";
    else if (code >= 30 && code <= 37) look.colour = COLOURS[code - 30] ?? "";
    else if (code >= 90 && code <= 97) look.colour = COLOURS[code - 90] ?? "";
    else if (code === 38 || code === 48) {
      // 256 colours and true colour: the first 16 have names here, the others keep the text's colour.
      const wide = codes[i + 1] === 5;
      const index = wide ? (codes[i + 2] ?? 0) : -1;
      if (code === 38) look.colour = index >= 0 && index < 16 ? (COLOURS[index % 8] ?? "") : "";
      i += wide ? 2 : codes[i + 1] === 2 ? 4 : 0;
    }
    // Grounds would take the contrast away: they are left out.
  }
}

/** A pattern for the words that the query looks for; null for none. */
export function marksOf(words: string[]): RegExp | null {
  if (words.length === 0) return null;
  const edge = /[\p{L}\p{N}_]/u;
  const parts = words.map((word) => (edge.test(word[0] ?? "") ? "(?<![\\p{L}\\p{N}_])" : "") + escaped(word));
  return pattern(parts.join("|"));
}

/** A pattern for a text as it is typed; null for nothing. */
export function patternFor(text: string): RegExp | null {
  return text ? pattern(escaped(text)) : null;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

function pattern(source: string): RegExp | null {
  try {
    return new RegExp(source, "giu");
  } catch {
    return null;
  }
}
