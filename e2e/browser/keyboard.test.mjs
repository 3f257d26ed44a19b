// The user web by the keyboard alone, on a desktop in Korean.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, addressed, open, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { Plant } from "../support/sample.mjs";
import { sendEvents } from "../support/send.mjs";

describe("the keyboard", () => {
  let site;
  before(async () => {
    site = await Site.open({ name: "keyboard" });
    const sent = new Plant().hour();
    await sendEvents(site.server.ingest, sent);
    await site.server.counted("source:db-1 OR source:web-* OR source:gw-* OR source:pump-*", sent.length, { from: "now-2h" });
  });
  after(() => site?.close());

  test("the keyboard alone: search, go to, help, rows", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await open(page, "/");
      await page.keyboard.press("/");
      await soon("the search box to have the focus", () => page.locator("#search").evaluate((input) => input === document.activeElement));
      await page.keyboard.type("펌프");
      assert.equal(await page.locator("#search").inputValue(), "펌프", "letters typed there are no shortcuts");
      await page.locator("#search").blur();
      await page.keyboard.press("g");
      await page.keyboard.press("e");
      await addressed(page, "Explore", (url) => url.pathname === "/explore");
      await explore.found();
      await page.keyboard.press("?");
      const help = page.getByRole("dialog", { name: words.shortcuts });
      await help.waitFor();
      await page.keyboard.press("Escape");
      await help.waitFor({ state: "detached" });
      await page.keyboard.press("g");
      await page.keyboard.press("o");
      await addressed(page, "Overview", (url) => url.pathname === "/");
      await explore.open("/explore?q=source%3Aweb-*&from=now-1h&to=now");
      const focused = () => explore.rows.evaluateAll((rows) => rows.indexOf(document.activeElement));
      await page.keyboard.press("j");
      await soon("the first row to have the focus", async () => (await focused()) === 0);
      await page.keyboard.press("j");
      await soon("the second row to have the focus", async () => (await focused()) === 1);
      await page.keyboard.press("k");
      await soon("the first row to have the focus again", async () => (await focused()) === 0);
      await page.keyboard.press("Enter");
      await explore.detail.waitFor();
      // The first stop of the tab key is the way past the menu.
      await open(page, "/sources");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), "#main");
      await page.keyboard.press("Enter");
      await soon("the content to have the focus", () => page.evaluate(() => document.activeElement.id === "main"));
    });
  });
});
