// Every page, light and dark, wide and narrow, in both languages: axe finds nothing, nothing sticks out, and a picture
// is left to be looked at.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Site, alive, checkAccess, checkWidth, open, picture, signIn, soon } from "../support/browser.mjs";
import { ExplorePage } from "../support/explore.mjs";
import { Plant, SOURCES } from "../support/sample.mjs";
import { keepSending, sendEvents, sendLines } from "../support/send.mjs";

const HOUR = "from=now-1h&to=now";
/** Where the README's pictures go, where they are wanted. */
const README = process.env.QGX_README_PICTURES;
/** All combinations, in `cargo xtask test --all`. */
const ALL = Boolean(process.env.QGX_ALL_COMBINATIONS) || Boolean(README);

/** Name, and how to get there. A function is told page, words and site. */
const PAGES = [
  ["overview", async ({ page, words }) => {
    await open(page, "/");
    await page.getByRole("status").filter({ hasText: words.live }).first().waitFor();
  }],
  ["explore", async ({ page, words }) => new ExplorePage(page, words).open(`/explore?${HOUR}`)],
  ["explore-query", async ({ page, words }) => {
    await new ExplorePage(page, words).open(`/explore?q=${encodeURIComponent('level>=warn (site:부산 OR "timed out") -source:db-1')}&${HOUR}`);
  }],
  ["explore-mistake", async ({ page, words }) => {
    await open(page, `/explore?q=${encodeURIComponent('부산 AND level:"error')}&${HOUR}`);
    await new ExplorePage(page, words).mistake.waitFor();
  }],
  ["explore-event", async ({ page, words }) => openEvent(page, words)],
  ["explore-raw", async ({ page, words }) => {
    const explore = await openEvent(page, words);
    await explore.detail.getByRole("link", { name: words.raw, exact: true }).click();
    await explore.detail.locator(".code").waitFor();
  }],
  ["explore-around", async ({ page, words }) => {
    const explore = await openEvent(page, words);
    await explore.detail.getByRole("link", { name: words.around, exact: true }).click();
    await explore.detail.locator(".around").waitFor();
  }],
  ["explore-columns", async ({ page, words }) => {
    await new ExplorePage(page, words).open(`/explore?q=${encodeURIComponent("source:web-*")}&${HOUR}&cols=status,duration_ms,client`);
  }],
  ["explore-live", async ({ page, words }) => {
    await new ExplorePage(page, words).open("/explore?live=1");
    await page.locator(".tailing .live:not(.off)").waitFor();
  }],
  ["explore-nothing", async ({ page, words }) => {
    await new ExplorePage(page, words).open("/explore?q=unheard-of");
    await page.getByText(words.noEvents).waitFor();
  }],
  ["explore-elsewhere", async ({ page, words }) => {
    await new ExplorePage(page, words).open("/explore?from=2014-03-01T00:00:00Z&to=2014-03-02T00:00:00Z");
    await page.locator(".empty .btn.primary").waitFor();
  }],
  ["explore-completion", async ({ page, words }) => {
    const explore = new ExplorePage(page, words);
    await explore.open(`/explore?${HOUR}`);
    await explore.query.click();
    await explore.query.pressSequentially("level:");
    await explore.offers.waitFor();
    await page.keyboard.press("ArrowDown");
  }],
  ["range", async ({ page, words }) => {
    await new ExplorePage(page, words).open(`/explore?${HOUR}`);
    await page.locator("details.range summary").click();
  }],
  ["sources", async ({ page }) => open(page, "/sources")],
  ["sources-register", async ({ page, words }) => {
    await open(page, "/sources?panel=new");
    await page.locator("h2").filter({ hasText: words.register }).waitFor();
  }],
  ["sources-import", async ({ page }) => open(page, "/sources?panel=import")],
  ["source", async ({ page }) => {
    await open(page, `/sources/pump-2?${HOUR}`);
    await page.locator(".line-chart canvas").first().waitFor();
  }],
  ["connect", async ({ page }) => open(page, "/connect")],
  ["connect-syslog", async ({ page }) => {
    await open(page, "/connect?kind=syslog");
    await page.locator(".refusals li").first().waitFor();
  }],
  ["profile", async ({ page }) => open(page, "/settings")],
  ["password", async ({ page }) => open(page, "/settings/password")],
  ["sessions", async ({ page }) => {
    await open(page, "/settings/sessions");
    await page.locator(".sess").first().waitFor();
  }],
  ["tokens", async ({ page }) => {
    await open(page, "/settings/tokens");
    await page.locator("table").waitFor();
  }],
  ["masking", async ({ page }) => {
    await open(page, "/settings/masking");
    await page.locator(".mask").first().waitFor();
    await page.locator("#m-text").fill("900101-1234567 010-1234-5678");
    await soon("a text masked", async () => (await page.locator("output").innerText()).includes("*"));
  }],
  ["menu", async ({ page }) => {
    await open(page, "/sources");
    await page.locator("details.menu summary.avatar").click();
  }],
  ["shortcuts", async ({ page }) => {
    await open(page, "/sources");
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
  }],
  ["not-found", async ({ page, watch }) => {
    watch.allow(/answer 404: GET .*\/nowhere/, /console error: .*404 .*\/nowhere/);
    await open(page, "/nowhere");
  }],
];

const SIGNED_OUT = [
  ["login", async ({ page }) => open(page, "/login")],
  ["login-refused", async ({ page, words }) => {
    await signIn(page, words, "not the password");
    await alive(page);
    await page.getByRole("alert").waitFor();
  }],
];

async function openEvent(page, words) {
  const explore = new ExplorePage(page, words);
  await explore.open(`/explore?q=${encodeURIComponent("source:pump-2 level:error")}&${HOUR}`);
  await explore.rows.first().click();
  await explore.detail.locator("dl.kv").waitFor();
  return explore;
}

async function register(server) {
  server.apiToken = await server.token("api", "--name", "e2e", "--role", "editor");
  for (const source of SOURCES) await server.post("/sources", source);
}

async function fill(server) {
  await register(server);
  const sent = new Plant().hour();
  await sendEvents(server.ingest, sent);
  await server.counted("", sent.length, { from: "now-2h" });
  for (const name of ["부산 공장", "울산 공장"]) await server.token("ingest", "--name", name);
  await sendLines(server.ingest, [`AUTH qgx_${"x".repeat(40)}`, "{}"]);
  // A token that nobody knows belongs to no tenant; only where there is a single one are its people shown it.
  await sendLines(server.ingest, [`AUTH ${server.apiToken}`, "{}"]);
}

if (README) describe("the README's picture of Overview", () => {
  // Overview counts arrivals, which cannot be sent in arrears: the plant runs for this long before the picture.
  const MINUTES = 12;
  let site;
  let stream;
  before(async () => {
    site = await Site.open({ name: "readme" });
    await register(site.server);
    const plant = new Plant(Date.now() + 27 * 60_000, 11);
    stream = keepSending(site.server.ingest, () => plant.now(), { perSecond: 18 });
  });
  after(async () => {
    await stream?.stop();
    await site?.close();
  });

  test("after the plant has run for a while", { timeout: (MINUTES + 3) * 60_000 }, async () => {
    mkdirSync(README, { recursive: true });
    await site.visit({}, async ({ page }) => {
      await open(page, "/");
      const today = page.locator("dl.kpis > div").nth(1).locator("dd.value");
      const enough = MINUTES * 60 * 15;
      await soon("the plant's events", async () => parseInt((await today.innerText()).replaceAll(",", ""), 10) > enough, { seconds: (MINUTES + 2) * 60, every: 2_000 });
      await picture(page, "", join(README, "overview.png"));
    });
  });
});

describe("every page", () => {
  let site;
  let stream;
  before(async () => {
    site = await Site.open({ name: "pages" });
    await fill(site.server);
    const plant = new Plant(Date.now(), 7);
    stream = keepSending(site.server.ingest, () => plant.now(), { perSecond: 12 });
  });
  after(async () => {
    await stream?.stop();
    await site?.close();
  });

  for (const lang of ["ko", "en"]) {
    for (const device of ["desktop", "phone"]) {
      for (const scheme of ["light", "dark"]) {
        // Each language, device and scheme in every change, each of their eight combinations in a long run.
        const usual = (lang === "ko") === ((device === "desktop") === (scheme === "light"));
        if (!usual && !ALL) continue;
        const width = device === "phone" ? 390 : 1440;
        for (const [name, go, as] of [...PAGES.map((page) => [...page, "owner"]), ...SIGNED_OUT.map((page) => [...page, "nobody"])]) {
          // A phone has no keyboard, so no list of its shortcuts either.
          if (name === "shortcuts" && device === "phone") continue;
          test(`${name}: ${lang}, ${width}, ${scheme}`, async () => {
            await site.visit({ lang, device, scheme, as }, async (visit) => {
              await go(visit);
              await visit.page.evaluate(() => document.fonts.ready.then(() => true));
              await picture(visit.page, `${name}-${scheme}-${width}-${lang}`);
              await checkWidth(visit.page);
              await checkAccess(visit.page, name);
            });
          });
        }
      }
    }
  }

  if (README) test("the README's picture of Explore", async () => {
    mkdirSync(README, { recursive: true });
    await site.visit({}, async ({ page, words }) => {
      const explore = new ExplorePage(page, words);
      await explore.open(`/explore?q=${encodeURIComponent("site:부산 -level:debug")}&${HOUR}`);
      await picture(page, "", join(README, "explore.png"));
    });
  });
});
