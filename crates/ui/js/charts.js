// Line charts by uPlot, loaded only by pages that have one. `qgxCharts.line(host, json, onRange)` draws and answers a
// handle with `set(json)` and `destroy()`. The JSON: {x: [seconds], series: [{label, values}], zone, lang,
// height, band, unit}. With `band` the last two series are the edges of one; `unit` is [[size, name]], smallest first.
import uPlot from "uplot";

const sync = uPlot.sync("page");
const tokens = ["--s1", "--s2", "--s3", "--s4", "--s5"];

// Canvas needs colours, not custom properties: let an element resolve them in the theme in force.
function colours(host, names) {
  const probe = document.createElement("i");
  probe.hidden = true;
  host.append(probe);
  const found = names.map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
}

function number(lang, unit) {
  const short = new Intl.NumberFormat(lang, { notation: unit ? "standard" : "compact", maximumFractionDigits: 2 });
  const exact = new Intl.NumberFormat(lang, unit ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 6 });
  const steps = unit ?? [[1, ""]];
  const fit = (v) => (v ? steps.findLast(([size]) => size <= Math.abs(v)) : steps.find(([size]) => size === 1)) ?? steps[0];
  const text = (form, v, [size, name]) => form.format(v / size) + name;
  return {
    // All marks of an axis in one step, that of the greatest.
    axis: (marks) => marks.map((v) => (v == null ? "" : text(short, v, fit(Math.max(...marks.map(Math.abs)))))),
    value: (v) => (v == null ? "–" : text(exact, v, fit(v))),
  };
}

function options(host, given, onRange) {
  const [faint, line, band, ...strokes] = colours(host, ["--faint", "--line", "--band", ...tokens]);
  const format = number(given.lang, given.unit);
  const lines = given.series.length - (given.band ? 2 : 0);
  const narrow = matchMedia("(max-width: 760px)").matches;
  const font = `500 ${narrow ? 12 : 11}px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: faint, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  const clock = new Intl.DateTimeFormat(given.lang, {
    timeZone: given.zone, month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
  return {
    width: Math.max(host.clientWidth, 120),
    height: given.height,
    padding: [10, 12, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), given.zone),
    cursor: { sync: { key: sync.key }, drag: { x: true, y: false, setScale: false }, points: { size: (_, i) => (i > lines ? 0 : 6) } },
    legend: { show: false },
    scales: { x: { time: true } },
    axes: [{ ...axis, space: 70, size: 28, values: (_, ticks, __, ___, step) => ticks.map((x) => mark(x, step, given.zone)) }, { ...axis, size: (narrow ? 46 : 52) + (given.unit ? 14 : 0), values: (_, ticks) => format.axis(ticks) }],
    bands: given.band ? [{ series: [lines + 2, lines + 1], fill: band }] : [],
    series: [
      {},
      ...given.series.map((one, i) => ({
        label: one.label, stroke: i < lines ? strokes[i % strokes.length] : band, width: i < lines ? 1.5 : 0, spanGaps: false,
        points: i < lines && { show: given.x.length < 60, filter: (plot, at, show) => (show ? null : alone(plot.data[at])) },
      })),
    ],
    hooks: {
      init: [(plot) => plot.over.append(tip())],
      setCursor: [(plot) => point(plot, (x) => clock.format(x * 1e3), format.value)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const from = plot.posToVal(plot.select.left, "x");
          const to = plot.posToVal(plot.select.left + plot.select.width, "x");
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          onRange(from, to);
        },
      ],
    },
  };
}

// Values without a neighbour: no line shows them.
function alone(values) {
  const found = [];
  values.forEach((v, i) => v != null && values[i - 1] == null && values[i + 1] == null && found.push(i));
  return found.length ? found : null;
}

// A mark on the time axis as the bars write theirs: the clock, the day at midnight, the month where they are far apart.
function mark(seconds, step, zone) {
  const at = uPlot.tzDate(new Date(seconds * 1e3), zone);
  const two = (n) => String(n).padStart(2, "0");
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()];
  if (step >= 2_419_200) return `${at.getFullYear()}-${two(at.getMonth() + 1)}`;
  if (step >= 86_400 || clock.every((n) => n === 0)) return `${at.getMonth() + 1}/${at.getDate()}`;
  return (step < 60 ? clock : clock.slice(0, 2)).map(two).join(":");
}

function tip() {
  const box = document.createElement("div");
  box.className = "tip";
  box.hidden = true;
  return box;
}

// What the crosshair is over, as the bars say it: in the page's own type and language.
function point(plot, time, value) {
  const box = plot.over.querySelector(".tip");
  const { idx, left } = plot.cursor;
  box.hidden = idx == null || left < 0;
  if (box.hidden) return;
  const when = document.createElement("b");
  when.textContent = time(plot.data[0][idx]);
  const rows = plot.series.slice(1).map((series, i) => {
    const row = document.createElement("span");
    const swatch = document.createElement("u");
    swatch.className = "swatch";
    swatch.style.background = series.stroke();
    const number = document.createElement("i");
    number.textContent = value(plot.data[i + 1][idx]);
    row.append(swatch, series.label, number);
    return row;
  });
  box.replaceChildren(when, ...rows);
  const onLeft = left < plot.over.clientWidth * 0.6;
  box.style.left = onLeft ? `${left + 10}px` : "";
  box.style.right = onLeft ? "" : `${plot.over.clientWidth - left + 10}px`;
}

const data = (given) => [given.x, ...given.series.map((one) => one.values)];

function line(host, json, onRange) {
  let given = JSON.parse(json);
  let plot;
  const draw = () => {
    plot?.destroy();
    plot = new uPlot(options(host, given, onRange), data(given), host);
  };
  draw();
  const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(host.clientWidth, 120), height: given.height }));
  resize.observe(host);
  const themed = new MutationObserver(draw);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", draw);
  return {
    set(json) {
      const next = JSON.parse(json);
      const same = ["lang", "band"].every((what) => next[what] === given[what]) && next.series.length === given.series.length;
      given = next;
      if (same) plot.setData(data(given));
      else draw();
    },
    destroy() {
      resize.disconnect();
      themed.disconnect();
      system.removeEventListener("change", draw);
      plot.destroy();
    },
  };
}

globalThis.qgxCharts = { line };
