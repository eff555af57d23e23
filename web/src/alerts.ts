/**
 * The alert pages: says while somebody writes the matchers of a silence how many alerts it would
 * hit. Everything else works by forms and links.
 */

import "./base";
import { all, find } from "./dom";

/** How long nobody must type before the server is asked, milliseconds. */
const PAUSE = 250;

function startCount(form: HTMLFormElement): void {
  const text = find<HTMLTextAreaElement>("textarea", form);
  const output = find<HTMLOutputElement>("output", form);
  const button = find("[data-count]", form);
  if (!text || !output) return;
  if (button) button.hidden = true;
  let timer = 0;
  let asked: AbortController | null = null;

  const count = async () => {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    const lines = text.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (lines.length === 0) return void (output.value = "");
    const query = new URLSearchParams(lines.map((line) => ["filter", line]));
    try {
      const response = await fetch(`/api/v1/notify/matching?${query}`, { signal });
      const answer: unknown = await response.json();
      if (signal.aborted) return;
      output.value = response.ok ? words(answer) : String(answer);
      output.toggleAttribute("data-bad", !response.ok);
    } catch (error) {
      if (!signal.aborted) output.value = `Cannot count: ${String(error)}`;
    }
  };

  text.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void count(), PAUSE);
  });
  if (text.value.trim()) void count();
}

/** The answer as a sentence. */
function words(answer: unknown): string {
  const found = (answer as { data?: { count?: number } }).data?.count ?? 0;
  if (found === 0) return "Nothing that fires now fits.";
  return found === 1 ? "1 alert that fires now fits." : `${found} alerts that fire now fit.`;
}

for (const form of all<HTMLFormElement>("[data-silence]")) startCount(form);

// In a narrow window the tab of this page may lie outside.
find(".subnav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
