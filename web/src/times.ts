/**
 * Times in the zone of whoever looks. The server writes them in the zone of the cookie, which is
 * set here; on the first page ever they are written anew by the script.
 */

import { all, recall, remember } from "./dom";

const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function startTimes(): void {
  const chosen = recall("zone");
  if (chosen === null) remember("zone", here);
  show(chosen ?? here);
}

/** Changes between UTC and the zone of this machine. */
export function toggleZone(): void {
  const zone = document.documentElement.dataset["zone"] === "UTC" ? here : "UTC";
  remember("zone", zone);
  show(zone);
  // Charts write their axes anew.
  document.dispatchEvent(new CustomEvent("yagura:look"));
}

/** The zone in which times are written now. */
export function zone(): string {
  return document.documentElement.dataset["zone"] ?? "UTC";
}

/** The time of a log line, to the millisecond. */
export function lineTime(rfc3339: string, withDay: boolean): string {
  const time = new Date(rfc3339);
  const { clock, day } = formatsOf(zone());
  return withDay ? `${day.format(time)} ${clock.format(time)}` : clock.format(time);
}

interface LineFormats {
  timeZone: string;
  clock: Intl.DateTimeFormat;
  day: Intl.DateTimeFormat;
}

let formats: LineFormats | null = null;

/** Formats cost more to make than to use, and a list has thousands of times. */
function formatsOf(timeZone: string): LineFormats {
  if (formats?.timeZone === timeZone) return formats;
  formats = {
    timeZone,
    clock: new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }),
    day: new Intl.DateTimeFormat("en-US", { timeZone, month: "short", day: "2-digit" }),
  };
  return formats;
}

function show(wanted: string): void {
  const root = document.documentElement;
  if (root.dataset["zone"] === wanted) return;
  root.dataset["zone"] = wanted;
  for (const element of all<HTMLTimeElement>("time[datetime]")) write(element, wanted);
}

function write(element: HTMLTimeElement, timeZone: string): void {
  const time = new Date(element.dateTime);
  if (Number.isNaN(time.getTime())) return;
  const parts = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("en-GB", { timeZone, ...options }).format(time);
  const clock = parts({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = new Intl.DateTimeFormat("en-CA", { timeZone }).format(time);
  element.title = `${day} ${clock} ${timeZone}`;
  if (element.dataset["style"] === "line") {
    element.textContent = lineTime(element.dateTime, element.closest("[data-day]") !== null);
    return;
  }
  if (element.dataset["style"] !== "clock") return;
  const near = Math.abs(Date.now() - time.getTime()) < 12 * 3_600_000;
  const date = new Intl.DateTimeFormat("en-US", { timeZone, month: "short", day: "numeric" }).format(time);
  element.textContent = near ? clock : `${date} ${clock.slice(0, 5)}`;
}
