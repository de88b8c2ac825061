// Draws the charts of the README and the site from the figures that were measured, with echarts. A
// chart that no run stands behind is an error: nothing is typed in.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { root } from "../support/paths.mjs";
import { StepError } from "../support/step.mjs";

export const chartsFolder = `${root}/docs/charts`;

const resultsFile = `${root}/packages/bench/results/latest.json`;
const widthPixels = 760;
const rowPixels = 46;
const framePixels = 92;

const themes = {
  light: { back: "#ffffff", text: "#24292f", faint: "#57606a", line: "#d0d7de", bar: "#2f6f9f" },
  dark: { back: "#0d1117", text: "#e6edf3", faint: "#9198a1", line: "#3d444d", bar: "#5aa9e6" },
};

/** What a chart must say of figures that are no comparison. */
const busyNote = ". Other programs used the machine meanwhile";

/** A figure for people: 0.26, 1.3, 12. */
function shown(ratio) {
  return ratio >= 10 ? ratio.toFixed(0) : ratio >= 1 ? ratio.toFixed(1) : ratio.toFixed(2);
}

const titles = {
  peers: "@io/core against its peers: how many times as fast",
  http: "@io/http against its peers: how many times as fast",
  node: "@io/node against Node's own modules: how many times as fast",
};

function options(name, figures, colors) {
  const values = figures.map(({ speed }) => speed);
  const busy = figures.some(({ quiet }) => !quiet);
  const max = Math.max(2, ...values) * 1.15;
  const text = { color: colors.text, fontFamily: "sans-serif", fontSize: 13 };
  return {
    animation: false,
    backgroundColor: colors.back,
    title: {
      text: titles[name],
      subtext: `1 is the peer's own speed; more is better${busy ? busyNote : ""}`,
      left: 12,
      top: 8,
      textStyle: { ...text, fontSize: 15 },
      subtextStyle: { ...text, color: colors.faint, fontSize: 12 },
    },
    grid: { left: 28, right: 64, top: 64, bottom: 28, containLabel: true },
    xAxis: {
      type: "value",
      min: 0,
      max: Math.ceil(max),
      axisLabel: { ...text, color: colors.faint },
      splitLine: { lineStyle: { color: colors.line } },
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: figures.map(({ about, peer }) => `${about}\n{peer|against ${peer}}`),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: colors.line } },
      axisLabel: {
        ...text,
        lineHeight: 17,
        rich: { peer: { ...text, color: colors.faint, fontSize: 12, lineHeight: 17 } },
      },
    },
    series: [
      {
        type: "bar",
        barWidth: 18,
        data: values,
        itemStyle: { color: colors.bar, borderRadius: [0, 3, 3, 0] },
        label: { ...text, show: true, position: "right", formatter: ({ value }) => shown(value) },
        markLine: {
          symbol: "none",
          silent: true,
          label: { show: false },
          lineStyle: { color: colors.text, type: "dashed" },
          data: [{ xAxis: 1 }],
        },
      },
    ],
  };
}

/** Breaks long tags at their blanks, so that a change of the file is one of few lines. */
function wrapped(svg) {
  return svg.replace(/<[^>]{80,}>/g, (tag) => {
    let column = 0;
    const broken = tag.split(" ").reduce((text, word) => {
      const breaks = column + 1 + word.length > 80;
      column = breaks ? word.length : column + 1 + word.length;
      return `${text}${breaks ? "\n" : " "}${word}`;
    });
    return broken.replace(/(\/?>)$/, "\n$1");
  });
}

/** The charts by file name; none when nothing was measured. */
export async function drawCharts(results) {
  const page = await import(pathToFileURL(`${root}/packages/bench/dist/page.js`).href);
  const require = createRequire(`${root}/scripts/site/package.json`);
  const echarts = require("echarts");
  const charts = new Map();
  for (const name of page.CHARTS) {
    const figures = page.headlineFigures(results, name);
    if (figures.length === 0) continue;
    for (const [theme, colors] of Object.entries(themes)) {
      const height = framePixels + rowPixels * figures.length;
      const size = { renderer: "svg", ssr: true, width: widthPixels, height };
      const chart = echarts.init(null, null, size);
      chart.setOption(options(name, figures, colors));
      // The library numbers its charts, and the text must not depend on how many there were. Its
      // styles are for a pointer, which a picture in a text does not see.
      const svg = chart
        .renderToSVGString()
        .replace(/\bzr\d+-/g, "zr-")
        .replace(/<style\b.*?<\/style>/gs, "");
      chart.dispose();
      charts.set(`${name}-${theme}.svg`, `${wrapped(svg).trimEnd()}\n`);
    }
  }
  return charts;
}

/** The charts that a text shows. */
function chartsIn(path) {
  return [...readFileSync(`${root}/${path}`, "utf8").matchAll(/charts\/([\w.-]+\.svg)/g)].map(
    (found) => found[1],
  );
}

/** Makes the files what the figures say; in CI they must be that already. */
export async function updateCharts(pages) {
  const results = existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, "utf8")) : {};
  const charts = await drawCharts(results);
  mkdirSync(chartsFolder, { recursive: true });
  const without = [
    ...readdirSync(chartsFolder).map((name) => [`docs/charts/${name}`, name]),
    ...pages.flatMap((path) => chartsIn(path).map((name) => [path, name])),
  ].filter(([, name]) => !charts.has(name));
  if (without.length > 0) {
    const lines = without.map(([path, name]) => `${path}: no run stands behind the chart ${name}`);
    throw new StepError(`${lines.join("\n")}\nMeasure: npm run bench -- --save`);
  }
  let written = 0;
  for (const [name, svg] of charts) {
    const path = `${chartsFolder}/${name}`;
    if (existsSync(path) && readFileSync(path, "utf8") === svg) continue;
    if (process.env.CI) {
      throw new StepError(
        `docs/charts/${name} differs from packages/bench/results/latest.json. Run: npm run docs, ` +
          "and commit the file.",
      );
    }
    writeFileSync(path, svg);
    written++;
  }
  return written > 0 ? `${written} written` : "unchanged";
}
