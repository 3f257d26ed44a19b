// Starts the real binary on free ports with a fresh data folder, and stops it again.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export const OWNER = { email: "owner@example.com", password: "correct horse battery" };
const LISTENERS = [31080, 31090, 31100, 31101, 31102];

export function required(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run this by cargo xtask test`);
  return value;
}

const free = (port) =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "0.0.0.0", () => probe.close(() => resolve(true)));
  });

export async function freeOffset(listeners = LISTENERS) {
  for (let tries = 0; tries < 50; tries += 1) {
    const offset = 1000 + Math.floor(Math.random() * 25000);
    const results = await Promise.all(listeners.map((port) => free(port + offset)));
    if (results.every(Boolean)) return offset;
  }
  throw new Error("no free block of ports was found");
}

export async function until(what, probe, { seconds = 30, every = 100 } = {}) {
  const end = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(`${what} did not come within ${seconds} s; last: ${last?.message ?? JSON.stringify(last)}`);
    }
    await new Promise((wake) => setTimeout(wake, every));
  }
}

export class Server {
  /** One process with all roles; where `QGX_E2E_SPLIT` is set, eight with one role each, on real engines. */
  static async start({ base = required("QGX_CLIENT_DATA"), args = ["--no-self-monitor"], name = "server", env = {} } = {}) {
    if (process.env.QGX_E2E_SPLIT && this === Server) {
      const { SplitServer } = await import("./split.mjs");
      return SplitServer.start({ base, args, name, env });
    }
    mkdirSync(base, { recursive: true });
    const server = new Server();
    server.name = name;
    server.args = args;
    server.env = env;
    server.binary = required("QGX_BIN");
    server.dataDir = mkdtempSync(join(base, `${name}-`));
    server.offset = await freeOffset();
    await server.launch();
    return server;
  }

  get web() { return `http://localhost:${31080 + this.offset}`; }
  get api() { return `http://127.0.0.1:${31090 + this.offset}/api/v1`; }
  get management() { return `http://127.0.0.1:${31100 + this.offset}`; }
  get ingest() { return 31101 + this.offset; }
  get logFile() { return `${this.dataDir}.log`; }

  async launch() {
    const log = openSync(this.logFile, "a");
    this.child = spawn(
      this.binary,
      ["serve", "--data-dir", this.dataDir, "--port-offset", String(this.offset), ...this.args],
      {
        stdio: ["ignore", log, log],
        env: { ...process.env, QGX_OWNER_EMAIL: OWNER.email, QGX_OWNER_PASSWORD: OWNER.password, ...this.env },
      },
    );
    closeSync(log);
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
    await until(`${this.name} ready`, async () => {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${readFileSync(this.logFile, "utf8").slice(-2000)}`);
      return (await fetch(`${this.management}/readyz`)).ok;
    });
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill("SIGTERM");
      await this.exited;
    }
    if (existsSync(this.dataDir) && !process.env.QGX_KEEP) rmSync(this.dataDir, { recursive: true, force: true });
  }

  async cli(...args) {
    const { stdout } = await run(this.binary, args, { maxBuffer: 64 << 20 });
    return stdout;
  }

  async token(kind, ...more) {
    const text = await this.cli("token", "create", "--data-dir", this.dataDir, "--tenant", "default", "--kind", kind, "--json", ...more);
    return JSON.parse(text).token;
  }

  async get(path, parameters = {}) {
    this.apiToken ??= await this.token("api");
    const answer = await fetch(`${this.api}${path}?${new URLSearchParams(parameters)}`, {
      headers: { authorization: `Bearer ${this.apiToken}` },
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path} ${JSON.stringify(parameters)}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  async post(path, body) {
    this.apiToken ??= await this.token("api");
    const answer = await fetch(`${this.api}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.apiToken}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  async count(q, { from = "1970-01-02T00:00:00Z", to = "now+24h" } = {}) {
    return (await this.get("/events", { q, from, to, limit: 1 })).total;
  }

  async counted(q, expected, options) {
    await until(`${expected} events for ${q || "everything"}`, async () => {
      const total = await this.count(q, options);
      if (total !== expected) throw new Error(`${total} events`);
      return true;
    });
  }
}
