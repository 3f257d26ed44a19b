// Eight processes with one role each on Kafka, MySQL and OpenSearch: what only they can get wrong.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { sendEvents } from "../support/send.mjs";
import { OWNER, until } from "../support/server.mjs";
import { SplitServer } from "../support/split.mjs";

/** Reads a live stream until `done` says so; answers its messages. */
async function listen(url, headers, done, { seconds = 30 } = {}) {
  const leave = new AbortController();
  const timer = setTimeout(() => leave.abort(), seconds * 1000);
  const messages = [];
  try {
    const answer = await fetch(url, { headers, signal: leave.signal });
    assert.ok(answer.ok, `${url}: ${answer.status}`);
    let text = "";
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("");
        if (data) messages.push(JSON.parse(data));
      }
      if (done(messages)) return messages;
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  } finally {
    clearTimeout(timer);
    leave.abort();
  }
  throw new Error(`it did not come within ${seconds} s: ${JSON.stringify(messages.slice(-5))}`);
}

/** Cookies of a signed-in person at a web role, by its sign-in through the REST API of the same host. */
async function signIn(server) {
  const answer = await fetch(`${server.api}/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: OWNER.email, password: OWNER.password }),
  });
  assert.ok(answer.ok, `sign-in: ${answer.status}`);
  return answer.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
}

const sum = (messages) => messages.filter((m) => m.type === "totals").reduce((all, m) => all + m.events, 0);
const events = (source, count) => Array.from({ length: count }, (_, n) => ({ source, level: "info", message: `number ${n}`, n }));

describe("eight processes", () => {
  let server;
  before(async () => {
    server = await SplitServer.start({ name: "roles" });
    console.log(`idle: ${server.memory()}`);
  });
  after(() => server?.stop());

  test("every process tells of itself, and listens for its role alone", async () => {
    const answer = await until("all eight on the live bus", async () => {
      const body = await (await server.pipeline()).json();
      if (body.processes.length !== 8) throw new Error(`${body.processes.length} processes`);
      return body;
    });
    const roles = answer.processes.map((process) => process.roles.join());
    assert.deepEqual(roles.sort(), ["back", "front", "front", "ingestion", "ingestion", "processor", "processor", "processor"]);
    assert.equal((await server.pipeline(31104)).status, 200, "each processor answers");
    assert.equal((await server.pipeline(31102, null)).status, 401);
    assert.equal((await server.pipeline(31102, "another key of the tests")).status, 401);
    for (const process of server.processes) {
      assert.equal(await (await fetch(`${process.managementUrl}/readyz`)).text(), "ready\n");
    }
  });

  test("what comes in at either ingestion is found, and is live at every web role", async () => {
    const headers = { authorization: `Bearer ${await server.token("api")}` };
    const live = listen(`${server.api}/live?q=source:live-*&totals=true`, headers, (messages) => {
      const tailed = messages.filter((m) => m.type === "tail").reduce((all, m) => all + m.events.length + m.omitted, 0);
      return tailed >= 40 && sum(messages) >= 40;
    });
    const cookie = await signIn(server);
    const second = listen(`${server.web2}/api/app/live?totals=1`, { cookie }, (messages) => sum(messages) >= 40);
    // A tail is known to the processors a moment after its page is there.
    await new Promise((wake) => setTimeout(wake, 3000));
    await sendEvents(server.ingest, events("live-1", 20));
    await sendEvents(server.ingest2, events("live-2", 20));
    const messages = await live;
    assert.equal(sum(await second), 40, "each second is the sum of three processors, once");
    const tailed = messages.filter((m) => m.type === "tail").flatMap((m) => m.events.map((event) => event.source));
    assert.equal(tailed.filter((source) => source === "live-1").length, 20);
    assert.equal(tailed.filter((source) => source === "live-2").length, 20);
    await server.counted("source:live-*", 40);
  });

  test("a revoked token's connection is closed within five seconds", async () => {
    const { token, id } = await server.made("ingest", "--name", "to-revoke");
    const closed = await new Promise((resolve, reject) => {
      const socket = connect(server.ingest2, "127.0.0.1");
      let text = "";
      let since;
      socket.setEncoding("utf8");
      socket.on("error", reject);
      socket.on("data", (more) => {
        text += more;
        if (since === undefined && text.startsWith("OK ")) {
          since = Date.now();
          server.cli("token", "revoke", "--data-dir", join(server.dataDir, "cli"), "--tenant", "default", id).catch(reject);
        }
      });
      socket.on("close", () => resolve({ text, took: Date.now() - since }));
      socket.write(`HELLO {"token":"${token}","source":"revoked"}\n`);
    });
    assert.match(closed.text, /ERR \{"code":"revoked_token"/);
    assert.ok(closed.took < 6000, `${closed.took} ms, the command's own start included`);
  });

  test("processors share the partitions, and one that is killed leaves nothing behind", { timeout: 240_000 }, async () => {
    const COUNT = 60_000;
    const file = join(mkdtempSync(join(tmpdir(), "qgx-split-")), "events.ndjson");
    const lines = Array.from({ length: COUNT }, (_, n) => `{"n":${n + 1},"message":"event number ${n + 1}"}`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    const send = (port, source) => new Promise((resolve, reject) => {
      const token = ["--token", server.ingestToken];
      const child = spawn(
        server.binary,
        ["send", "--to", `127.0.0.1:${port}`, ...token, "--source", source, "--stream", "s", "--as", "qgx", file],
        { stdio: ["ignore", "ignore", "inherit"] },
      );
      child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`qgx send ended with ${code}`))));
    });
    server.ingestToken = await server.token("ingest", "--name", "split");
    const sources = ["killed-a", "killed-b", "killed-c", "killed-d"];
    const sent = Promise.all(sources.map((source, at) => send(at % 2 ? server.ingest2 : server.ingest, source)));
    await until("some are stored", async () => (await server.count("source:killed-*")) > 1000);
    console.log(`under load: ${server.memory()}`);
    await server.of("processor-2").kill();
    await server.of("ingestion-2").kill();
    await server.launch();
    await server.of("processor-1").kill();
    await sent;
    // The two that are left have its partitions.
    for (const source of sources) {
      await until(`${source} whole`, async () => {
        const total = await server.count(`source:${source}`);
        if (total !== COUNT) throw new Error(`${total} events`);
        return true;
      }, { seconds: 120 });
      const answer = await server.post("/metrics/query", {
        metric: "n",
        sources: [source],
        aggregate: "sum",
        from: new Date(Date.now() - 3_600_000).toISOString(),
        to: new Date(Date.now() + 60_000).toISOString(),
      });
      const total = answer.series[0].values.reduce((all, value) => all + (value ?? 0), 0);
      assert.equal(total, (COUNT * (COUNT + 1)) / 2, `${source}: each once`);
    }
    await server.launch();
  });

  test("a page of the second web role shows it all", async () => {
    const answer = await fetch(`${server.web2}/login`);
    assert.equal(answer.status, 200);
    const overview = await server.get("/sources", { limit: 50 });
    assert.ok(overview.items.some((source) => source.key === "live-2"));
  });
});
