// What browsers are told besides the page: policy, cookies, caches, and who may send forms.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { Site, open } from "../support/browser.mjs";
import { OWNER } from "../support/server.mjs";

/** `fetch` decodes brotli and hides cookies' lines; this shows what travels. */
function raw(url, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, headers }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const credentials = () => new URLSearchParams({ email: OWNER.email, password: OWNER.password }).toString();

describe("beside the page", () => {
  let site;
  let web;
  before(async () => {
    site = await Site.open({ name: "headers" });
    web = site.server.web;
  });
  after(() => site?.close());

  const assets = async () => {
    const html = (await raw(`${web}/login`)).body.toString();
    return [...new Set([...html.matchAll(/(?:href|src|content)="(\/[^"]+\.(?:js|wasm|css))"|["'](\/[^"']+\.(?:js|wasm))["']/g)].map((found) => found[1] ?? found[2]))];
  };

  test("scripts run by nonce alone, a new one for each page", async () => {
    const nonces = [];
    for (const path of ["/login", "/login", "/nowhere"]) {
      const answer = await raw(`${web}${path}`);
      const policy = answer.headers["content-security-policy"];
      const parts = Object.fromEntries(policy.split(";").map((part) => part.trim().split(/\s+/)).map(([name, ...rest]) => [name, rest]));
      assert.deepEqual(parts["default-src"], ["'none'"]);
      assert.equal(parts["script-src"].includes("'unsafe-inline'"), false);
      assert.equal(parts["script-src"].includes("'unsafe-eval'"), false);
      assert.ok(parts["script-src"].includes("'strict-dynamic'"));
      assert.deepEqual(parts["frame-ancestors"], ["'none'"]);
      assert.deepEqual(parts["base-uri"], ["'none'"]);
      assert.deepEqual(parts["form-action"], ["'self'"]);
      assert.equal(parts["style-src"].includes("'unsafe-inline'"), false);
      const nonce = /'nonce-([^']+)'/.exec(policy)[1];
      nonces.push(nonce);
      if (answer.status !== 200) continue;
      const scripts = [...answer.body.toString().matchAll(/<script\b([^>]*)>/g)].map((found) => found[1]);
      assert.ok(scripts.length > 0, "the page has scripts");
      for (const attributes of scripts) assert.ok(attributes.includes(`nonce="${nonce}"`), attributes);
    }
    assert.equal(new Set(nonces).size, nonces.length);
  });

  test("an injected inline script does not run", async () => {
    await site.visit({}, async ({ page, watch }) => {
      watch.allow(/Content Security Policy|Content-Security-Policy/);
      await open(page, "/");
      await page.evaluate(() => {
        const script = document.createElement("div");
        script.innerHTML = "<img src='data:,' onerror='globalThis.injected = true'>";
        document.body.append(script);
        return new Promise((done) => { addEventListener("securitypolicyviolation", done, { once: true }); });
      });
      assert.equal(await page.evaluate(() => globalThis.injected), undefined);
    });
  });

  test("pages carry what keeps browsers from doing more than we ask", async () => {
    for (const path of ["/login", "/icon.svg", "/nowhere"]) {
      const { headers } = await raw(`${web}${path}`);
      assert.equal(headers["x-content-type-options"], "nosniff", path);
      assert.equal(headers["x-frame-options"], "DENY", path);
      assert.equal(headers["referrer-policy"], "same-origin", path);
      assert.equal(headers["cross-origin-opener-policy"], "same-origin", path);
      assert.match(headers["permissions-policy"] ?? "", /geolocation=\(\)/, path);
      assert.equal(headers["x-powered-by"], undefined);
    }
  });

  test("the session's cookie is out of reach of scripts and of other sites, and new at each sign-in", async () => {
    const signIn = (cookie) => raw(`${web}/api/app/login`, { method: "POST", headers: { ...FORM, origin: web, accept: "text/html", referer: `${web}/login`, ...(cookie ? { cookie } : {}) }, body: credentials() });
    const first = await signIn();
    assert.ok([302, 303].includes(first.status), String(first.status));
    const line = first.headers["set-cookie"].find((cookie) => cookie.startsWith("qgx_app="));
    assert.match(line, /; HttpOnly/);
    assert.match(line, /; SameSite=Lax/);
    assert.match(line, /; Path=\//);
    const cookie = line.split(";")[0];
    const again = await signIn(cookie);
    const other = again.headers["set-cookie"].find((text) => text.startsWith("qgx_app=")).split(";")[0];
    assert.notEqual(other, cookie, "signing in makes a new id");
    const stale = await raw(`${web}/settings`, { headers: { cookie } });
    assert.deepEqual([stale.status, stale.headers.location], [303, "/login?next=%2Fsettings"], "the id of before is worth nothing");
    const page = await raw(`${web}/settings`, { headers: { cookie: other } });
    assert.equal(page.status, 200);
    assert.match(page.headers["cache-control"] ?? "", /no-store|private|no-cache/, "pages with a person's data stay out of shared caches");
  });

  test("forms of other sites are refused", async () => {
    const post = (headers) => raw(`${web}/api/app/login`, { method: "POST", headers: { ...FORM, ...headers }, body: credentials() });
    for (const headers of [{ origin: "http://evil.example" }, { origin: "null" }, { origin: `${web}0` }, { "sec-fetch-site": "cross-site" }]) {
      const answer = await post(headers);
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.equal(answer.headers["set-cookie"], undefined);
    }
  });

  test("sign-in sends nobody to another site", async () => {
    for (const next of ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]) {
      const answer = await raw(`${web}/api/app/login`, {
        method: "POST",
        headers: { ...FORM, origin: web, accept: "text/html", referer: `${web}/login` },
        body: `${credentials()}&next=${encodeURIComponent(next)}`,
      });
      const target = new URL(answer.headers.location, web);
      assert.equal(target.origin, web, next);
      assert.equal(target.pathname, "/", next);
    }
  });

  test("hashed assets are kept for ever and travel as brotli; others are asked for anew", async () => {
    const found = await assets();
    for (const kind of [".js", ".wasm", ".css"]) assert.ok(found.some((path) => path.endsWith(kind)), `${kind} among ${found}`);
    for (const path of found) {
      const packed = await raw(`${web}${path}`, { headers: { "accept-encoding": "gzip, br" } });
      assert.equal(packed.status, 200, path);
      assert.equal(packed.headers["cache-control"], "public, max-age=31536000, immutable", path);
      assert.equal(packed.headers["content-encoding"], "br", path);
      assert.match(packed.headers.vary, /accept-encoding/i, path);
      const plain = await raw(`${web}${path}`, { headers: { "accept-encoding": "identity" } });
      assert.equal(plain.headers["content-encoding"], undefined, path);
      assert.ok(packed.body.length < plain.body.length, path);
      assert.notEqual(packed.headers.etag, plain.headers.etag, path);
      const known = await raw(`${web}${path}`, { headers: { "accept-encoding": "br", "if-none-match": packed.headers.etag } });
      assert.equal(known.status, 304, path);
      if (path.endsWith(".wasm")) assert.equal(packed.headers["content-type"], "application/wasm");
    }
    const icon = await raw(`${web}/icon.svg`);
    assert.equal(icon.headers["cache-control"], "no-cache");
    assert.equal((await raw(`${web}/index.html`)).status, 404, "the bundler's page is not a page of ours");
  });
});
