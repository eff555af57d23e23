/**
 * Following: new lines come to the top, and a word says at any time whether they do.
 *
 * Nothing is paused silently, and nothing is lost by pausing: lines wait, up to a bound; beyond it
 * a note in the list says how many are missing, and fetches them.
 */

import { all, find } from "./dom";
import { type Item, type LogList, lineItem } from "./log-list";
import { type Pages } from "./log-pages";
import { type LogRecord, trimmed } from "./log-record";
import { Tail } from "./log-tail";

/** Lines that wait while the list is paused. */
const WAITING_MAX = 5000;
/** New errors are said aloud at most so often. */
const SAY_MS = 10_000;
/** Scrolled farther down than this, somebody reads. */
const READING_PX = 60;
/** For so long after lines were left out, what is shown is called a sample. */
const SAMPLE_MS = 10_000;

type State = "live" | "paused" | "off";

export class Live {
  private state: State = "off";
  private because = "";
  private connected = false;
  private was = false;
  private waiting: LogRecord[] = [];
  /** Lines left out before those that wait, and since when. */
  private skipped = 0;
  private leftOut = 0;
  private leftOutAt = 0;
  private gaps = 0;
  private errors = 0;
  private saidAt = 0;
  private readonly tail: Tail;

  constructor(
    q: string,
    from: string,
    private readonly list: () => LogList,
    private readonly pages: Pages,
    private readonly changed: (state: State) => void,
  ) {
    this.tail = new Tail(q, list().items[0]?.time ?? from, {
      connected: (yes) => {
        this.connected = yes;
        this.was ||= yes;
        this.show();
      },
      lines: (records, missing) => this.take(records, missing),
    });
    window.addEventListener("scroll", () => this.scrolled(), { passive: true });
    document.addEventListener("selectionchange", () => {
      const selection = window.getSelection();
      if (selection && !selection.isCollapsed && list().root.contains(selection.anchorNode)) this.pause("text is selected");
    });
    find("#waiting")?.addEventListener("click", () => void this.follow());
    // A sample is called one until some time after the last line was left out.
    window.setInterval(() => this.leftOut > 0 && this.show(), SAMPLE_MS);
  }

  start(): void {
    this.state = "live";
    this.tail.start();
    this.show();
  }

  /** On or off. */
  toggle(): void {
    if (this.state !== "live") return void this.follow();
    this.state = "off";
    this.tail.stop();
    this.show();
  }

  /** Space: stop here, or go on. */
  pauseOrResume(): void {
    if (this.state === "live") this.pause("you paused it");
    else void this.follow();
  }

  /** Stops the list where it is, for a reason that is shown. */
  pause(why: string): void {
    if (this.state !== "live") return;
    this.state = "paused";
    this.because = why;
    this.show();
  }

  /** To the newest line, and on with it. */
  async follow(): Promise<void> {
    if (this.pages.topGone) {
      await this.pages.newest();
      this.waiting = [];
      this.skipped = 0;
    }
    window.scrollTo({ top: 0, behavior: "instant" });
    this.resume();
  }

  private resume(): void {
    const was = this.state;
    this.state = "live";
    const records = this.waiting;
    const missing = this.skipped;
    this.waiting = [];
    this.skipped = 0;
    if (was !== "off") this.insert(records, missing);
    this.tail.start();
    this.show();
  }

  private scrolled(): void {
    const top = this.list().root.getBoundingClientRect().top;
    const under = find("#top")?.getBoundingClientRect().bottom ?? 0;
    const reads = top < under - READING_PX;
    if (this.state === "live" && reads) this.pause("you scrolled");
    else if (this.state === "paused" && this.because === "you scrolled" && !reads && !this.pages.topGone) this.resume();
  }

  private take(records: LogRecord[], missing: number): void {
    const fresh = records.filter((record) => !this.list().has(record.id)).map(trimmed);
    if (missing > 0) {
      this.leftOut += missing;
      this.leftOutAt = Date.now();
      this.show();
    }
    if (this.state !== "paused") return this.insert(fresh, missing);
    const known = new Set(this.waiting.map((record) => record.id));
    this.waiting.push(...fresh.filter((record) => !known.has(record.id)));
    this.skipped += Math.max(missing, 0);
    const over = this.waiting.length - WAITING_MAX;
    if (over > 0) {
      this.waiting.splice(0, over);
      this.skipped += over;
    }
    this.show();
  }

  private insert(records: LogRecord[], missing: number): void {
    const items: Item[] = [];
    if (missing !== 0) items.push(this.gap(missing, records[0]?.time));
    for (const record of records) {
      const item = lineItem(record);
      item.fresh = true;
      items.push(item);
      if (record.level === "error" || record.level === "fatal") this.errors += 1;
    }
    if (items.length > 0) {
      find("#nothing")?.remove();
      if (this.list().insert(items) > 0) this.pages.whole = false;
      this.pages.end();
    }
    this.say();
  }

  private gap(missing: number, before: string | undefined): Item {
    const newest = this.list().items.find((item) => item.record)?.time;
    const note = missing > 0 ? `${missing.toLocaleString("en")} lines left out: more arrived than can be shown.` : "There are more lines in between.";
    const time = before ?? new Date().toISOString().replace("Z", "000000Z");
    return { key: `gap-${++this.gaps}`, time, note, ...(newest === undefined ? {} : { since: newest }) };
  }

  /** Says new errors to those who do not see them, now and then. */
  private say(): void {
    const region = find("#said");
    if (this.errors === 0 || !region || Date.now() - this.saidAt < SAY_MS) return;
    region.textContent = `${this.errors} new ${this.errors === 1 ? "error" : "errors"}`;
    this.errors = 0;
    this.saidAt = Date.now();
  }

  private show(): void {
    const n = this.waiting.length + this.skipped;
    const count = n.toLocaleString("en");
    const down = this.state !== "off" && !this.connected;
    let word = "LIVE OFF";
    if (this.state === "live") word = down ? (this.was ? "RECONNECTING" : "CONNECTING") : "LIVE";
    if (this.state === "paused") word = `PAUSED${n > 0 ? ` · ${count} new` : ""}`;
    for (const button of all<HTMLButtonElement>("[data-live]")) {
      button.dataset["state"] = this.state === "live" && down ? "wait" : this.state;
      button.setAttribute("aria-pressed", String(this.state === "live"));
      const text = find(".word", button);
      if (text && text.textContent !== word) text.textContent = word;
    }
    this.notice(n, count);
    this.changed(this.state);
  }

  private notice(n: number, count: string): void {
    const bar = find<HTMLButtonElement>("#waiting");
    const sample = find("#sample");
    if (sample) {
      sample.hidden = Date.now() - this.leftOutAt > SAMPLE_MS;
      sample.textContent = `A sample: more than 500 lines a second arrive, ${this.leftOut.toLocaleString("en")} were left out. Filter to see them all.`;
    }
    if (!bar) return;
    bar.hidden = this.state !== "paused" || (n === 0 && !this.pages.topGone);
    const lost = this.skipped > 0 ? ` (${this.skipped.toLocaleString("en")} skipped, to be loaded from the list)` : "";
    const what = n > 0 ? `${count} new ${n === 1 ? "line" : "lines"}${lost}` : "newer lines are above";
    bar.textContent = `${what} · paused because ${this.because} · G or click to follow`;
  }
}
