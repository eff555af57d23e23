/**
 * The list of lines: up to 20,000 in memory, some hundred in the document.
 *
 * 1. The document holds the rows around what the window shows, between two spacers that are as
 *    tall as the rows which are not there. A row's height is known once it was drawn; before, it
 *    is guessed from those that are.
 * 2. Whatever changes, the topmost row that somebody sees stays where it is; at the very top the
 *    list stays at the top.
 * 3. When the window comes near an end of what is in memory, `nearEnd` or `nearStart` fetches more;
 *    what is farthest away goes then, and can be fetched again.
 */

import { find, make } from "./dom";
import type { LogRecord } from "./log-record";

/** Lines in memory. */
export const KEPT_MAX = 20_000;
/** Rows in the document. */
const ROWS_MAX = 240;
/** Rows are drawn so far beyond the window, px. */
const OVERSCAN_PX = 900;
/** So many lines before an end of the list more are asked for. */
const NEAR = 120;
/** A row that was never drawn, px. */
const ROW_PX = 24;

/** A line, or a note that stands between lines. */
export interface Item {
  key: string;
  /** RFC 3339; the list is sorted by it, newest first. */
  time: string;
  record?: LogRecord;
  /** What a note says. */
  note?: string;
  /** The time of the next line before a note, where lines are missing in between. */
  since?: string;
  /** What is open under the line. */
  below?: HTMLElement;
  /** Whether all of a folded line is shown. */
  unfolded?: boolean;
  fresh?: boolean;
  height?: number;
}

export interface ListEvents {
  nearEnd: () => void;
  nearStart: () => void;
}

/** An item for a line. */
export function lineItem(record: LogRecord): Item {
  return { key: record.id, time: record.time, record };
}

export class LogList {
  items: Item[] = [];
  /** Index of the line that keys act on; -1 for none. */
  current: Item | null = null;

  private readonly above = make("div", { class: "space", "aria-hidden": "true" });
  private readonly below = make("div", { class: "space", "aria-hidden": "true" });
  private readonly drawn = new Map<Item, HTMLElement>();
  private readonly keys = new Set<string>();
  private measured = { rows: 0, px: 0 };
  private queued = false;
  private width = 0;

  constructor(
    readonly root: HTMLElement,
    private readonly draw: (item: Item) => HTMLElement,
    private readonly events: ListEvents,
  ) {
    root.replaceChildren(this.above, this.below);
    window.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => {
      if (root.clientWidth === this.width) return;
      this.width = root.clientWidth;
      this.forget();
    }).observe(root);
    window.addEventListener("resize", () => this.later());
  }

  /** Takes other items in place of all. */
  reset(items: Item[]): void {
    for (const element of this.drawn.values()) element.remove();
    this.drawn.clear();
    this.keys.clear();
    this.items = items;
    for (const { key } of items) this.keys.add(key);
    this.current = null;
    this.update();
  }

  /** Whether a line is in memory. */
  has(id: string): boolean {
    return this.keys.has(id);
  }

  /**
   * Puts items before the first one or behind the last one; what is over goes at the other end.
   * Returns how many went.
   */
  add(where: "start" | "end", items: Item[]): number {
    if (items.length === 0) return 0;
    this.items = where === "end" ? [...this.items, ...items] : [...items, ...this.items];
    // Also at the very top: whoever scrolls up goes on reading where these lines begin.
    return this.changed(items, where === "end" ? "start" : "end", true);
  }

  /** Puts items where their times belong; what is over goes at the end. Returns how many went. */
  insert(items: Item[]): number {
    for (const item of items) {
      let at = 0;
      while (at < this.items.length && (this.items[at]?.time ?? "") > item.time) at++;
      this.items.splice(at, 0, item);
    }
    return this.changed(items, "end");
  }

  /** Puts others in the place of an item. */
  replace(item: Item, others: Item[]): void {
    const at = this.items.indexOf(item);
    if (at < 0) return;
    this.items.splice(at, 1, ...others);
    this.keys.delete(item.key);
    this.changed(others, "end");
  }

  private changed(added: Item[], trim: "start" | "end", always = false): number {
    for (const { key } of added) this.keys.add(key);
    const over = Math.max(this.items.length - KEPT_MAX, 0);
    const gone = this.items.splice(trim === "start" ? 0 : KEPT_MAX, over);
    for (const { key } of gone) this.keys.delete(key);
    this.keepPlace(() => this.place(), always);
    return over;
  }

  /** Draws an item anew, if it is in the document. */
  redraw(item: Item): void {
    const element = this.drawn.get(item);
    if (!element) return;
    const focused = element.contains(document.activeElement);
    const fresh = this.draw(item);
    element.replaceWith(fresh);
    this.drawn.set(item, fresh);
    if (focused) find(".line", fresh)?.focus({ preventScroll: true });
    this.update();
  }

  /** Draws everything anew: marks, columns or the way of wrapping have changed. */
  redrawAll(): void {
    this.keepPlace(() => {
      for (const [item, element] of this.drawn) {
        const focused = element.contains(document.activeElement);
        const fresh = this.draw(item);
        element.replaceWith(fresh);
        this.drawn.set(item, fresh);
        if (focused) find(".line", fresh)?.focus({ preventScroll: true });
      }
      this.forgetHeights();
      this.place();
    });
  }

  /** The item of an element in a row. */
  itemOf(element: Element | null): Item | null {
    const key = element?.closest<HTMLElement>("[data-key]")?.dataset["key"];
    return key === undefined ? null : (this.items.find((item) => item.key === key) ?? null);
  }

  /** The element of an item, while it is in the document. */
  element(item: Item): HTMLElement | null {
    return this.drawn.get(item) ?? null;
  }

  /** Brings a line into the window, gives it the focus, and makes it the one that keys act on. */
  show(item: Item, block: "nearest" | "center" = "nearest"): void {
    this.current = item;
    if (!this.drawn.has(item)) {
      const index = this.items.indexOf(item);
      if (index < 0) return;
      const top = this.root.getBoundingClientRect().top + window.scrollY + this.offset(index);
      window.scrollTo({ top: top - window.innerHeight / 2 });
      this.update();
    }
    const line = find(".line", this.drawn.get(item) ?? document.createElement("i"));
    line?.focus({ preventScroll: true });
    line?.scrollIntoView({ block });
    this.update();
  }

  /** Moves the focus by so many lines; notes are passed over. */
  step(by: number): void {
    const lines = this.items.filter((item) => item.record);
    const now = this.current ? lines.indexOf(this.current) : -1;
    const start = now >= 0 ? now + by : this.firstSeen(lines, by);
    const next = lines[Math.min(Math.max(start, 0), lines.length - 1)];
    if (next) this.show(next);
  }

  /** The first line that fits from the current one on, in the direction of `by`. */
  next(by: 1 | -1, fits: (record: LogRecord) => boolean): Item | null {
    const from = this.current ? this.items.indexOf(this.current) : by > 0 ? -1 : this.items.length;
    for (let i = from + by; i >= 0 && i < this.items.length; i += by) {
      const item = this.items[i];
      if (item?.record && fits(item.record)) return item;
    }
    return null;
  }

  /** Heights are guessed anew, as after a change of width. */
  forget(): void {
    this.keepPlace(() => {
      this.forgetHeights();
      this.place();
    });
  }

  /** Looks anew at what belongs into the document. */
  update(): void {
    this.keepPlace(() => this.place());
  }

  private later(): void {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.update();
    });
  }

  private firstSeen(lines: Item[], by: number): number {
    if (by < 0) return lines.length - 1;
    const under = find("#top")?.getBoundingClientRect().bottom ?? 0;
    const seen = lines.findIndex((item) => (this.drawn.get(item)?.getBoundingClientRect().top ?? -1) >= under);
    return Math.max(seen, 0);
  }

  private forgetHeights(): void {
    for (const item of this.items) delete item.height;
    this.measured = { rows: 0, px: 0 };
  }

  private guess(): number {
    return this.measured.rows > 20 ? this.measured.px / this.measured.rows : ROW_PX;
  }

  private offset(index: number): number {
    const guess = this.guess();
    let px = 0;
    for (let i = 0; i < index; i++) px += this.items[i]?.height ?? guess;
    return px;
  }

  /** Runs a change and puts the topmost row that is seen back where it was. */
  private keepPlace(change: () => void, always = false): void {
    const under = find("#top")?.getBoundingClientRect().bottom ?? 0;
    let anchor: Item | null = null;
    let before = 0;
    if (always || this.root.getBoundingClientRect().top < under) {
      for (const item of this.items) {
        const element = this.drawn.get(item);
        if (!element) {
          if (anchor) break;
          continue;
        }
        const box = element.getBoundingClientRect();
        if (box.bottom <= under || box.top > window.innerHeight) continue;
        anchor = item;
        before = box.top;
        break;
      }
    }
    change();
    const after = anchor && this.drawn.get(anchor)?.getBoundingClientRect().top;
    if (after !== null && after !== undefined && Math.abs(after - before) > 0.5) {
      window.scrollBy({ top: after - before, behavior: "instant" });
    }
  }

  /** Draws what the window shows and a little more, and sets the spacers. */
  private place(): void {
    for (let pass = 0; pass < 2; pass++) {
      const [first, end] = this.range();
      this.mount(first, end);
      const grew = this.measure(first, end);
      this.space(first, end);
      if (!grew) break;
    }
    const [first, end] = this.range();
    if (end >= this.items.length - NEAR) this.events.nearEnd();
    if (first <= NEAR) this.events.nearStart();
  }

  private range(): [number, number] {
    const top = -this.root.getBoundingClientRect().top;
    const guess = this.guess();
    let y = 0;
    let first = -1;
    let end = 0;
    for (let i = 0; i < this.items.length; i++) {
      const height = this.items[i]?.height ?? guess;
      if (first < 0 && y + height > top - OVERSCAN_PX) first = i;
      if (y > top + window.innerHeight + OVERSCAN_PX) break;
      y += height;
      end = i + 1;
    }
    if (first < 0) first = Math.max(end - 1, 0);
    return [first, Math.min(end, first + ROWS_MAX)];
  }

  private mount(first: number, end: number): void {
    const wanted = new Set(this.items.slice(first, end));
    for (const [item, element] of this.drawn) {
      if (wanted.has(item)) continue;
      // What is open may have grown since it was measured.
      if (item.below) item.height = element.offsetHeight;
      element.remove();
      this.drawn.delete(item);
    }
    let at: Element = this.above;
    for (const item of wanted) {
      let element = this.drawn.get(item);
      if (!element) {
        element = this.draw(item);
        this.drawn.set(item, element);
      }
      if (at.nextElementSibling !== element) at.after(element);
      at = element;
    }
  }

  private measure(first: number, end: number): boolean {
    let changed = false;
    for (const item of this.items.slice(first, end)) {
      const height = this.drawn.get(item)?.offsetHeight ?? 0;
      if (item.height === height || height === 0) continue;
      if (item.height === undefined) {
        this.measured.rows += 1;
        this.measured.px += height;
      }
      item.height = height;
      changed = true;
    }
    return changed;
  }

  private space(first: number, end: number): void {
    const guess = this.guess();
    let below = 0;
    for (let i = end; i < this.items.length; i++) below += this.items[i]?.height ?? guess;
    this.above.style.height = `${this.offset(first)}px`;
    this.below.style.height = `${below}px`;
  }
}
