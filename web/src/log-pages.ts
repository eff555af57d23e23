/**
 * More lines at both ends of the list, a page at a time: older ones on scrolling down, and newer
 * ones on scrolling up where they had to go for older ones.
 */

import { find, make } from "./dom";
import { type Item, type LogList, lineItem } from "./log-list";
import { type LogRecord, fetchLines, justAfter, trimmed } from "./log-record";

/** Lines fetched at once. */
const PAGE = 200;
/** Many lines can have one and the same time; then more are needed to get past it. */
const PAGE_MAX = 100_000;

export interface Asked {
  q: string;
  /** The range, RFC 3339; its end moves while lines arrive. */
  from: string;
  to: () => string;
}

export class Pages {
  /** Whether there are newer lines than the first in memory that were left out for older ones. */
  topGone = false;
  /** Whether the last line in memory is the oldest of the range. */
  whole: boolean;
  private busy = { end: false, start: false };

  constructor(
    private readonly list: () => LogList,
    private readonly asked: Asked,
    whole: boolean,
    /** Called when newer lines went from memory. */
    private readonly lostTop: () => void,
  ) {
    this.whole = whole;
    find("#end")?.addEventListener("click", (event) => {
      event.preventDefault();
      void this.older();
    });
  }

  /** Older lines behind the last one. */
  async older(): Promise<void> {
    const oldest = this.list().items.findLast((item) => item.record);
    if (this.busy.end || this.whole || !oldest) return;
    this.busy.end = true;
    this.say("Fetching older lines …");
    try {
      const { fresh, whole } = await this.past(oldest.time, "backward");
      this.whole = whole;
      if (this.list().add("end", fresh) > 0) {
        this.topGone = true;
        this.lostTop();
      }
      this.end();
    } catch (error) {
      this.say(`Cannot fetch older lines: ${words(error)}.`, "Try again");
      // Not again by itself: somebody has to scroll or click.
      window.setTimeout(() => (this.busy.end = false), 2000);
      return;
    }
    this.busy.end = false;
    this.list().update();
  }

  /** Newer lines before the first one. */
  async newer(): Promise<void> {
    const newest = this.list().items.find((item) => item.record);
    if (this.busy.start || !this.topGone || !newest) return;
    this.busy.start = true;
    try {
      const { fresh, whole } = await this.past(newest.time, "forward");
      if (whole) this.topGone = false;
      if (this.list().add("start", fresh.reverse()) > 0) this.whole = false;
      this.end();
    } catch (error) {
      this.say(`Cannot fetch newer lines: ${words(error)}.`);
    }
    this.busy.start = false;
    this.list().update();
  }

  /** The newest lines anew. */
  async newest(): Promise<void> {
    const { q, from, to } = this.asked;
    const lines = await fetchLines({ q, from, to: to(), limit: String(PAGE) });
    this.topGone = false;
    this.whole = lines.length < PAGE;
    this.list().reset(lines.map((record) => lineItem(trimmed(record))));
    this.end();
  }

  /** The lines that are missing at a note, at most a thousand of them. */
  async fill(gap: Item): Promise<void> {
    const params = { q: this.asked.q, from: gap.since ?? gap.time, to: justAfter(gap.time), limit: "1000" };
    const lines = await fetchLines(params);
    const items = lines.filter((record) => !this.list().has(record.id)).map((record) => lineItem(trimmed(record)));
    if (lines.length >= 1000) {
      const time = items.at(-1)?.time ?? gap.time;
      items.push({ ...gap, key: `${gap.key}+`, time, note: "There are more lines in between." });
    }
    this.list().replace(gap, items);
  }

  /** Says at the end of the list what is there. */
  end(): void {
    const n = this.list().items.length;
    if (n === 0) this.say("");
    else if (this.whole && !this.topGone) this.say(`These are all ${n.toLocaleString("en")} lines of this range.`);
    else if (this.whole) this.say("That is the beginning of this range.");
    else this.say("", "Older lines");
  }

  private async past(time: string, direction: "backward" | "forward"): Promise<{ fresh: Item[]; whole: boolean }> {
    const { q, from, to } = this.asked;
    const range = direction === "backward" ? { from, to: justAfter(time) } : { from: time, to: to() };
    let fresh: LogRecord[] = [];
    let whole = false;
    for (let limit = PAGE; fresh.length === 0 && !whole && limit <= PAGE_MAX; limit *= 8) {
      const found = await fetchLines({ q, ...range, direction, limit: String(limit) });
      whole = found.length < limit;
      fresh = found.filter((record) => !this.list().has(record.id)).slice(0, PAGE * 5);
    }
    return { fresh: fresh.map((record) => lineItem(trimmed(record))), whole };
  }

  private say(sentence: string, button = ""): void {
    const end = find("#end");
    if (!end) return;
    end.hidden = sentence === "" && button === "";
    end.replaceChildren(sentence);
    if (button) end.append(sentence ? " " : "", make("button", { type: "button", class: "link" }, button));
  }
}

/** What went wrong, as a sentence without its full stop. */
export function words(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /fetch|network/i.test(text) ? "the server does not answer" : text.replace(/\.$/, "");
}
