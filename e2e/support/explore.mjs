// What tests do on Explore.
import { alive, open, soon } from "./browser.mjs";

export class ExplorePage {
  constructor(page, words) {
    this.page = page;
    this.words = words;
    this.query = page.getByRole("combobox", { name: words.query, exact: true });
    this.mistake = page.locator("#query-error");
    this.offers = page.getByRole("listbox", { name: words.completions });
    this.rows = page.locator(".rows [data-row]");
    this.facets = page.getByRole("complementary", { name: words.facets });
    this.chart = page.getByRole("application");
    this.detail = page.getByRole("complementary", { name: words.event, exact: true });
    this.liveButton = page.getByRole("button", { name: words.liveTail, exact: true });
  }

  async open(address = "/explore") {
    await open(this.page, address);
    await this.found();
  }

  /** Presses Search. */
  async search(text) {
    await this.query.fill(text);
    await this.query.press("Escape");
    await this.query.press("Enter");
    await soon(`the address to say ${text}`, () => new URL(this.page.url()).searchParams.get("q") === (text || null));
  }

  /** Waits until a search has answered. */
  async found() {
    await alive(this.page);
    await this.page.locator("#hits").waitFor();
    await this.page.locator("#events").waitFor();
  }

  /** The count above the histogram. */
  async hits() {
    return Number((await this.page.locator("#hits").innerText()).replace(/\D/g, ""));
  }

  async hitsAre(count) {
    await soon(`${count} hits`, async () => {
      const hits = await this.hits();
      if (hits !== count) throw new Error(`${hits} hits at ${this.page.url()}`);
      return true;
    });
  }

  /** The rows in the document: time, level, source, message. */
  async table() {
    return this.rows.evaluateAll((rows) => rows.map((row) => {
      const [time, level, source, message] = row.children;
      return { time: time.getAttribute("datetime"), level: level.innerText.trim().toLowerCase(), source: source.innerText.trim(), message: message.innerText.trim() };
    }));
  }

  /** Every row in the document is so. */
  async every(what, probe) {
    await soon(`rows, each ${what}`, async () => {
      const rows = await this.table();
      const odd = rows.find((row) => !probe(row));
      if (odd) throw new Error(JSON.stringify(odd));
      return rows.length > 0;
    });
  }

  /** Drags over the histogram, from and to as shares of its width. */
  async drag(from, to) {
    await this.chart.scrollIntoViewIfNeeded();
    const box = await this.chart.boundingBox();
    const y = box.y + box.height / 2;
    await this.page.mouse.move(box.x + box.width * from, y);
    await this.page.mouse.down();
    await this.page.mouse.move(box.x + (box.width * (from + to)) / 2, y, { steps: 4 });
    await this.page.mouse.move(box.x + box.width * to, y, { steps: 4 });
    await this.page.mouse.up();
  }
}
