/**
 * Keeps what the server drew fresh: fetches the page's changing part every few seconds while
 * somebody looks, and morphs it in, so that focus, selection, scroll and folds stay.
 *
 * Stops while the tab is hidden. When the server does not answer it says so and tries again
 * after 1, 2, 4, 8, 15 s.
 */

import { Idiomorph } from "idiomorph";
import { copy, find, make } from "./dom";

const FRAGMENT = { headers: { "x-yagura-fragment": "1" } };
const PARTS = ["rail", "top", "main"];
const RETRY_S = [1, 2, 4, 8, 15];

let failures = 0;
let timer = 0;
let underway: AbortController | null = null;

export function startRefresh(): void {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else if (interval() > 0) void refresh();
  });
  schedule(interval());
}

/** Fetches the page anew, now; with a URL, that page, which becomes the address. */
export async function refresh(url: string = location.href): Promise<boolean> {
  stop();
  underway = new AbortController();
  const { signal } = underway;
  try {
    const response = await fetch(url, { ...FRAGMENT, signal });
    const html = await response.text();
    if (signal.aborted) return false;
    const fresh = new DOMParser().parseFromString(html, "text/html");
    if (!fresh.getElementById("main")) throw new Error(`no page in the answer (${response.status})`);
    if (url !== location.href) history.pushState(null, "", url);
    morph(fresh);
    lost(null);
    failures = 0;
    schedule(interval());
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    failures += 1;
    const wait = RETRY_S[Math.min(failures, RETRY_S.length) - 1] ?? 15;
    lost(`Lost the connection to Yagura (${location.host}). Is it running, and the port-forward, if you use one? Trying again in ${wait} s.`);
    console.info("refresh failed:", error);
    schedule(wait);
    return false;
  }
}

function morph(fresh: Document): void {
  document.title = fresh.title || document.title;
  for (const id of PARTS) {
    const old = document.getElementById(id);
    const next = fresh.getElementById(id);
    if (!old || !next) continue;
    Idiomorph.morph(old, next, {
      morphStyle: "outerHTML",
      ignoreActiveValue: true,
      callbacks: {
        // Folds belong to whoever folded them; what scripts drew or revealed belongs to them.
        beforeAttributeUpdated: (name: string, node: Element) =>
          !(name === "open" && (node.tagName === "DETAILS" || node.tagName === "DIALOG")) &&
          !(name === "hidden" && node.hasAttribute("data-do")),
        beforeNodeMorphed: (node: Node) => !(node instanceof Element && node.hasAttribute("data-keep")),
      },
    });
  }
  document.dispatchEvent(new CustomEvent("yagura:fresh"));
}

/** Shows or hides the line that says that the server does not answer. */
export function lost(sentence: string | null): void {
  const banner = find("#lost");
  if (!banner) return;
  banner.hidden = sentence === null;
  const words = find("span", banner);
  if (words && sentence) words.textContent = sentence;
  if (!sentence || find("code", banner)) return;
  // Whoever looks through a port-forward needs this line more often than any other.
  const command = `kubectl -n yagura port-forward deploy/yagura ${location.port || "9849"}:9849`;
  const button = make("button", { type: "button", class: "btn" }, "Copy");
  button.addEventListener("click", () => void copy(command).then((done) => (button.textContent = done ? "Copied" : "Select it")));
  banner.append(make("code", {}, command), button);
}

function interval(): number {
  return Number(document.documentElement.dataset["refresh"] ?? 0);
}

function schedule(seconds: number): void {
  window.clearTimeout(timer);
  if (seconds > 0 && !document.hidden) timer = window.setTimeout(() => void refresh(), seconds * 1000);
}

function stop(): void {
  window.clearTimeout(timer);
  underway?.abort();
  underway = null;
}
