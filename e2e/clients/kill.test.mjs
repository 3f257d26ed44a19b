// kill -9 at random moments while `qgx send` sends: every acknowledged event is there, once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server } from "../support/server.mjs";

const KILLS = Number(process.env.QGX_KILLS ?? 6);
const EVENTS = KILLS > 10 ? 1_000_000 : 200_000;

describe("kill -9 while sending", () => {
  let server;
  before(async () => { server = await Server.start({ name: "kill" }); });
  after(() => server?.stop());

  test(`${EVENTS} events, ${KILLS} kills, none lost and none twice`, { timeout: 1_200_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "qgx-kill-"));
    const file = join(dir, "events.ndjson");
    const lines = [];
    for (let i = 1; i <= EVENTS; i += 1) lines.push(`{"n":${i},"message":"event number ${i}","site":"부산"}`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    const child = spawn(
      server.binary,
      ["send", "--to", `127.0.0.1:${server.ingest}`, "--source", "killed", "--stream", "kill-test", "--as", "qgx", file],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const sent = new Promise((resolve) => child.once("exit", resolve));
    let done = false;
    sent.then(() => { done = true; });
    let kills = 0;
    while (kills < KILLS && !done) {
      await new Promise((wake) => setTimeout(wake, 150 + Math.random() * 900));
      if (done) break;
      await server.kill();
      kills += 1;
      await server.launch();
    }
    assert.equal(await sent, 0, "qgx send ends with success: everything was acknowledged");
    assert.ok(kills >= Math.min(KILLS, 3), `the server was killed ${kills} times`);
    await server.counted("source:killed", EVENTS, { from: "now-1h" });
    // Not only as many, but each once: the sum and the extremes of 1..N.
    const answer = await server.post("/metrics/query", {
      metric: "n",
      sources: ["killed"],
      aggregate: "sum",
      from: new Date(Date.now() - 3_600_000).toISOString(),
      to: new Date(Date.now() + 60_000).toISOString(),
    });
    const sum = answer.series[0].values.reduce((total, value) => total + (value ?? 0), 0);
    assert.equal(sum, (EVENTS * (EVENTS + 1)) / 2);
    assert.equal(answer.extremes.min, 1);
    assert.equal(answer.extremes.max, EVENTS);
  });
});
