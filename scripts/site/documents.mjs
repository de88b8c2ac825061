// The documents of the site beside the reference, each with its place in the navigation.

import { readdirSync } from "node:fs";
import { root } from "../support/paths.mjs";

/** The guides in the order in which they are read; what is not named here follows by name. */
const guides = [
  "from-node",
  "write-ahead-log",
  "http",
  "streams-http-tls",
  "proxy",
  "shutdown",
  "sending-files",
  "errors",
  "aborts",
  "chunks",
  "durability",
  "zero-copy",
  "cores",
  "descriptors",
  "datagrams",
  "vsock",
  "containers",
  "backends",
  "limits",
  "edges",
  "testing",
  "measuring",
  "faq",
];

function pagesIn(folder, first = []) {
  const names = readdirSync(`${root}/${folder}`)
    .filter((name) => name.endsWith(".md"))
    .map((name) => name.slice(0, -3));
  const place = (name) => (first.includes(name) ? first.indexOf(name) : first.length);
  return names
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1))
    .map((name) => `${folder}/${name}.md`);
}

/** The front page. */
export const frontPage = "docs/index.md";

/** By category: the files, in their order. */
export const documents = new Map([
  ["Learn", ["docs/start.md"]],
  ["Guides", pagesIn("docs/guides", guides)],
  ["How it works", ["docs/architecture.md", ...pagesIn("docs/internals")]],
  ["Decisions", pagesIn("docs/decisions")],
  ["Project", ["docs/benchmarks.md", "packages/core/CHANGELOG.md"]],
]);

export const documentPaths = [...documents.values()].flat();
