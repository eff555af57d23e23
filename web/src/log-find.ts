/** Finding in what is loaded: marks and steps, without another search. */

import { find } from "./dom";
import type { Item, LogList } from "./log-list";
import { holds } from "./log-row";
import { patternFor } from "./log-text";

/** Typing is over after this time. */
const TYPED_MS = 120;
/** A line is not looked through for longer texts than people type. */
const COUNTED_MAX = 20_000;

export class Finder {
  /** What is being looked for, for marking it in rows. */
  pattern: RegExp | null = null;
  private timer = 0;

  constructor(
    private readonly list: () => LogList,
    /** Draws the rows anew, with other marks. */
    private readonly marked: () => void,
    private readonly pause: () => void,
  ) {
    const field = this.field();
    field?.addEventListener("input", () => {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.look(), TYPED_MS);
    });
    field?.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.look();
        this.step(event.shiftKey ? -1 : 1, false);
      } else if (event.key === "Escape") {
        event.stopPropagation();
        this.close();
      }
    });
    find("#find-next")?.addEventListener("click", () => this.step(1));
    find("#find-before")?.addEventListener("click", () => this.step(-1));
    find("#find-close")?.addEventListener("click", () => this.close());
  }

  /** Opens the field. */
  open(): void {
    const bar = find("#find");
    if (!bar) return;
    bar.hidden = false;
    this.pause();
    this.field()?.focus();
    this.field()?.select();
    this.count();
  }

  close(): void {
    const bar = find("#find");
    if (!bar || bar.hidden) return;
    bar.hidden = true;
    this.pattern = null;
    this.marked();
    const current = this.list().current;
    if (current) this.list().show(current);
  }

  /** To the next or previous line that has it. */
  step(by: 1 | -1, focus = true): void {
    const { pattern } = this;
    if (!pattern) return this.open();
    const list = this.list();
    const fits = (item: Item) => item.record !== undefined && holds(item.record, pattern);
    let hit = list.next(by, (record) => holds(record, pattern));
    // Behind the last one comes the first one.
    hit ??= (by > 0 ? list.items.find(fits) : list.items.findLast(fits)) ?? null;
    if (!hit) return this.count();
    const field = this.field();
    const typing = !focus && document.activeElement === field;
    list.show(hit, "center");
    if (typing) field?.focus({ preventScroll: true });
    this.count(hit);
  }

  private look(): void {
    const text = this.field()?.value ?? "";
    this.pattern = patternFor(text);
    this.marked();
    this.count();
  }

  private count(at: Item | null = this.list().current): void {
    const words = find("#find-count");
    if (!words) return;
    const { pattern } = this;
    if (!pattern) return void (words.textContent = `in ${this.list().items.length.toLocaleString("en")} loaded lines`);
    const items = this.list().items.slice(0, COUNTED_MAX);
    const hits = items.filter((item) => item.record && holds(item.record, pattern));
    const n = at ? hits.indexOf(at) + 1 : 0;
    const of = `of ${items.length.toLocaleString("en")} loaded`;
    words.textContent = hits.length === 0 ? `none ${of}` : `${n > 0 ? `${n.toLocaleString("en")} / ` : ""}${hits.length.toLocaleString("en")} ${of}`;
  }

  private field(): HTMLInputElement | null {
    return find<HTMLInputElement>("#find input");
  }
}
