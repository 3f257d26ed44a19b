// The main ways through the user web on a desktop, in Korean, with this machine's own data coming in.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Site, addressed, alive, checkWidth, open, parameter, signIn, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { Plant } from "../support/sample.mjs";
import { sendEvents, sendLines } from "../support/send.mjs";
import { OWNER, until } from "../support/server.mjs";

describe("on a desktop, in Korean", () => {
  let site;
  let sent;
  before(async () => {
    site = await Site.open({ name: "flows", args: [] });
    sent = new Plant().hour();
    await sendEvents(site.server.ingest, sent);
    await site.server.counted("source:db-1 OR source:web-* OR source:gw-* OR source:pump-*", sent.length, { from: "now-2h" });
  });
  after(() => site?.close());

  test("signing in: a protected page asks for it, a wrong password is said so, the right one leads back", async () => {
    await site.visit({ as: "nobody" }, async ({ page, words }) => {
      await page.goto("/explore?q=pump&from=now-1h");
      assert.equal(new URL(page.url()).pathname, "/login");
      await signIn(page, words, "not the password");
      await page.getByRole("alert").filter({ hasText: words.badCredentials }).waitFor();
      assert.equal(page.url().includes("not"), false, "the password is not in the address");
      assert.equal(page.url().includes("password="), false, "the password is not in the address");
      await signIn(page, words, site.password);
      assert.equal(new URL(page.url()).pathname, "/explore");
      assert.equal(parameter(page, "q"), "pump");
      assert.equal(parameter(page, "from"), "now-1h");
    });
  });

  test("without scripts: sign-in, overview, search, an event, pages of results, sources, sign-out", async () => {
    await site.visit({ as: "nobody", scripts: false }, async ({ page, words, watch }) => {
      // A browser without scripts still looks at what is to be preloaded, and then must not.
      watch.allow(/failed request: GET .*\.(js|wasm): csp/);
      await page.goto("/");
      await signIn(page, words, "not the password");
      await page.getByRole("alert").filter({ hasText: words.badCredentials }).waitFor();
      await signIn(page, words, site.password);
      await page.getByRole("heading", { name: words.overview, level: 1 }).waitFor();
      assert.match(await page.locator("dl.kpis").innerText(), /\d/);
      await page.goto("/explore?from=now-1h&to=now");
      await page.getByRole("combobox", { name: words.query }).fill("source:web-1");
      await page.getByRole("button", { name: words.search, exact: true }).click();
      await page.waitForURL(/q=source/);
      const rows = page.locator(".rows [data-row]");
      assert.equal(await rows.count(), 100);
      const first = await rows.first().innerText();
      await page.locator(".more a").click();
      await page.waitForURL(/cursor=/);
      assert.notEqual(await rows.first().innerText(), first, "the next page has other events");
      await rows.first().click();
      await page.locator("dl.kv").filter({ hasText: "received_at" }).waitFor();
      await page.goto("/sources");
      await page.getByRole("link", { name: "web-1" }).first().click();
      await page.getByRole("heading", { name: "web-1" }).waitFor();
      await page.getByLabel(words.personMenu(OWNER.email)).click();
      await page.getByRole("button", { name: words.signOut }).click();
      await page.waitForURL(/\/login/);
    });
  });

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
      await explore.query.press("End");
      await explore.query.pressSequentially('"');
      await explore.mistake.waitFor({ state: "detached" });
      await explore.query.press("Escape");
      await explore.query.press("Enter");
      await addressed(page, "the mended query", (url) => url.searchParams.get("q") === 'level:"error"');
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

  test("another password: the wrong current one is refused, other sessions end, the new one works", async () => {
    await site.visit({}, async ({ page, words, watch }) => {
      watch.allow(/api\/app\/password/);
      await open(page, "/settings/password");
      const change = async (current, next) => {
        await page.getByLabel(words.currentPassword).fill(current);
        await page.getByLabel(words.newPassword).fill(next);
        await page.getByRole("button", { name: words.changePassword }).click();
      };
      await change("not the password", "a brand new password");
      await page.getByRole("alert").waitFor();
      await site.visit({ as: "nobody" }, async ({ page: other }) => {
        await signIn(other, words, site.password);
        await change(site.password, "a brand new password");
        await page.getByRole("status").filter({ hasText: words.passwordChanged }).waitFor();
        await other.goto("/");
        assert.equal(new URL(other.url()).pathname, "/login", "the other session has ended");
        await signIn(other, words, "a brand new password");
        assert.equal(new URL(other.url()).pathname, "/");
      });
      site.password = "a brand new password";
      await page.reload();
      await page.getByRole("heading", { name: words.settings, level: 1 }).waitFor();
    });
  });

  test("signing out leaves nothing behind", async () => {
    await site.visit({ as: "nobody" }, async ({ page, words }) => {
      await signIn(page, words, site.password);
      await alive(page);
      await page.getByLabel(words.personMenu("김하늘")).click();
      await page.getByRole("button", { name: words.signOut }).click();
      await page.waitForURL(/\/login/);
      await page.goto("/settings");
      assert.equal(new URL(page.url()).pathname, "/login");
      await page.goBack();
      await page.goto("/login");
      await signIn(page, words, site.password);
      assert.equal(new URL(page.url()).pathname, "/");
    });
  });

  test("what is not a record does not harm the port that Connect names", async () => {
    const answer = await sendLines(site.server.ingest, ["GET / HTTP/1.1", "host: x", ""]);
    assert.match(answer, /^HTTP\/1\.1 400/);
  });
});
