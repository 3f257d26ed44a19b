// rsyslog's omfwd over TCP, in both framings and both message formats.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server } from "../support/server.mjs";

const RSYSLOGD = process.env.QGX_RSYSLOGD;
const missing = RSYSLOGD ? false : "rsyslogd is not installed (Debian: apt install rsyslog)";

/** Runs rsyslogd that reads a file and forwards each line; ends it when `seen` resolves. */
async function forward({ port, framing, template, tag, lines, seen }) {
  const dir = mkdtempSync(join(tmpdir(), "qgx-rsyslog-"));
  const input = join(dir, "input.log");
  writeFileSync(input, lines.map((line) => `${line}\n`).join(""));
  writeFileSync(
    join(dir, "rsyslog.conf"),
    `global(workDirectory="${dir}")
module(load="imfile" PollingInterval="1")
input(type="imfile" File="${input}" Tag="${tag}:" Severity="warning" Facility="local3" reopenOnTruncate="off")
action(type="omfwd" target="127.0.0.1" port="${port}" protocol="tcp" TCP_Framing="${framing}"
       template="${template}" action.resumeRetryCount="-1")
`,
  );
  const child = spawn(RSYSLOGD, ["-n", "-f", join(dir, "rsyslog.conf"), "-i", join(dir, "pid")], {
    stdio: ["ignore", "ignore", "inherit"],
    // RFC 3164 stamps carry no zone: they are read in the tenant's.
    env: { ...process.env, TZ: "Asia/Seoul" },
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    await seen();
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
}

describe("rsyslog omfwd", { skip: missing }, () => {
  let server;
  before(async () => { server = await Server.start({ name: "rsyslog" }); });
  after(() => server?.stop());

  for (const framing of ["traditional", "octet-counted"]) {
    for (const [format, template] of [["RFC 5424", "RSYSLOG_SyslogProtocol23Format"], ["RFC 3164", "RSYSLOG_TraditionalForwardFormat"]]) {
      test(`${framing} framing, ${format}`, async () => {
        const tag = `t${framing === "traditional" ? "n" : "o"}${format.slice(-4)}`;
        const lines = Array.from({ length: 200 }, (_, i) => `펌프 ${tag} 압력 이상 number ${i}`);
        await forward({
          port: server.ingest,
          framing,
          template,
          tag,
          lines,
          seen: () => server.counted(`${tag} 압력`, lines.length, { from: "now-1h" }),
        });
        const { items } = await server.get("/events", { q: `${tag} "number 7"`, from: "now-1h", to: "now+1h", limit: 5 });
        assert.equal(items.length, 1);
        assert.equal(items[0].level, "warn");
        assert.match(items[0].message, /펌프 .* 압력 이상 number 7$/);
        assert.equal(items[0].kind, "log");
      });
    }
  }
});
