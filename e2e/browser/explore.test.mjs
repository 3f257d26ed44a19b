// Finding events on a desktop, in Korean: the query, the histogram, the facets, the list, one event.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Site, addressed, open, parameter, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { Plant } from "../support/sample.mjs";
import { sendEvents } from "../support/send.mjs";

describe("exploring events", () => {
  let site;
  before(async () => {
    site = await Site.open({ name: "explore", args: [] });
    const sent = new Plant().hour();
    await sendEvents(site.server.ingest, sent);
    await site.server.counted("source:db-1 OR source:web-* OR source:gw-* OR source:pump-*", sent.length, { from: "now-2h" });
  });
  after(() => site?.close());

  test("a mistake in a query is shown by its caret and mended", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?from=now-1h&to=now");
      await explore.query.fill('level:"error');
      await explore.query.press("Escape");
      await explore.query.press("Enter");
      await explore.mistake.waitFor();
      const said = await explore.mistake.innerText();
      assert.ok(said.includes(words.unclosedQuote), said);
      assert.ok(said.includes(words.atCharacter(7)), said);
      const [text, caret] = (await explore.mistake.locator("pre").textContent()).split("\n");
      assert.equal(text.trim(), 'level:"error');
      assert.equal(caret.trim() && caret.indexOf("^"), 'level:'.length, `the caret stands under the quote: ${JSON.stringify(caret)}`);
      assert.equal(await explore.query.getAttribute("aria-invalid"), "true");
      assert.ok((await explore.rows.count()) > 10, "what was found before stays in sight");
      await page.locator(".results.stale[inert]").waitFor();
      await explore.query.press("End");
      await explore.query.pressSequentially('"');
      await explore.mistake.waitFor({ state: "detached" });
      await explore.query.press("Escape");
      await explore.query.press("Enter");
      await addressed(page, "the mended query", (url) => url.searchParams.get("q") === 'level:"error"');
      await page.locator(".results:not(.stale)").waitFor();
      await explore.found();
      await explore.every("an error", (row) => row.level === "error");
      // A level that there is none of, with the remedy beside it.
      await explore.query.fill("level:eror");
      await explore.query.press("Escape");
      await explore.query.press("Enter");
      await explore.mistake.waitFor();
      assert.match(await explore.mistake.innerText(), /eror[\s\S]*error/);
    });
  });

  test("completion by keyboard: field, then value, then search", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?from=now-1h&to=now");
      await page.keyboard.press("/");
      await soon("the query to have the focus", () => explore.query.evaluate((input) => input === document.activeElement));
      await page.keyboard.type("lev");
      await explore.offers.waitFor();
      await page.keyboard.press("ArrowDown");
      await explore.offers.getByRole("option", { selected: true }).filter({ hasText: "level" }).waitFor();
      await page.keyboard.press("Enter");
      await soon("level: in the query", async () => (await explore.query.inputValue()) === "level:");
      await explore.offers.waitFor();
      for (let steps = 0; steps < 12; steps += 1) {
        await page.keyboard.press("ArrowDown");
        const chosen = explore.offers.getByRole("option", { selected: true });
        await chosen.waitFor();
        if ((await chosen.innerText()).startsWith("error")) break;
      }
      await page.keyboard.press("Enter");
      await soon("the level in the query", async () => (await explore.query.inputValue()).trim() === "level:error");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Enter");
      await addressed(page, "the query in the address", (url) => url.searchParams.get("q") === "level:error");
      await explore.every("an error", (row) => row.level === "error");
      // Values of a field of the data, Korean ones too.
      await explore.query.fill("operator:");
      await explore.offers.getByRole("option").filter({ hasText: "김민수" }).waitFor();
    });
  });

  test("dragging over the histogram narrows the window; Back takes it back", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=source%3Aweb-*&from=now-1h&to=now");
      const all = await explore.hits();
      await explore.drag(0.3, 0.5);
      await addressed(page, "a fixed window", (url) => Number.isFinite(Date.parse(url.searchParams.get("from"))));
      const width = Date.parse(parameter(page, "to")) - Date.parse(parameter(page, "from"));
      assert.ok(width > 8 * 60_000 && width < 16 * 60_000, `a fifth of an hour and a little: ${width / 60_000} min`);
      assert.equal(parameter(page, "q"), "source:web-*");
      await soon("fewer hits", async () => { const hits = await explore.hits(); return hits > 0 && hits < all; });
      await explore.every("in the window", (row) => Date.parse(row.time) >= Date.parse(parameter(page, "from")) && Date.parse(row.time) < Date.parse(parameter(page, "to")));
      await page.goBack();
      await addressed(page, "the window of before", (url) => url.searchParams.get("from") === "now-1h");
      await soon("as many hits as before", async () => (await explore.hits()) > all * 0.95);
      // The same by keyboard.
      await explore.chart.focus();
      await page.keyboard.press("Home");
      for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowRight");
      for (let i = 0; i < 9; i += 1) await page.keyboard.press("Shift+ArrowRight");
      await page.keyboard.press("Enter");
      await addressed(page, "a fixed window", (url) => Number.isFinite(Date.parse(url.searchParams.get("from"))));
    });
  });

  test("nothing found: the list has the whole width", async () => {
    await site.visit({}, async ({ page }) => {
      await open(page, "/explore?q=source%3Anobody&from=now-1h&to=now");
      await page.locator(".explore .empty").waitFor();
      const [all, list] = await Promise.all([".explore", ".explore > section"].map((at) => page.locator(at).boundingBox()));
      assert.equal(list.width, all.width);
    });
  });

  test("facets on a phone: folded above the list, a press shows them", async () => {
    await site.visit({ device: "phone" }, async ({ page }) => {
      await open(page, "/explore?from=now-1h&to=now");
      const fold = page.locator(".facets > .fold");
      await fold.waitFor();
      assert.equal(await page.locator(".facet").first().isVisible(), false);
      assert.ok((await fold.boundingBox()).y < (await page.locator(".rows").boundingBox()).y);
      await fold.locator("summary").click();
      await page.locator(".facet").first().waitFor();
    });
  });

  test("facets: a click keeps a value, Shift or the second button leaves it out", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=-source%3Aweb-*&from=now-1h&to=now");
      const pump = explore.facets.getByRole("link").filter({ hasText: /^pump-2/ });
      const expected = Number((await pump.innerText()).replace("pump-2", "").replace(/\D/g, ""));
      await pump.click();
      await addressed(page, "the source in the query", (url) => /source:"?pump-2"?/.test(url.searchParams.get("q")));
      await explore.hitsAre(expected);
      await explore.every("pump-2", (row) => row.source === "pump-2");
      await explore.facets.locator("li").filter({ hasText: "critical" }).first().hover();
      await explore.facets.getByRole("link", { name: words.exclude("critical") }).click();
      await addressed(page, "the level left out", (url) => url.searchParams.get("q").includes("-level:critical"));
      await explore.every("not critical", (row) => row.level !== "critical");
      await page.goBack();
      await explore.hitsAre(expected);
      await explore.facets.getByRole("link").filter({ hasText: /^error/ }).click({ modifiers: ["Shift"] });
      await addressed(page, "the level left out", (url) => url.searchParams.get("q").includes("-level:error"));
    });
  });

  test("facets: what every event has stands first, fields with many values are folded with their count", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=source%3Aweb-*&from=now-1h&to=now");
      const all = explore.facets.locator("details.facet");
      await all.nth(2).waitFor();
      const names = await all.locator("summary h3 > :first-child").allInnerTexts();
      assert.deepEqual(names.slice(0, 3), [words.level, words.source, words.kind]);
      const client = all.filter({ has: page.locator("summary", { hasText: "client" }) });
      assert.equal(await client.getAttribute("open"), null, "addresses are too many to choose among");
      assert.ok(Number((await client.locator("summary").innerText()).replace(/\D/g, "")) > 24);
      await client.locator("summary").click();
      await client.getByRole("link").first().waitFor();
    });
  });

  test("an event opens with its fields, its original and its surroundings; the address keeps it", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open(`/explore?q=${encodeURIComponent('level:error source:pump-2')}&from=now-1h&to=now`);
      await explore.rows.first().click();
      await explore.detail.waitFor();
      assert.ok(parameter(page, "event"), "the event is in the address");
      const fields = explore.detail.locator("dl.kv");
      for (const name of ["ts", "source", "message", "level", "limit", "site", "temperature", "received_at", "id"]) {
        await fields.locator("dt").filter({ hasText: new RegExp(`^${name}$`) }).waitFor();
      }
      await explore.detail.getByRole("link", { name: words.raw, exact: true }).click();
      const json = JSON.parse(await explore.detail.locator(".code pre").last().textContent());
      assert.equal(json.source, "pump-2");
      assert.equal(json.fields.limit, 85);
      await explore.detail.getByRole("link", { name: words.around, exact: true }).click();
      await explore.detail.locator(".around [data-row]").nth(2).waitFor();
      assert.equal(parameter(page, "tab"), "around");
      const times = await explore.detail.locator(".around time").evaluateAll((all) => all.map((time) => Date.parse(time.dateTime)));
      assert.deepEqual(times, [...times].sort((a, b) => a - b), "the surroundings are in the order of time");
      const shared = page.url();
      await page.keyboard.press("Escape");
      await addressed(page, "no event", (url) => !url.searchParams.has("event"));
      await explore.detail.waitFor({ state: "detached" });
      await page.goBack();
      await explore.detail.locator(".around").waitFor();
      await site.visit({}, async ({ page: other, words: same }) => {
        const theirs = new ExplorePage(other, same);
        await theirs.open(shared);
        await theirs.detail.locator(".around [aria-current=true]").waitFor();
        assert.equal(await theirs.detail.locator(".around [data-row]").count(), times.length);
        assert.deepEqual((await theirs.table()).slice(0, 10), (await explore.table()).slice(0, 10));
      });
    });
  });

  test("live tail shows what is sent within two seconds, and pauses", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=source%3Atail-test");
      await explore.liveButton.click();
      await addressed(page, "live", (url) => url.searchParams.get("live") === "1");
      await page.locator(".tailing .live:not(.off)").waitFor();
      const send = (message) => sendEvents(site.server.ingest, [{ source: "tail-test", message }]);
      await send("첫째 줄");
      await explore.rows.filter({ hasText: "첫째 줄" }).waitFor({ timeout: 2_000 });
      await page.getByRole("button", { name: words.pause, exact: true }).click();
      await send("둘째 줄");
      await page.getByText(words.waiting("1")).waitFor();
      assert.equal(await explore.rows.filter({ hasText: "둘째 줄" }).count(), 0, "a paused tail stands still");
      await page.getByRole("button", { name: words.goOn, exact: true }).click();
      await explore.rows.filter({ hasText: "둘째 줄" }).waitFor();
      assert.match((await explore.table())[0].message, /둘째 줄/, "the newest is on top");
    });
  });

  test("export downloads every hit as NDJSON and as CSV", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      const to = new Date().toISOString();
      await explore.open(`/explore?${new URLSearchParams({ q: "source:gw-*", from: new Date(Date.now() - 3_600_000).toISOString(), to })}`);
      const hits = await explore.hits();
      assert.ok(hits > 100, `more than a page: ${hits}`);
      const fetchAs = async (format) => {
        await page.getByLabel(words.exportMenu, { exact: true }).click();
        const started = page.waitForEvent("download");
        await page.getByRole("link", { name: format, exact: true }).click();
        return readFileSync(await (await started).path(), "utf8");
      };
      const lines = (await fetchAs("NDJSON")).trim().split("\n").map((line) => JSON.parse(line));
      assert.equal(lines.length, hits);
      assert.ok(lines.every((event) => event.source.startsWith("gw-")));
      const csv = await fetchAs("CSV");
      assert.equal(csv.trim().split("\n").length, hits + 1);
      assert.match(csv, /게이트웨이|센서/);
    });
  });

  test("arrivals outside the window are named, with a way to them", async () => {
    await site.visit({}, async ({ page, words }) => {
      const old = Array.from({ length: 7 }, (_, i) => ({ ts: `2013-12-16T17:${20 + i}:00+09:00`, source: "museum", message: `옛 기록 ${i}` }));
      await sendEvents(site.server.ingest, old);
      await site.server.counted("source:museum", old.length);
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=source%3Amuseum");
      await page.getByRole("status").filter({ hasText: words.outside("7") }).waitFor();
      await page.getByRole("link", { name: words.showThem }).click();
      await explore.hitsAre(old.length);
      await explore.every("a museum piece", (row) => row.source === "museum");
      await page.getByText(words.outside("")).waitFor({ state: "detached" });
      // Nor is what comes in now a matter of a window of then, which somebody chose.
      await explore.search("");
      await explore.hitsAre(old.length);
      assert.equal(await page.locator(".results .notice").count(), 0);
    });
  });

  for (const lang of ["ko", "en"]) {
    test(`an empty window says where the nearest data lies (${lang})`, async () => {
      await site.visit({ lang }, async ({ page, words }) => {
        const old = Array.from({ length: 3 }, (_, i) => ({ ts: `2013-12-16T17:${20 + i}:00+09:00`, source: `attic-${lang}`, message: `옛 기록 ${i}` }));
        await sendEvents(site.server.ingest, old);
        await site.server.counted(`source:attic-${lang}`, old.length);
        const explore = new ExplorePage(page, words);
        await explore.open(`/explore?q=source%3Aattic-${lang}&from=2014-03-01T00:00:00Z&to=2014-03-02T00:00:00Z`);
        await page.getByRole("link", { name: words.nearest(words.museumDay) }).click();
        await addressed(page, "the day in Seoul", (url) => Date.parse(url.searchParams.get("from")) === Date.parse("2013-12-16T00:00:00+09:00"));
        await explore.hitsAre(old.length);
        await explore.open("/explore?q=source%3Anobody");
        await page.getByText(words.noEvents).waitFor();
        await page.waitForLoadState("networkidle").catch(() => {});
        assert.equal(await page.getByRole("link", { name: words.nearest("") }).count(), 0, "nothing matches anywhere");
      });
    });

    test(`added columns have headings, and go by pointer and by keyboard (${lang})`, async () => {
      await site.visit({ lang }, async ({ page, words }) => {
        const explore = new ExplorePage(page, words);
        await explore.open("/explore?q=source%3Aweb-*&from=now-1h&to=now&cols=status,duration_ms,client");
        const heads = page.locator(".heads .cell");
        assert.deepEqual(await heads.allInnerTexts(), ["status", "duration_ms", "client"]);
        const [head, cell] = await Promise.all([heads.nth(1), explore.rows.first().locator(".cell").nth(1)].map((at) => at.boundingBox()));
        assert.ok(Math.abs(head.x - cell.x) < 1 && Math.abs(head.width - cell.width) < 1, `a heading stands over its column: ${head.x} ${cell.x}`);
        await page.getByRole("link", { name: words.removeColumn("duration_ms") }).click();
        await addressed(page, "two columns", (url) => url.searchParams.get("cols") === "status,client");
        await soon("two headings", async () => (await heads.count()) === 2);
        await page.getByRole("link", { name: words.removeColumn("status") }).focus();
        await page.keyboard.press("Enter");
        await addressed(page, "a column", (url) => url.searchParams.get("cols") === "client");
        await page.getByRole("link", { name: words.removeColumn("client") }).focus();
        await page.keyboard.press("Enter");
        await heads.first().waitFor({ state: "detached" });
        assert.equal(parameter(page, "cols"), null);
      });
    });
  }

  test("a long list keeps few rows in the document and loads on as one scrolls", async () => {
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open("/explore?q=source%3Aweb-*&from=now-2h&to=now");
      const seen = new Set();
      await soon("more than three pages of rows", async () => {
        for (const row of await explore.rows.evaluateAll((rows) => rows.map((row) => row.href))) seen.add(row);
        await page.mouse.wheel(0, 1_500);
        return seen.size > 320;
      });
      assert.ok((await explore.rows.count()) < 150, "only the rows in view are in the document");
    });
  });
});
