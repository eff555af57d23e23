/**
 * The PromQL field: a text area that works by itself becomes an editor with colours, completion
 * (functions, metrics with their help, labels and values, what was asked before) and marks under
 * mistakes. Enter runs, Shift+Enter breaks the line.
 *
 * The editor lives in a shadow root: there its styles are adopted style sheets, which our content
 * policy allows, while a style element would be refused.
 */

import { autocompletion, closeBrackets, closeBracketsKeymap, type CompletionContext, completionKeymap, type CompletionResult, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, linter, lintKeymap } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { drawSelection, EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { type CompleteStrategy, newCompleteStrategy, PromQLExtension } from "@prometheus-io/codemirror-promql";
import { all, make } from "./dom";

const HISTORY = "yagura.metrics.history";
const HISTORY_MAX = 50;

/** Remembers an expression for the next time. */
export function rememberQuery(q: string): void {
  if (!q) return;
  try {
    const list = [q, ...asked().filter((other) => other !== q)].slice(0, HISTORY_MAX);
    localStorage.setItem(HISTORY, JSON.stringify(list));
  } catch {
    // A browser that keeps nothing has no history.
  }
}

function asked(): string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(HISTORY) ?? "[]");
    return Array.isArray(list) ? list.filter((q): q is string => typeof q === "string") : [];
  } catch {
    return [];
  }
}

/** Completion from the server, and in an empty field what was asked before. */
class Completion implements CompleteStrategy {
  private readonly known = newCompleteStrategy({ remote: { apiPrefix: "/api/v1" } });

  async promQL(context: CompletionContext): Promise<CompletionResult | null> {
    const text = context.state.doc.toString();
    if (text.trim() !== "") return this.known.promQL(context);
    const options = asked().map((q, i) => ({ label: q, type: "text", detail: "asked before", boost: -i }));
    return context.explicit && options.length > 0 ? { from: 0, options } : null;
  }
}

/** What the server says of an expression: it has the one grammar, and the better words. */
async function mistakes(view: EditorView): Promise<Diagnostic[]> {
  const text = view.state.doc.toString();
  if (text.trim() === "") return [];
  try {
    const response = await fetch(`/api/ui/metrics/check?${new URLSearchParams({ q: text }).toString()}`);
    const { message, position } = (await response.json()) as { message: string; position: number | null };
    if (!message) return [];
    // Characters there, UTF-16 here.
    const at = position === null ? 0 : [...text].slice(0, position).join("").length;
    const from = Math.min(at, Math.max(text.length - 1, 0));
    const word = /^[\w:.]+/.exec(text.slice(from))?.[0].length ?? 1;
    return [{ from, to: position === null ? text.length : Math.min(from + word, text.length), severity: "error", message }];
  } catch {
    // Without the server nothing can be said; the page says so itself.
    return [];
  }
}

/** A colour of the charts, drawn towards that of text until it can be read as text. */
const readable = (token: string) => `color-mix(in srgb, var(--${token}) 55%, var(--fg0))`;

const colours = HighlightStyle.define([
  { tag: tags.number, color: "color-mix(in srgb, var(--c1) 85%, var(--fg0))" },
  { tag: tags.string, color: "color-mix(in srgb, var(--c2) 65%, var(--fg0))" },
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: tags.function(tags.variableName), color: readable("c0") },
  { tag: tags.labelName, color: readable("c4") },
  { tag: tags.operator, color: "var(--fg1)" },
  { tag: tags.modifier, color: "var(--accent)" },
  { tag: tags.comment, color: "var(--fg2)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--err)" },
]);

const theme = EditorView.theme({
  "&": { minHeight: "36px", font: "400 13px/18px var(--font-mono)", color: "var(--fg0)", background: "var(--bg1)", border: "1px solid var(--line2)", borderRadius: "var(--radius-s)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px" },
  ".cm-scroller": { font: "inherit" },
  ".cm-content": { padding: "8px 4px", caretColor: "var(--fg0)" },
  ".cm-cursor": { borderLeftColor: "var(--fg0)" },
  ".cm-placeholder": { color: "var(--fg2)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 30%, transparent)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { background: "var(--bg3)", outline: "none" },
  ".cm-tooltip": { background: "var(--bg1)", color: "var(--fg0)", border: "1px solid var(--line2)", borderRadius: "var(--radius-m)", boxShadow: "var(--shadow)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-mono)", fontSize: "12px", maxHeight: "18em", maxWidth: "min(640px, 92vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 8px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--bg3)", color: "var(--fg0)" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--accent)", fontWeight: "600" },
  ".cm-completionDetail": { color: "var(--fg2)", fontStyle: "normal", fontFamily: "var(--font-ui)", marginLeft: "12px" },
  ".cm-tooltip.cm-completionInfo": { padding: "8px 10px", font: "400 12px/17px var(--font-ui)", color: "var(--fg1)", maxWidth: "320px" },
  ".cm-tooltip-lint": { font: "400 12px/17px var(--font-ui)" },
  ".cm-diagnostic-error": { borderLeft: "3px solid var(--err)" },
});

/** Makes editors of all fields that are none yet. `run` is called with Enter. */
export function promqlEditors(run: () => void): void {
  for (const area of all<HTMLTextAreaElement>("textarea[data-promql]")) {
    if (!area.hasAttribute("data-edited")) edit(area, run);
  }
}

function edit(area: HTMLTextAreaElement, run: () => void): void {
  const host = make("div", { class: "promql" });
  const root = host.attachShadow({ mode: "open" });
  const promql = new PromQLExtension().activateLinter(false).setComplete({ completeStrategy: new Completion() });
  const view = new EditorView({
    root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        Prec.highest(keymap.of([
          { key: "Enter", run: () => (run(), true) },
          { key: "Shift-Enter", run: insertNewlineAndIndent },
          // An empty field has nothing to complete but its past.
          { key: "ArrowDown", run: (editor) => editor.state.doc.length === 0 && startCompletion(editor) },
        ])),
        // Below Enter's own meaning: while a list is open, Enter takes from it.
        Prec.highest(keymap.of(completionKeymap)),
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false, activateOnTyping: true, closeOnBlur: true }),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        syntaxHighlighting(colours),
        promql.asExtension(),
        linter(mistakes, { delay: 400 }),
        theme,
        placeholder(area.placeholder),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({
          "aria-label": area.getAttribute("aria-label") ?? "PromQL expression",
          autocapitalize: "off",
          autocorrect: "off",
          spellcheck: "false",
        }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = update.state.doc.toString();
        }),
      ],
    }),
  });
  root.append(view.dom);
  area.before(host);
  area.setAttribute("data-edited", "");
  area.tabIndex = -1;
  // The key that goes to the page's search field, and labels, still mean the area.
  area.addEventListener("focus", () => view.focus());
  // Going back, a corrected expression, one field less: the server's text is the new one.
  const asked = () => host.closest<HTMLElement>("[data-text]")?.dataset["text"] ?? "";
  let known = asked();
  document.addEventListener("yagura:fresh", () => {
    const text = asked();
    if (!host.isConnected || text === known) return;
    known = text;
    if (text !== view.state.doc.toString()) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    }
  });
}
