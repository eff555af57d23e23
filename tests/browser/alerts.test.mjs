// Receivers in use: a test message is sent by keyboard, and the provider's answer shows, good and
// bad, in both themes and on a phone.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, start, violations, waitFor } from "./appliance.mjs";

const shots = join(dirname(fileURLToPath(import.meta.url)), "screenshots");
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 360, height: 780 } };

let provider;
let yagura;
let browser;

before(async () => {
  mkdirSync(shots, { recursive: true });
  // A provider that takes messages at /good and says why it takes none at /bad.
  provider = createServer((request, response) => {
    request.resume().on("end", () => {
      const good = request.url === "/good";
      response.writeHead(good ? 200 : 403, { "content-type": "text/plain" });
      response.end(good ? "queued as message 17" : "no such key: <b>ask</b> your administrator");
    });
  });
  await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${provider.address().port}`;
  yagura = await start({
    settings: `alertmanager:
  route: { receiver: pager, group_wait: 0s, group_interval: 1h, routes: [{ receiver: chat, matchers: ["severity=nothing"] }] }
  receivers:
    - name: chat
      webhook_configs: [{ url: "${url}/good" }]
    - name: pager
      webhook_configs: [{ url: "${url}/bad" }]
`,
  });
  browser = await launch();
  await waitFor("a message that failed", async () => {
    const page = await (await fetch(`${yagura.url}/alerts/receivers`)).text();
    return page.includes("failing");
  });
});

after(async () => {
  await browser?.close();
  await yagura?.stop();
  provider?.close();
});

/** Goes on with Tab until the button of a receiver has the focus. */
async function tabTo(page, receiver) {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((name) => document.activeElement?.value === name, receiver)) return;
  }
  throw new Error(`the keyboard does not get to the button of ${receiver}`);
}

for (const colorScheme of ["dark", "light"]) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    test(`a test message shows the provider's answer, ${colorScheme}, ${size}`, async () => {
      const context = await browser.newContext({ viewport, colorScheme });
      const page = await context.newPage();
      const problems = [];
      page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
      page.on("pageerror", (e) => problems.push(String(e)));
      await page.goto(`${yagura.url}/alerts/receivers`, { waitUntil: "load" });
      for (const [receiver, outcome, role, words] of [
        ["chat", "ok", "status", ["chat/webhook[0]", "answered 200", "queued as message 17"]],
        ["pager", "error", "alert", ["pager/webhook[0]", "403", "no such key: <b>ask</b> your administrator"]],
      ]) {
        await tabTo(page, receiver);
        assert.ok(
          await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none"),
          "the focus can be seen",
        );
        await page.keyboard.press("Enter");
        const notice = page.locator(`[data-outcome="${outcome}"]`);
        await notice.waitFor({ timeout: 30_000 });
        const text = await notice.textContent();
        for (const word of words) assert.ok(text.includes(word), `${word} in ${text}`);
        assert.equal(await notice.getAttribute("role"), role);
        assert.ok(await notice.evaluate((e) => e.getBoundingClientRect().bottom <= innerHeight), "it is in sight");
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `the page is ${wide} px wider than the window`);
        assert.deepEqual(await violations(page), []);
        await page.screenshot({ path: join(shots, `receivers-${outcome}-${colorScheme}-${size}.png`) });
      }
      // The page that one is on shows among the tabs, however narrow the window.
      const tab = page.locator('nav [aria-current="page"]', { hasText: "Receivers" });
      assert.ok(await tab.evaluate((e) => e.getBoundingClientRect().right <= innerWidth), "its tab is in sight");
      assert.deepEqual(problems, []);
      await context.close();
    });

    test(`the status page names the receiver that fails, ${colorScheme}, ${size}`, async () => {
      const context = await browser.newContext({ viewport, colorScheme });
      const page = await context.newPage();
      await page.goto(`${yagura.url}/status`, { waitUntil: "load" });
      const notice = page.locator(".notice", { hasText: "pager" });
      await notice.waitFor();
      const text = await notice.textContent();
      assert.ok(text.includes("Messages have not reached the receiver pager (webhook[0])"), text);
      assert.ok(text.includes("403 Forbidden: no such key"), text);
      await page.screenshot({ path: join(shots, `status-receiver-${colorScheme}-${size}.png`) });
      await notice.getByRole("link", { name: "Receivers" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "Receivers" }).waitFor();
      await context.close();
    });
  }
}
