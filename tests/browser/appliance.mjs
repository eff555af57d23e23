// Starts the real binary with a folder of its own and some log lines, and ends it again.
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

function binary() {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
  const path = process.env.YAGURA_BIN ?? join(target, "debug", "yagura");
  if (!existsSync(path)) {
    throw new Error(`${path} is not there: run "cargo build" first`);
  }
  return path;
}

function line(n, now) {
  const time = new Date(now - (600 - n) * 4000).toISOString();
  if (n % 97 === 0) return `${time} ERROR pump ${n % 7} stopped: pressure <b>${n}</b> kPa & falling`;
  if (n % 23 === 0) return JSON.stringify({ time, level: "warn", msg: "slow query", ms: n * 11, user: `ana${n % 3}` });
  if (n % 5 === 0) return `time=${time} level=debug msg="cache hit" key=item:${n} status=200`;
  return `${time} INFO request ${n} served in ${n % 50} ms`;
}

/**
 * A running Yagura: `url`, `append(text)`, `write(name, text)`, `stop()`. `files` are log files
 * that are there before it starts: names without `.log`, and their text. `settings` are further
 * lines of its configuration.
 */
export async function start({ logs = true, files = {}, settings = "" } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "yagura-browser-"));
  mkdirSync(join(dir, "logs"));
  const file = join(dir, "logs", "app.log");
  const now = Date.now();
  if (logs) {
    appendFileSync(file, Array.from({ length: 600 }, (_, n) => line(n, now) + "\n").join(""));
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, "logs", `${name}.log`), text);
  writeFileSync(
    join(dir, "test.rules.yml"),
    `groups:
  - name: browser
    interval: 1s
    rules:
      - alert: TestAlwaysFiring
        expr: vector(42) > 40
        labels: { severity: warning, instance: "pump-1" }
        annotations: { summary: "The value is {{ $value }}, which is too much" }
      - alert: TestStaysPending
        expr: vector(1)
        for: 1h
        labels: { severity: critical }
`,
  );
  writeFileSync(
    join(dir, "yagura.yaml"),
    `logs: { files: ["${dir}/logs/*.log"] }
prometheus:
  global: { scrape_interval: 1s, evaluation_interval: 1s }
  rule_files: ["test.rules.yml"]
  scrape_configs:
    - job_name: nobody
      static_configs: [{ targets: ["127.0.0.1:1"] }]
${settings}`,
  );
  const child = spawn(
    binary(),
    ["--config", join(dir, "yagura.yaml"), "--data", join(dir, "data"), "--listen", "127.0.0.1:0"],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, YAGURA_LOG: "warn" } },
  );
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (text) => {
      const found = /http:\/\/[\d.:[\]]+\d/.exec(text);
      if (found) resolve(found[0]);
      else reject(new Error(`no address in: ${text}`));
    });
    child.once("exit", (code) => reject(new Error(`yagura ended with ${code}`)));
  });
  return {
    url,
    append: (text) => appendFileSync(file, text + "\n"),
    write: (name, text) => appendFileSync(join(dir, "logs", `${name}.log`), text),
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Asks until `ask` gives something that is true. */
export async function waitFor(what, ask) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`still waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Chromium, wherever the package manager has put it. */
export async function launch() {
  const path = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
  if (!path) throw new Error("no Chromium: run make test, or install it with the package manager");
  return chromium.launch({
    executablePath: path,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Serious violations of WCAG 2.2 AA, each in a line. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag22aa"] }));
  return found.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(" | ")}`);
}
