// Client certificates with other people's TLS: openssl s_client, rsyslog's omfwd by GnuTLS, and the agent.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Server, until } from "../support/server.mjs";

const RSYSLOGD = process.env.QGX_RSYSLOGD;
const GTLS = ["/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so", "/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_gtls.so", "/usr/lib/rsyslog/lmnsd_gtls.so"]
  .some((file) => existsSync(file));
const missing = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";
const noGtls = RSYSLOGD && GTLS ? false : "rsyslog with GnuTLS is not installed (Debian: apt install rsyslog-gnutls)";

describe("client certificates", { skip: missing }, () => {
  let server;
  let dir;
  const openssl = (...args) => execFileSync("openssl", args, { cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
  const authority = (name) => openssl(
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", `/CN=${name}`,
    "-keyout", `${name}.key`, "-out", `${name}.crt`, "-addext", "basicConstraints=critical,CA:TRUE",
  );
  const leaf = (ca, name) => {
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    writeFileSync(join(dir, `${name}.ext`), `subjectAltName=DNS:${name}\nextendedKeyUsage=clientAuth\n`);
    openssl("x509", "-req", "-in", `${name}.csr`, "-CA", `${ca}.crt`, "-CAkey", `${ca}.key`, "-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.crt`);
  };
  const client = (name) => spawn(
    "openssl",
    ["s_client", "-connect", `127.0.0.1:${server.ingest}`, "-quiet", "-cert", `${name}.crt`, "-key", `${name}.key`, "-CAfile", join(server.dataDir, "self-signed.crt")],
    { cwd: dir, stdio: ["pipe", "pipe", "ignore"] },
  );
  const manage = (...args) => server.cli(...args, "--data-dir", server.dataDir);

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), "qgx-certificates-"));
    // What is let in here is let in by its certificate, not by where it comes from.
    server = await Server.start({
      name: "certificates", args: ["--no-self-monitor", "--tls-self-signed"], env: { QGX_LOOPBACK_DEFAULT_TENANT: "false" },
    });
    // The certificate made for TLS holds for the API as well.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    Object.defineProperty(server, "api", { value: server.api.replace("http:", "https:") });
    authority("factory");
    authority("stranger");
    leaf("factory", "pump-7");
    leaf("factory", "pump-8");
    leaf("stranger", "pump-9");
    await manage("tenant", "ca", "add", join(dir, "factory.crt"));
  });
  after(() => server?.stop());

  test("openssl s_client: its certificate names tenant and source, until it is revoked", { timeout: 60_000 }, async () => {
    const open = client("pump-7");
    const closed = new Promise((resolve) => open.once("exit", resolve));
    let said = "";
    open.stdout.on("data", (bytes) => { said += bytes; });
    open.stdin.write('HELLO {"source":"ignored","stream":"s"}\n{"message":"certifiedone"}\n');
    await until("the acknowledgement", () => said.includes("ACK 1"));
    await server.counted("certifiedone source:pump-7", 1);
    const since = Date.now();
    await manage("tenant", "certificate", "revoke", "--file", join(dir, "pump-7.crt"));
    await until("the end of the connection", () => said.includes("revoked_certificate"), { seconds: 5 });
    assert.ok(Date.now() - since < 5_000);
    open.kill("SIGKILL");
    await closed;
    const again = client("pump-7");
    again.stdin.end("HELLO {}\ncertifiedtwo\n");
    const stranger = client("pump-9");
    stranger.stdin.end("HELLO {}\ncertifiedtwo\n");
    await Promise.all([again, stranger].map((child) => new Promise((resolve) => child.once("exit", resolve))));
    const metrics = await (await fetch(`${server.management}/metrics`)).text();
    for (const reason of ["revoked_certificate", "bad_certificate"]) {
      assert.match(metrics, new RegExp(`qgx_ingest_refusals_total\\{reason="${reason}"\\} [12]`));
    }
    assert.equal(await server.count("certifiedtwo"), 0);
  });

  test("rsyslog omfwd over GnuTLS", { skip: noGtls, timeout: 60_000 }, async () => {
    const input = join(dir, "input.log");
    writeFileSync(input, Array.from({ length: 100 }, (_, i) => `gtlsline 공장 ${i}\n`).join(""));
    const config = `global(workDirectory="${dir}" defaultNetstreamDriverCAFile="${join(server.dataDir, "self-signed.crt")}"
  defaultNetstreamDriverCertFile="${join(dir, "pump-8.crt")}" defaultNetstreamDriverKeyFile="${join(dir, "pump-8.key")}")
module(load="imfile" PollingInterval="1")
input(type="imfile" File="${input}" Tag="pump:" reopenOnTruncate="off")
action(type="omfwd" target="localhost" port="${server.ingest}" protocol="tcp" StreamDriver="gtls" StreamDriverMode="1"
  StreamDriverAuthMode="anon" template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1")
`;
    writeFileSync(join(dir, "rsyslog.conf"), config);
    const child = spawn(RSYSLOGD, ["-n", "-f", join(dir, "rsyslog.conf"), "-i", join(dir, "pid")], { stdio: ["ignore", "ignore", "inherit"] });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      await server.counted("gtlsline source:pump-8", 100, { from: "now-1h" });
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
  });

  test("the agent, and an authority that is removed", { timeout: 60_000 }, async () => {
    const file = join(dir, "agent.log");
    appendFileSync(file, "agentline one\n");
    const agent = spawn(server.binary, [
      "agent", "--to", `localhost:${server.ingest}`, "--tls-ca", join(server.dataDir, "self-signed.crt"), "--tls-cert", join(dir, "pump-8.crt"),
      "--tls-key", join(dir, "pump-8.key"), "--state-dir", join(dir, "state"), "--no-figures", "--from-start", "--tail", file, "--log-level", "error",
    ], { stdio: "ignore" });
    const ended = new Promise((resolve) => agent.once("exit", resolve));
    await server.counted("agentline source:pump-8", 1, { from: "now-1h" });
    const [{ fingerprint }] = JSON.parse(await manage("tenant", "ca", "list", "--json"));
    await manage("tenant", "ca", "remove", fingerprint);
    appendFileSync(file, "agentline two\n");
    // Who is refused for good says so and ends; whoever runs it starts it again.
    assert.equal(await ended, 1);
    assert.equal(await server.count("agentline", { from: "now-1h" }), 1);
  });

  test("address rules: created, refused where they overlap, closed when deleted", { timeout: 60_000 }, async () => {
    await manage("tenant", "create", "--slug", "other");
    const rule = JSON.parse(await manage("address-rule", "create", "127.0.0.0/8", "--source", "gate", "--json"));
    await assert.rejects(
      manage("address-rule", "create", "127.0.0.1", "--tenant", "other"),
      /127\.0\.0\.1\/32 of tenant other overlaps 127\.0\.0\.0\/8 of tenant default/,
    );
    const { connect } = await import("node:net");
    const socket = connect(server.ingest, "127.0.0.1");
    let said = "";
    socket.on("data", (bytes) => { said += bytes; });
    socket.on("error", () => {});
    await until("the rule to hold", async () => {
      if (!said) socket.write("HELLO {}\nruleline\n");
      return said.includes("ACK 1");
    }, { every: 1000 });
    await server.counted("ruleline source:gate", 1, { from: "now-1h" });
    await manage("address-rule", "delete", rule.id);
    await until("the end of the connection", () => said.includes("address_rule_ended"), { seconds: 5 });
  });
});
