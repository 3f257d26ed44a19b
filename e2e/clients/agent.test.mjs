// qgx agent on log files that are rotated both ways while it is killed -9 again and again: every line is there, once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, mkdtempSync, renameSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server, until } from "../support/server.mjs";

const KILLS = 20;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** An agent that can be killed; it keeps its state in `state`. */
class Agent {
  constructor(server, state, ...args) {
    this.args = [
      "agent", "--to", `127.0.0.1:${server.ingest}`, "--source", "tailed", "--state-dir", state, "--log-level", "warn",
      ...args,
    ];
    this.binary = server.binary;
  }

  start() {
    this.child = spawn(this.binary, this.args, { stdio: ["ignore", "ignore", "inherit"] });
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
  }

  async end(signal = "SIGKILL") {
    this.child.kill(signal);
    return this.exited;
  }
}

/** A program that writes numbered lines, and a log rotation that moves, or copies and truncates, its file. */
class Writer {
  constructor(dir, name) {
    this.file = join(dir, name);
    this.written = 0;
    this.rotations = 0;
  }

  write(count, from) {
    let text = "";
    for (let i = 0; i < count; i += 1) text += `{"n":${from()},"message":"줄 ${"x".repeat(60)}"}\n`;
    appendFileSync(this.file, text);
    this.written += count;
  }

  /** As logrotate names them: .1 is the latest. Between copying and truncating, nobody writes here. */
  rotate() {
    this.rotations += 1;
    for (let i = 6; i >= 1; i -= 1) if (existsSync(`${this.file}.${i}`)) renameSync(`${this.file}.${i}`, `${this.file}.${i + 1}`);
    if (!existsSync(this.file)) return;
    if (this.rotations % 2 === 0) {
      renameSync(this.file, `${this.file}.1`);
    } else {
      copyFileSync(this.file, `${this.file}.1`);
      truncateSync(this.file, 0);
    }
  }
}

describe("qgx agent", () => {
  let server;
  before(async () => { server = await Server.start({ name: "agent" }); });
  after(() => server?.stop());

  test(`${KILLS} times kill -9 while files are written and rotated`, { timeout: 120_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "qgx-agent-"));
    let last = 0;
    const next = () => { last += 1; return last; };
    const writers = [new Writer(dir, "one.log"), new Writer(dir, "two.log")];
    // One by its path, one by a pattern that its rotated files match too.
    const agent = new Agent(
      server, join(dir, "state"), "--no-figures", "--from-start", "--tail", writers[0].file, "--tail", join(dir, "two.log*"),
    );
    let writing = true;
    const load = (async () => {
      for (let turn = 1; writing; turn += 1) {
        for (const writer of writers) writer.write(40, next);
        if (turn % 25 === 0) writers[(turn / 25) % 2].rotate();
        await pause(10);
      }
    })();
    for (let kill = 0; kill < KILLS; kill += 1) {
      agent.start();
      await pause(150 + Math.random() * 500);
      await agent.end();
      await pause(Math.random() * 200);
    }
    writing = false;
    await load;
    agent.start();
    try {
      await server.counted("source:tailed", last, { from: "now-1h" });
    } finally {
      assert.equal(await agent.end("SIGTERM"), 0);
    }
    assert.ok(last > 10_000 && writers.every((writer) => writer.rotations >= 4), `${last} lines`);
    // Not only as many, but each once.
    const answer = await server.post("/metrics/query", {
      metric: "n",
      sources: ["tailed"],
      aggregate: "sum",
      from: new Date(Date.now() - 3_600_000).toISOString(),
      to: new Date(Date.now() + 60_000).toISOString(),
    });
    const sum = answer.series[0].values.reduce((total, value) => total + (value ?? 0), 0);
    assert.equal(sum, (last * (last + 1)) / 2);
    assert.deepEqual([answer.extremes.min, answer.extremes.max], [1, last]);
    const { items } = await server.get("/events", { q: "source:tailed", from: "now-1h", limit: 1 });
    assert.match(items[0].fields.file, /(one|two)\.log/);
  });

  test("CP949, lines over the limit, text that looks like JSON, and a server that was away", { timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), "qgx-agent-"));
    const file = join(dir, "mixed.log");
    const stamp = `${new Date(Date.now() - 3_600_000).toISOString().slice(0, 19)}Z`;
    const agent = new Agent(server, join(dir, "state"), "--every", "1", "--from-start", "--tail", file, "--source", "mixed");
    agent.args.splice(agent.args.indexOf("tailed") - 1, 2);
    appendFileSync(file, Buffer.concat([
      Buffer.from(`${stamp} `), Buffer.from([0xb9, 0xe8, 0xbc, 0xdb]), Buffer.from(" mixedone\n"),
      Buffer.alloc(1_200_000, "y"), Buffer.from("\n{main} mixedone started\n"),
    ]));
    await server.kill();
    agent.start();
    await until("figures in the buffer", () => existsSync(join(dir, "state/buffer/stream")));
    await pause(2_500);
    await agent.end();
    await server.launch();
    agent.start();
    try {
      await server.counted("mixedone", 2, { from: "now-2d" });
      await until("figures from while the server was away", async () => await server.count("source:mixed kind:metric", { from: "now-1h" }) >= 2);
    } finally {
      await agent.end("SIGTERM");
    }
    const { items } = await server.get("/events", { q: "mixedone 배송", from: "now-2d", limit: 5 });
    assert.equal(items.length, 1);
    assert.equal(Date.parse(items[0].ts), Date.parse(stamp));
    assert.equal(items[0].fields.charset, "cp949");
    // What was refused does not come back, nor does anything else.
    agent.start();
    appendFileSync(file, "mixedone last\n");
    try {
      await server.counted("mixedone", 3, { from: "now-2d" });
    } finally {
      await agent.end("SIGTERM");
    }
    assert.equal(await server.count("source:mixed kind:log", { from: "now-2d" }), 3);
  });
});
