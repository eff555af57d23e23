// The Metrics page in use: the editor completes and runs, views change, queries come and go, the
// cardinality page leads to a metric.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, start, waitFor } from "./appliance.mjs";

// In a short range the points are close: the first samples are a few seconds old.
const RECENT = "&from=now-2m&to=now";

let yagura;
let browser;

before(async () => {
  yagura = await start();
  browser = await launch();
  await waitFor("samples", async () => {
    const load = await (await fetch(`${yagura.url}/api/v1/query?query=count_over_time(node_load1[1m])>4`)).json();
    return load.data?.result?.length;
  });
});

after(async () => {
  await browser?.close();
  await yagura?.stop();
});

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
  page.on("pageerror", (e) => problems.push(String(e)));
  page.on("response", (r) => r.status() >= 400 && problems.push(`${r.status()} ${r.url()}`));
  await page.goto(yagura.url + path, { waitUntil: "load" });
  return { page, problems, end: () => context.close() };
}

const editor = (page, number) => page.locator(`#query-${number} .cm-content`);

test("the editor completes a metric and runs", async () => {
  const { page, problems, end } = await open(`/metrics-explorer?${RECENT}`);
  await editor(page, 1).click();
  await page.keyboard.type("node_loa");
  await page.locator(".cm-tooltip-autocomplete li", { hasText: "node_load1" }).first().click();
  await waitFor("the whole name", async () => (await editor(page, 1).textContent()) === "node_load1");
  await page.keyboard.press("Enter");
  await page.locator(".uplot canvas").first().waitFor();
  assert.equal(new URL(page.url()).searchParams.get("q"), "node_load1");
  assert.deepEqual(problems, []);
  await end();
});

test("a mistake is marked while it is written, in the server's words", async () => {
  const { page, problems, end } = await open("/metrics-explorer");
  await editor(page, 1).click();
  await page.keyboard.type("rat(up)");
  const mark = page.locator(".cm-lintRange-error").first();
  await mark.waitFor();
  await mark.hover();
  assert.match(await page.locator(".cm-diagnostic").first().textContent(), /rate/);
  assert.deepEqual(problems, []);
  await end();
});

test("queries come and go, and the crosshair is one", async () => {
  const { page, problems, end } = await open(`/metrics-explorer?q=node_load1${RECENT}`);
  await page.getByRole("button", { name: "Add a query" }).click();
  await editor(page, 2).click();
  await page.keyboard.type("up");
  await page.keyboard.press("Escape");
  await page.locator(".ask .primary").click();
  await waitFor("two charts", async () => (await page.locator(".uplot canvas").count()) === 2);
  const first = await page.locator(".u-over").first().boundingBox();
  await page.mouse.move(first.x + first.width / 2, first.y + first.height / 2);
  await waitFor("a crosshair in the other chart", () => page.locator(".tip").nth(1).isVisible());
  await page.getByRole("button", { name: "Remove query 1" }).click();
  await waitFor("one query", async () => (await page.locator(".query").count()) === 1);
  assert.equal(await editor(page, 1).textContent(), "up");
  const asked = new URL(page.url()).searchParams;
  assert.deepEqual([asked.get("q"), asked.get("q2")], ["up", null]);
  await page.goBack();
  await waitFor("both again", async () => (await page.locator(".query").count()) === 2);
  assert.equal(await editor(page, 1).textContent(), "node_load1");
  assert.deepEqual(problems, []);
  await end();
});

test("a heatmap tells what is under the pointer", async () => {
  const q = encodeURIComponent("sum by (le) (rate(yagura_serve_request_duration_seconds_bucket[30s]))");
  const { page, problems, end } = await open(`/metrics-explorer?q=${q}&view=heat&from=now-2m&to=now`);
  await page.locator(".uplot canvas").first().waitFor();
  const over = await page.locator(".u-over").boundingBox();
  await page.mouse.move(over.x + over.width * 0.9, over.y + over.height * 0.8);
  await waitFor("the tooltip", () => page.locator(".tip").isVisible());
  assert.match(await page.locator(".tip").textContent(), / to .*all buckets/);
  assert.deepEqual(problems, []);
  await end();
});

test("an empty answer offers what exists, and explains itself as a tree", async () => {
  const { page, problems, end } = await open(`/metrics-explorer?q=${encodeURIComponent('sum(up{job="nobod"})')}${RECENT}`);
  await page.locator("a.chip", { hasText: 'job="nobody"' }).click();
  await page.locator(".uplot canvas").first().waitFor();
  await page.locator("[data-view=explain]").click();
  await page.locator(".tree .n", { hasText: "1 series" }).first().waitFor();
  assert.deepEqual(problems, []);
  await end();
});

test("cardinality leads to the page of a metric", async () => {
  const { page, problems, end } = await open("/metrics/cardinality");
  await page.locator("section[aria-label=Metrics] a[data-row]").first().click();
  await page.waitForURL(/\/metrics\/[a-z_]+/);
  await page.locator("section[aria-label=Labels]").waitFor();
  assert.deepEqual(problems, []);
  await end();
});

test("queries come and go without script", async () => {
  const { page, end } = await open(`/metrics-explorer?q=node_load1${RECENT}`, { javaScriptEnabled: false });
  await page.getByRole("button", { name: "Add a query" }).click();
  await page.locator("#q2").fill("up");
  await page.locator(".ask .primary").click();
  assert.equal(await page.locator("svg.drawing").count(), 2);
  await page.getByRole("button", { name: "Remove query 1" }).click();
  assert.equal(await page.locator("#q").inputValue(), "up");
  await end();
});
