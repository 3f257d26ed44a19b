// What people settle, on a desktop in Korean: profile, sessions, tokens.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, alive, checkAccess, checkWidth, open, signIn, soon } from "../support/browser.mjs";
import { sendEvents } from "../support/send.mjs";
import { until } from "../support/server.mjs";

describe("settings", () => {
  let site;
  before(async () => { site = await Site.open({ name: "settings" }); });
  after(() => site?.close());

  test("the profile: another name, another language and back, themes that stay", async () => {
    await site.visit({}, async ({ page, words }) => {
      await open(page, "/settings");
      await page.getByLabel(words.name, { exact: true }).fill("김하늘");
      await page.getByRole("button", { name: words.save, exact: true }).click();
      await page.getByRole("status").filter({ hasText: words.saved }).waitFor();
      await page.getByLabel(words.personMenu("김하늘")).waitFor();

      const main = page.locator("main");
      await main.getByRole("button", { name: "English" }).click();
      await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
      await soon("the page's language", async () => (await page.locator("html").getAttribute("lang")) === "en");
      await soon("the language kept", async () => (await (await page.request.get("/settings")).text()).includes("<html lang=\"en\""));
      await page.reload();
      await alive(page);
      await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
      await main.getByRole("button", { name: "한국어" }).click();
      await page.getByRole("heading", { name: words.settings, level: 1 }).waitFor();
      await soon("the language kept", async () => (await (await page.request.get("/settings")).text()).includes("<html lang=\"ko\""));

      const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await background();
      for (const [name, theme] of [[words.dark, "dark"], [words.light, "light"], [words.system, null]]) {
        await main.getByRole("button", { name, exact: true }).click();
        await soon(`${name} in force`, async () => (await page.locator("html").getAttribute("data-theme")) === theme);
        await soon(`${name} kept`, async () => {
          const [, html] = /<html([^>]*)>/.exec(await (await page.request.get("/settings")).text());
          return theme ? html.includes(`data-theme="${theme}"`) : !html.includes("data-theme");
        });
        await page.reload();
        await alive(page);
        assert.equal(await page.locator("html").getAttribute("data-theme"), theme, `${name} after a reload`);
        assert.equal((await background()) === light, theme !== "dark", `the colours of ${name}`);
      }
    });
  });

  test("sessions: another one is listed and ended", async () => {
    await site.visit({}, async ({ page, words }) => {
      await site.visit({ as: "nobody", device: "phone" }, async ({ page: other, watch }) => {
        await signIn(other, words, site.password);
        await open(other, "/");
        await open(page, "/settings/sessions");
        const rows = page.locator(".sess");
        await rows.filter({ hasText: words.thisBrowser }).waitFor();
        const before = await rows.count();
        assert.ok(before >= 2, `${before} sessions`);
        // The newest stands first among the others.
        await rows.filter({ has: page.getByRole("button", { name: words.endSession, exact: true }) }).first().getByRole("button").click();
        await soon("one session less", async () => (await rows.count()) === before - 1);
        for (let left = before - 2; left > 0; left -= 1) {
          await rows.getByRole("button", { name: words.endSession, exact: true }).first().click();
          await soon(`${left} sessions`, async () => (await rows.count()) === left);
        }
        watch.allow(/40[13]/);
        await other.goto("/");
        assert.equal(new URL(other.url()).pathname, "/login", "an ended session signs in anew");
        await page.reload();
        await page.locator(".sess").filter({ hasText: words.thisBrowser }).waitFor();
      });
    });
  });

  test("API tokens: made, shown and copied once, used, revoked", async () => {
    await site.visit({ permissions: ["clipboard-read", "clipboard-write"] }, async ({ page, words }) => {
      await open(page, "/settings/tokens");
      await page.getByLabel(words.kind, { exact: true }).selectOption("api");
      await page.locator("#t-role").selectOption("editor");
      await page.getByLabel(words.tokenName).fill("보고서");
      await page.getByRole("button", { name: words.makeToken }).click();
      await page.getByText(words.tokenOnce).waitFor();
      await page.getByRole("region", { name: "보고서" }).getByRole("button", { name: words.copy }).click();
      const token = await page.evaluate(() => navigator.clipboard.readText());
      assert.match(token, /^qgx_[A-Za-z0-9]{40}$/);
      const ask = () => fetch(`${site.server.api}/sources`, { headers: { authorization: `Bearer ${token}` } });
      assert.equal((await ask()).status, 200);
      await page.reload();
      await alive(page);
      const row = page.getByRole("row").filter({ hasText: "보고서" });
      await row.waitFor();
      assert.match(await row.innerText(), new RegExp(words.editor), "the role in words");
      assert.equal((await page.content()).includes(token), false, "a token is shown only once");
      await row.locator("summary").click();
      await row.getByRole("button", { name: words.revoke, exact: true }).click();
      await row.getByText(words.revoked, { exact: true }).waitFor();
      await until("the token refused", async () => (await ask()).status === 401, { seconds: 10 });
    });
  });

  for (const [lang, device] of [["ko", "desktop"], ["en", "phone"]]) {
    test(`masking rules: tried, added, changed, taken away (${lang}, ${device})`, async () => {
      await site.visit({ lang, device }, async ({ page, words }) => {
        await open(page, "/settings");
        // What an account has chosen goes before what its browser asks for.
        await page.locator("main").getByRole("button", { name: lang === "ko" ? "한국어" : "English" }).click();
        await page.getByRole("navigation", { name: words.settings }).getByRole("link", { name: words.masking }).click();
        const rules = page.locator(".mask");
        await rules.filter({ hasText: words.resident }).waitFor();
        assert.equal(await rules.count(), 1, "what holds where nobody has said anything");
        const output = page.locator("output");
        const add = page.getByRole("region", { name: words.addRule });
        assert.equal(await add.getByLabel(words.pattern, { exact: true }).isVisible(), false);
        await page.getByLabel(words.tryIt).fill("김하늘 900101-1234567 사번 EMP-123456");
        await soon("the text masked by the rule in force", async () => (await output.innerText()) === "김하늘 900101-******* 사번 EMP-123456");
        await page.getByLabel(words.what, { exact: true }).selectOption({ label: words.ownPattern });
        await add.getByLabel(words.pattern, { exact: true }).fill("EMP-######");
        await soon("the text masked by both", async () => (await output.innerText()) === "김하늘 900101-******* 사번 **********");
        await add.getByLabel(words.pattern, { exact: true }).fill("EMP-\\");
        await soon("no text by half a pattern", async () => (await output.innerText()) === "–");
        await add.getByLabel(words.pattern, { exact: true }).fill("EMP-######");
        await add.getByRole("button", { name: words.addRule }).click();
        await soon("two rules", async () => (await rules.count()) === 2);
        // It holds for what comes in.
        const source = `masked-${lang}`;
        await until("a masked event", async () => {
          await sendEvents(site.server.ingest, [{ source, message: "EMP-123456" }]);
          return (await site.server.get("/events", { q: `source:${source}`, limit: 5 })).items.some((event) => event.message === "**********");
        }, { seconds: 15, every: 1_000 });
        const own = rules.filter({ hasText: words.ownPattern });
        await own.getByLabel(words.how, { exact: true }).selectOption("drop");
        await own.getByLabel(words.pattern, { exact: true }).fill("EMP-###");
        await own.getByRole("button", { name: words.save, exact: true }).click();
        await soon("the rule changed", async () => (await own.locator("input[name=was]").inputValue()) === "pattern drop EMP-###");
        await page.reload();
        await alive(page);
        await soon("the rule kept", async () => (await own.locator("input[name=pattern]").inputValue()) === "EMP-###");
        await checkWidth(page);
        await checkAccess(page, "masking rules");
        await own.getByRole("button", { name: words.takeAway, exact: true }).click();
        await soon("one rule", async () => (await rules.count()) === 1);
      });
    });
  }
});
