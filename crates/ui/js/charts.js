// Line charts by uPlot, loaded only by pages that have one. `qgxCharts.line(host, json, onRange)` draws and answers a
// handle with `set(json)` and `destroy()`. The JSON: {x: [seconds], series: [{label, values}], zone, lang, height}.
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

function number(lang) {
  const compact = new Intl.NumberFormat(lang, { notation: "compact", maximumFractionDigits: 2 });
  const exact = new Intl.NumberFormat(lang, { maximumFractionDigits: 6 });
  return { axis: (v) => (v == null ? "" : compact.format(v)), value: (v) => (v == null ? "–" : exact.format(v)) };
}

function options(host, given, onRange) {
  const [faint, line, ...strokes] = colours(host, ["--faint", "--line", ...tokens]);
  const format = number(given.lang);
  const font = `500 11px ${getComputedStyle(host).fontFamily}`;
  const axis = { stroke: faint, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  const clock = new Intl.DateTimeFormat(given.lang, {
    timeZone: given.zone, month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
  });
  return {
    width: Math.max(host.clientWidth, 120),
    height: given.height,
    padding: [10, 12, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), given.zone),
    fmtDate: (template) => uPlot.fmtDate(template.replaceAll("{h}:{mm}{aa}", "{HH}:{mm}").replaceAll("{h}{aa}", "{HH}:00").replaceAll("{M}/{D}/{YY}", "{YYYY}-{MM}-{DD}").replaceAll("{M}/{D}", "{M}/{D}")),
    cursor: { sync: { key: sync.key }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    legend: { live: true },
    scales: { x: { time: true } },
    axes: [{ ...axis, space: 70, size: 28 }, { ...axis, size: 52, values: (_, ticks) => ticks.map(format.axis) }],
    series: [
      { value: (_, v) => (v == null ? "" : clock.format(v * 1e3)) },
      ...given.series.map((one, i) => ({
        label: one.label, stroke: strokes[i % strokes.length], width: 1.5, spanGaps: false,
        points: { show: given.x.length < 60 }, value: (_, v) => format.value(v),
      })),
    ],
    hooks: {
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
      const same = next.series.length === given.series.length && next.lang === given.lang;
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
