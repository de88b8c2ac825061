// The doctor: its report to a person and to a program, also where the engine is missing or broken,
// and its exit status.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { probe } from "@io/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";
import { candidateOf, corePath, doctorPath, examine, run } from "./support.js";

const test = suite("fallback/doctor");
const folder = mkdtempSync(join(tmpdir(), "io-doctor-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** A copy of the package whose engine is not built, in a folder of its own. */
function packageWithoutEngine(name: string): string {
  const copy = join(folder, name, "packages/core");
  for (const part of ["bin", "bundle", "package.json"]) {
    cpSync(join(corePath, part), join(copy, part), { recursive: true });
  }
  return copy;
}

delete process.env["IO_BACKEND"];
const here = probe();

test("the whole truth for a program", () => {
  const { status, errors, found, said } = examine();
  assert.is(status, here.chosen === null ? 1 : 0, said);
  assert.is(errors === "", here.chosen !== null, said);
  assert.equal(found, here);
  const names = ["chosen", "why", "candidates", "kernel", "limits", "capabilities"];
  assert.equal(Object.keys(found), names);
  assert.is(found.kernel, release());
  assert.type(found.limits.maxEntries, "number");
});

test("the whole truth for a person", () => {
  const { status, output, said } = run([doctorPath, "doctor"]);
  assert.is(status, here.chosen === null ? 1 : 0, said);
  const flat = output.replace(/\s+/g, " ");
  for (const { name, reason, advice } of here.candidates) {
    assert.match(flat, name);
    assert.ok(flat.includes(reason), `${name}: ${reason} is not in\n${output}`);
    assert.ok(advice === undefined || flat.includes(`To change: ${advice}`), output);
  }
  assert.match(output, release());
  for (const [name, { support, reason }] of Object.entries(here.capabilities)) {
    assert.match(flat, new RegExp(`\\b${name}\\b`));
    assert.ok(flat.includes(support) && flat.includes(reason), `${name}: ${reason}`);
  }
  assert.match(output, /locked memory +\S/);
  assert.match(output, /descriptors +\S/);
  for (const line of output.split("\n")) assert.ok(line.length <= 100, line);
});

test("a command line that is wrong", () => {
  const bare = run([doctorPath]);
  assert.is(bare.status, 2, bare.said);
  assert.match(bare.errors, /^Usage: io-core doctor/);
  for (const words of [["doctr"], ["doctor", "--jsn"], ["doctor", "--json", "more"]]) {
    const { status, output, errors, said } = run([doctorPath, ...words]);
    assert.is(status, 2, said);
    assert.is(output, "", said);
    assert.match(errors, "Usage: io-core doctor [--json]");
    assert.match(errors, `${words.find((word) => !/^(doctor|--json)$/.test(word))}`);
  }
  assert.match(run([doctorPath, "--help"]).output, "Usage:");
});

test("IO_BACKEND names nonsense", () => {
  const { status, errors, found, said } = examine({ environment: { IO_BACKEND: "nonsense" } });
  assert.is(status, 1, said);
  assert.is(found.chosen, null);
  assert.match(
    errors,
    'the environment variable IO_BACKEND names "nonsense", which is none of auto',
  );
  assert.match(found.why, "nonsense");
  assert.equal(found.candidates, here.candidates);
});

for (const { name, available, reason } of here.candidates) {
  if (!available) {
    test(`IO_BACKEND names ${name}, which does not work here`, () => {
      const { status, errors, found, said } = examine({ environment: { IO_BACKEND: name } });
      assert.is(status, 1, said);
      assert.is(found.chosen, null);
      assert.match(errors, `${name}, named by IO_BACKEND, is not available: ${reason}`);
    });
    continue;
  }
  test(`IO_BACKEND names ${name}`, () => {
    const { status, found, said } = examine({ environment: { IO_BACKEND: name } });
    assert.is(status, 0, said);
    assert.is(found.chosen, name);
    assert.match(found.why, `${name}, named by IO_BACKEND`);
  });
}

test("the engine is not built", () => {
  const copy = packageWithoutEngine("missing");
  const words = [join(copy, "bin/io-core.js"), "doctor"];
  const { status, output, errors, said } = run(words);
  assert.is(status, 1, said);
  assert.match(errors, /io-core: .*@io\/core-\S+ is not .*npx @io\/core build/);
  assert.match(output, "there is no engine to try them");
  assert.match(output, release());
  const found = JSON.parse(run([...words, "--json"]).output);
  assert.is(found.chosen, null);
  assert.match(found.why, "npx @io/core build");
  assert.equal(found.candidates, []);
  assert.is(found.capabilities.read.support, "unknown");
  assert.match(output, /locked memory +unknown/);
});

test("the engine does not load", () => {
  const copy = packageWithoutEngine("broken");
  mkdirSync(join(copy, "engine"));
  writeFileSync(join(copy, "engine/io.node"), "not a program");
  const { status, errors, said } = run([join(copy, "bin/io-core.js"), "doctor"]);
  assert.is(status, 1, said);
  assert.match(errors, /the engine \S+io\.node does not load into Node v.* on \w+-\w+: /);
  assert.match(errors, "npx @io/core build");
});

test("the library is not compiled", () => {
  const copy = packageWithoutEngine("uncompiled");
  rmSync(join(copy, "bundle"), { recursive: true });
  const { status, output, errors, said } = run([join(copy, "bin/io-core.js"), "doctor"]);
  assert.is(status, 1, said);
  assert.is(output, "");
  assert.match(errors, "the library is not compiled");
});

if (here.candidates.some(({ name }) => name === "io_uring")) {
  test("the obstacle is printed with this machine's settings", () => {
    const { available, reason, advice } = candidateOf(here, "io_uring");
    assert.ok(available || (advice !== undefined && reason.includes(" failed with E")), reason);
  });
} else {
  skip(test, "what is in the way", "io_uring is no candidate here");
}

test.run();
