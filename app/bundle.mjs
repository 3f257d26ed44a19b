// Bundles the stylesheet and the lazily loaded chart library into Trunk's staging folder and names both in the head
// of its index.html, so that everything the page loads has a hashed name. Makes a release's client small.
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { makeSmall } from "./shrink.mjs";

const out = process.env.TRUNK_STAGING_DIR;
const root = new URL("..", import.meta.url).pathname;
const release = process.env.TRUNK_PROFILE === "release";

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { style: "style/app.css", charts: "crates/ui/js/charts.js" },
  outdir: out,
  entryNames: "[name]-[hash]",
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome123", "safari17.5", "firefox121"],
  minify: release,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

const named = Object.fromEntries(
  Object.entries(metafile.outputs)
    .filter(([, made]) => made.entryPoint)
    .map(([path, made]) => [made.entryPoint, "/" + basename(path)]),
);
const head =
  `<link rel="stylesheet" href="${named["style/app.css"]}">` +
  `<meta name="qgx-charts" content="${named["crates/ui/js/charts.js"]}">`;
const index = join(out, "index.html");
const html = await readFile(index, "utf8");
if (!html.includes("</head>")) throw new Error("index.html has no </head>");
await writeFile(index, html.replace("</head>", `${head}</head>`));
if (release) makeSmall(out);
