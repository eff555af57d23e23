/** The Logs page: lines that open in place, lines that arrive, older lines on scrolling. */

import "./base";
import { all, copy, find, make } from "./dom";
import { onKey } from "./keys";
import { details, fetchRecord, linkTo } from "./log-details";
import { type LogRecord, marksOf, row } from "./log-row";
import { Tail, linesBefore } from "./log-tail";
import { startZoom } from "./log-zoom";
import { refresh } from "./refresh";

/** Rows in the page; beyond, those farthest from where somebody looks go. */
const ROWS_MAX = 1000;
/** Lines that wait while the tail is paused. */
const WAITING_MAX = 2000;
/** Lines fetched at once on scrolling. */
const OLDER = 200;
/** The histogram and the fields are drawn anew so often while lines arrive. */
const REDRAW_MS = 10_000;
/** New errors are said aloud at most so often. */
const SAY_MS = 10_000;
/** Scrolled farther down than this, somebody reads. */
const READING_PX = 120;

const list = find("#lines");
startZoom();
if (list) start(list);

function start(lines: HTMLElement): void {
  const q = lines.dataset["q"] ?? "";
  const marks = marksOf(JSON.parse(lines.dataset["marks"] ?? "[]") as string[]);
  const withDay = "day" in lines.dataset;
  const follows = "follow" in lines.dataset;

  opening(lines);
  wrapping(lines);
  older(lines, q, marks, withDay);
  const tail = follows ? following(lines, q, marks, withDay) : null;

  const button = find<HTMLButtonElement>("#tail");
  const toggle = () => {
    if (tail) tail.toggle();
    else location.assign(`/logs?${withParams({ from: "now-15m", to: "now", live: "", open: "" })}`);
  };
  button?.addEventListener("click", toggle);
  onKey("l", "live tail on or off", toggle);
  onKey("G", "newest line, and follow", () => {
    if (tail) tail.follow();
    else window.scrollTo({ top: 0 });
  });
  onKey("e", "next error", () => stepToError(1));
  onKey("E", "error before", () => stepToError(-1));
  onKey("y", "copy line", () => void copyFocused());
  onKey("Y", "copy link to line", () => {
    const line = focused();
    if (line) void copy(linkTo({ id: line.id, time: line.dataset["time"] ?? "" }));
  });
}

function withParams(changes: Record<string, string>): string {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === "") params.delete(name);
    else params.set(name, value);
  }
  return params.toString();
}

function focused(): HTMLElement | null {
  return (document.activeElement as HTMLElement | null)?.closest<HTMLElement>(".line") ?? null;
}

function stepToError(by: number): void {
  const rows = all(".line");
  const at = rows.findIndex((line) => line.contains(document.activeElement));
  const rest = by > 0 ? rows.slice(at + 1) : rows.slice(0, Math.max(at, 0)).reverse();
  const next = rest.find((line) => line.matches(".lv-error, .lv-fatal"));
  next?.focus();
  next?.scrollIntoView({ block: "center" });
}

async function copyFocused(): Promise<void> {
  const line = focused();
  const record = line && (await fetchRecord(line.id, line.dataset["time"] ?? ""));
  if (record) await copy(record.text ?? record.message);
}

/** A click, Enter or `o` on a row opens it in place. */
function opening(lines: HTMLElement): void {
  lines.addEventListener("click", (event) => {
    const target = event.target as Element;
    const line = target.closest<HTMLElement>(".line");
    if (!line || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = target.closest("a");
    if (link && !link.matches(".when")) return;
    if (!link && !window.getSelection()?.isCollapsed) return;
    event.preventDefault();
    void toggle(line);
  });
  lines.addEventListener("keydown", (event) => {
    const line = event.target as HTMLElement;
    if (event.key !== "Enter" || !line.matches(".line")) return;
    event.preventDefault();
    void toggle(line);
  });
}

async function toggle(line: HTMLElement): Promise<void> {
  const below = line.nextElementSibling;
  if (below?.matches(".details") && below.getAttribute("data-of") === line.id) {
    below.remove();
    line.classList.remove("open");
    return;
  }
  if (line.classList.contains("open")) return;
  line.classList.add("open");
  try {
    const record = await fetchRecord(line.id, line.dataset["time"] ?? "");
    if (!line.classList.contains("open") || !line.isConnected) return;
    line.after(record ? details(record) : note(line, "This line is no longer stored."));
  } catch (error) {
    line.after(note(line, `Cannot show this line: ${error instanceof Error ? error.message : String(error)}`));
  }
}

function note(line: HTMLElement, text: string): HTMLElement {
  return make("div", { class: "details", "data-of": line.id }, make("p", {}, text));
}

function wrapping(lines: HTMLElement): void {
  const flip = () => {
    const on = lines.classList.toggle("wrap");
    const link = find("#wrap");
    if (on) link?.setAttribute("aria-current", "true");
    else link?.removeAttribute("aria-current");
    history.replaceState(null, "", `?${withParams({ wrap: on ? "1" : "" })}${location.hash}`);
  };
  onKey("w", "wrap long lines", flip);
  document.addEventListener("click", (event) => {
    if (!(event.target as Element).closest("#wrap")) return;
    event.preventDefault();
    flip();
  });
}

/** Where a line belongs: lines are sorted by time, the newest on top. */
function placeFor(lines: HTMLElement, time: string): Element | null {
  let at = lines.firstElementChild;
  while (at && (!(at instanceof HTMLElement) || !at.matches(".line") || (at.dataset["time"] ?? "") > time)) {
    at = at.nextElementSibling;
  }
  return at;
}

/** Fetches older lines when the end of the list comes near. */
function older(lines: HTMLElement, q: string, marks: RegExp | null, withDay: boolean): void {
  const from = new Date(Number(lines.dataset["from"] ?? 0)).toISOString();
  let busy = false;
  const more = async () => {
    const link = find<HTMLAnchorElement>("#older");
    const oldest = [...lines.children].reverse().find((child): child is HTMLElement => child.matches(".line"));
    if (busy || !link || !oldest) return;
    busy = true;
    link.textContent = "Fetching older lines …";
    try {
      let fresh: LogRecord[] = [];
      let whole = false;
      // Many lines can have one and the same time; then more are needed to get past it.
      for (let limit = OLDER; fresh.length === 0 && !whole && limit <= 100_000; limit *= 8) {
        const found = await linesBefore(q, from, oldest.dataset["time"] ?? "", limit);
        whole = found.length < limit;
        fresh = found.filter((record) => !document.getElementById(record.id)).slice(0, ROWS_MAX / 2);
      }
      lines.append(...fresh.map((record) => row(record, marks, withDay)));
      trimTop(lines);
      link.textContent = "Older lines";
      if (whole) link.replaceWith(make("p", { class: "older", id: "all" }, "That is the beginning of this range."));
    } catch (error) {
      link.textContent = `Cannot fetch older lines (${error instanceof Error ? error.message : String(error)}). Try again`;
    }
    busy = false;
    watch();
  };
  const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && void more(), {
    rootMargin: "600px",
  });
  const watch = () => {
    observer.disconnect();
    const link = find("#older");
    if (link) observer.observe(link);
  };
  document.addEventListener("click", (event) => {
    if (!(event.target as Element).closest("#older")) return;
    event.preventDefault();
    void more();
  });
  document.addEventListener("yagura:fresh", watch);
  watch();
}

/** Takes rows from the top when there are too many, and says so. */
function trimTop(lines: HTMLElement): void {
  const rows = all(".line", lines);
  const over = rows.length - ROWS_MAX;
  if (over <= 0) return;
  for (const line of rows.slice(0, over)) {
    if (line.nextElementSibling?.matches(".details")) line.nextElementSibling.remove();
    line.remove();
  }
  document.dispatchEvent(new CustomEvent("logs:trimmed"));
}

interface Following {
  toggle: () => void;
  follow: () => void;
}

/** The live tail and its state word. */
function following(lines: HTMLElement, q: string, marks: RegExp | null, withDay: boolean): Following {
  const button = find<HTMLButtonElement>("#tail");
  const bar = find<HTMLButtonElement>("#waiting");
  const seen = new Set(all(".line", lines).map((line) => line.id));
  let state: "live" | "paused" | "off" = "off";
  let because = "";
  let connected = false;
  let waiting: LogRecord[] = [];
  let waitingLost = 0;
  let trimmed = false;
  let errors = 0;
  let saidAt = 0;
  let redraw = 0;

  const newest = find(".line", lines)?.dataset["time"] ?? new Date(Number(lines.dataset["from"] ?? 0)).toISOString();
  const tail = new Tail(q, newest, {
    connected: (yes) => {
      connected = yes;
      show();
    },
    lines: (records, missing) => {
      const fresh = records.filter((record) => !seen.has(record.id));
      for (const record of fresh) seen.add(record.id);
      while (seen.size > 4 * ROWS_MAX) seen.delete(seen.values().next().value as string);
      if (state === "paused") {
        waiting.push(...fresh);
        waitingLost += Math.max(missing, 0);
        if (waiting.length > WAITING_MAX) waitingLost += waiting.splice(0, waiting.length - WAITING_MAX).length;
        show();
      } else insert(fresh, missing);
    },
  });

  const insert = (records: LogRecord[], missing: number) => {
    if (missing !== 0) {
      const words = missing > 0 ? `${missing.toLocaleString("en")} lines left out here: more arrived than can be shown` : "there are more lines in between: search this time to see them";
      lines.prepend(make("p", { class: "gap" }, words));
    }
    for (const record of records) {
      const line = row(record, marks, withDay);
      line.classList.add("fresh");
      lines.insertBefore(line, placeFor(lines, record.time));
      if (record.level === "error" || record.level === "fatal") errors += 1;
    }
    if (records.length > 0) find("#nothing")?.remove();
    trimBottom(lines);
    say();
  };

  /** Says new errors to those who do not see them, now and then. */
  const say = () => {
    const region = find("#said");
    if (errors === 0 || !region || Date.now() - saidAt < SAY_MS) return;
    region.textContent = `${errors} new ${errors === 1 ? "error" : "errors"}`;
    errors = 0;
    saidAt = Date.now();
  };

  const show = () => {
    const n = waiting.length + waitingLost;
    const count = n > 0 ? ` · ${n.toLocaleString("en")} new` : "";
    const word = state === "live" ? (connected ? "LIVE" : "CONNECTING") : state === "paused" ? `PAUSED${count}` : "LIVE OFF";
    if (button) {
      button.dataset["state"] = state === "live" && !connected ? "wait" : state;
      button.setAttribute("aria-pressed", String(state === "live"));
      const words = find(".word", button);
      if (words && words.textContent !== word) words.textContent = word;
    }
    if (!bar) return;
    bar.hidden = state !== "paused" || (n === 0 && !trimmed);
    const what = n > 0 ? `${n.toLocaleString("en")} new ${n === 1 ? "line" : "lines"}` : "newer lines are above";
    bar.textContent = `${what} · paused because ${because} · G or click to follow`;
  };

  const pause = (why: string) => {
    if (state !== "live") return;
    state = "paused";
    because = why;
    show();
  };

  const resume = () => {
    // Rows that were dropped from the top are fetched anew with the page.
    if (trimmed) return location.reload();
    state = "live";
    const records = waiting;
    const missing = waitingLost;
    waiting = [];
    waitingLost = 0;
    insert(records, missing);
    remember(true);
    tail.start();
    show();
  };

  const remember = (live: boolean) => history.replaceState(null, "", `?${withParams({ live: live ? "" : "0" })}${location.hash}`);

  document.addEventListener("logs:trimmed", () => {
    trimmed = true;
    pause("you scrolled");
  });
  window.addEventListener("scroll", () => {
    const top = lines.getBoundingClientRect().top;
    const under = find("#top")?.getBoundingClientRect().bottom ?? 0;
    if (state === "live" && top < under - READING_PX) pause("you scrolled");
    else if (state === "paused" && because === "you scrolled" && top >= under && !trimmed) resume();
  }, { passive: true });
  lines.addEventListener("click", (event) => {
    if ((event.target as Element).closest(".line")) pause("a line is open");
  });
  lines.addEventListener("keydown", (event) => {
    if (event.key === "Enter") pause("a line is open");
  });
  document.addEventListener("selectionchange", () => {
    const selection = window.getSelection();
    if (selection && !selection.isCollapsed && lines.contains(selection.anchorNode)) pause("text is selected");
  });

  const follow = () => {
    window.scrollTo({ top: 0 });
    if (state !== "live") resume();
  };
  bar?.addEventListener("click", follow);

  // What the server draws keeps up; the lines belong to this script while it follows.
  redraw = window.setInterval(() => {
    if (state === "off" || document.hidden || document.activeElement?.matches("input")) return;
    lines.setAttribute("data-keep", "");
    bar?.setAttribute("data-keep", "");
    find("#said")?.setAttribute("data-keep", "");
    void refresh();
  }, REDRAW_MS);
  window.addEventListener("pagehide", () => window.clearInterval(redraw));

  if (new URLSearchParams(location.search).get("live") !== "0" && !new URLSearchParams(location.search).get("open")) {
    state = "live";
    tail.start();
  }
  show();
  return {
    toggle: () => {
      if (state === "live") {
        state = "off";
        tail.stop();
        remember(false);
        lines.removeAttribute("data-keep");
        show();
      } else resume();
    },
    follow,
  };
}

/** Takes the oldest rows when there are too many; they can be fetched again. */
function trimBottom(lines: HTMLElement): void {
  const rows = all(".line", lines);
  for (const line of rows.slice(ROWS_MAX)) {
    if (line.nextElementSibling?.matches(".details")) line.nextElementSibling.remove();
    line.remove();
  }
  if (rows.length > ROWS_MAX && !find("#older")) {
    find("#all")?.remove();
    lines.after(make("a", { class: "older", id: "older", href: "#" }, "Older lines"));
    document.dispatchEvent(new CustomEvent("yagura:fresh"));
  }
}
