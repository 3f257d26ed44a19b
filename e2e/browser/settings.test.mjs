// What people settle, on a desktop in Korean: profile, sessions, tokens.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, alive, open, signIn, soon } from "../support/browser.mjs";
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
      assert.equal((await page.content()).includes(token), false, "a token is shown only once");
      await row.locator("summary").click();
      await row.getByRole("button", { name: words.revoke, exact: true }).click();
      await row.getByText(words.revoked, { exact: true }).waitFor();
      await until("the token refused", async () => (await ask()).status === 401, { seconds: 10 });
    });
  });
});
