/** Theme and rail change at once; the form that a page without script would send follows behind. */

import { all, find, remember } from "./dom";

const THEMES = ["auto", "dark", "light"] as const;
const ICONS = { auto: "auto", dark: "moon", light: "sun" } as const;

export function startSettings(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    const setting = form.dataset["setting"];
    if (!setting) return;
    event.preventDefault();
    if (setting === "theme") nextTheme();
    if (setting === "rail") toggleRail();
  });
}

function nextTheme(): void {
  const root = document.documentElement;
  const now = THEMES.indexOf((root.dataset["theme"] ?? "auto") as (typeof THEMES)[number]);
  const theme = THEMES[(now + 1) % THEMES.length] ?? "auto";
  const after = THEMES[(now + 2) % THEMES.length] ?? "auto";
  root.dataset["theme"] = theme;
  find("meta[name=color-scheme]")?.setAttribute("content", theme === "auto" ? "light dark" : theme);
  remember("theme", theme);
  for (const button of all<HTMLButtonElement>("[data-setting=theme] button")) {
    button.value = after;
    button.title = `Theme: ${theme}; next: ${after}`;
    find("use", button)?.setAttribute("href", `#i-${ICONS[theme]}`);
    const words = find("span", button);
    if (words) words.textContent = `Theme: ${theme}`;
  }
  // Charts take their colours from the tokens and draw anew.
  document.dispatchEvent(new CustomEvent("yagura:look"));
}

function toggleRail(): void {
  const root = document.documentElement;
  const open = root.dataset["rail"] !== "open";
  if (open) root.dataset["rail"] = "open";
  else delete root.dataset["rail"];
  remember("rail", open ? "open" : "closed");
  // Charts measure their place anew.
  window.dispatchEvent(new Event("resize"));
}
