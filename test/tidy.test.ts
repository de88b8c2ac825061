// The repository checks its own taste: this test reads the sources. Each rule also has samples that
// it must catch, so that a rule which can no longer fail is noticed.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { codeRules } from "./tidy/code_rules.js";
import { functionRule } from "./tidy/function_rule.js";
import { makeSource, type Rule, readSources, root } from "./tidy/source.js";
import { textRules } from "./tidy/text_rules.js";
import { wallRules } from "./tidy/wall_rules.js";

const abiPath = "packages/core/src/engine/abi.ts";
const rules: readonly Rule[] = [...textRules, functionRule, ...codeRules, ...wallRules];
const sources = readSources();
const test = suite("tidy");

for (const rule of rules) {
  test(`${rule.name}: its samples`, () => {
    assert.ok(rule.caught.length > 0, "a rule without a sample that it catches");
    for (const fixture of rule.caught) {
      assert.ok(rule.applies(fixture.path), `does not apply to ${fixture.path}`);
      assert.ok(rule.check(makeSource(fixture)).length > 0, `not caught: ${fixture.text}`);
    }
    for (const fixture of rule.passed) {
      assert.equal(rule.check(makeSource(fixture)), [], `caught by mistake: ${fixture.text}`);
    }
  });

  test(rule.name, () => {
    const findings = sources
      .filter((source) => rule.applies(source.path))
      .flatMap((source) =>
        rule.check(source).map(({ line, message }) => `${source.path}:${line}: ${message}`),
      );
    assert.ok(findings.length === 0, `${rule.name}\n${findings.join("\n")}`);
  });
}

test("the sources are found", () => {
  const paths = sources.map((source) => source.path);
  for (const path of ["package.json", "native/abi/abi.def", "test/tidy.test.ts", abiPath]) {
    assert.ok(paths.includes(path), path);
  }
});

test("abi.ts is what abi_ts prints", () => {
  const committed = readFileSync(root + abiPath, "utf8");
  const printed = execFileSync(`${root}build/Release/abi_ts`, { encoding: "utf8" });
  assert.match(committed.split("\n")[0]!, /^\/\/ Generated from native\/abi\/abi\.def/);
  assert.ok(committed === printed, `${abiPath}:1: differs; run npm run build and commit it`);
});

test("the table of kernels is what abi_ts prints, and names files that are there", () => {
  const printed = execFileSync(`${root}build/Release/abi_ts`, ["kernels"], { encoding: "utf8" });
  const committed = readFileSync(`${root}docs/internals/kernels.md`, "utf8");
  assert.ok(committed.includes(`<!-- kernel traits -->\n${printed}<!--`), "run npm run build");
  const rows = printed.trim().split("\n").slice(2);
  assert.ok(rows.length > 10);
  for (const row of rows) {
    const quoted = [...row.matchAll(/`([^`]*)`/g)].map((found) => found[1]);
    const [, file = "", path = ""] = quoted;
    for (const named of [`native/${file}`, `test/${path}`]) {
      assert.ok(existsSync(root + named), `${row}: there is no ${named}`);
    }
  }
});

test.run();
