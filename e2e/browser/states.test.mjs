// What pages look like with nothing to show, while they wait, when the server fails, and when it goes away.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, checkAccess, checkWidth, open, picture, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { sendEvents } from "../support/send.mjs";

describe("with nothing to show", () => {
  let site;
  before(async () => { site = await Site.open({ name: "empty" }); });
  after(() => site?.close());

  for (const [name, path, text] of [
    ["overview", "/", "nothingYet"],
    ["explore", "/explore", "noEvents"],
    ["sources", "/sources", "noSources"],
    ["tokens", "/settings/tokens", "noTokens"],
  ]) {
    for (const device of ["desktop", "phone"]) {
      test(`${name} says what to do, ${device}`, async () => {
        await site.visit({ device }, async ({ page, words }) => {
          await open(page, path);
          await page.getByText(words[text]).first().waitFor();
          await picture(page, `empty-${name}-light-${device === "phone" ? 390 : 1440}-ko`);
          await checkWidth(page);
          await checkAccess(page, `empty ${name}`);
        });
      });
    }
  }

  test("the first event turns the empty overview into a full one", async () => {
    await site.visit({}, async ({ page, words }) => {
      await open(page, "/");
      await page.getByText(words.nothingYet).waitFor();
      await page.getByRole("status").filter({ hasText: words.live }).first().waitFor();
      // The command to paste, and a token in it at the press of a button.
      const command = page.locator(".empty .code pre").first();
      assert.match(await command.innerText(), new RegExp(`qgx agent --to \\S+:${site.server.ingest} `));
      await page.locator(".empty form button").click();
      await soon("the token in the command", async () => /--token qgx_[A-Za-z0-9]{40}$/.test((await command.innerText()).trim()));
      await sendEvents(site.server.ingest, [{ source: "first-1", level: "error", message: "첫 이벤트" }]);
      await page.getByText(words.nothingYet).waitFor({ state: "detached" });
      await page.locator("[data-row]").filter({ hasText: "첫 이벤트" }).waitFor();
      await page.locator("table [data-row]").filter({ hasText: "first-1" }).waitFor();
    });
  });
});

describe("when answers are late or bad", () => {
  let site;
  before(async () => {
    site = await Site.open({ name: "states" });
    await sendEvents(site.server.ingest, Array.from({ length: 40 }, (_, i) => ({ source: "s-1", level: "info", message: `line ${i}` })));
    await site.server.counted("", 40);
  });
  after(() => site?.close());

  test("a page that waits shows where things will be", async () => {
    await site.visit({}, async ({ page, words }) => {
      await open(page, "/sources");
      let release;
      const held = new Promise((resolve) => { release = resolve; });
      await page.route(/\/api\/app\/(search|histogram|facets)/, async (route) => {
        await held;
        await route.continue();
      });
      await page.getByRole("link", { name: words.explore }).first().click();
      await page.locator(".bones").first().waitFor();
      await picture(page, "loading-explore-light-1440-ko");
      release();
      const explore = new ExplorePage(page, words);
      await explore.found();
      await explore.hitsAre(40);
    });
  });

  test("an answer that fails is said, with the request's number, and can be tried again", async () => {
    await site.visit({}, async ({ page, words, watch }) => {
      watch.allow(/answer 500: POST .*\/api\/app\/search/, /console error: .*500 .*\/api\/app\/search/);
      const explore = new ExplorePage(page, words);
      await explore.open("/explore");
      let failures = 0;
      const problem = { type: "about:blank", title: words.serverError, status: 500, detail: "…", code: "internal", request_id: "4f1d2c", errors: [] };
      await page.route(/\/api\/app\/search/, async (route) => {
        failures += 1;
        if (failures > 1) return route.continue();
        return route.fulfill({ status: 500, headers: { "content-type": "application/json", serverfnerror: "/api/app/search" }, body: JSON.stringify(problem) });
      });
      await explore.search("line");
      const alert = page.getByRole("alert").filter({ hasText: words.serverError });
      await alert.waitFor();
      assert.match(await alert.innerText(), /4f1d2c/);
      await picture(page, "failing-explore-light-1440-ko");
      await checkAccess(page, "failing explore");
      await alert.getByRole("button", { name: words.tryAgain }).click();
      await explore.rows.first().waitFor();
    });
  });

  test("a server that goes away is noticed, and followed again when it is back", async () => {
    await site.visit({}, async ({ page, words, watch }) => {
      watch.allow(/ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_NETWORK|answer 503/);
      await open(page, "/");
      const mark = page.getByRole("status");
      await mark.filter({ hasText: words.live }).first().waitFor();
      await site.server.kill();
      await mark.filter({ hasText: words.reconnecting }).first().waitFor();
      await picture(page, "lost-overview-light-1440-ko");
      await site.server.launch();
      await soon("the stream open again", async () => (await mark.filter({ hasText: words.reconnecting }).count()) === 0, { seconds: 30 });
      await sendEvents(site.server.ingest, [{ source: "s-1", level: "error", message: "돌아왔다" }]);
      await page.locator("[data-row]").filter({ hasText: "돌아왔다" }).waitFor();
    });
  });
});
