/**
 * New lines over a WebSocket, with what was missed while it was not connected.
 *
 * Closed after a minute in a hidden tab; opened again when somebody looks. When the connection is
 * lost it is tried again after 1, 2, 4, 8, 15 s, and what came in between is fetched.
 */

import { type LogRecord, fetchLines, pieces } from "./log-record";
import { lost } from "./refresh";

const RETRY_S = [1, 2, 4, 8, 15];
const HIDDEN_MS = 60_000;
const CATCH_UP_MAX = 1000;

export interface TailEvents {
  /** Lines in the order in which they came; `missing` lines before them were left out. */
  lines: (records: LogRecord[], missing: number) => void;
  /** Whether the connection stands. */
  connected: (yes: boolean) => void;
}

export class Tail {
  private socket: WebSocket | null = null;
  private failures = 0;
  private timer = 0;
  private hidden = 0;
  private wanted = false;

  constructor(
    private readonly q: string,
    /** Time of the newest line that is known, or of the end of what was searched. */
    private newest: string,
    private readonly events: TailEvents,
  ) {
    document.addEventListener("visibilitychange", () => {
      window.clearTimeout(this.hidden);
      if (document.hidden) this.hidden = window.setTimeout(() => this.close(), HIDDEN_MS);
      else if (this.wanted && !this.socket) this.connect();
    });
  }

  start(): void {
    this.wanted = true;
    if (!this.socket) this.connect();
  }

  stop(): void {
    this.wanted = false;
    lost(null);
    this.close();
  }

  private close(): void {
    window.clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.events.connected(false);
  }

  private connect(): void {
    window.clearTimeout(this.timer);
    const url = new URL("/api/v1/logs/tail", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ q: this.q, text: "1" }).toString();
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.failures = 0;
      lost(null);
      this.events.connected(true);
      void this.catchUp();
    });
    socket.addEventListener("message", (event) => this.take(String(event.data)));
    socket.addEventListener("close", () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.events.connected(false);
      if (this.wanted && !document.hidden) this.retry();
    });
  }

  private retry(): void {
    this.failures += 1;
    const wait = RETRY_S[Math.min(this.failures, RETRY_S.length) - 1] ?? 15;
    lost(`Lost the live tail from ${location.host}. Is Yagura running, and the port-forward, if you use one? Trying again in ${wait} s.`);
    this.timer = window.setTimeout(() => this.connect(), wait * 1000);
  }

  private take(data: string): void {
    const records: LogRecord[] = [];
    let missing = 0;
    for (const piece of pieces(data)) {
      if (piece.skipped !== undefined) missing += piece.skipped;
      else records.push(piece);
    }
    this.deliver(records, missing);
  }

  private deliver(records: LogRecord[], missing: number): void {
    for (const record of records) if (record.time > this.newest) this.newest = record.time;
    this.events.lines(records, missing);
  }

  /** What was written between the newest known line and the opening of the socket. */
  private async catchUp(): Promise<void> {
    const to = new Date(Date.now() + 60_000).toISOString();
    try {
      const records = await fetchLines({ q: this.q, from: this.newest, to, limit: String(CATCH_UP_MAX) });
      // Newest first from the API; the oldest missing ones are beyond the limit.
      this.deliver(records.reverse(), records.length >= CATCH_UP_MAX ? -1 : 0);
    } catch {
      // The socket notices as well, and tries again.
    }
  }
}
