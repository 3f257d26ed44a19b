// An hour of believable data: the pumps and gateways of two plants and the web servers of their operator, with one
// incident: a bearing of pump-2 runs hot, its gateway stutters, and the plant's dashboard answers 502 until the pump
// is stopped. The same seed makes the same hour.
const MINUTE = 60_000;

export const SOURCES = [
  { key: "pump-1", name: "1호 냉각수 펌프", kind: "펌프", attributes: { site: "부산", line: "A" } },
  { key: "pump-2", name: "2호 냉각수 펌프", kind: "펌프", attributes: { site: "부산", line: "A" } },
  { key: "pump-3", name: "3호 이송 펌프", kind: "펌프", attributes: { site: "울산", line: "C" } },
  { key: "gw-busan", name: "부산 게이트웨이", kind: "게이트웨이", attributes: { site: "부산" } },
  { key: "gw-ulsan", name: "울산 게이트웨이", kind: "게이트웨이", attributes: { site: "울산" } },
  { key: "web-1", name: "", kind: "웹 서버", attributes: {} },
  { key: "web-2", name: "", kind: "웹 서버", attributes: {} },
  { key: "db-1", name: "주문 DB", kind: "데이터베이스", attributes: {} },
];

/** Small, seeded, good enough for pictures (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const PATHS = ["/", "/api/orders", "/api/orders/1842", "/api/sensors", "/login", "/static/app.js", "/api/reports/daily"];
const round = (value, digits) => Number(value.toFixed(digits));

/** How long the sample is: a little less than the hour that pages show. */
const LENGTH = 58 * MINUTE;

/** How far into the incident a moment is: 0 outside, up to 1 at its height. It lies 24 to 13 minutes before `end`. */
function trouble(at, end) {
  const ago = (end - at) / MINUTE;
  return ago > 24 || ago < 13 ? 0 : Math.min(1, (24 - ago) / 6);
}

export class Plant {
  constructor(end = Date.now(), seed = 20261122) {
    this.end = end;
    this.next = random(seed);
  }

  pick(list) { return list[Math.floor(this.next() * list.length)]; }
  chance(share) { return this.next() < share; }

  measurement(key, at) {
    const hot = key === "pump-2" ? trouble(at, this.end) : 0;
    const wave = Math.sin(at / 420_000 + key.length + key.charCodeAt(5));
    return {
      ts: new Date(at).toISOString(),
      source: key,
      kind: "metric",
      site: key === "pump-3" ? "울산" : "부산",
      temperature: round(61 + 3 * wave + 29 * hot + this.next(), 1),
      vibration: round(2.1 + 0.4 * wave + 5.5 * hot + 0.3 * this.next(), 2),
      rpm: Math.round(1480 + 12 * wave - 160 * hot + 6 * this.next()),
      pressure: round(4.2 + 0.1 * wave - 1.1 * hot + 0.05 * this.next(), 2),
    };
  }

  pumpLine(at) {
    const hot = trouble(at, this.end);
    const base = { ts: new Date(at).toISOString(), source: "pump-2", site: "부산" };
    const temperature = round(62 + 29 * hot + this.next(), 1);
    if (hot > 0.8 && this.chance(0.2)) {
      return { ...base, level: "critical", message: "베어링 온도 한계 초과, 비상 정지 대기", temperature, limit: 85 };
    }
    if (hot > 0.5) return { ...base, level: "error", message: "bearing temperature above limit", temperature, limit: 85 };
    if (hot > 0) return { ...base, level: "warn", message: "베어링 온도 상승 중", temperature, limit: 85 };
    const key = this.pick(["pump-1", "pump-2", "pump-3"]);
    return { ...base, source: key, site: key === "pump-3" ? "울산" : "부산", level: "info", message: this.pick(["정기 점검 통과", "윤활유 보충 완료", "밸브 V-12 열림", "운전 모드 자동"]), operator: this.pick(["김민수", "이서연", "박도윤"]) };
  }

  gatewayLine(at) {
    const key = this.pick(["gw-busan", "gw-ulsan"]);
    const bad = key === "gw-busan" ? trouble(at, this.end) : 0;
    const base = { ts: new Date(at).toISOString(), source: key, site: key === "gw-busan" ? "부산" : "울산" };
    if (this.chance(0.6 * bad)) return { ...base, level: this.chance(0.5) ? "error" : "warn", message: "센서 응답 지연, 재시도", sensor: `s-${10 + Math.floor(this.next() * 20)}`, waited_ms: Math.round(2000 + 3000 * this.next()) };
    if (this.chance(0.02)) return { ...base, level: "warn", message: "MQTT connection lost, reconnected", waited_ms: Math.round(300 + 900 * this.next()) };
    if (this.chance(0.3)) return { ...base, level: "debug", message: "heartbeat", uptime_s: Math.round(86_400 + (at - this.end) / 1000) };
    return { ...base, level: "info", message: `센서 ${20 + Math.floor(this.next() * 9)}개 수집 완료`, took_ms: Math.round(40 + 60 * this.next()) };
  }

  webLine(at) {
    const bad = trouble(at, this.end);
    const path = this.pick(PATHS);
    const failed = path.startsWith("/api/sensors") && this.chance(0.7 * bad);
    const missing = !failed && this.chance(0.015);
    const status = failed ? 502 : missing ? 404 : this.chance(0.1) ? 304 : 200;
    const took = round(failed ? 3000 + 900 * this.next() : 6 + 80 * this.next() ** 3, 1);
    const source = this.pick(["web-1", "web-2"]);
    return {
      ts: new Date(at).toISOString(),
      source,
      level: failed ? "error" : missing ? "warn" : "info",
      message: failed ? `upstream gw-busan timed out: GET ${path}` : `GET ${path} ${status}`,
      status,
      duration_ms: took,
      client: `10.4.${Math.floor(this.next() * 4)}.${2 + Math.floor(this.next() * 250)}`,
    };
  }

  databaseLine(at) {
    const base = { ts: new Date(at).toISOString(), source: "db-1" };
    return this.chance(0.06)
      ? { ...base, level: "warn", message: "slow query: SELECT … FROM orders WHERE created_at > ?", duration_ms: Math.round(900 + 2200 * this.next()), rows: Math.round(4000 * this.next()) }
      : { ...base, level: "info", message: "체크포인트 완료", written_pages: Math.round(60 + 400 * this.next()) };
  }

  /** One event of the moment. */
  line(at) {
    const dice = this.next();
    const hot = trouble(at, this.end);
    if (dice < 0.05 + 0.12 * hot) return this.pumpLine(at);
    if (dice < 0.3 + 0.1 * hot) return this.gatewayLine(at);
    if (dice < 0.94) return this.webLine(at);
    return this.databaseLine(at);
  }

  /** Nearly an hour before `end`, in the order of time. */
  hour() {
    const events = [];
    let at = this.end - LENGTH;
    let measured = at;
    while (at < this.end - 1500) {
      for (; measured <= at; measured += 15_000) {
        for (const key of ["pump-1", "pump-2", "pump-3"]) events.push(this.measurement(key, measured));
      }
      events.push(this.line(at));
      // Busier by day's rhythm and in trouble.
      const pace = 1 + 0.25 * Math.sin(at / 600_000) + 0.8 * trouble(at, this.end);
      at += (1400 * (0.3 + 1.4 * this.next())) / pace;
    }
    return events;
  }

  /** One event of now, for a stream that goes on. */
  now() {
    const at = Date.now();
    return this.chance(0.2) ? this.measurement(this.pick(["pump-1", "pump-2", "pump-3"]), at) : this.line(at);
  }
}
