// The way a newcomer takes, in both languages, on a desktop and on a phone.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, addressed, alive, checkWidth, open, parameter, signIn, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { Plant } from "../support/sample.mjs";
import { sendEvents } from "../support/send.mjs";

const PAGES = ["/", "/explore?from=now-1h&to=now", "/sources", "/sources/pump-2?from=now-1h&to=now", "/connect", "/connect?kind=syslog", "/settings", "/settings/password", "/settings/sessions", "/settings/tokens", "/nowhere"];

describe("the essential way", () => {
  let site;
  before(async () => {
    site = await Site.open({ name: "essentials" });
    const sent = new Plant().hour();
    await sendEvents(site.server.ingest, sent);
    await site.server.counted("", sent.length, { from: "now-2h" });
  });
  after(() => site?.close());

  for (const [lang, device] of [["en", "desktop"], ["en", "phone"], ["ko", "phone"]]) {
    const press = (locator) => (device === "phone" ? locator.tap() : locator.click());

    test(`${lang}, ${device}: sign in, overview, explore, tail, an event, connect, sign out`, async () => {
      await site.visit({ lang, device, as: "nobody" }, async ({ page, words, watch }) => {
        await page.goto("/");
        assert.equal(await page.locator("html").getAttribute("lang"), lang);
        await signIn(page, words, "not the password");
        await page.getByRole("alert").filter({ hasText: words.badCredentials }).waitFor();
        await signIn(page, words, site.password);
        await alive(page);
        await page.getByRole("heading", { name: words.overview, level: 1 }).waitFor();
        const today = page.locator("dl.kpis > div").filter({ hasText: words.eventsToday }).locator("dd.value");
        const first = await today.innerText();
        await sendEvents(site.server.ingest, [{ source: "phone-test", level: "warn", message: `hello ${lang} ${device}` }]);
        await soon("the count to move", async () => (await today.innerText()) !== first);
        // Something else may have moved it: what is searched for below must be there first.
        await site.server.counted(`hello ${lang} ${device}`, 1);

        const menu = page.getByRole("navigation", { name: words.mainMenu });
        await press(menu.getByRole("link", { name: words.explore }));
        await addressed(page, "Explore", (url) => url.pathname === "/explore");
        const explore = new ExplorePage(page, words);
        await explore.found();
        await explore.query.fill('"unclosed');
        await explore.query.press("Enter");
        await explore.mistake.filter({ hasText: words.unclosedQuote }).waitFor();
        await explore.search(`hello ${lang}`);
        await explore.found();
        await explore.every("the greeting", (row) => row.message.includes(`hello ${lang}`));
        await press(explore.rows.first());
        await explore.detail.waitFor();
        await explore.detail.getByText("phone-test").waitFor();
        await checkWidth(page);
        await press(explore.detail.getByRole("link", { name: words.around, exact: true }));
        await explore.detail.locator(".around [data-row]").first().waitFor();
        await checkWidth(page);
        await press(explore.detail.getByRole("link", { name: words.close, exact: true }));
        await explore.detail.waitFor({ state: "detached" });
        await press(explore.liveButton);
        await page.locator(".tailing .live:not(.off)").waitFor();
        await sendEvents(site.server.ingest, [{ source: "phone-test", message: `hello ${lang} again ${device}` }]);
        await explore.rows.filter({ hasText: `again ${device}` }).waitFor({ timeout: 2_000 });
        await checkWidth(page);

        await press(menu.getByRole("link", { name: words.connect }));
        await press(page.getByRole("link", { name: /^NDJSON/ }));
        await press(page.getByRole("button", { name: words.makeToken }));
        await page.getByText(words.tokenOnce).waitFor();
        await checkWidth(page);
        const token = (await page.locator(".code pre").first().textContent()).trim();
        await page.locator(".lamp").filter({ hasText: words.lampWaiting }).waitFor();
        await sendEvents(site.server.ingest, [{ source: `new-${lang}-${device}`, message: "connected" }], { token });
        await page.locator(".lamp").filter({ hasText: words.lampOn(`new-${lang}-${device}`) }).waitFor();

        watch.allow(/answer 404: GET .*\/nowhere/, /console error: .*404 .*\/nowhere/);
        for (const path of PAGES) {
          await open(page, path);
          await page.getByRole("heading", { level: 1 }).first().waitFor();
          await checkWidth(page);
        }
        await page.getByRole("heading", { name: words.notFound }).waitFor();
        await page.getByRole("navigation", { name: words.mainMenu }).waitFor();
        await page.locator("main code", { hasText: "/nowhere" }).waitFor();

        await open(page, "/");
        await press(page.locator("details.menu summary.avatar"));
        await press(page.getByRole("button", { name: words.signOut }));
        await page.waitForURL(/\/login/);
      });
    });
  }

  test("on a phone the menu is a bar at the bottom, reached by a thumb", async () => {
    await site.visit({ device: "phone" }, async ({ page, words }) => {
      await open(page, "/");
      const menu = page.getByRole("navigation", { name: words.mainMenu });
      const bar = await menu.boundingBox();
      assert.equal(Math.round(bar.y + bar.height), 844, "it stands at the bottom");
      assert.equal(Math.round(bar.width), 390, "it takes the whole width");
      for (const link of await menu.getByRole("link").all()) {
        if (!(await link.isVisible())) continue;
        const box = await link.boundingBox();
        assert.ok(box.height >= 40 && box.width >= 40, `${await link.innerText()}: ${box.width} × ${box.height}`);
      }
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
      const after = await menu.boundingBox();
      assert.equal(Math.round(after.y + after.height), 844, "it stays there");
    });
  });

  test("on a phone the query takes one line, and is the only search box", async () => {
    await site.visit({ device: "phone" }, async ({ page, words }) => {
      await new ExplorePage(page, words).open("/explore?from=now-1h&to=now");
      assert.ok((await page.locator(".qbar").boundingBox()).height < 56);
      assert.equal(await page.getByRole("search").count(), 1);
      const size = await page.locator(".bars text").first().evaluate((text) => parseFloat(getComputedStyle(text).fontSize));
      assert.ok(size >= 12, `the axis is written in ${size} px`);
    });
  });

  test("another hour is chosen by the picker, by preset and by exact times", async () => {
    await site.visit({ lang: "en" }, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=source%3Adb-1");
      const picker = page.locator("details.range");
      await picker.locator("summary").click();
      await picker.locator(".presets a").nth(2).click();
      await addressed(page, "an hour", (url) => url.searchParams.get("from") === "now-1h");
      assert.equal(parameter(page, "q"), "source:db-1", "the query stays");
      await explore.found();
      await picker.locator("summary").click();
      await page.locator("#range-from").fill("2013-12-16T17:00:00");
      await page.locator("#range-to").fill("2013-12-16T18:00:00");
      await picker.getByRole("button").last().click();
      await addressed(page, "exact times", (url) => (url.searchParams.get("from") ?? "").startsWith("2013"));
      await page.getByText(words.noEvents).waitFor();
    });
  });
});
