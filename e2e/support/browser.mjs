// A browser on the real server: contexts as people have them, and everything that goes wrong in a page fails its test.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { OWNER, Server, required, until } from "./server.mjs";
import { WORDS } from "./words.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
];

export const DEVICES = {
  desktop: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

/** How long anything on a page may take to come. Generous: the suite runs on small machines. */
const PATIENCE = { seconds: 15 };

/** Waits for something on a page. */
export const soon = (what, probe, options = {}) => until(what, probe, { ...PATIENCE, every: 50, ...options });

/** Collects what a page must not do: say anything on the console, throw, or ask for what fails. */
class Watch {
  constructor(context) {
    this.complaints = [];
    this.allowed = [];
    context.on("console", (message) => this.note(`console ${message.type()}: ${message.text()} (${message.location().url})`));
    context.on("weberror", (error) => this.note(`uncaught: ${error.error().stack ?? error.error()}`));
    context.on("requestfailed", (request) => {
      // The page itself gave it up: a stream closed, a download begun, a navigation under way.
      const reason = request.failure()?.errorText;
      if (reason !== "net::ERR_ABORTED") this.note(`failed request: ${request.method()} ${request.url()}: ${reason}`);
    });
    context.on("response", (response) => {
      if (response.status() >= 400) this.note(`answer ${response.status()}: ${response.request().method()} ${response.url()}`);
    });
  }

  note(text) { this.complaints.push(text.length > 700 ? `${text.slice(0, 700)} …` : text); }

  /** Names what a test provokes on purpose. */
  allow(...patterns) { this.allowed.push(...patterns); }

  check() {
    const left = this.complaints.filter((text) => !this.allowed.some((pattern) => pattern.test(text)));
    assert.equal(left.length, 0, `the page complained ${left.length} times`);
  }
}

/** A server and a browser that a file of tests shares. */
export class Site {
  static async open({ name, args = ["--no-self-monitor"], env = {} }) {
    const site = new Site();
    site.server = await Server.start({ base: required("QGX_E2E_DATA"), name, args, env });
    try {
      site.browser = await chromium.launch({ executablePath: required("QGX_CHROMIUM"), headless: true, args: FLAGS });
    } catch (error) {
      await site.server.stop();
      throw error;
    }
    site.password = OWNER.password;
    return site;
  }

  async close() {
    await this?.browser?.close();
    await this?.server?.stop();
  }

  /** Signs in once; further visits bring the cookie along. */
  async signedIn() {
    this.state ??= await this.visit({ as: "nobody" }, async ({ page, words }) => {
      await signIn(page, words, this.password);
      return page.context().storageState();
    });
    return this.state;
  }

  /**
   * Runs `body` on a fresh page of a fresh context.
   * `as` is `owner` or `nobody`; `scheme` is what the system prefers.
   */
  async visit({ lang = "ko", device = "desktop", scheme = "light", as = "owner", scripts = true, permissions = [] }, body) {
    const words = WORDS[lang];
    const context = await this.browser.newContext({
      ...DEVICES[device],
      baseURL: this.server.web,
      locale: words.locale,
      timezoneId: "Asia/Seoul",
      colorScheme: scheme,
      reducedMotion: "reduce",
      javaScriptEnabled: scripts,
      permissions,
      storageState: as === "owner" ? await this.signedIn() : undefined,
    });
    context.setDefaultTimeout(PATIENCE.seconds * 1000);
    // Trunk's loader says so once the client has taken the page over.
    await context.addInitScript(() => addEventListener("TrunkApplicationStarted", () => { globalThis.pageIsAlive = true; }));
    const watch = new Watch(context);
    const page = await context.newPage();
    try {
      const result = await body({ page, context, watch, words, site: this, server: this.server });
      watch.check();
      return result;
    } catch (error) {
      this.failures = (this.failures ?? 0) + 1;
      await picture(page, `failed-${this.server.name}-${this.failures}`).catch(() => {});
      throw new Error([error.message, `at ${page.url()}`, ...watch.complaints].join("\n"), { cause: error });
    } finally {
      await context.close();
    }
  }
}

/** Waits until scripts have taken over the page. */
export async function alive(page) {
  await soon("a page taken over by its scripts", () => page.evaluate(() => globalThis.pageIsAlive === true));
}

/** Goes to a path and waits until scripts have taken over. */
export async function open(page, path) {
  const response = await page.goto(path);
  await alive(page);
  return response;
}

/** Fills in the sign-in form of the page in hand, or of `/login`, and sends it. */
export async function signIn(page, words, password, email = OWNER.email) {
  if (!new URL(page.url(), "http://none").pathname.startsWith("/login")) await page.goto("/login");
  await page.getByLabel(words.email, { exact: true }).fill(email);
  await page.getByLabel(words.password, { exact: true }).fill(password);
  const answered = page.waitForEvent("load");
  await page.getByRole("button", { name: words.signIn, exact: true }).click();
  await answered;
}

/** A value of the address bar. */
export const parameter = (page, name) => new URL(page.url()).searchParams.get(name);

/** Waits until the address bar says so. */
export const addressed = (page, what, probe) => soon(what, () => probe(new URL(page.url())) || Promise.reject(new Error(page.url())));

/** Nothing sticks out at the right. */
export async function checkWidth(page) {
  const { wide, room, culprits } = await page.evaluate(() => {
    const root = document.scrollingElement;
    const room = window.innerWidth;
    const out = root.scrollWidth <= room ? [] : [...document.body.querySelectorAll("*")]
      .filter((element) => element.getBoundingClientRect().right > room + 1)
      .slice(0, 5)
      .map((element) => `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}`);
    return { wide: root.scrollWidth, room, culprits: out };
  });
  assert.ok(wide <= room, `${page.url()} is ${wide} px wide on ${room} px: ${culprits.join(", ")}`);
}

/**
 * What axe finds on the page as it is. Its script goes in by the debugger, not by the page, so that the page's
 * Content-Security-Policy stays in force.
 */
export async function axe(page) {
  const session = await page.context().newCDPSession(page);
  try {
    const run = async (expression) => {
      const { result, exceptionDetails } = await session.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
      assert.equal(exceptionDetails, undefined, `axe: ${exceptionDetails?.exception?.description}`);
      return result.value;
    };
    await run(`${AXE};0`);
    const found = JSON.parse(await run("axe.run(document).then((r) => JSON.stringify({ passes: r.passes.length, violations: r.violations }))"));
    assert.ok(found.passes > 10, `axe looked at the page (${found.passes} rules passed)`);
    return found.violations.map((rule) => {
      const where = rule.nodes.slice(0, 4).map((node) => `\n    ${node.target.join(" ")}: ${(node.failureSummary ?? "").split("\n").slice(1).join(" ").trim()}`);
      return `${rule.id} (${rule.impact}): ${rule.help}, ${rule.nodes.length} times${where.join("")}`;
    });
  } finally {
    await session.detach();
  }
}

/** axe finds nothing. */
export async function checkAccess(page, name) {
  const found = await axe(page);
  assert.equal(found.length, 0, `axe on ${name} (${page.url()}):\n  ${found.join("\n  ")}`);
}

/** Takes a picture of what is in view into the pictures folder, or into `file`. */
export async function picture(page, name, file) {
  const folder = required("QGX_PICTURES");
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: file ?? join(folder, `${name}.png`), animations: "disabled", caret: "hide", scale: "css" });
}
