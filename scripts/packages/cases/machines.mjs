// The packages of other machines that can be run here, and other releases of Node.

import { readFileSync } from "node:fs";
import { fetchRuntime, runtimes } from "../../runtimes/fetch.mjs";
import { wordsFor } from "../../runtimes/machines.mjs";
import { root } from "../../support/paths.mjs";
import { expect, place } from "../place.mjs";

/** Runs the smoke suite with what npm installs for that machine. */
async function smokeOn(registry, name, ...installWords) {
  const runtime = runtimes.find((candidate) => candidate.name === name);
  const words = await wordsFor(runtime, `${await fetchRuntime(runtime)}/${runtime.program}`);
  const here = place(registry, name);
  await here.npm("install", ...installWords, "@io/core");
  here.write("smoke.mjs", readFileSync(`${root}/test/smoke/smoke.mjs`, "utf8"));
  const program = [...words, ...(runtime.words ?? []), "smoke.mjs"];
  const output = await here.must(program[0], program.slice(1));
  expect(output, /^[1-9]\d* passed, 0 failed/m);
  return `${name}: ${/^\d+ passed.*$/m.exec(output)[0]}`;
}

const own = (name) => ({
  name: `installed for ${name}`,
  slow: true,
  run: (registry) => smokeOn(registry, name),
});

export const machines = [
  {
    name: "installed for arm64, under qemu",
    run: (registry) => smokeOn(registry, "node24-arm64", "--cpu=arm64", "--libc=glibc"),
  },
  {
    name: "installed for musl",
    slow: true,
    run: (registry) => smokeOn(registry, "bun-musl", "--libc=musl"),
  },
  ...["node20.4", "node22", "node24", "node26", "bun", "deno"].map(own),
];
