/** Fields with a column of their own, chosen by whoever looks, and remembered for each app. */

import { all, find, make } from "./dom";
import type { LogList } from "./log-list";
import { sourceOf } from "./log-row";

const COLUMNS_MAX = 6;
const STORE = "yagura.logs.columns";
/** Lines that are looked through for names of fields. */
const SAMPLE = 500;
const NAMES_MAX = 60;

export class Columns {
  chosen: string[];

  constructor(
    private readonly list: () => LogList,
    private readonly changed: () => void,
  ) {
    const asked = new URLSearchParams(location.search).get("cols");
    this.chosen = (asked ?? "").split(",").filter(Boolean).slice(0, COLUMNS_MAX);
    const menu = find<HTMLDetailsElement>("#columns");
    menu?.addEventListener("toggle", () => menu.open && this.offer());
  }

  /** What was chosen for this app before, where the address does not say. */
  recall(): void {
    if (new URLSearchParams(location.search).has("cols")) return;
    const known = remembered()[this.app()];
    if (!known || known.length === 0) return;
    this.chosen = known.slice(0, COLUMNS_MAX);
    this.show();
  }

  private choose(names: string[]): void {
    this.chosen = names.slice(0, COLUMNS_MAX);
    const params = new URLSearchParams(location.search);
    if (this.chosen.length > 0) params.set("cols", this.chosen.join(","));
    else params.delete("cols");
    history.replaceState(null, "", `?${params}${location.hash}`);
    try {
      const others = Object.entries(remembered()).filter(([app]) => app !== this.app());
      localStorage.setItem(STORE, JSON.stringify(Object.fromEntries([...others.slice(-99), [this.app(), this.chosen]])));
    } catch {
      // A browser that keeps nothing has the address.
    }
    this.show();
  }

  private show(): void {
    const stream = find("#stream");
    if (stream) stream.dataset["cols"] = String(this.chosen.length);
    const head = find("#heads");
    if (head) {
      head.hidden = this.chosen.length === 0;
      head.replaceChildren(
        make("span", {}, "time"),
        make("span", {}),
        make("span", {}, "source"),
        ...this.chosen.map((name) => make("span", { title: name }, name)),
        make("span", {}, "message"),
      );
    }
    this.changed();
  }

  /** The one app that all loaded lines are from; empty for several. */
  private app(): string {
    const names = new Set(this.list().items.slice(0, SAMPLE).flatMap((item) => (item.record ? [app(item.record.labels)] : [])));
    return names.size === 1 ? ([...names][0] ?? "") : "";
  }

  private offer(): void {
    const place = find("#columns .pop");
    if (!place) return;
    const counts = new Map<string, number>();
    const records = this.list().items.slice(0, SAMPLE).flatMap((item) => (item.record ? [item.record] : []));
    for (const record of records) {
      for (const name of [...Object.keys(record.fields), ...Object.keys(record.labels)]) {
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
    const names = [...counts].sort((a, b) => b[1] - a[1]).map(([name]) => name);
    const shown = [...new Set([...this.chosen, ...names])].slice(0, NAMES_MAX);
    const boxes = shown.map((name) => {
      const box = make("input", { type: "checkbox", value: name });
      box.checked = this.chosen.includes(name);
      const share = records.length > 0 ? Math.round(((counts.get(name) ?? 0) / records.length) * 100) : 0;
      return make("label", {}, box, make("span", { class: "name" }, name), make("span", { class: "num" }, `${share} %`));
    });
    const app = this.app();
    place.replaceChildren(
      make("p", { class: "caption" }, `Up to ${COLUMNS_MAX} fields get a column${app ? `; remembered for ${app}` : ""}. On the right: how many of the loaded lines have them.`),
      make("div", { class: "boxes" }, ...boxes),
    );
    place.onchange = () => {
      const ticked = all<HTMLInputElement>("input:checked", place).map((box) => box.value);
      // In the order in which they were chosen.
      this.choose([...this.chosen.filter((name) => ticked.includes(name)), ...ticked.filter((name) => !this.chosen.includes(name))]);
      for (const box of all<HTMLInputElement>("input", place)) box.disabled = !box.checked && this.chosen.length >= COLUMNS_MAX;
    };
  }
}

function app(labels: Record<string, string>): string {
  return sourceOf({ ...labels, pod: "" })[0];
}

function remembered(): Record<string, string[]> {
  try {
    const known: unknown = JSON.parse(localStorage.getItem(STORE) ?? "{}");
    return known && typeof known === "object" ? (known as Record<string, string[]>) : {};
  } catch {
    return {};
  }
}
