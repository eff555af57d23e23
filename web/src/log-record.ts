/** Log lines as the API gives them, and the ways to ask for them. */

/** A line. */
export interface LogRecord {
  id: string;
  /** RFC 3339 in UTC with nine digits behind the dot, so that texts compare as times do. */
  time: string;
  level: string;
  message: string;
  labels: Record<string, string>;
  fields: Record<string, string | string[]>;
  /** The line as it was written, where that is not the message. */
  text?: string;
  /** Characters that were left out of `message` and `text` here; opening the line fetches them. */
  cut?: number;
}

/** Longer lines are kept in part: 20,000 of them must fit into a tab. */
const KEPT_CHARS = 8 * 1024;

/** The line with no more text than rows can show. */
export function trimmed(record: LogRecord): LogRecord {
  const whole = record.text ?? record.message;
  if (whole.length <= KEPT_CHARS) return record;
  const { text, ...rest } = record;
  const fields = Object.fromEntries(Object.entries(record.fields).filter(([, value]) => String(value).length <= 256));
  const out: LogRecord = { ...rest, fields, message: record.message.slice(0, KEPT_CHARS) };
  if (text !== undefined) out.text = text.slice(0, KEPT_CHARS);
  out.cut = whole.length - (out.text ?? out.message).length;
  return out;
}

/** What a server's line of NDJSON can be. */
type Piece = LogRecord & { error?: string; skipped?: number };

/** The objects of an NDJSON text. */
export function pieces(text: string): Piece[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Piece);
}

/** Why an answer is no answer, in the server's own words. */
export async function failure(response: Response): Promise<Error> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { error?: string };
    if (body.error) return new Error(body.error);
  } catch {
    // Not ours: perhaps a proxy's.
  }
  return new Error(`the server answered ${response.status}`);
}

/** Asks for lines; throws the server's sentence when it cannot give them. */
export async function fetchLines(params: Record<string, string>, signal?: AbortSignal): Promise<LogRecord[]> {
  const query = new URLSearchParams({ text: "1", ...params });
  const response = await fetch(`/api/v1/logs/query?${query}`, signal ? { signal } : {});
  if (!response.ok) throw await failure(response);
  const records: LogRecord[] = [];
  for (const piece of pieces(await response.text())) {
    if (piece.error) throw new Error(piece.error);
    records.push(piece);
  }
  return records;
}

/** A line whole: rows keep no more than they show. */
export async function fetchRecord(id: string, time: string): Promise<LogRecord | null> {
  const lines = await fetchLines({ from: time, to: justAfter(time), limit: "100000" });
  return lines.find((record) => record.id === id) ?? null;
}

/** The next nanosecond. */
export function justAfter(time: string): string {
  const [seconds = time, fraction = "Z"] = time.split(".");
  const ns = Number(fraction.slice(0, 9).replace("Z", "").padEnd(9, "0")) + 1;
  if (ns < 1_000_000_000) return `${seconds.replace("Z", "")}.${String(ns).padStart(9, "0")}Z`;
  return new Date(Date.parse(`${seconds}Z`) + 1000).toISOString().replace(/\.\d+Z$/, ".000000000Z");
}

/** The text of a line, as it was written. */
export function textOf(record: LogRecord): string {
  return record.text ?? record.message;
}

/** The value of a field or label, as text. */
export function valueOf(record: LogRecord, name: string): string | undefined {
  if (name === "level") return record.level;
  const value = record.labels[name] ?? record.fields[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** Where the line is for ever: its page. */
export function pageOf(record: { id: string; time: string }): string {
  return `/logs/at/${record.time}/${record.id}`;
}
