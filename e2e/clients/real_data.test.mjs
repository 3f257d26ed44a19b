// Real logs, real Korean, real measurements: every word found as often as grep finds it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server, until } from "../support/server.mjs";

const DATA = process.env.QGX_REAL_DATA;
const missing = DATA ? false : "QGX_REAL_DATA is not set: it names the folder of the real data";

function send(port, bytes) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(bytes));
    socket.on("error", reject);
    socket.on("close", resolve);
    socket.resume();
  });
}

describe("real data", { skip: missing }, () => {
  let server;
  const logs = DATA ? readFileSync(join(DATA, "logs/OpenSSH.log"), "utf8").split("\n").filter(Boolean) : [];
  const reviews = DATA
    ? readFileSync(join(DATA, "korean/reviews.ndjson"), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line))
    : [];

  before(async () => { server = await Server.start({ name: "real" }); });
  after(() => server?.stop());

  test("nc sends a log, qgx send sends reviews and measurements, at once", async () => {
    const log = openSync(join(DATA, "logs/OpenSSH.log"), "r");
    const nc = spawn(process.env.QGX_NC ?? "nc", ["-N", "127.0.0.1", String(server.ingest)], { stdio: [log, "ignore", "inherit"] });
    const to = `127.0.0.1:${server.ingest}`;
    await Promise.all([
      new Promise((resolve, reject) => nc.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`nc ended with ${code}`))))),
      server.cli("send", "--to", to, "--source", "reviews", "--as", "ndjson", join(DATA, "korean/reviews.ndjson")),
      server.cli("send", "--to", to, "--source", "machine", "--as", "csv", join(DATA, "metrics/machine_temperature_system_failure.csv")),
    ]);
    closeSync(log);
    await server.counted("source:LabSZ", logs.length);
    await server.counted("source:reviews", reviews.length);
    await server.counted("source:machine", 22695);
    assert.equal(logs.length, 2000);
    assert.equal(reviews.length, 8000);
  });

  test("Hangul is found by any piece of it, as often as grep finds it", async () => {
    for (const piece of ["ㅋㅋ", "ㅠㅠ", "영화", "화", "재미있", "감동", "3시간", "배우들의", "최고"]) {
      const expected = reviews.filter((r) => r.message.normalize("NFC").includes(piece)).length;
      assert.ok(expected > 0, `${piece} occurs`);
      assert.equal(await server.count(`source:reviews "${piece}"`), expected, piece);
    }
  });

  test("mixed words such as GPU온도 are found by their whole and by their parts", async () => {
    await send(server.ingest, '{"source":"mixed","message":"경고 GPU온도 상승"}\n{"source":"mixed","message":"GPU 정상, 실내온도 24"}\n');
    await server.counted("source:mixed", 2);
    assert.equal(await server.count("source:mixed GPU온도"), 1);
    assert.equal(await server.count("source:mixed gpu"), 2);
    assert.equal(await server.count("source:mixed 온도"), 2);
  });

  test("whole Latin words are found as often as grep -w finds them", async () => {
    for (const word of ["sshd", "Failed", "root", "webmaster", "Invalid", "preauth", "BREAK", "5.36.59.76"]) {
      const pattern = new RegExp(`(?<![A-Za-z0-9_])${word.replaceAll(".", "\\.")}(?![A-Za-z0-9_])`, "i");
      const expected = logs.filter((line) => pattern.test(line)).length;
      assert.ok(expected > 0, `${word} occurs`);
      assert.equal(await server.count(`source:LabSZ "${word}"`), expected, word);
    }
  });

  test("the measurements have their known least value at its known time", async () => {
    const answer = await server.post("/metrics/query", {
      metric: "value",
      sources: ["machine"],
      aggregate: "min",
      from: "2013-12-01T00:00:00Z",
      to: "2014-03-01T00:00:00Z",
    });
    assert.ok(Math.abs(answer.extremes.min - 2.084721206) < 1e-6, String(answer.extremes.min));
    // 17:25 in Asia/Seoul.
    assert.equal(Date.parse(answer.extremes.min_at), Date.parse("2013-12-16T17:25:00+09:00"));
    assert.ok(answer.series[0].values.some((v) => v !== null && v < 3), "the chart shows the dip");
  });

  test("the same reviews in CP949 are found by the same words", async () => {
    const iconv = spawn("iconv", ["-c", "-f", "UTF-8", "-t", "CP949", join(DATA, "korean/reviews.ndjson")]);
    const parts = [];
    for await (const part of iconv.stdout) parts.push(part);
    const bytes = Buffer.concat(parts).toString("latin1").replaceAll('{"id"', '{"source": "cp949", "id"');
    await send(server.ingest, Buffer.from(bytes, "latin1"));
    await server.counted("source:cp949", reviews.length);
    for (const piece of ["영화", "ㅋㅋ", "감동"]) {
      const expected = reviews.filter((r) => r.message.includes(piece)).length;
      assert.equal(await server.count(`source:cp949 "${piece}"`), expected, piece);
    }
  });

  test("a search says that arrivals lie outside the shown window", async () => {
    const answer = await server.get("/events", { q: "source:machine", from: "now-1h", to: "now" });
    assert.equal(answer.total, 0);
    assert.equal(answer.outside?.count ?? 0, 22695);
  });

  test("export streams everything", async () => {
    const answer = await fetch(
      `${server.api}/events/export?${new URLSearchParams({ q: "source:machine", from: "2013-01-01T00:00:00Z", to: "2015-01-01T00:00:00Z" })}`,
      { headers: { authorization: `Bearer ${server.apiToken}` } },
    );
    const lines = (await answer.text()).trimEnd().split("\n");
    assert.equal(lines.length, 22695);
    assert.equal(JSON.parse(lines[0]).source, "machine");
  });

  test("the metrics page of the process counts what came", async () => {
    await until("metrics", async () => {
      const text = await (await fetch(`${server.management}/metrics`)).text();
      return /qgx_\w+/.test(text) && !text.includes("LabSZ");
    });
  });
});
