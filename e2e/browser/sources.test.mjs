// What sends, on a desktop in Korean: Overview, sources and Connect, with this machine's own data coming in.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, addressed, alive, checkWidth, open, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { Plant } from "../support/sample.mjs";
import { sendEvents, sendLines } from "../support/send.mjs";

describe("what sends", () => {
  let site;
  before(async () => {
    site = await Site.open({ name: "sources", args: [] });
    const sent = new Plant().hour();
    await sendEvents(site.server.ingest, sent);
    await site.server.counted("source:db-1 OR source:web-* OR source:gw-* OR source:pump-*", sent.length, { from: "now-2h" });
  });
  after(() => site?.close());

  test("the overview moves by itself", async () => {
    await site.visit({}, async ({ page, words }) => {
      await open(page, "/");
      await page.getByRole("status").filter({ hasText: words.live }).first().waitFor();
      const today = page.locator("dl.kpis > div").filter({ hasText: words.eventsToday }).locator("dd.value");
      const first = await today.innerText();
      await soon("another count of events", async () => (await today.innerText()) !== first, { seconds: 5 });
      const rate = page.locator("dl.kpis > div").first().locator("dd.value");
      assert.match(await rate.innerText(), /\/s/);
      // What is sent now shows at once: a notable event and its source.
      const mark = `눈에 띄는 일 ${Date.now()}`;
      await sendEvents(site.server.ingest, [{ source: "pump-9", level: "error", message: mark }]);
      await page.locator("[data-row]").filter({ hasText: mark }).waitFor({ timeout: 5_000 });
      await page.locator("[data-row]").filter({ hasText: mark }).click();
      await addressed(page, "the event in Explore", (url) => url.pathname === "/explore" && url.searchParams.has("event"));
      await new ExplorePage(page, words).detail.getByText(mark).waitFor();
    });
  });

  test("sources: the list finds one; its page has values, charts with a table, and events", async () => {
    await site.visit({}, async ({ page, words }) => {
      await open(page, "/sources");
      const rows = page.locator("table [data-row]");
      await soon("every source", async () => (await rows.count()) >= 9);
      await page.getByRole("searchbox", { name: words.findSource }).fill("pump-");
      await page.getByRole("searchbox", { name: words.findSource }).press("Enter");
      await addressed(page, "the search", (url) => url.searchParams.get("search") === "pump-");
      await soon("pumps only", async () => (await rows.allInnerTexts()).every((text) => text.startsWith("pump-")));
      await rows.filter({ hasText: "pump-2" }).click();
      await page.getByRole("heading", { name: "pump-2", level: 1 }).waitFor();
      await page.getByRole("region", { name: words.latestValues }).getByText("temperature").waitFor();
      await page.goto(`${new URL(page.url()).pathname}?from=now-1h&to=now`);
      await alive(page);
      await page.locator(".line-chart canvas").first().waitFor();
      assert.ok((await page.locator(".line-chart canvas").count()) >= 3);
      // Under the crosshair: the time and the value, in the page's own words, on every chart at once.
      await page.locator(".line-chart .u-over").first().hover();
      await page.locator(".line-chart .tip:not([hidden])").nth(2).waitFor();
      assert.match(await page.locator(".line-chart .tip").first().innerText(), /\d\d:\d\d[\s\S]*\d/);
      assert.equal(await page.getByText("Time:").count(), 0);
      // A number that only its logs have is charted as well.
      await page.locator(".chips a").filter({ hasText: /^limit$/ }).click();
      await page.locator(".charts section").first().filter({ hasText: "limit" }).locator("canvas").waitFor();
      const table = page.locator(".chart-table").first();
      await table.locator("summary").click();
      await soon("the numbers of the chart", async () => (await table.locator("tbody tr").count()) > 20);
      await page.locator("section").filter({ has: page.locator("#recent") }).locator("[data-row]").first().waitFor();
    });
  });

  test("connecting: a wrong token is refused with its reason, the right one turns the light green", async () => {
    await site.visit({}, async ({ page, words }) => {
      await open(page, "/connect");
      await page.getByRole("link", { name: /^NDJSON/ }).click();
      await page.getByLabel(words.tokenName).fill("라인 3 게이트웨이");
      await page.getByRole("button", { name: words.makeToken }).click();
      await page.getByText(words.tokenOnce).waitFor();
      const token = (await page.locator(".code pre").first().textContent()).trim();
      assert.match(token, /^qgx_[A-Za-z0-9]{40}$/);
      const config = await page.locator(".code pre").nth(1).textContent();
      assert.ok(config.includes(`AUTH ${token}`), config);
      assert.ok(config.includes(String(site.server.ingest)), config);
      const lamp = page.locator(".lamp");
      await lamp.filter({ hasText: words.lampWaiting }).waitFor();
      await sendEvents(site.server.ingest, [{ source: "line-3", message: "?" }], { token: `${token.slice(0, -3)}xyz` });
      await lamp.filter({ hasText: words.lampRefused }).waitFor();
      const refusals = page.locator(".refusals");
      await refusals.getByText(words.badToken).first().waitFor();
      assert.match(await refusals.innerText(), new RegExp(words.badTokenRemedy));
      await sendEvents(site.server.ingest, [{ source: "line-3", message: "첫 이벤트", temperature: 21.5 }], { token });
      await lamp.filter({ hasText: words.lampOn("line-3") }).waitFor();
      assert.match(await lamp.getAttribute("class"), /\bon\b/);
      await checkWidth(page);
    });
  });

  for (const lang of ["ko", "en"]) {
    test(`numbers have the units that their names tell, and a band around the mean (${lang})`, async () => {
      await site.visit({ lang }, async ({ page, words }) => {
        const source = `boiler-${lang}`;
        const now = Date.now();
        // Several values a step: a mean with a least and a greatest around it.
        const sent = Array.from({ length: 600 }, (_, i) => ({
          ts: new Date(now - (600 - i) * 5_000).toISOString(), source, kind: "metric",
          load_pct: 40 + (i % 7), memory_bytes: 16_000_000_000 + (i % 5) * 1_000_000_000, water_celsius: 61.5, flow: 3.25,
        }));
        await sendEvents(site.server.ingest, sent);
        await site.server.counted(`source:${source}`, sent.length);
        await open(page, `/sources/${source}?from=now-1h&to=now`);
        const tile = (name) => page.getByRole("region", { name: words.latestValues }).getByRole("link").filter({ hasText: name }).locator(".v");
        assert.match(await tile("load_pct").innerText(), /^4\d%$/);
        assert.match(await tile("memory_bytes").innerText(), /^(1\d|20) GB$/);
        assert.equal(await tile("water_celsius").innerText(), "61.5 °C");
        assert.equal(await tile("flow").innerText(), "3.25", "no unit is guessed");
        const chart = page.locator(".charts section").filter({ hasText: "memory_bytes" });
        await chart.locator("canvas").waitFor();
        assert.match(await chart.locator(".extremes").innerText(), /16 GB[\s\S]*20 GB/);
        await chart.locator(".u-over").hover();
        await chart.locator(".tip:not([hidden])").waitFor();
        assert.match(await chart.locator(".tip").innerText(), new RegExp(`GB[\\s\\S]*${words.least}[\\s\\S]*GB[\\s\\S]*${words.greatest}[\\s\\S]*GB`));
        await chart.locator(".chart-table summary").click();
        await soon("the band in the table", async () => (await chart.locator("thead th").allInnerTexts()).slice(2).join() === [words.least, words.greatest].join());
        // Where every value of a step is the same there is no band.
        const flat = page.locator(".charts section").filter({ hasText: "water_celsius" });
        await flat.locator(".chart-table summary").click();
        await soon("one column of values", async () => (await flat.locator("thead th").count()) === 2);
      });
    });
  }

  test("a notable event of another day says which", async () => {
    await site.visit({}, async ({ page }) => {
      const mark = `어제의 일 ${Date.now()}`;
      const at = new Date(Date.now() - 24 * 3_600_000 + 60_000);
      await sendEvents(site.server.ingest, [{ ts: at.toISOString(), source: "pump-7", level: "critical", message: mark }]);
      await open(page, "/");
      await page.locator(".live:not(.off)").first().waitFor();
      // What comes late is pushed as well, so that it stands there whatever else is new.
      await sendEvents(site.server.ingest, [{ ts: at.toISOString(), source: "pump-7", level: "critical", message: `${mark} 2` }]);
      const time = page.locator("[data-row]").filter({ hasText: `${mark} 2` }).locator("time");
      await time.waitFor();
      const date = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Seoul", month: "2-digit", day: "2-digit" }).format(at);
      assert.ok((await time.innerText()).includes(`${date} `), `${await time.innerText()} has ${date}`);
    });
  });

  test("what is not a record does not harm the port that Connect names", async () => {
    const answer = await sendLines(site.server.ingest, ["GET / HTTP/1.1", "host: x", ""]);
    assert.match(answer, /^HTTP\/1\.1 400/);
  });
});

describe("more new sources than a day may have", () => {
  let site;
  before(async () => { site = await Site.open({ name: "crowd", env: { QGX_INGEST_NEW_SOURCES_PER_DAY: "3" } }); });
  after(() => site?.close());

  for (const lang of ["ko", "en"]) {
    test(`they are kept under the token's, and Overview and Connect say so (${lang})`, async () => {
      const token = await site.server.token("ingest", "--name", `crowd-${lang}`);
      await site.server.get("/sources");
      // The first record of a process only makes it learn which sources there are.
      await sendEvents(site.server.ingest, [{ source: "known", message: "first" }], { token });
      await site.server.counted("source:known", lang === "ko" ? 1 : 2);
      const names = Array.from({ length: 20 }, (_, i) => `crowd-${lang}-${i}`);
      await sendEvents(site.server.ingest, names.map((source) => ({ source, message: "?" })), { token });
      // Each event is there, and found by the name it gave.
      const kept = lang === "ko" ? 17 : 20;
      await site.server.counted(`source:"crowd-${lang}"`, kept);
      await site.server.counted(`fields.source:crowd-${lang}-19`, 1);
      await site.visit({ lang }, async ({ page, words }) => {
        await open(page, "/");
        await page.getByRole("status").filter({ hasText: words.tooManySources(lang === "ko" ? "17" : "37") }).waitFor();
        await open(page, "/connect?kind=ndjson");
        await page.locator(".refusals").getByText(words.tooManySourcesWhy).first().waitFor();
      });
    });
  }
});
