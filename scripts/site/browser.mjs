// Tests the site in headless Chromium, as Debian has it: that every page renders without an error,
// fits on a phone, is light enough and accessible, that the search finds things, and that a sample
// can be copied. Without Chromium it is skipped, with the reason.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { root } from "../support/paths.mjs";
import { StepError, step } from "../support/step.mjs";
import { findProgram, meetNeed } from "../support/system.mjs";
import { siteFolder, sitePages } from "./links.mjs";

const require = createRequire(`${root}/scripts/site/package.json`);

// A page waits for its scripts most of the time, so several are open at once.
const tabs = 4;
const pageLimitBytes = 500_000;
const phone = { width: 390, height: 844 };
const desktop = { width: 1280, height: 900 };
// Findings of these kinds keep people from using the page.
const seriousKinds = new Set(["serious", "critical"]);

/** What a reader looks for, and a name that must be among what the search shows. */
const searches = [
  ["openFile", "openFile"],
  ["sendAll", "sendAll"],
  ["chunks", "chunks"],
  ["timeoutMs", "timeoutMs"],
  ["sync", "sync"],
  ["Worker", "several cores"],
  ["seccomp", "containers"],
  ["proxy", "proxy"],
  ["write-ahead", "write-ahead"],
  ["ERR_IO_CHUNK_RELEASED", "Chunk.release"],
];

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

const chromiumNeed = {
  name: "chromium",
  packageName: "chromium",
  found: () => findProgram("chromium", "chromium-browser") !== undefined,
  advice: "chromium is missing, so the site is not tested in it. To have it: apt install chromium",
};

function serve() {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = join(siteFolder, normalize(path.endsWith("/") ? `${path}index.html` : path));
    if (!existsSync(file) || statSync(file).isDirectory()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

/** Looks at one page in both widths; returns what is wrong with it. */
async function problemsOfPage(page, address, path, axe) {
  const problems = [];
  let bytes = 0;
  const onError = (error) => problems.push(`${path}: ${error.message}`);
  const onConsole = (message) => {
    if (message.type() === "error") problems.push(`${path}: console: ${message.text()}`);
  };
  const onResponse = async (response) => {
    if (response.status() >= 400) problems.push(`${path}: ${response.status()} ${response.url()}`);
    else bytes += (await response.body().catch(() => "")).length;
  };
  page.on("pageerror", onError).on("console", onConsole).on("response", onResponse);
  await page.setViewportSize(phone);
  await page.goto(`${address}/${path}`, { waitUntil: "networkidle" });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  if (width > phone.width) problems.push(`${path}: ${width} pixels wide on a phone`);
  await page.setViewportSize(desktop);
  if (bytes > pageLimitBytes) problems.push(`${path}: ${bytes} bytes`);
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ["violations"] }),
  );
  for (const { id, impact, nodes } of found.violations) {
    if (!seriousKinds.has(impact)) continue;
    problems.push(`${path}: ${id} (${impact}): ${nodes[0].html.slice(0, 120)}`);
  }
  page.off("pageerror", onError).off("console", onConsole).off("response", onResponse);
  return problems;
}

async function problemsOfSearch(page, address) {
  const problems = [];
  await page.goto(`${address}/index.html`, { waitUntil: "networkidle" });
  for (const [term, expected] of searches) {
    await page.click("#tsd-search-trigger");
    await page.fill("#tsd-search-input", term);
    const results = page.locator("#tsd-search-results li");
    const match = results.filter({ hasText: new RegExp(expected, "i") });
    try {
      await match.first().waitFor({ timeout: 5_000 });
    } catch {
      const shown = (await results.allTextContents()).slice(0, 5).join(", ");
      problems.push(`search "${term}": no "${expected}" among: ${shown || "nothing"}`);
    }
    await page.keyboard.press("Escape");
  }
  return problems;
}

async function problemsOfCopy(page, address) {
  await page.goto(`${address}/index.html`, { waitUntil: "networkidle" });
  const sample = page.locator("pre", { has: page.locator("button") }).first();
  const text = (await sample.locator("code").textContent()).trim();
  await sample.hover();
  await sample.locator("button").click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  return copied.trim() === text ? [] : [`copy: ${JSON.stringify(copied.slice(0, 80))}`];
}

async function testPages(browser, address, axe) {
  const context = await browser.newContext();
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: address });
  const problems = [];
  const pages = sitePages();
  const waiting = pages.values();
  const look = async () => {
    const tab = await context.newPage();
    for (const path of waiting) problems.push(...(await problemsOfPage(tab, address, path, axe)));
    await tab.close();
  };
  await Promise.all(Array.from({ length: tabs }, look));
  const page = await context.newPage();
  await page.emulateMedia({ colorScheme: "dark" });
  problems.push(...(await problemsOfPage(page, address, "index.html", axe)));
  problems.push(...(await problemsOfSearch(page, address)));
  problems.push(...(await problemsOfCopy(page, address)));
  await context.close();
  if (problems.length > 0) throw new StepError(problems.join("\n"));
  return `${pages.length} pages, ${searches.length} searches`;
}

export async function testInBrowser(isLeftOut) {
  if (isLeftOut) return;
  if (!(await meetNeed(chromiumNeed))) return;
  const { chromium } = require("playwright-core");
  const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  await step("test it in Chromium", async () => {
    const server = await serve();
    const executablePath = findProgram("chromium", "chromium-browser");
    const args = [
      "--no-sandbox",
      "--disable-dev-shm-usage",
      "--disable-gpu",
      "--disable-extensions",
    ];
    const browser = await chromium.launch({ executablePath, args });
    try {
      return await testPages(browser, `http://localhost:${server.address().port}`, axe);
    } finally {
      await browser.close();
      server.close();
    }
  });
}
