/** JSON as a tree that folds, with the means to filter by each of its values. */

import { make } from "./dom";
import { printable } from "./log-text";

/** Deeper and longer JSON stays text. */
const DEPTH_MAX = 12;
const NODES_MAX = 2000;
/** Objects and arrays with more entries than these are folded at first. */
const OPEN_MAX = 24;

/** Makes what stands behind a value: buttons that filter by it. */
export type Acts = (name: string, value: string) => HTMLElement;

/** The tree of a text that is a JSON object; null where it is none, or too large. */
export function tree(text: string, acts: Acts): HTMLElement | null {
  if (!text.trimStart().startsWith("{")) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  let nodes = 0;
  const branch = (name: string, path: string, value: unknown, depth: number): HTMLElement => {
    nodes += 1;
    const key = make("span", { class: "key" }, printable(name));
    if (value === null || typeof value !== "object") {
      const words = value === null ? "null" : String(value);
      const leaf = make("span", { class: `value v-${value === null ? "null" : typeof value}` }, printable(words));
      const item = make("li", {}, key, leaf);
      // What is no text of its own (an empty one, a null) is no term either.
      if (value !== null && words !== "") item.append(acts(path, words));
      return item;
    }
    const entries = Object.entries(value);
    const kind = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
    if (depth >= DEPTH_MAX || nodes > NODES_MAX) {
      return make("li", {}, key, make("span", { class: "value" }, printable(JSON.stringify(value).slice(0, 500))));
    }
    // Elements of an array share the array's name, as they do in searches.
    const children = entries.map(([child, value_]) =>
      branch(child, Array.isArray(value) ? path : path ? `${path}.${child}` : child, value_, depth + 1),
    );
    const fold = make("details", {}, make("summary", {}, key, make("span", { class: "kind" }, kind)), make("ul", {}, ...children));
    fold.open = entries.length <= OPEN_MAX && depth < 3;
    return make("li", {}, fold);
  };
  const entries = Object.entries(value as Record<string, unknown>);
  return make("ul", { class: "tree" }, ...entries.map(([name, child]) => branch(name, name, child, 1)));
}
