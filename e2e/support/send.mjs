// Sends lines to the TCP port, as `nc` would.
import { connect } from "node:net";

/** Sends lines over one connection and resolves with what the server answered, once it has closed its side. */
export function sendLines(port, lines) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text) => { answer += text; });
    // A refused connection may be reset while we still write: its reason has been read by then.
    socket.on("error", (error) => (error.code === "ECONNREFUSED" ? reject(error) : undefined));
    socket.on("close", () => resolve(answer));
    socket.end(lines.map((line) => `${line}\n`).join(""));
  });
}

/** Sends objects as NDJSON, with a token where one is given. */
export function sendEvents(port, events, { token } = {}) {
  const lines = events.map((event) => JSON.stringify(event));
  return sendLines(port, token ? [`AUTH ${token}`, ...lines] : lines);
}

/** A connection that stays open and sends what `next` makes, `perSecond` times a second, until `stop`. */
export function keepSending(port, next, { perSecond = 10 } = {}) {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const beat = setInterval(() => socket.write(`${JSON.stringify(next())}\n`), 1000 / perSecond);
  return {
    stop: () => new Promise((resolve) => {
      clearInterval(beat);
      socket.once("close", resolve);
      socket.end();
    }),
  };
}
