// Signing in and out, with scripts and without, on a desktop in Korean.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, alive, open, parameter, signIn } from "../support/browser.mjs";
import { Plant } from "../support/sample.mjs";
import { sendEvents } from "../support/send.mjs";
import { OWNER } from "../support/server.mjs";

describe("signing in and out", () => {
  let site;
  before(async () => {
    site = await Site.open({ name: "signing" });
    const sent = new Plant().hour();
    await sendEvents(site.server.ingest, sent);
    await site.server.counted("source:db-1 OR source:web-* OR source:gw-* OR source:pump-*", sent.length, { from: "now-2h" });
  });
  after(() => site?.close());

  test("signing in: a protected page asks for it, a wrong password is said so, the right one leads back", async () => {
    await site.visit({ as: "nobody" }, async ({ page, words }) => {
      await page.goto("/explore?q=pump&from=now-1h");
      assert.equal(new URL(page.url()).pathname, "/login");
      await alive(page);
      await signIn(page, words, "not the password");
      await page.getByRole("alert").filter({ hasText: words.badCredentials }).waitFor();
      await alive(page);
      await page.locator("#password:focus").waitFor();
      assert.equal(await page.getByLabel(words.email, { exact: true }).inputValue(), OWNER.email, "the e-mail is kept");
      assert.equal(page.url().includes("not"), false, "the password is not in the address");
      assert.equal(page.url().includes("password="), false, "the password is not in the address");
      await signIn(page, words, site.password);
      assert.equal(new URL(page.url()).pathname, "/explore");
      assert.equal(parameter(page, "q"), "pump");
      assert.equal(parameter(page, "from"), "now-1h");
    });
  });

  test("without scripts: sign-in, overview, search, an event, pages of results, sources, a token, sign-out", async () => {
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
      // A token's secret is shown once, by the page that follows the form.
      await page.goto("/settings/tokens");
      await page.getByLabel(words.tokenName).fill("보고서");
      await page.getByRole("button", { name: words.makeToken }).click();
      await page.getByText(words.tokenOnce).waitFor();
      const secret = (await page.locator(".code pre").first().textContent()).trim();
      assert.match(secret, /^qgx_[A-Za-z0-9]{40}$/);
      await page.goto("/settings/tokens");
      await page.getByText("보고서").waitFor();
      assert.equal((await page.content()).includes(secret), false, "a token is shown only once");
      await page.getByLabel(words.personMenu(OWNER.email)).click();
      await page.getByRole("button", { name: words.signOut }).click();
      await page.waitForURL(/\/login/);
    });
  });

  test("another password: the wrong current one is refused, other sessions end, the new one works", async () => {
    await site.visit({}, async ({ page, words }) => {
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
      await page.getByLabel(words.personMenu(OWNER.email)).click();
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
});
