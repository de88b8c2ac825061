// The package of one engine: it is chosen by os, cpu and libc, and runs nothing when installed.

import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { root } from "../support/paths.mjs";
import { core, home, origin, platformPackage, writeJson } from "./manifest.mjs";
import { thirdPartyNotices } from "./notices.mjs";

const systems = { Linux: "linux", Darwin: "darwin" };
const processors = { x86_64: "x64", arm64: "arm64", aarch64: "arm64" };

function manifestOf(target) {
  return {
    name: platformPackage(target),
    version: core.version,
    description: `The engine of @io/core for ${target.name}`,
    license: core.license,
    ...origin("packages/core"),
    main: "io.node",
    files: ["io.node", "THIRD_PARTY_NOTICES"],
    os: [systems[target.system]],
    cpu: [processors[target.processor]],
    ...(target.libc === undefined ? {} : { libc: [target.libc] }),
    engines: core.engines,
    // Yarn's Plug'n'Play keeps packages in archives, and a system loads libraries from files only.
    preferUnplugged: true,
    publishConfig: { access: "public" },
  };
}

function readmeOf(target) {
  const oldest = /(?:gnu|macos)\.([\d.]+)$/.exec(target.triple)?.[1];
  const since = { Darwin: `macOS ${oldest}`, Linux: `glibc ${oldest}` }[target.system];
  const needs = target.libc === "musl" ? "Linux with musl" : `${since} or later`;
  return `# ${platformPackage(target)}

The prebuilt engine of [@io/core](https://github.com/${home}) for ${target.name} (${needs}).
Install \`@io/core\`; it brings this package where it fits.
`;
}

/** Lays the package out in the folder. */
export function prepareEngine(target, path, folder) {
  mkdirSync(folder, { recursive: true });
  cpSync(path, `${folder}/io.node`);
  cpSync(`${root}/LICENSE`, `${folder}/LICENSE`);
  writeJson(`${folder}/package.json`, manifestOf(target));
  writeFileSync(`${folder}/README.md`, readmeOf(target));
  writeFileSync(`${folder}/THIRD_PARTY_NOTICES`, thirdPartyNotices(target));
  const required = ["io.node", "package.json", "README.md", "LICENSE", "THIRD_PARTY_NOTICES"];
  return { folder, required };
}
