// The same server as eight processes with one role each, on the engines of production that the environment names.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { OWNER, Server, freeOffset, required, until } from "./server.mjs";

const run = promisify(execFile);

const SERVICE_KEY = "a service key of the tests";

/** Each process: its role, and the ports that differ from the usual ones, before the offset. */
const PROCESSES = [
  { name: "front-1", role: "front", management: 31110 },
  { name: "front-2", role: "front", management: 31111, listen: ["front_listen", 31081] },
  { name: "back-1", role: "back", management: 31112 },
  { name: "ingestion-1", role: "ingestion", management: 31113 },
  { name: "ingestion-2", role: "ingestion", management: 31114, listen: ["ingestion_listen", 31103] },
  { name: "processor-1", role: "processor", management: 31115 },
  { name: "processor-2", role: "processor", management: 31116, listen: ["processor_listen", 31104] },
  { name: "processor-3", role: "processor", management: 31117, listen: ["processor_listen", 31105] },
];
const PORTS = [31080, 31081, 31090, 31101, 31102, 31103, 31104, 31105, ...PROCESSES.map((it) => it.management)];

/** One process of the eight. */
class Process {
  constructor(server, about) {
    Object.assign(this, about);
    this.server = server;
    this.dataDir = join(server.dataDir, this.name);
    this.logFile = join(server.dataDir, `${this.name}.log`);
  }

  get managementUrl() { return `http://127.0.0.1:${this.management + this.server.offset}`; }

  spawn() {
    const { server } = this;
    const log = openSync(this.logFile, "a");
    const listen = this.listen ? ["--set", `${this.listen[0]}=127.0.0.1:${this.listen[1]}`] : [];
    const management = ["--management", `127.0.0.1:${this.management}`];
    const roles = ["--roles", this.role, "--data-dir", this.dataDir, "--port-offset", String(server.offset)];
    this.child = spawn(server.binary, ["serve", ...roles, ...management, ...listen, ...server.args], {
      stdio: ["ignore", log, log],
      env: server.environment(),
    });
    closeSync(log);
    this.exited = new Promise((resolve) => this.child.once("exit", resolve));
  }

  async ready() {
    await until(`${this.name} ready`, async () => {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.log().slice(-2000)}`);
      const answer = await fetch(`${this.managementUrl}/readyz`);
      if (!answer.ok) throw new Error(await answer.text());
      return true;
    }, { seconds: 90 });
  }

  log() { return readFileSync(this.logFile, "utf8"); }

  /** Resident memory, in MiB. */
  memory() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
  }

  get runs() { return this.child.exitCode === null && this.child.signalCode === null; }

  async kill() {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

export class SplitServer extends Server {
  static async start({ base = required("QGX_CLIENT_DATA"), args = [], name = "split", env = {} } = {}) {
    mkdirSync(base, { recursive: true });
    const server = new SplitServer();
    server.name = name;
    server.args = args;
    server.env = env;
    server.binary = required("QGX_BIN");
    server.dataDir = mkdtempSync(join(base, `${name}-`));
    server.key = `e2e${randomBytes(5).toString("hex")}`;
    server.secretKey = randomBytes(32).toString("base64");
    server.offset = await freeOffset(PORTS);
    const dataDir = ["--data-dir", join(server.dataDir, "cli")];
    await server.cli("migrate", ...dataDir);
    // With roles split nobody is known by coming from this machine; this says so.
    await server.cli("address-rule", "create", "127.0.0.0/8", ...dataDir);
    server.processes = PROCESSES.map((about) => new Process(server, about));
    await server.launch();
    return server;
  }

  /** The process of a name. */
  of(name) {
    const found = this.processes.find((process) => process.name === name);
    assert.ok(found, name);
    return found;
  }

  environment() {
    const database = new URL(required("QGX_TEST_MYSQL"));
    database.pathname = `/${this.key}`;
    return {
      ...process.env,
      QGX_OWNER_EMAIL: OWNER.email,
      QGX_OWNER_PASSWORD: OWNER.password,
      QGX_DATABASE_URL: database.href,
      QGX_BROKER_URL: `kafka://${required("QGX_TEST_KAFKA")}`,
      QGX_KAFKA_PREFIX: `${this.key}.`,
      QGX_KAFKA_PARTITIONS: "6",
      QGX_KAFKA_REPLICATION: "1",
      QGX_KAFKA_MIN_IN_SYNC: "1",
      QGX_SEARCH_URL: required("QGX_TEST_OPENSEARCH"),
      QGX_SEARCH_PREFIX: `${this.key}-`,
      QGX_SEARCH_REPLICAS: "0",
      QGX_SECRET_KEYS: this.secretKey,
      QGX_SERVICE_KEYS: SERVICE_KEY,
      QGX_WORKER_THREADS: "2",
      ...this.env,
    };
  }

  get management() { return this.of("front-1").managementUrl; }
  get web2() { return `http://localhost:${31081 + this.offset}`; }
  get ingest2() { return 31103 + this.offset; }

  /** What a processor tells other roles. */
  async pipeline(port = 31102, key = SERVICE_KEY) {
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    return fetch(`http://127.0.0.1:${port + this.offset}/internal/v1/pipeline`, { headers });
  }

  /** Starts those that do not run, and waits until all are ready. */
  async launch() {
    for (const process of this.processes) if (!process.child || !process.runs) process.spawn();
    await Promise.all(this.processes.map((process) => process.ready()));
  }

  /** Kills any one of them; `launch` starts it again. */
  async kill() {
    const running = this.processes.filter((process) => process.runs);
    await running[Math.floor(Math.random() * running.length)].kill();
  }

  /** Resident memory of each, in MiB, as a line. */
  memory() {
    const each = this.processes.map((process) => [process.name, process.memory()]);
    const all = each.reduce((sum, [, mib]) => sum + mib, 0);
    return `${each.map(([name, mib]) => `${name} ${mib.toFixed(0)}`).join(", ")}; together ${all.toFixed(0)} MiB`;
  }

  async stop() {
    const running = this.processes.filter((process) => process.child && process.runs);
    for (const process of running) process.child.kill("SIGTERM");
    await Promise.all(running.map((process) => process.exited));
    const search = required("QGX_TEST_OPENSEARCH");
    await fetch(`${search}/${this.key}-*`, { method: "DELETE" }).catch(() => {});
    if (existsSync(this.dataDir) && !process.env.QGX_KEEP) rmSync(this.dataDir, { recursive: true, force: true });
  }

  async cli(...args) {
    const { stdout } = await run(this.binary, args, { maxBuffer: 64 << 20, env: this.environment() });
    return stdout;
  }

  async token(kind, ...more) {
    return (await this.made(kind, ...more)).token;
  }

  /** A token with its id. */
  async made(kind, ...more) {
    const dataDir = join(this.dataDir, "cli");
    const made = JSON.parse(await this.cli("token", "create", "--data-dir", dataDir, "--tenant", "default", "--kind", kind, "--json", ...more));
    return { token: made.token, id: made.info?.id ?? made.id };
  }
}
