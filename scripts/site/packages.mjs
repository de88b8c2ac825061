// The packages of the site, each with a reference of its own. The first has the guides too.

import { documentPaths, documents, frontPage } from "./documents.mjs";

/**
 * @typedef {object} SitePackage
 * @property {string} name
 * @property {string} folder
 * @property {string} path below the site, "" for its root
 * @property {string} readme the front page
 * @property {readonly string[]} documents
 * @property {readonly string[]} [modules] what programs import, where it is more than one: each is
 *   described on a page of its own
 * @property {readonly string[]} parts of the reference; a public name in none of them is an error
 */

/** @type {readonly SitePackage[]} */
export const sitePackages = [
  {
    name: "@io/core",
    folder: "packages/core",
    path: "",
    readme: frontPage,
    documents: documentPaths,
    parts: [
      "Start",
      "Files",
      "Sockets",
      "Datagrams",
      "Descriptors",
      "Time",
      "Memory",
      "Chains and cancel",
      "Diagnostics",
      "Ring",
    ],
  },
  {
    name: "@io/http",
    folder: "packages/http",
    path: "http",
    readme: "packages/http/README.md",
    documents: [],
    parts: ["Server", "Exchange", "Files", "Several cores", "Logs and metrics"],
  },
  {
    name: "@io/node",
    folder: "packages/node",
    path: "node",
    readme: "packages/node/README.md",
    documents: [],
    modules: [
      ...["index", "net/index", "http/index", "https/index", "http2/index", "tls/index"],
      ...["fs/promises", "fs/index", "dgram/index"],
    ],
    parts: [],
  },
];

/** The one that a run of typedoc is for. */
export const sitePackage = sitePackages.find(
  ({ name }) => name === (process.env.IO_SITE_PACKAGE ?? sitePackages[0].name),
);

/** Its folder, seen from the root of the repository. */
export const htmlFolder = ({ path }) => (path === "" ? "build/site" : `build/site/${path}`);

/** What is known of it as data: for the words that typedoc does not look for. */
export const jsonFile = ({ path }) => `build/site${path === "" ? "" : `-${path}`}.json`;

/** The categories of its navigation, in their order. */
export function categoriesOf({ parts, documents: own }) {
  const all = own.length === 0 ? [] : [...documents.keys()];
  return [...all.slice(0, 2), ...parts, ...all.slice(2), "*"];
}
