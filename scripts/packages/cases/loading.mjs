// Loading the library into a process: two ways in, two versions, Node's switches.

import { StepError } from "../../support/step.mjs";
import { expect, installed, place } from "../place.mjs";
import { publish } from "../registry.mjs";
import { hostPackage, otherVersion } from "../versions.mjs";

async function oneInstance(registry) {
  const here = await installed(registry, "one instance");
  here.write(
    "both.mjs",
    `import { createRequire } from "node:module";
import * as imported from "@io/core";
const required = createRequire(import.meta.url)("@io/core");
const isOwn = (name) => name !== "default" && name !== "module.exports";
const names = Object.keys(imported).filter(isOwn);
const differ = names.filter((name) => imported[name] !== required[name]);
const lacking = Object.keys(required).filter((name) => !names.includes(name));
console.log(\`\${names.length > 10} differ: [\${differ}] lacking: [\${lacking}]\`);
`,
  );
  expect(await here.node("both.mjs"), "true differ: [] lacking: []");
}

/** Publishes a new version of both packages that is equal but for its number. */
async function publishOther(registry) {
  const { tarballs, ...versions } = await otherVersion();
  // Without a tag of its own it would be the newest for every case that follows.
  for (const tarball of tarballs) await publish(registry, tarball, "--tag=other");
  return versions;
}

async function twoVersions(registry) {
  const { current, version } = await publishOther(registry);
  const here = place(registry, "two versions");
  await here.npm("install", `one@npm:@io/core@${current}`, `other@npm:@io/core@${version}`);
  here.take("works_body.cjs");
  here.write(
    "two.mjs",
    `import * as one from "one";
import * as other from "other";
import { works } from "./works_body.cjs";
if (one.IO === other.IO) throw new Error("they are one");
await Promise.all([works(one.IO, one.IOError), works(other.IO, other.IOError)]);
`,
  );
  expect(await here.node("two.mjs"), /works on .*\nworks on /);
  // An engine of the one beside the TypeScript of the other: both versions are named.
  const mixed = await installed(registry, "mixed versions", {
    manifest: { overrides: { [hostPackage()]: version } },
  });
  mixed.take("works_body.cjs");
  mixed.take("works.mjs");
  const { ok, output } = await mixed.start(process.execPath, ["works.mjs"]);
  if (ok) throw new StepError(`it works with an engine of another version:\n${output}`);
  expect(output, "ERR_IO_ENGINE_VERSION", current, version);
}

const permissionSwitch =
  Number(process.versions.node.split(".")[0]) >= 24 ? "--permission" : "--experimental-permission";

async function permission(registry) {
  const here = await installed(registry, "permission");
  here.take("works_body.cjs");
  here.take("works.mjs");
  const words = [permissionSwitch, "--allow-fs-read=*"];
  const without = await here.start(process.execPath, [...words, "works.mjs"]);
  if (without.ok) throw new StepError("it loads without --allow-addons");
  expect(without.output, "--allow-addons");
  const allowed = [...words, "--allow-addons", "--allow-fs-write=*"];
  expect(await here.node(...allowed, "works.mjs"), "works on ");
  // The library may be read, and its engine may not. Node 20 does not guard what require() finds.
  if (permissionSwitch !== "--permission") return;
  const readable = ["works.mjs", "works_body.cjs", "package.json", "node_modules/@io/core/*"].map(
    (path) => `--allow-fs-read=${here.folder}/${path}`,
  );
  const hidden = [permissionSwitch, "--allow-addons", ...readable];
  const unread = await here.start(process.execPath, [...hidden, "works.mjs"]);
  expect(unread.output, "ERR_IO_ENGINE_MISSING", "--allow-fs-read=", `${hostPackage()}`);
}

async function frozen(registry) {
  const here = await installed(registry, "switches");
  here.take("works_body.cjs");
  here.take("works.mjs");
  const switches = [
    "--frozen-intrinsics",
    "--disable-proto=throw",
    "--jitless",
    "--disallow-code-generation-from-strings",
  ];
  for (const word of switches) expect(await here.node(word, "works.mjs"), "works on ");
}

/** The time of an import and an open, to that of importing node:http, of interleaved runs. */
async function importTime(registry) {
  const here = await installed(registry, "import time");
  here.write("ours.mjs", `import { IO } from "@io/core";\nawait IO.open();\nprocess.exit();\n`);
  here.write("required.cjs", `require("@io/core").IO.open().then(() => process.exit());\n`);
  here.write("http.mjs", `import "node:http";\nprocess.exit();\n`);
  const times = { "ours.mjs": [], "required.cjs": [], "http.mjs": [] };
  for (let round = 0; round < 15; round++) {
    for (const name of Object.keys(times)) {
      const start = performance.now();
      await here.node(name);
      times[name].push(performance.now() - start);
    }
  }
  const median = (name) => times[name].sort((a, b) => a - b)[7];
  const ratio = (name) => (median(name) / median("http.mjs")).toFixed(2);
  return `import and open ${ratio("ours.mjs")}, require ${ratio("required.cjs")} of node:http`;
}

export const loading = [
  { name: "import and require give one library", run: oneInstance },
  { name: "two versions side by side", run: twoVersions },
  { name: "the permission model", run: permission },
  { name: "switches that take things from programs", run: frozen },
  { name: "the time of an import", slow: true, run: importTime },
];
