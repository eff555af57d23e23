/**
 * The fields beside the lines: a search over names and values, and pins. Pinned values stand on
 * top of their field also when they are rare; this browser remembers them in a cookie, so that the
 * server draws them where they belong.
 */

import { all, find, recall, remember } from "./dom";
import { refresh } from "./refresh";

const PINS_MAX = 40;
const PINS_BYTES_MAX = 3000;

type Pin = [name: string, value: string];

export function startFacets(): void {
  document.addEventListener("click", (event) => {
    const pin = (event.target as Element).closest<HTMLElement>("[data-pin]");
    if (pin) {
      toggle(pin.dataset["name"] ?? "", pin.dataset["value"] ?? "");
      event.preventDefault();
    }
  });
  document.addEventListener("input", (event) => {
    if ((event.target as Element).id === "facet-search") narrow();
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target as HTMLInputElement;
    if (event.key !== "Escape" || field.id !== "facet-search" || !field.value) return;
    field.value = "";
    narrow();
    event.stopPropagation();
  });
  document.addEventListener("yagura:fresh", narrow);
}

/** Shows or hides the bar; the server does not count what nobody sees. */
export function toggleBar(): void {
  remember("facets", recall("facets") === "off" ? "on" : "off");
  void refresh();
}

function pins(): Pin[] {
  try {
    const list: unknown = JSON.parse(recall("pins") ?? "[]");
    return Array.isArray(list) ? (list as Pin[]) : [];
  } catch {
    return [];
  }
}

function toggle(name: string, value: string): void {
  const others = pins().filter(([n, v]) => n !== name || v !== value);
  const list: Pin[] = others.length < pins().length ? others : [...others, [name, value] as Pin].slice(-PINS_MAX);
  while (encodeURIComponent(JSON.stringify(list)).length > PINS_BYTES_MAX) list.shift();
  remember("pins", JSON.stringify(list));
  void refresh();
}

/** Leaves the fields and values that have what was typed. */
function narrow(): void {
  const wanted = (find<HTMLInputElement>("#facet-search")?.value ?? "").trim().toLowerCase();
  for (const facet of all<HTMLDetailsElement>("#facets .facet")) {
    const named = (facet.dataset["name"] ?? "").toLowerCase().includes(wanted);
    let hits = 0;
    for (const item of all("li", facet)) {
      const fits = named || (item.dataset["value"] ?? "").toLowerCase().includes(wanted);
      item.hidden = !fits;
      if (fits) hits += 1;
    }
    facet.hidden = wanted !== "" && hits === 0;
    if (wanted === "") continue;
    facet.open = true;
    for (const rest of all<HTMLDetailsElement>("details", facet)) rest.open = true;
  }
  for (const more of all<HTMLDetailsElement>("#facets .others")) if (wanted !== "") more.open = true;
  const none = find("#facet-none");
  if (none) none.hidden = wanted === "" || all("#facets .facet:not([hidden])").length > 0;
}
