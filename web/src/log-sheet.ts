/** On phones a line opens as a sheet from below: a dialog, so that focus and Escape behave. */

import { make } from "./dom";

const PHONE = window.matchMedia("(max-width: 639px)");

export function isPhone(): boolean {
  return PHONE.matches;
}

/** Shows content as a sheet; returns the element that holds it. */
export function sheet(title: string, content: HTMLElement): HTMLDialogElement {
  const close = make("button", { type: "button", class: "btn" }, "Close");
  const dialog = make("dialog", { class: "sheet", "aria-label": title }, make("header", {}, make("b", {}, title), close), content);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
