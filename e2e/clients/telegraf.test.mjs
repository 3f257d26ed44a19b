// Telegraf's socket_writer in Influx line protocol.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server, until } from "../support/server.mjs";

const TELEGRAF = process.env.QGX_TELEGRAF;
const missing = TELEGRAF ? false : "telegraf could not be built: it needs Go (go.dev)";

describe("Telegraf socket_writer", { skip: missing }, () => {
  let server;
  before(async () => { server = await Server.start({ name: "telegraf" }); });
  after(() => server?.stop());

  test("numbers of this machine arrive as metrics, with tags and source", async () => {
    const dir = mkdtempSync(join(tmpdir(), "qgx-telegraf-"));
    const config = join(dir, "telegraf.conf");
    writeFileSync(
      config,
      `[agent]
  interval = "1s"
  flush_interval = "1s"
  hostname = "edge-12"
[global_tags]
  site = "부산"
[[inputs.mem]]
[[outputs.socket_writer]]
  address = "tcp://127.0.0.1:${server.ingest}"
  data_format = "influx"
`,
    );
    const child = spawn(TELEGRAF, ["--config", config, "--quiet"], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      const event = await until("a metric of Telegraf", async () => {
        const { items } = await server.get("/events", { q: "kind:metric source:edge-12", from: "now-1h", to: "now+1h", limit: 1 });
        return items[0];
      });
      assert.equal(event.fields.site, "부산");
      const names = Object.keys(event.fields);
      assert.ok(names.some((name) => /used_percent/.test(name)), names.join(" "));
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
  });
});
