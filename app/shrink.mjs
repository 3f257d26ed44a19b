// Takes out of the client's WASM what can never run, then lets `wasm-opt` shrink it and gives it a name by its
// content. Trunk's own `wasm-opt` is off: the names of functions have to be there for the first step.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { transformSync } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

// Leptos keeps for every view a way to hydrate it asynchronously, for routes that are loaded later, and exports what
// streams of server functions would need. Here are neither.
const LATER = [/::hydrate_async(::\{\{closure\}\})*$/, /::new_with_async_value_erased(::\{\{closure\}\})*$/];
const NEVER = [
  ...LATER,
  /^wasm_streams::/,
  /^intounderlying/,
];
// A panic ends the page either way; what it would have said, and where, is not worth its bytes.
const PANICS = [
  /^core::panicking::/,
  /^core::(option|result)::(unwrap|expect)_failed$/,
  /^core::slice::.*_fail$/,
  /^core::str::slice_error_fail/,
  /^core::cell::panic_/,
  /^alloc::raw_vec::(capacity_overflow|handle_error)$/,
  /^alloc::alloc::handle_alloc_error$/,
  /^std::panicking::(begin_panic|panic_handler|panic_with_hook)/,
  /^__rustc::rust_(begin_unwind|panic)$/,
];

/// A reader of the binary format (WebAssembly core specification, §5).
class Reader {
  constructor(bytes, at = 0, end = bytes.length) {
    Object.assign(this, { bytes, at, end });
  }
  /// An unsigned LEB128.
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  text() {
    return Buffer.from(this.take(this.number())).toString("utf8");
  }
  get left() {
    return this.at < this.end;
  }
}

function leb(value) {
  const out = [];
  do {
    const rest = Math.floor(value / 128);
    out.push((value % 128) | (rest ? 0x80 : 0));
    value = rest;
  } while (value);
  return Buffer.from(out);
}

function sections(bytes) {
  const reader = new Reader(bytes, 8);
  const found = [];
  while (reader.left) {
    const id = reader.bytes[reader.at++];
    found.push({ id, body: reader.take(reader.number()) });
  }
  return found;
}

/// Functions that are imported come first in the numbering.
function importedFunctions(body) {
  const reader = new Reader(body);
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.text();
    reader.text();
    const kind = reader.bytes[reader.at++];
    const limits = () => (reader.number() & 1 ? [reader.number(), reader.number()] : [reader.number()]);
    if (kind === 0) reader.number(), functions++;
    else if (kind === 1) reader.at++, limits();
    else if (kind === 2) limits();
    else if (kind === 3) reader.at += 2;
    else throw new Error(`import of kind ${kind}`);
  }
  return functions;
}

function functionNames(body) {
  const reader = new Reader(body);
  if (reader.text() !== "name") return null;
  while (reader.left) {
    const id = reader.bytes[reader.at++];
    const part = new Reader(reader.take(reader.number()));
    if (id !== 1) continue;
    const names = new Map();
    for (let left = part.number(); left > 0; left--) {
      const index = part.number();
      names.set(index, part.text());
    }
    return names;
  }
  return null;
}

/// The data section without the places in the source that panics name: a path, its length, line and column each.
function withoutPlaces(body) {
  const data = Buffer.from(body);
  const reader = new Reader(data);
  const segments = [];
  for (let left = reader.number(); left > 0; left--) {
    // An active segment of memory 0 at a constant address.
    const [kind, constant] = [reader.bytes[reader.at++], reader.bytes[reader.at++]];
    if (kind !== 0 || constant !== 0x41) throw new Error("a data segment without a fixed address");
    const address = reader.number();
    if (reader.bytes[reader.at++] !== 0x0b) throw new Error("a data segment without a fixed address");
    const length = reader.number();
    segments.push({ address, from: reader.at, to: reader.at + length });
    reader.take(length);
  }
  const path = /^[\w./@+-]+\.rs$/;
  const texts = [];
  for (const { address, from, to } of segments) {
    for (let at = from + ((4 - (address % 4)) % 4); at + 16 <= to; at += 4) {
      const [start, length, line, column] = [0, 4, 8, 12].map((by) => data.readUInt32LE(at + by));
      if (length < 6 || length > 300 || !line || line > 99_999 || !column || column > 999) continue;
      const home = segments.find((s) => s.address <= start && start + length <= s.address + s.to - s.from);
      if (!home) continue;
      const text = home.from + start - home.address;
      if (!path.test(data.toString("latin1", text, text + length))) continue;
      data.fill(0, at, at + 16);
      texts.push([text, text + length]);
    }
  }
  texts.forEach(([from, to]) => data.fill(0, from, to));
  return data;
}

/// The body of a function without locals that traps.
const TRAP = Buffer.from([0x00, 0x00, 0x0b]);

/// The module with the bodies of some functions replaced by a trap, without names, and how many bytes went.
function snip(bytes, isDead) {
  const all = sections(bytes);
  const names = all.filter((s) => s.id === 0).map((s) => functionNames(s.body)).find(Boolean);
  if (!names) throw new Error("the WASM has no names");
  const imports = all.find((s) => s.id === 2);
  const first = imports ? importedFunctions(imports.body) : 0;
  let gone = 0;
  const out = all.filter((s) => s.id !== 0).map((section) => {
    if (section.id === 11) return { id: 11, body: withoutPlaces(section.body) };
    if (section.id !== 10) return section;
    const reader = new Reader(section.body);
    const count = reader.number();
    const bodies = [leb(count)];
    for (let i = 0; i < count; i++) {
      const body = reader.take(reader.number());
      const dead = isDead(names.get(first + i) ?? "");
      if (dead) gone += body.length;
      const kept = dead ? TRAP : body;
      bodies.push(leb(kept.length), kept);
    }
    return { id: 10, body: Buffer.concat(bodies) };
  });
  const parts = out.flatMap(({ id, body }) => [Buffer.from([id]), leb(body.length), body]);
  return { bytes: Buffer.concat([bytes.subarray(0, 8), ...parts]), gone };
}

/// A name without the hashes of its function and of its crates.
const plain = (name) => name.replace(/::h[0-9a-f]{16}$/, "").replace(/\[[0-9a-f]{12,16}\]/g, "");

/// Writes the small form of a module; answers how many bytes were never run.
export function shrink(from, to) {
  const isDead = (name) => [...NEVER, ...PANICS].some((pattern) => pattern.test(plain(name)));
  const met = new Set();
  const noted = (name) => {
    LATER.filter((pattern) => pattern.test(plain(name))).forEach((pattern) => met.add(pattern));
    return isDead(name);
  };
  const { bytes, gone } = snip(readFileSync(from), noted);
  // A compiler that names things differently must not go unnoticed.
  const unmet = LATER.filter((pattern) => !met.has(pattern));
  if (unmet.length > 0) throw new Error(`no function of the client is called ${unmet.join(" or ")}: mend LATER in app/shrink.mjs`);
  const snipped = `${to}.snipped`;
  writeFileSync(snipped, bytes);
  const features = ["bulk-memory", "nontrapping-float-to-int", "sign-ext", "mutable-globals", "reference-types", "multivalue"];
  const passes = ["-Oz", "--converge", "--strip-debug", "--strip-producers", "--strip-target-features"];
  const enabled = features.map((feature) => `--enable-${feature}`);
  execFileSync(join(root, "node_modules/.bin/wasm-opt"), [snipped, "-o", to, ...enabled, ...passes]);
  rmSync(snipped);
  return gone;
}

/// Gives a file a name by its content, in the page too.
function renamed(dir, html, name, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 16);
  const fresh = name.replace(/-[0-9a-f]{1,16}/, `-${hash}`);
  rmSync(join(dir, name));
  writeFileSync(join(dir, fresh), content);
  return html.replaceAll(name, fresh);
}

/// Makes the client in a folder small, and names it anew in its index.html.
export function makeSmall(dir) {
  const files = readdirSync(dir);
  // Trunk writes its hash without the zeros it begins with.
  const wasm = files.find((name) => /^app-[0-9a-f]{1,16}_bg\.wasm$/.test(name));
  const glue = files.find((name) => /^app-[0-9a-f]{1,16}\.js$/.test(name));
  if (!wasm || !glue) throw new Error(`no client in ${dir}`);
  const small = join(dir, `${wasm}.small`);
  const before = readFileSync(join(dir, wasm)).length;
  const gone = shrink(join(dir, wasm), small);
  renameSync(small, join(dir, wasm));
  const content = readFileSync(join(dir, wasm));
  console.log(`   client: ${before} bytes, ${gone} of them never run; ${content.length} left`);
  const index = join(dir, "index.html");
  let html = readFileSync(index, "utf8");
  html = renamed(dir, html, wasm, content);
  const options = { minify: true, format: "esm", target: "es2022", legalComments: "none" };
  html = renamed(dir, html, glue, transformSync(readFileSync(join(dir, glue), "utf8"), options).code);
  writeFileSync(index, html);
}
