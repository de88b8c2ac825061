// Writes the results into the table of docs/guides/runtimes.md. A run of some runtimes replaces
// their rows and leaves the others.

import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { root } from "../support/paths.mjs";

const guide = `${root}/docs/guides/runtimes.md`;
const head = ["| Runtime | Version | Suite | Kernel | Passed | Failed | Skipped |"];
const rule = `|${"---|".repeat(7)}`;

function rowOf({ runtime, passed, failed, skipped }) {
  const { name, version, suite } = runtime;
  const cells = [name, version, suite, `Linux ${/^\d+\.\d+/.exec(release())}`];
  return `| ${[...cells, passed, failed, skipped].join(" | ")} |`;
}

/** `order` are the names of all runtimes; a row of another name goes. */
export function writeTable(results, order) {
  const text = readFileSync(guide, "utf8");
  const nameOf = (row) => row.split("|")[1].trim();
  const old = text.split("\n").filter((line) => line.startsWith("| "));
  const rows = new Map([...old, ...results.map(rowOf)].map((row) => [nameOf(row), row]));
  const table = [...head, rule, ...order.map((name) => rows.get(name)).filter(Boolean)];
  const before = text.slice(0, text.indexOf("<!-- results -->"));
  const after = text.slice(text.indexOf("<!-- end of results -->"));
  writeFileSync(guide, `${before}<!-- results -->\n\n${table.join("\n")}\n\n${after}`);
}
