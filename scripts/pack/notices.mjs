// The licences of the libraries that are linked into an engine, copied from the linked versions.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { crossFolder, zigFolder } from "../cross/zig.mjs";
import { root } from "../support/paths.mjs";
import { StepError } from "../support/step.mjs";

const require = createRequire(`${root}/package.json`);

function readFirst(title, paths) {
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new StepError(`The licence of ${title} is at none of: ${paths.join(", ")}`);
  }
  return readFileSync(path, "utf8").trim();
}

function partsOf(target) {
  const nodeAddonApi = dirname(require.resolve("node-addon-api/package.json"));
  const parts = [
    { title: "node-addon-api (MIT)", paths: [`${nodeAddonApi}/LICENSE.md`] },
    {
      title: "libc++ and libc++abi of LLVM (Apache-2.0 with LLVM exceptions)",
      paths: [`${zigFolder}/lib/libcxx/LICENSE.TXT`],
    },
    {
      title: "compiler_rt of Zig (MIT)",
      paths: [`${zigFolder}/LICENSE`],
    },
  ];
  if (target.system !== "Linux") return parts;
  const sources = `${crossFolder}/liburing-source/liburing`;
  return [
    { title: "liburing (LGPL-2.1 or MIT; taken under MIT)", paths: [`${sources}/LICENSE`] },
    ...parts,
  ];
}

export function thirdPartyNotices(target) {
  const texts = partsOf(target).map(
    ({ title, paths }) => `## ${title}\n\n${readFirst(title, paths)}\n`,
  );
  return `io.node contains code of these projects:\n\n${texts.join("\n")}`;
}
