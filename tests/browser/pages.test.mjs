// Every page, in both themes and at phone width: no console error, no failed request, no serious
// accessibility violation, a screenshot to look at (tests/browser/screenshots).
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, start, violations, waitFor } from "./appliance.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const shots = join(here, "screenshots");

const PAGES = [
  ["overview", "/"],
  ["logs", "/logs"],
  ["logs-query", "/logs?q=level%3Aerror"],
  ["logs-empty", "/logs?q=nothingmatchesthis"],
  ["logs-mistake", "/logs?q=error%20(timeout"],
  ["metrics", "/metrics-explorer"],
  ["metrics-query", "/metrics-explorer?q=rate(node_cpu_seconds_total%5B30s%5D)"],
  ["metrics-mistake", "/metrics-explorer?q=rate(up%5B5m)"],
  ["metrics-two", "/metrics-explorer?q=node_load1&q2=sum%20by%20(mode)%20(rate(node_cpu_seconds_total%5B30s%5D))&stack=1"],
  ["metrics-heat", "/metrics-explorer?view=heat&q=sum%20by%20(le)%20(rate(yagura_serve_request_duration_seconds_bucket%5B30s%5D))"],
  ["metrics-explain", "/metrics-explorer?view=explain&q=sum(up)%20%2F%20count(up%7Bjob%3D%22nod%22%7D)"],
  ["metrics-nothing", "/metrics-explorer?q=sum(up%7Bjob%3D%22nod%22%7D)"],
  ["metric", "/metrics/node_cpu_seconds_total"],
  ["metric-histogram", "/metrics/yagura_serve_request_duration_seconds"],
  ["cardinality", "/metrics/cardinality"],
  ["alerts", "/alerts"],
  ["alerts-grouped", "/alerts?by=severity"],
  ["alert-history", "/alerts/history"],
  ["alert-rules", "/alerts/rules"],
  ["alert-silences", "/alerts/silences?matchers=alertname%3DTestAlwaysFiring"],
  ["alert-receivers", "/alerts/receivers"],
  ["targets", "/targets"],
  ["status", "/status"],
  ["missing", "/no/such/page"],
];
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

let yagura;
let browser;

before(async () => {
  mkdirSync(shots, { recursive: true });
  yagura = await start();
  browser = await launch();
  // Pages are looked at when there is something to see.
  await waitFor("log lines and samples", async () => {
    const logs = await (await fetch(`${yagura.url}/api/v1/logs/query?q=pump&limit=1`)).text();
    const up = await (await fetch(`${yagura.url}/api/v1/query?query=count_over_time(node_load1[1m])>4`)).json();
    const alerts = await (await fetch(`${yagura.url}/api/v1/alerts`)).json();
    return logs && up.data?.result?.length && alerts.data?.alerts?.some((a) => a.state === "firing");
  });
});

after(async () => {
  await browser?.close();
  await yagura?.stop();
});

async function open(theme, size, path) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
  page.on("pageerror", (e) => problems.push(String(e)));
  page.on("response", (r) => {
    const expected = path.startsWith("/no/such") && r.url().endsWith(path);
    if (r.status() >= 400 && !expected) problems.push(`${r.status()} ${r.url()}`);
  });
  await page.goto(yagura.url + path, { waitUntil: "load" });
  await page.waitForTimeout(300);
  return { page, context, problems };
}

for (const theme of ["dark", "light"]) {
  for (const size of Object.keys(SIZES)) {
    for (const [name, path] of PAGES) {
      test(`${name}, ${theme}, ${size}`, async () => {
        const { page, context, problems } = await open(theme, size, path);
        await page.screenshot({ path: join(shots, `${name}-${theme}-${size}.png`) });
        const own = problems.filter((p) => !(path.startsWith("/no/such") && p.includes("404")));
        assert.deepEqual(own, [], "the console stays clean");
        assert.equal(await page.locator("h1").count(), 1, "one h1");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `the page is ${wide} px wider than the window`);
        assert.deepEqual(await violations(page), []);
        await context.close();
      });
    }
  }
}

test("log text is never HTML", async () => {
  const { page, context } = await open("dark", "wide", "/logs?q=pump");
  assert.equal(await page.locator("main b", { hasText: /^\d+$/ }).count(), 0);
  assert.ok((await page.textContent("main")).includes("<b>"));
  await context.close();
});

test("a new line shows in the live tail", async () => {
  const { page, context, problems } = await open("dark", "wide", "/logs?live=1");
  const mark = `fresh-${Date.now()}`;
  yagura.append(`${new Date().toISOString()} INFO ${mark} arrived`);
  await page.getByText(mark).first().waitFor({ timeout: 30_000 });
  assert.deepEqual(problems, []);
  await context.close();
});

test("a query draws a chart", async () => {
  const { page, context, problems } = await open("dark", "wide", "/metrics-explorer?q=node_load1");
  await page.locator(".uplot canvas").first().waitFor({ timeout: 30_000 });
  assert.deepEqual(problems, []);
  await context.close();
});

test("keys go to pages and help opens", async () => {
  const { page, context } = await open("dark", "wide", "/");
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await page.waitForURL("**/targets**");
  await page.keyboard.press("?");
  await page.locator("dialog[open]").waitFor();
  await context.close();
});

test("an alert has a page of its own, where a silence is counted and made", async () => {
  const { page, context, problems } = await open("dark", "wide", "/alerts?state=firing");
  await page.getByRole("link", { name: "TestAlwaysFiring" }).first().click();
  await page.getByRole("heading", { level: 1, name: "TestAlwaysFiring" }).waitFor();
  assert.ok((await page.textContent("main")).includes("which is too much"));
  await page.getByText("1 alert that fires now fits.").waitFor({ timeout: 30_000 });
  await page.screenshot({ path: join(shots, "alert-one.png"), fullPage: true });
  assert.deepEqual(await violations(page), []);
  await page.getByLabel(/Matchers/).fill('alertname="Nobody"');
  await page.getByText("Nothing that fires now fits.").waitFor({ timeout: 30_000 });
  await page.getByLabel("Why").fill("the browser's test");
  await page.getByRole("button", { name: "Silence", exact: true }).click();
  await page.goto(`${yagura.url}/alerts/silences`);
  assert.ok((await page.textContent("main")).includes("the browser's test"));
  await page.getByRole("button", { name: "End now" }).click();
  await page.getByRole("heading", { name: "Over" }).waitFor();
  assert.deepEqual(problems, []);
  await context.close();
});

test("pages read without script", async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: SIZES.wide });
  const page = await context.newPage();
  await page.goto(`${yagura.url}/logs?q=level%3Aerror`);
  assert.ok((await page.textContent("main")).includes("stopped: pressure"));
  await page.goto(`${yagura.url}/metrics-explorer?q=node_load1`);
  assert.ok((await page.textContent("main")).includes("node_load1"));
  await page.screenshot({ path: join(shots, "metrics-noscript.png") });
  await context.close();
});
