/** Tables that sort by a click on the name of a column. */

import { all, make } from "./dom";

export function startTables(): void {
  for (const table of all<HTMLTableElement>("table.sortable")) {
    all<HTMLTableCellElement>("thead th", table).forEach((head, column) => {
      const button = make("button", { type: "button", class: "sort", title: "Sort by this" }, head.textContent ?? "");
      head.replaceChildren(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
  }
}

function sort(table: HTMLTableElement, head: HTMLTableCellElement, column: number): void {
  // Numbers are looked at from the top, names from the beginning of the alphabet.
  const first = head.classList.contains("num") ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const one of all("thead th", table)) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const body = table.tBodies[0];
  if (!body) return;
  const key = (row: HTMLTableRowElement) => row.cells[column]?.dataset["key"] ?? "";
  const rows = [...body.rows].sort((a, b) => compare(key(a), key(b)) * (order === "ascending" ? 1 : -1));
  // What is missing comes last in both directions.
  body.append(...rows.filter((row) => key(row) !== ""), ...rows.filter((row) => key(row) === ""));
}

function compare(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}
