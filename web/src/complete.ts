/**
 * Completion for the PromQL field: names of metrics from the server, functions, and the
 * expressions asked before in this browser. Enter runs, Shift+Enter breaks the line.
 */

import { find, make } from "./dom";

const HISTORY = "yagura.metrics.history";
const HISTORY_MAX = 50;
const SHOWN_MAX = 12;

const WORDS = [
  "sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "stddev", "group", "by", "without", "offset",
  "rate", "irate", "increase", "delta", "deriv", "predict_linear", "histogram_quantile", "absent", "abs", "ceil", "floor",
  "round", "clamp_min", "clamp_max", "avg_over_time", "max_over_time", "min_over_time", "sum_over_time",
  "count_over_time", "quantile_over_time", "last_over_time", "changes", "resets", "label_replace", "label_join",
  "sort", "sort_desc", "scalar", "vector", "time", "timestamp",
];

interface Offer {
  text: string;
  kind: string;
}

let names: Promise<string[]> | null = null;
let offers: Offer[] = [];
let chosen = -1;

/** Remembers an expression for the next time. */
export function rememberQuery(q: string): void {
  if (!q) return;
  try {
    const list = [q, ...history().filter((other) => other !== q)].slice(0, HISTORY_MAX);
    localStorage.setItem(HISTORY, JSON.stringify(list));
  } catch {
    // A browser that keeps nothing has no history.
  }
}

function history(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(HISTORY) ?? "[]");
    return Array.isArray(list) ? list.filter((q): q is string => typeof q === "string") : [];
  } catch {
    return [];
  }
}

/** Listens on the field, which may be morphed at any time. */
export function completeMetrics(): void {
  document.addEventListener("input", (event) => {
    if ((event.target as Element).id === "q") void offer();
  });
  document.addEventListener("keydown", pressed, true);
  document.addEventListener("focusout", (event) => {
    if ((event.target as Element).id === "q") close();
  });
}

function field(): HTMLTextAreaElement | null {
  return find<HTMLTextAreaElement>("#q");
}

/** The word before the cursor. */
function wordAt(area: HTMLTextAreaElement): string {
  const before = area.value.slice(0, area.selectionStart);
  // Inside quotes there is nothing to complete yet.
  if ((before.match(/"/g)?.length ?? 0) % 2 === 1) return "";
  return /[a-zA-Z_:][a-zA-Z0-9_:]*$/.exec(before)?.[0] ?? "";
}

async function offer(): Promise<void> {
  const area = field();
  const word = area ? wordAt(area).toLowerCase() : "";
  if (!area || word.length < 1) return close();
  names ??= fetchNames();
  const known = await names;
  if (wordAt(area).toLowerCase() !== word) return;
  const rank = (text: string) => {
    const at = text.toLowerCase().indexOf(word);
    return at < 0 ? -1 : at === 0 ? 0 : 1;
  };
  const candidates: Offer[] = [
    ...WORDS.filter((text) => text.startsWith(word)).map((text) => ({ text, kind: "function" })),
    ...known.map((text) => ({ text, kind: "metric" })),
  ];
  offers = candidates
    .filter(({ text }) => rank(text) >= 0 && text.toLowerCase() !== word)
    .sort((a, b) => rank(a.text) - rank(b.text) || a.text.length - b.text.length)
    .slice(0, SHOWN_MAX);
  chosen = offers.length > 0 ? 0 : -1;
  show(area);
}

async function fetchNames(): Promise<string[]> {
  try {
    const response = await fetch("/api/v1/label/__name__/values");
    const body = (await response.json()) as { data?: string[] };
    return body.data ?? [];
  } catch {
    // Try again with the next word.
    names = null;
    return [];
  }
}

function show(area: HTMLTextAreaElement): void {
  find(".completion")?.remove();
  if (offers.length === 0) return;
  const list = make("ul", { class: "completion", id: "completion", role: "listbox", "data-keep": "" });
  offers.forEach(({ text, kind }, i) => {
    const item = make("li", { role: "option", id: `offer-${i}`, "aria-selected": String(i === chosen) }, text, make("span", {}, kind));
    item.addEventListener("mousedown", (event) => {
      event.preventDefault();
      take(area, text, kind);
    });
    list.append(item);
  });
  area.parentElement?.append(list);
  area.setAttribute("aria-controls", "completion");
  if (chosen >= 0) area.setAttribute("aria-activedescendant", `offer-${chosen}`);
  find(`#offer-${chosen}`)?.scrollIntoView({ block: "nearest" });
}

function close(): void {
  offers = [];
  chosen = -1;
  find(".completion")?.remove();
  field()?.removeAttribute("aria-activedescendant");
}

function take(area: HTMLTextAreaElement, text: string, kind: string): void {
  if (kind === "asked before") {
    area.value = text;
  } else {
    const start = area.selectionStart - wordAt(area).length;
    // setRangeText keeps the field's own undo.
    area.setRangeText(text, start, area.selectionStart, "end");
  }
  close();
}

function pressed(event: KeyboardEvent): void {
  const area = field();
  if (!area || event.target !== area || event.isComposing) return;
  const open = offers.length > 0;
  const current = offers[chosen];
  if (event.key === "Escape" && open) {
    close();
    event.stopPropagation();
  } else if (event.key === "ArrowDown" && !open && area.value.trim() === "") {
    offers = history().slice(0, SHOWN_MAX).map((text) => ({ text, kind: "asked before" }));
    chosen = 0;
    show(area);
    event.preventDefault();
  } else if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + offers.length) % offers.length;
    show(area);
    event.preventDefault();
  } else if (open && current && event.key === "Tab") {
    take(area, current.text, current.kind);
    event.preventDefault();
  } else if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    if (open && current && (current.kind === "asked before" || chosen > 0)) take(area, current.text, current.kind);
    else {
      close();
      area.form?.requestSubmit();
    }
  }
}
