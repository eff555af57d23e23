/** Short names for what all scripts do with the document. */

/** The first element that fits, typed by the caller. */
export function find<T extends Element = HTMLElement>(selector: string, root: ParentNode = document): T | null {
  return root.querySelector<T>(selector);
}

/** All elements that fit. */
export function all<T extends Element = HTMLElement>(selector: string, root: ParentNode = document): T[] {
  return [...root.querySelectorAll<T>(selector)];
}

/** An element with attributes and children; text is always text, never markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An icon of the page's sprite. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Keeps a choice in this browser for a year. */
export function remember(name: string, value: string): void {
  document.cookie = `yagura_${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; samesite=lax`;
}

/** What was remembered. */
export function recall(name: string): string | null {
  const pair = document.cookie.split("; ").find((part) => part.startsWith(`yagura_${name}=`));
  return pair ? decodeURIComponent(pair.slice(pair.indexOf("=") + 1)) : null;
}

/** Copies text; where the clipboard is closed (plain http on another host) by a selection. */
export async function copy(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Not allowed: fall through to the old way.
    }
  }
  const area = make("textarea", { class: "out-of-sight", readonly: "" });
  area.value = text;
  // Inside an open dialog nothing outside of it can be selected.
  (find("dialog[open]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
