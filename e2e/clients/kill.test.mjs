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
const SOURCES = 7;

describe("kill -9 while sending", () => {
  let server;
  before(async () => { server = await Server.start({ name: "kill" }); });
  after(() => server?.stop());

  /** Sends a file while the server is killed again and again; everything is acknowledged in the end. */
  const sendWhileKilled = async (lines, flags) => {
    const file = join(mkdtempSync(join(tmpdir(), "qgx-kill-")), "events.ndjson");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const child = spawn(
      server.binary,
      ["send", "--to", `127.0.0.1:${server.ingest}`, ...flags, "--as", "qgx", file],
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
  };

  /** Not only as many, but each once: the sum and the extremes of a metric of these sources. */
  const expectEachOnce = async (metric, sources, sum, min, max) => {
    const answer = await server.post("/metrics/query", {
      metric,
      sources,
      aggregate: "sum",
      from: new Date(Date.now() - 3_600_000).toISOString(),
      to: new Date(Date.now() + 60_000).toISOString(),
    });
    const values = answer.series.flatMap((series) => series.values);
    assert.equal(values.reduce((total, value) => total + (value ?? 0), 0), sum);
    assert.equal(answer.extremes.min, min);
    assert.equal(answer.extremes.max, max);
  };

  test(`${EVENTS} events, ${KILLS} kills, none lost and none twice`, { timeout: 1_200_000 }, async () => {
    const lines = [];
    for (let i = 1; i <= EVENTS; i += 1) lines.push(`{"n":${i},"message":"event number ${i}","site":"부산"}`);
    await sendWhileKilled(lines, ["--source", "killed", "--stream", "kill-test"]);
    await server.counted("source:killed", EVENTS, { from: "now-1h" });
    await expectEachOnce("n", ["killed"], (EVENTS * (EVENTS + 1)) / 2, 1, EVENTS);
  });

  test(`the same where each of ${SOURCES} sources is named by its records alone`, { timeout: 1_200_000 }, async () => {
    const lines = [];
    for (let i = 1; i <= EVENTS; i += 1) {
      lines.push(`{"device":"mixed-${i % SOURCES}","m":${i},"message":"event number ${i}","site":"부산"}`);
    }
    await sendWhileKilled(lines, ["--stream", "kill-mixed"]);
    for (let at = 0; at < SOURCES; at += 1) {
      const numbers = [];
      for (let i = at === 0 ? SOURCES : at; i <= EVENTS; i += SOURCES) numbers.push(i);
      await server.counted(`source:mixed-${at}`, numbers.length, { from: "now-1h" });
      const sum = numbers.reduce((total, number) => total + number, 0);
      await expectEachOnce("m", [`mixed-${at}`], sum, numbers[0], numbers.at(-1));
    }
  });
});
