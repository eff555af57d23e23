/**
 * Keys of all pages; pages add their own with [`onKey`]. Off while somebody types, and off
 * altogether when switched off in the list that `?` shows.
 */

import { all, find, make, remember } from "./dom";
import { refresh } from "./refresh";
import { toggleZone } from "./times";

interface Key {
  keys: string;
  does: string;
  run: (event: KeyboardEvent) => void;
}

/** How long the second key of a pair may take, ms. */
const PAIR_MS = 1500;

const list: Key[] = [];
let first = "";
let firstAt = 0;

/**
 * Adds a key or a pair of keys (`g o`) with what the list says about it; a page's own meaning
 * takes the place of the shell's.
 */
export function onKey(keys: string, does: string, run: Key["run"]): void {
  const known = list.find((key) => key.keys === keys);
  if (known) Object.assign(known, { does, run });
  else list.push({ keys, does, run });
}

export function startKeys(): void {
  for (const link of all<HTMLAnchorElement>("#rail a[data-key]")) {
    const page = link.title.toLowerCase();
    onKey(`g ${link.dataset["key"]}`, page, () => find<HTMLAnchorElement>(`#rail a[data-key=${link.dataset["key"]}]`)?.click());
  }
  onKey("/", "search", (event) => focusSearch(event));
  onKey("r", "refresh", () => void refresh());
  onKey("u", "UTC or local time", toggleZone);
  onKey("?", "this list", showKeys);
  onKey("j", "next row", () => step(1));
  onKey("k", "row before", () => step(-1));
  onKey("o", "open or close the row", () => toggleRow());
  if (find("#picker")) {
    onKey("t", "time range", togglePicker);
    all<HTMLAnchorElement>("#picker .presets a").slice(0, 5).forEach((preset, i) => {
      onKey(`t ${i + 1}`, `last ${preset.textContent}`, () => find<HTMLAnchorElement>(`#picker .presets a:nth-child(${i + 1})`)?.click());
    });
    for (const [key, label] of [["[", "earlier"], ["]", "later"], ["-", "wider"], ["=", "narrower"]] as const) {
      onKey(key, label, () => find<HTMLAnchorElement>(`#picker [data-step=${label}]`)?.click());
    }
  }
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("[data-do=keys]")) showKeys();
    const picker = find<HTMLDetailsElement>("#picker");
    if (picker?.open && !picker.contains(target)) picker.open = false;
  });
  reveal();
  document.addEventListener("yagura:fresh", reveal);
}

/** Shows the buttons that do nothing without script. */
function reveal(): void {
  for (const button of all("[data-do]")) button.hidden = false;
}

function pressed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  // The first of the path: what is typed into an editor's shadow root comes from the editor.
  const target = event.composedPath()[0] as HTMLElement;
  const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  if (event.key === "Escape") {
    const picker = find<HTMLDetailsElement>("#picker");
    if (picker?.open) picker.open = false;
    else if (typing) target.blur();
    return;
  }
  const off = document.documentElement.dataset["keys"] === "off";
  if (typing || (off && event.key !== "?") || find("dialog[open]")) return;
  const pair = performance.now() - firstAt < PAIR_MS ? `${first} ${event.key}` : "";
  const hit = list.find((key) => key.keys === pair) ?? list.find((key) => key.keys === event.key);
  first = event.key;
  firstAt = performance.now();
  if (!hit) return;
  event.preventDefault();
  hit.run(event);
}

function focusSearch(event: Event): void {
  const field = find<HTMLInputElement>("main [data-search], #top [data-search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

function togglePicker(): void {
  const picker = find<HTMLDetailsElement>("#picker");
  if (!picker) return;
  picker.open = !picker.open;
  if (picker.open) find("#picker .presets a")?.focus();
}

/** Rows are what a page marks so: links, folds or anything that can be focused. */
function rows(): HTMLElement[] {
  return all("main [data-row]").filter((row) => row.checkVisibility());
}

function step(by: number): void {
  const list = rows();
  const at = list.findIndex((row) => row.contains(document.activeElement));
  const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
  const focusable = next?.matches("a, summary, button, [tabindex]") ? next : next && find("a, summary, button", next);
  focusable?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function toggleRow(): void {
  (document.activeElement as HTMLElement | null)?.closest<HTMLElement>("[data-row]")?.click();
}

function showKeys(): void {
  const root = document.documentElement;
  const dialog = make("dialog", { "aria-labelledby": "keys-title" });
  const items = list.map(({ keys, does }) => {
    const caps = keys.split(" ").flatMap((key, i) => (i ? [" ", make("kbd", {}, key)] : [make("kbd", {}, key)]));
    return make("div", {}, make("dt", {}, does), make("dd", {}, ...caps));
  });
  const onOff = make("button", { class: "btn", type: "button" });
  const label = () => (onOff.textContent = root.dataset["keys"] === "off" ? "Switch keys on" : "Switch keys off");
  onOff.addEventListener("click", () => {
    const off = root.dataset["keys"] !== "off";
    if (off) root.dataset["keys"] = "off";
    else delete root.dataset["keys"];
    remember("keys", off ? "off" : "on");
    label();
  });
  label();
  const close = make("button", { class: "btn primary push", type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.append(make("h2", { id: "keys-title" }, "Keys"), make("dl", { class: "keys" }, ...items), make("footer", {}, onOff, "Ctrl, Alt and ⌘ are left to the browser.", close));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
