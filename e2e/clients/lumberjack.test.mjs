// go-lumber, the Lumberjack v2 client of Beats: plain and compressed windows, each acknowledged.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { Server } from "../support/server.mjs";

const run = promisify(execFile);
const LUMBERJACK = process.env.QGX_LUMBERJACK;
const missing = LUMBERJACK ? false : "the go-lumber client could not be built: it needs Go (go.dev)";

describe("go-lumber", { skip: missing }, () => {
  let server;
  before(async () => { server = await Server.start({ name: "lumberjack" }); });
  after(() => server?.stop());

  for (const compress of [0, 3]) {
    test(compress ? "compressed windows" : "plain windows", async () => {
      const tag = `lumber${compress}`;
      const to = `127.0.0.1:${server.ingest}`;
      const options = ["-to", to, "-tag", tag, "-windows", "20", "-size", "100", "-compress", `${compress}`];
      const { stdout } = await run(LUMBERJACK, options);
      assert.equal(stdout.trim(), "2000", "acknowledged");
      await server.counted(`${tag} 압력`, 2000, { from: "now-1h" });
      const { items } = await server.get("/events", { q: `${tag} value:77`, from: "now-1h", to: "now+1h", limit: 5 });
      assert.equal(items.length, 1);
      assert.equal(items[0].source, `beat-${tag}`);
      assert.equal(items[0].fields["fields.site"], "부산");
      assert.match(items[0].message, /number 77$/);
    });
  }
});
