/**
 * Completion in the search field: the server knows the language and what the lines have, and says
 * what can stand where the cursor is.
 */

import { find, make } from "./dom";
import { failure } from "./log-record";

/** Typing is over after this time. */
const TYPED_MS = 60;

interface Item {
  text: string;
  kind: string;
  count?: number;
  values?: number;
}

interface Offer {
  /** Characters that an item replaces. */
  from: number;
  to: number;
  items: Item[];
}

let offer: Offer | null = null;
let chosen = -1;
let timer = 0;
let underway: AbortController | null = null;

export function startCompletion(): void {
  const field = find<HTMLInputElement>(".query #q");
  if (!field) return;
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-expanded", "false");
  field.setAttribute("aria-autocomplete", "list");
  field.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void ask(field), TYPED_MS);
  });
  field.addEventListener("keydown", (event) => pressed(event, field));
  field.addEventListener("blur", () => close(field));
}

async function ask(field: HTMLInputElement): Promise<void> {
  underway?.abort();
  underway = new AbortController();
  const { signal } = underway;
  const range = new URLSearchParams(location.search);
  // The server counts characters, the browser pairs of bytes.
  const text = field.value;
  const at = [...text.slice(0, field.selectionStart ?? text.length)].length;
  const params = new URLSearchParams({ q: text, at: String(at) });
  for (const name of ["from", "to"]) if (range.get(name)) params.set(name, range.get(name) ?? "");
  try {
    const response = await fetch(`/api/v1/logs/complete?${params}`, { signal });
    if (!response.ok) throw await failure(response);
    const { data } = (await response.json()) as { data: Offer };
    // An answer for a text that is no longer there is none; the one for the new text is on its way.
    if (signal.aborted || document.activeElement !== field || field.value !== text) return;
    // Whoever has chosen while it was on its way keeps the choice.
    const kept = offer?.items[chosen];
    offer = data.items.length > 0 ? data : null;
    chosen = kept ? data.items.findIndex((item) => item.text === kept.text && item.kind === kept.kind) : -1;
    show(field);
  } catch {
    // Without an answer people type the rest themselves; Run says what is wrong.
    if (!signal.aborted) close(field);
  }
}

function show(field: HTMLInputElement): void {
  find(".query .completion")?.remove();
  field.setAttribute("aria-expanded", String(offer !== null));
  field.removeAttribute("aria-activedescendant");
  if (!offer) return;
  const list = make("ul", { class: "completion", id: "completion", role: "listbox", "aria-label": "What can stand here" });
  offer.items.forEach((item, i) => {
    const what = item.count !== undefined ? item.count.toLocaleString("en") : item.values !== undefined ? `${item.values} values` : item.kind;
    const option = make("li", { role: "option", id: `offer-${i}`, "aria-selected": String(i === chosen) }, make("b", {}, item.text), make("span", {}, what));
    option.addEventListener("mousedown", (event) => {
      event.preventDefault();
      take(field, item);
    });
    list.append(option);
  });
  field.parentElement?.append(list);
  field.setAttribute("aria-controls", "completion");
  if (chosen < 0) return;
  field.setAttribute("aria-activedescendant", `offer-${chosen}`);
  find(`#offer-${chosen}`)?.scrollIntoView({ block: "nearest" });
}

function close(field: HTMLInputElement): void {
  window.clearTimeout(timer);
  underway?.abort();
  offer = null;
  chosen = -1;
  show(field);
}

function take(field: HTMLInputElement, item: Item): void {
  if (!offer) return;
  const chars = [...field.value];
  const units = (n: number) => chars.slice(0, n).join("").length;
  // Up to the cursor: more may have been typed since the offer came. setRangeText keeps undo.
  const to = Math.max(field.selectionStart ?? 0, units(offer.to));
  field.setRangeText(item.text, units(offer.from), to, "end");
  close(field);
  // Behind the name of a field comes its value.
  if (item.text.endsWith(":")) void ask(field);
}

function pressed(event: KeyboardEvent, field: HTMLInputElement): void {
  if (event.isComposing || !offer) return;
  const n = offer.items.length;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    chosen = event.key === "ArrowDown" ? (chosen + 1) % n : (chosen <= 0 ? n : chosen) - 1;
    show(field);
  } else if (event.key === "Tab" && !event.shiftKey) take(field, offer.items[Math.max(chosen, 0)] as Item);
  else if (event.key === "Enter" && chosen >= 0) take(field, offer.items[chosen] as Item);
  else if (event.key === "Escape") {
    close(field);
    event.stopPropagation();
  } else return;
  event.preventDefault();
}
