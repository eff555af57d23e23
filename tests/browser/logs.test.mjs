// The log page's behaviours, one test each, over the real binary with a log of 20,000 lines, one
// of hostile lines, one of long, coloured and nested ones.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, start, violations, waitFor } from "./appliance.mjs";

const shots = join(dirname(fileURLToPath(import.meta.url)), "screenshots");
const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 360, height: 780 };

const MANY = 20_400;
const HOSTILE = [
  `<script>window.pwned = 1</script>`,
  `"><img src=x onerror="window.pwned=1">`,
  `</script><script>window.pwned=1</script><!--`,
  `{"msg":"<b onmouseover=pwned=1>bold</b>","evil\\"><img src=x onerror=pwned=1>":"</details><svg onload=pwned=1>"}`,
  `\u202egnp.exe\u2066 \u0007 end`,
  `\u001b]0;title\u0007 \u001b[31m<u>red</u>\u001b[0m`,
  `level=error msg="javascript:alert(1)" url="javascript:alert(1)" __proto__=1 constructor=2`,
];

let yagura;
let browser;

function at(now, ms) {
  return new Date(now - ms).toISOString();
}

function files(now) {
  const many = Array.from({ length: MANY }, (_, n) => {
    const error = n % 500 === 250;
    return `${at(now, (MANY - n) * 100)} ${error ? "ERROR" : "INFO"} line-${n} ${error ? "failed" : "done"} in ${n % 37} ms\n`;
  });
  const odd = [
    `${at(now, 60_000)} INFO begin ${"0123456789abcdef ".repeat(4000)}THE-END\n`,
    `${at(now, 50_000)} \u001b[31mERROR\u001b[0m \u001b[1mcoloured\u001b[22m words\n`,
    `${JSON.stringify({ time: at(now, 40_000), level: "warn", msg: "nested", user: { id: 7, name: "ana" }, status: 503 })}\n`,
    `${JSON.stringify({ time: at(now, 30_000), level: "info", msg: "first\n  at second\n  at third", status: 200 })}\n`,
  ];
  const marks = `⟦yagura gap⟧ at least 120 bytes are missing between then and now: /a.log was truncated\nlong text …[cut, 3072 bytes]\n`;
  return { marks, many: many.join(""), odd: odd.join(""), hostile: HOSTILE.map((text, n) => `${at(now, 20_000 - n)} ERROR ${text}\n`).join("") };
}

before(async () => {
  mkdirSync(shots, { recursive: true });
  yagura = await start({ files: files(Date.now()) });
  browser = await launch();
  await waitFor("all lines", async () => {
    const answer = await fetch(`${yagura.url}/api/v1/logs/histogram?from=now-3h&step=3h`);
    const counts = (await answer.json()).data.buckets.flatMap(([, counts]) => counts);
    return counts.reduce((a, b) => a + b, 0) >= MANY + 600 + HOSTILE.length + 6;
  });
});

after(async () => {
  await browser?.close();
  await yagura?.stop();
});

const NOT_LIVE = "live=0&from=now-3h&to=now";

async function visit(path, { size = WIDE, theme = "dark", init } = {}) {
  const context = await browser.newContext({
    viewport: size, colorScheme: theme, hasTouch: size === PHONE, permissions: ["clipboard-read", "clipboard-write"],
  });
  if (init) await context.addInitScript(init);
  const page = await context.newPage();
  const problems = [];
  page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
  page.on("pageerror", (e) => problems.push(String(e)));
  await page.goto(yagura.url + path, { waitUntil: "load" });
  return { page, problems, close: () => context.close() };
}

const rows = (page) => page.locator("#lines .line");
const messages = (page) => page.locator("#lines .msg").allTextContents();
const q = (text) => `/logs?q=${encodeURIComponent(text)}&${NOT_LIVE}`;

test("20,000 lines scroll to both ends with few rows in the document", async () => {
  const { page, problems, close } = await visit(q("file:*many.log"));
  await rows(page).first().waitFor();
  assert.ok((await messages(page))[0].includes(`line-${MANY - 1} `));
  let most = 0;
  await waitFor("the oldest line", async () => {
    const n = await page.evaluate(() => {
      window.scrollTo(0, document.documentElement.scrollHeight);
      return document.querySelectorAll("#lines .line").length;
    });
    most = Math.max(most, n);
    return (await page.locator("#end").textContent()).includes("beginning of this range");
  });
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await page.locator("#lines").getByText("line-0 ").waitFor();
  assert.ok(most <= 300, `${most} rows in the document`);

  // More than 20,000 lines: the newest had to go, and come back on scrolling up.
  await waitFor("the newest line", async () => {
    const n = await page.evaluate(() => {
      window.scrollTo(0, 0);
      return document.querySelectorAll("#lines .line").length;
    });
    most = Math.max(most, n);
    return (await messages(page))[0]?.includes(`line-${MANY - 1} `);
  });
  assert.ok(most <= 300, `${most} rows in the document`);
  assert.deepEqual(problems, []);
  await close();
});

test("what is read stays where it is while older lines come", async () => {
  const { page, close } = await visit(q("file:*many.log"));
  await rows(page).first().waitFor();
  // Just before the point where more is fetched; then look at what a row's place does.
  await page.evaluate(() => window.scrollTo(0, 3500));
  const place = () => page.evaluate(() => {
    const row = [...document.querySelectorAll("#lines .line")].find((row) => row.getBoundingClientRect().top > 100);
    return { id: row.id, top: row.getBoundingClientRect().top };
  });
  await page.waitForFunction(() => document.querySelector("#lines .space").offsetHeight > 0);
  const before = await place();
  await waitFor("more lines", () => page.evaluate(() => document.documentElement.scrollHeight > 8000));
  const top = await page.evaluate((id) => document.getElementById(id)?.getBoundingClientRect().top, before.id);
  assert.ok(Math.abs(top - before.top) < 2, `moved by ${top - before.top} px`);
  await close();
});

test("hostile text stays text: in rows, details, context, tree, facets and its own page", async () => {
  const { page, problems, close } = await visit(q("file:*hostile.log"));
  await rows(page).first().waitFor();
  assert.equal(await rows(page).count(), HOSTILE.length);
  const n = await rows(page).count();
  for (let i = 0; i < n; i++) {
    await page.keyboard.press("j");
    await page.keyboard.press("o");
    await page.locator(".line:focus + .details").waitFor();
  }
  await page.keyboard.press("c");
  await page.locator(".around li").first().waitFor();
  const href = await page.locator(".details a.btn").first().getAttribute("href");
  await page.screenshot({ path: join(shots, "logs-hostile.png") });
  const check = async () => {
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    assert.equal(await page.locator("main :is(img, script:not([type='application/json']), u, svg[onload])").count(), 0);
    const shown = (await page.locator("#lines, #around").allTextContents()).join("");
    assert.ok(!shown.includes("\u202e"), "no character turns the text around");
  };
  await check();
  await page.goto(yagura.url + href);
  await check();
  await page.goto(yagura.url + q("</script><script>window.pwned=1</script>"));
  await check();
  assert.deepEqual(problems, []);
  await close();
});

test("facets filter, exclude and pin", async () => {
  const { page, close } = await visit(q("line-7"));
  await page.goto(`${yagura.url}/logs?${NOT_LIVE}`);
  await page.locator("#f-level").waitFor();
  const value = page.locator("#f-level li", { hasText: "warn" }).first();
  await value.hover();
  await value.locator(".not").click();
  await page.waitForURL(/q=-level/);
  await page.locator("#f-level li", { hasText: "info" }).first().hover();
  await page.locator("#f-level li", { hasText: "info" }).first().locator(".pin").click();
  await page.locator("#f-level li:first-child .pin[aria-pressed=true]").waitFor();
  assert.ok((await page.locator("#f-level li").first().textContent()).includes("info"));
  // Another search in the same browser still has it, and a search without it too.
  await page.goto(yagura.url + q("level:error"));
  const first = page.locator("#f-level li").first();
  assert.ok((await first.textContent()).includes("info"));
  await page.fill("#facet-search", "host");
  await page.locator("#f-level").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#f-host").isVisible(), true);
  await close();
});

test("context opens in place and its scope can be widened", async () => {
  const { page, problems, close } = await visit(q("coloured"));
  await rows(page).first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("c");
  await page.locator(".around [aria-current]").waitFor();
  // The file has four lines: one before this, two behind.
  assert.equal(await page.locator(".around li").count(), 4);
  assert.ok((await page.locator(".around [aria-current]").textContent()).includes("this"));
  await page.locator(".context button", { hasText: "All" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".around li").length === 21);
  await page.locator(".context button", { hasText: "Earlier" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".around li").length === 71);
  await page.screenshot({ path: join(shots, "logs-context.png") });
  assert.deepEqual(await violations(page), []);
  await page.locator(".line.open").focus();
  await page.keyboard.press("c");
  await page.locator(".context").waitFor({ state: "detached" });
  assert.deepEqual(problems, []);
  await close();
});

test("a link to a line shows it in context, without script too", async () => {
  const { page, close } = await visit(q("coloured"));
  await rows(page).first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Y");
  await page.getByText("Link copied.").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(link, /\/logs\/at\/\d{4}-\d\d-\d\dT[\d:.]+Z\/[0-9a-f]{16}-\d+\?q=coloured$/);
  await page.keyboard.press("y");
  await page.getByText("Line copied.").waitFor();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(text.endsWith("ERROR coloured words"), "copied without its colours");
  await close();
  const context = await browser.newContext({ javaScriptEnabled: false });
  const still = await context.newPage();
  await still.goto(link);
  assert.ok((await still.locator("#this").textContent()).includes("coloured words"));
  assert.ok((await still.textContent("#around")).includes("nested"));
  await still.goto(`${link.split("/logs/")[0]}/logs/at/nonsense/nonsense`);
  assert.ok((await still.textContent("main")).includes("does not name a log line"));
  await context.close();
});

test("lines are copied without navigator.clipboard too", async () => {
  const init = () => Object.defineProperty(navigator, "clipboard", { value: undefined });
  const { page, close } = await visit(q("nested"), { init });
  await rows(page).first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("y");
  await page.getByText("Line copied.").waitFor();
  await page.focus("#q");
  await page.fill("#q", "");
  await page.keyboard.press("Control+v");
  assert.ok((await page.inputValue("#q")).includes('"msg":"nested"'));
  await close();
});

test("find steps through what is loaded, apart from the query", async () => {
  const { page, problems, close } = await visit(q("file:*many.log"));
  await rows(page).first().waitFor();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.keyboard.press("f");
  await page.fill("#find input", "failed");
  await page.waitForFunction(() => /\d of 200 loaded/.test(document.querySelector("#find-count").textContent));
  const count = await page.textContent("#find-count");
  await page.keyboard.press("Enter");
  await page.locator("mark.found").first().waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("mark.found").count(), 0);
  assert.match(count, /^\d+ of 200 loaded$/);
  assert.deepEqual(asked.filter((url) => url.includes("failed")), [], "nothing is searched");
  await page.keyboard.press("e");
  assert.ok((await page.locator(".line:focus").getAttribute("class")).includes("lv-error"));
  assert.deepEqual(problems, []);
  await close();
});

test("huge lines are folded, coloured ones have classes, JSON is a tree", async () => {
  const { page, close } = await visit(q("file:*odd.log"));
  await rows(page).first().waitFor();
  const huge = page.locator(".item", { hasText: "begin 0123" });
  assert.ok((await huge.locator(".msg").textContent()).length <= 2048);
  assert.match(await huge.locator(".more").textContent(), /^show \d+ KB more$/);
  await huge.locator(".line").click({ position: { x: 30, y: 10 } });
  await huge.locator(".details pre").waitFor();
  assert.ok((await huge.locator(".details pre").textContent()).length > 60_000);
  assert.equal(await page.locator(".msg .a-r", { hasText: "ERROR" }).count(), 1);
  const folded = page.locator(".item", { hasText: "first" });
  assert.equal(await folded.locator(".more").textContent(), "+2 lines");
  await folded.locator(".more").click();
  assert.ok((await folded.locator(".msg").textContent()).includes("at third"));
  const nested = page.locator(".item", { hasText: "nested" });
  await nested.locator(".line").click({ position: { x: 30, y: 10 } });
  await nested.locator(".tree").waitFor();
  await nested.locator(".tree li li", { hasText: "name" }).getByTitle("Only lines with user.name = ana").click();
  await page.waitForURL(/user\.name%3Aana/);
  assert.equal(await rows(page).count(), 1);
  await close();
});

test("columns are chosen, in the address and remembered", async () => {
  const { page, close } = await visit(q("file:*odd.log"));
  await rows(page).first().waitFor();
  await page.locator("#columns summary").click();
  await page.locator("#columns label", { hasText: "status" }).locator("input").check();
  await page.waitForURL(/cols=status/);
  assert.deepEqual(await page.locator(".cell:not(.none)").allTextContents(), ["200", "503"]);
  await page.goto(yagura.url + q("file:*odd.log"));
  await page.locator("#heads").getByText("status").waitFor();
  assert.deepEqual(await page.locator(".cell:not(.none)").allTextContents(), ["200", "503"]);
  await close();
});

test("the histogram can be hidden and nobody counts then", async () => {
  const { page, close } = await visit(q("line-7"));
  await page.locator("#chart .bars").waitFor();
  await page.getByRole("button", { name: "hide" }).click();
  await page.getByText("The histogram is hidden").waitFor();
  await page.reload();
  await page.getByText("The histogram is hidden").waitFor();
  assert.equal(await rows(page).count(), 1, "the lines are there all the same");
  await page.getByRole("button", { name: "show" }).click();
  await page.locator("#chart .bars").waitFor();
  await page.keyboard.press("b");
  await page.locator("#facets").waitFor({ state: "hidden" });
  await close();
});

test("similar lines become one and lead back to themselves", async () => {
  const { page, problems, close } = await visit(q("file:*many.log"));
  await rows(page).first().waitFor();
  await page.keyboard.press("p");
  await page.waitForURL(/group=pattern/);
  const patterns = page.locator("#groups tbody tr");
  await patterns.first().waitFor();
  assert.match(await page.textContent("#groups .meta"), /^\d+ patterns? in 20.4 k lines/);
  const failed = patterns.filter({ hasText: "failed in" });
  assert.equal((await failed.locator(".num").first().textContent()).trim(), "41");
  await page.screenshot({ path: join(shots, "logs-groups.png") });
  assert.deepEqual(await violations(page), []);
  await failed.locator(".pattern").click();
  await page.waitForURL(/message/);
  assert.equal(await rows(page).count(), 41);
  assert.ok((await messages(page)).every((text) => text.includes("failed in")));
  assert.deepEqual(problems, []);
  await close();
});

test("the search field completes, and its export gives every line", async () => {
  const { page, problems, close } = await visit(q("file:*many.log"));
  await page.fill("#q", "");
  // Answers for the first letters may still come behind ArrowDown: what is chosen stays chosen.
  await page.locator("#q").pressSequentially("lev");
  await page.locator(".completion li", { hasText: "level:" }).first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await page.inputValue("#q"), "level:");
  await page.locator(".completion li", { hasText: "error" }).first().click();
  assert.ok((await page.inputValue("#q")).startsWith("level:error"));
  assert.deepEqual(await violations(page), []);
  await page.locator("#export summary").click();
  assert.match(await page.locator("#export code").first().textContent(), /^curl -sG .*--data-urlencode 'q=file:\*many.log'/);
  const href = await page.locator("#export a", { hasText: "Text" }).getAttribute("href");
  const text = await (await fetch(yagura.url + href)).text();
  assert.equal(text.trimEnd().split("\n").length, MANY);
  assert.deepEqual(problems, []);
  await close();
});

test("stats answer a table that sorts, and a drawing over time", async () => {
  const { page, problems, close } = await visit(q("file:*many.log | stats count() as n by (level, time 5m)"));
  await page.locator("#drawing .series path.c0").waitFor();
  const cells = (column) => page.locator(`#table tbody td:nth-child(${column})`).evaluateAll((all) => all.map((td) => td.dataset.key));
  await page.locator("#table th", { hasText: "n" }).last().locator("button").click();
  assert.equal(await page.locator("#table th[aria-sort=descending]").textContent(), "n");
  const counts = (await cells(3)).map(Number);
  assert.deepEqual(counts, counts.toSorted((a, b) => b - a));
  assert.equal(counts.reduce((a, b) => a + b, 0), MANY);
  await page.screenshot({ path: join(shots, "logs-table.png") });
  assert.deepEqual(await violations(page), []);
  await page.locator("#table td a", { hasText: "error" }).first().click();
  await page.waitForURL(/level%3Aerror/);
  assert.ok((await messages(page)).every((text) => text.includes("failed in")));
  assert.deepEqual(problems, []);
  await close();
});

test("lines that collection knows to be missing or cut look different", async () => {
  const { page, close } = await visit(q("file:*marks.log"));
  await page.locator(".line.is-gap").waitFor();
  assert.match(await page.locator(".line.is-gap .msg").textContent(), /^at least 120 bytes are missing/);
  assert.equal(await page.locator(".cut").textContent(), "cut, 3.0 KB missing");
  await close();
});

test("a pause is said, keeps what comes, and G goes on", async () => {
  const { page, problems, close } = await visit("/logs?q=pausetest&from=now-15m&to=now");
  await page.getByText("LIVE", { exact: true }).waitFor();
  const say = (word) => yagura.append(`${new Date().toISOString()} INFO pausetest ${word}`);
  say("one");
  await page.locator("#lines").getByText("pausetest one").waitFor();
  await page.keyboard.press(" ");
  await page.locator("#live", { hasText: "PAUSED" }).waitFor();
  say("two");
  say("three");
  await page.locator("#live", { hasText: "PAUSED · 2 new" }).waitFor();
  assert.equal(await page.locator("#lines").getByText("two").count(), 0);
  assert.ok((await page.textContent("#waiting")).includes("paused because you paused it"));
  await page.keyboard.press("G");
  await page.locator("#lines").getByText("three").waitFor();
  assert.deepEqual((await messages(page)).map((text) => text.split(" ").pop()), ["three", "two", "one"]);
  await page.keyboard.press("l");
  await page.getByText("LIVE OFF").waitFor();
  assert.deepEqual(problems, []);
  await close();
});

test("a flood is bounded and its gaps are said and can be loaded", async () => {
  const { page, problems, close } = await visit("/logs?q=flood&from=now-15m&to=now");
  await page.getByText("LIVE", { exact: true }).waitFor();
  // A gap can be loaded from the line before it on.
  yagura.append(`${new Date().toISOString()} INFO flood begins`);
  await page.locator("#lines").getByText("flood begins").waitFor();
  const now = Date.now();
  yagura.write("flood", Array.from({ length: 30_000 }, (_, n) => `${new Date(now + Math.floor(n / 100)).toISOString()} INFO flood ${n}\n`).join(""));
  await page.locator("#sample").waitFor({ timeout: 60_000 });
  assert.match(await page.textContent("#sample"), /A sample: more than 500 lines a second arrive, [\d,]+ were left out/);
  let most = 0;
  await waitFor("the gap, which may lie far below", async () => {
    most = Math.max(most, await page.evaluate(() => {
      window.scrollBy(0, 4000);
      return document.querySelectorAll("#lines .line").length;
    }));
    return (await page.locator(".gap").count()) > 0;
  });
  assert.ok(most <= 300, `${most} rows in the document`);
  await page.locator("#live", { hasText: "PAUSED" }).waitFor();
  assert.match(await page.locator(".gap").first().textContent(), /[\d,]+ lines left out: more arrived than can be shown/);
  const before = await page.locator(".gap").first().textContent();
  await page.locator(".gap button").first().click();
  await page.waitForFunction((before) => document.querySelector(".gap")?.textContent !== before, before);
  assert.deepEqual(problems, []);
  await close();
});

test("a lost connection is said, with what to look at", async () => {
  const own = await start();
  const context = await browser.newContext({ viewport: WIDE });
  const page = await context.newPage();
  await page.goto(`${own.url}/logs`);
  await page.getByText("LIVE", { exact: true }).waitFor();
  await own.stop();
  await page.getByText("RECONNECTING").waitFor();
  assert.match(await page.textContent("#lost"), /port-forward/);
  await context.close();
});

for (const theme of ["dark", "light"]) {
  test(`on a phone, ${theme}: rows open as a sheet, the bar is at hand, nothing is too wide`, async () => {
    const { page, problems, close } = await visit(`/logs?${NOT_LIVE}`, { size: PHONE, theme });
    await rows(page).first().waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} px too wide`);
    const bar = await page.locator("#live").boundingBox();
    assert.ok(bar.y > PHONE.height - 120 && bar.height >= 44, "live is at the bottom");
    await page.screenshot({ path: join(shots, `logs-360-${theme}.png`) });
    await rows(page).nth(1).tap();
    await page.locator("dialog.sheet .details").waitFor();
    await page.screenshot({ path: join(shots, `logs-360-sheet-${theme}.png`) });
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await page.locator("dialog.sheet").waitFor({ state: "detached" });
    await page.locator(".facets-button").tap();
    await page.locator("#facets").waitFor();
    await page.screenshot({ path: join(shots, `logs-360-filter-${theme}.png`) });
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(problems, []);
    await close();
  });
}
