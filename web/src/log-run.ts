/**
 * While a search runs: after a moment the page says so, and Escape gives it up. And menus, copies
 * and choices that need no more than a line of script.
 */

import { all, copy, find, recall, remember } from "./dom";
import { refresh } from "./refresh";

/** Quick answers need no word. */
const PATIENCE_MS = 400;

export function startRun(): void {
  let timer = 0;
  const begin = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      const meta = find("#top-meta");
      if (meta) meta.textContent = "Searching … Esc gives up";
      document.documentElement.dataset["searching"] = "";
    }, PATIENCE_MS);
  };
  const end = () => {
    window.clearTimeout(timer);
    if (!("searching" in document.documentElement.dataset)) return;
    delete document.documentElement.dataset["searching"];
    const meta = find("#top-meta");
    if (meta) meta.textContent = "Given up: these are the lines of the search before";
  };
  document.addEventListener("submit", (event) => (event.target as Element).matches(".query") && begin());
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>("main a[href], #picker a[href]");
    if (link && link.pathname.startsWith("/logs") && !event.defaultPrevented && !event.ctrlKey && !event.metaKey) begin();
    close(event.target as Element);
    void choice(event.target as Element);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of all<HTMLDetailsElement>(".menu[open]")) {
      menu.open = false;
      find("summary", menu)?.focus();
    }
    const facets = find<HTMLInputElement>("#facets-open");
    if (facets?.checked) facets.checked = false;
    if (!("searching" in document.documentElement.dataset)) return;
    window.stop();
    end();
  });
  window.addEventListener("pageshow", () => window.clearTimeout(timer));
}

/** A click beside a menu closes it. */
function close(target: Element): void {
  for (const menu of all<HTMLDetailsElement>(".menu[open]")) if (!menu.contains(target)) menu.open = false;
}

async function choice(target: Element): Promise<void> {
  const button = target.closest<HTMLElement>("[data-copy], [data-copy-here], [data-choose]");
  if (!button) return;
  const choose = button.dataset["choose"];
  if (choose) {
    remember(choose, recall(choose) === "off" ? "on" : "off");
    return void refresh();
  }
  const done = await copy(button.dataset["copy"] ?? location.href.replace(/#.*/, ""));
  const words = find("span", button) ?? button;
  const label = words.textContent;
  words.textContent = done ? "Copied" : "Select the text and copy it";
  window.setTimeout(() => (words.textContent = label), 1500);
}
