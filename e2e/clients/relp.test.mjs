// rsyslog's omrelp: acknowledged syslog.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server } from "../support/server.mjs";

const RSYSLOGD = process.env.QGX_RSYSLOGD;

/** Whether rsyslog has its RELP output where distributions put it. */
function hasRelp() {
  const libraries = ["/usr/lib", "/usr/lib64", "/lib64"].filter(existsSync);
  const folders = libraries.flatMap((lib) => [lib, ...readdirSync(lib).map((name) => join(lib, name))]);
  return folders.some((folder) => existsSync(join(folder, "rsyslog", "omrelp.so")));
}

const missing =
  RSYSLOGD && hasRelp() ? false : "rsyslogd with omrelp is not installed (Debian: apt install rsyslog rsyslog-relp)";

/** Runs rsyslogd that reads a file and sends each line; ends it when `seen` resolves. */
async function forward({ port, template, tag, lines, seen }) {
  const dir = mkdtempSync(join(tmpdir(), "qgx-relp-"));
  const input = join(dir, "input.log");
  writeFileSync(input, lines.map((line) => `${line}\n`).join(""));
  writeFileSync(
    join(dir, "rsyslog.conf"),
    `global(workDirectory="${dir}")
module(load="imfile" PollingInterval="1")
module(load="omrelp")
input(type="imfile" File="${input}" Tag="${tag}:" Severity="warning" Facility="local3" reopenOnTruncate="off")
action(type="omrelp" target="127.0.0.1" port="${port}" template="${template}" action.resumeInterval="1"
       action.resumeRetryCount="-1")
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

describe("rsyslog omrelp", { skip: missing }, () => {
  let server;
  before(async () => { server = await Server.start({ name: "relp" }); });
  after(() => server?.stop());

  for (const [format, template] of [["RFC 5424", "RSYSLOG_SyslogProtocol23Format"], ["RFC 3164", "RSYSLOG_TraditionalForwardFormat"]]) {
    test(format, async () => {
      const tag = `relp${format.slice(-4)}`;
      const lines = Array.from({ length: 500 }, (_, i) => `펌프 ${tag} 압력 이상 number ${i}`);
      await forward({
        port: server.ingest,
        template,
        tag,
        lines,
        seen: () => server.counted(`${tag} 압력`, lines.length, { from: "now-1h" }),
      });
      const { items } = await server.get("/events", { q: `${tag} "number 7"`, from: "now-1h", to: "now+1h", limit: 5 });
      assert.equal(items.length, 1);
      assert.equal(items[0].level, "warn");
      assert.match(items[0].message, /펌프 .* 압력 이상 number 7$/);
    });
  }
});
