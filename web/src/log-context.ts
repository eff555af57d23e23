/**
 * The lines around a line, in place: what the same container said, its pod, its workload, its
 * node, or everybody, whatever the search is about.
 */

import { find, make } from "./dom";
import { words } from "./log-pages";
import { type LogRecord, failure, trimmed } from "./log-record";
import { sourceOf } from "./log-row";
import { drawText } from "./log-text";
import { lineTime } from "./times";

/** Lines on either side at first, and how many more each time. */
const SIDE = 10;
const STEP = 50;
/** Of a neighbour no more is shown. */
const SHOWN_CHARS = 600;

interface Around {
  scope: string;
  scopes: { name: string; title: string }[];
  before: LogRecord[];
  line: LogRecord | null;
  after: LogRecord[];
  moreBefore: boolean;
  moreAfter: boolean;
}

/** What opens under a row; `changed` is called when it has another height. */
export function context(record: LogRecord, changed: () => void): HTMLElement {
  const box = make("div", { class: "context", "aria-label": "Lines around this one", role: "region" });
  const asked = { scope: "", before: SIDE, after: SIDE };
  let latest = 0;

  const load = async () => {
    const turn = ++latest;
    box.setAttribute("aria-busy", "true");
    try {
      const around = await fetchAround(record, asked);
      if (turn !== latest) return;
      asked.scope = around.scope;
      draw(around);
    } catch (error) {
      if (turn !== latest) return;
      box.replaceChildren(make("p", { class: "note" }, `Cannot show the lines around this one: ${words(error)}.`));
    }
    box.removeAttribute("aria-busy");
    changed();
  };

  const draw = (around: Around) => {
    const held = box.contains(document.activeElement) ? document.activeElement?.getAttribute("data-hold") : null;
    const scopes = around.scopes.map(({ name, title }) => {
      const button = make("button", { type: "button", "aria-pressed": String(name === around.scope), "data-hold": name }, title);
      button.addEventListener("click", () => {
        Object.assign(asked, { scope: name, before: SIDE, after: SIDE });
        void load();
      });
      return button;
    });
    const lines = [...around.before, ...(around.line ? [around.line] : []), ...around.after];
    const withDay = new Set(lines.map((line) => line.time.slice(0, 10))).size > 1;
    box.replaceChildren(
      make("header", {}, make("span", { class: "caption" }, "lines around, oldest first:"), make("div", { class: "segments", role: "group", "aria-label": "Scope" }, ...scopes)),
      more("before", around.moreBefore, "Earlier lines", () => (asked.before += STEP)),
      make("ol", { class: "around" }, ...lines.map((line) => small(line, line.id === record.id, withDay, around.scope !== around.scopes[0]?.name))),
      more("after", around.moreAfter, "Later lines", () => (asked.after += STEP)),
    );
    if (held) find(`[data-hold="${held}"]`, box)?.focus({ preventScroll: true });
  };

  const more = (hold: string, there: boolean, label: string, grow: () => void): HTMLElement => {
    if (!there) return make("p", { class: "edge" }, hold === "before" ? "nothing earlier" : "nothing later yet");
    const button = make("button", { type: "button", class: "edge link", "data-hold": hold }, label);
    button.addEventListener("click", () => {
      grow();
      void load();
    });
    return button;
  };

  box.append(make("p", { class: "note" }, "Fetching the lines around this one …"));
  void load();
  return box;
}

function small(record: LogRecord, isThis: boolean, withDay: boolean, withSource: boolean): HTMLElement {
  const [source, colour] = sourceOf(record.labels);
  const whole = record.message.replace(/[\r\n]+$/, "");
  const text = isThis || whole.length <= SHOWN_CHARS ? whole : `${whole.slice(0, SHOWN_CHARS)} …`;
  const item = make(
    "li",
    { class: `lv-${record.level}`, ...(isThis ? { "aria-current": "true" } : {}) },
    make("time", { datetime: record.time, "data-style": "line" }, lineTime(record.time, withDay)),
    make("span", { class: "lv", title: record.level }, { fatal: "F", error: "E", warn: "W", info: "I", debug: "D", trace: "T" }[record.level] ?? "·"),
    make("span", { class: "msg" }, ...(withSource ? [make("span", { class: `src c${colour}` }, source), " "] : []), ...drawText(text, { asked: null, found: null })),
  );
  if (isThis) item.append(make("span", { class: "this" }, "this"));
  return item;
}

async function fetchAround(record: LogRecord, asked: { scope: string; before: number; after: number }): Promise<Around> {
  const params = new URLSearchParams({
    time: record.time,
    id: record.id,
    scope: asked.scope,
    before: String(asked.before),
    after: String(asked.after),
  });
  const response = await fetch(`/api/ui/logs/context?${params}`);
  if (!response.ok) throw await failure(response);
  const around = (await response.json()) as Around;
  return { ...around, before: around.before.map(trimmed), after: around.after.map(trimmed) };
}
