// npm run lint: the linters and formatters of both languages. npm run format: lets them repair the
// files. Those for C++ run where they are installed; where they are not, a line says so.

import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { relative } from "node:path";
import { setup } from "./setup.mjs";
import { filesUnder } from "./support/fingerprint.mjs";
import { root } from "./support/paths.mjs";
import { main, runOrFail, StepError, step } from "./support/step.mjs";
import { findProgram } from "./support/system.mjs";

const repair = process.argv.includes("--fix");

async function lintTypeScript() {
  const args = repair ? ["check", "--write", "."] : ["check", "--error-on-warnings", "."];
  await step("biome", async () => {
    await runOrFail("node_modules/.bin/biome", args, { advice: "To repair: npm run format" });
  });
}

/**
 * Runs the tool over the files if it is there, and says so if it is not. The files are dealt out to
 * as many processes as there are processors, since neither tool uses more than one.
 */
async function lintNative(tool, args, files) {
  if (files.length === 0) return;
  if (!findProgram(tool)) {
    process.stderr.write(`  ${tool}: skipped, it is not installed (apt install ${tool})\n`);
    return;
  }
  await step(tool, async () => {
    const count = Math.min(availableParallelism(), files.length);
    const hands = Array.from({ length: count }, (_, hand) =>
      files.filter((_path, index) => index % count === hand),
    );
    const ended = await Promise.allSettled(
      hands.map((hand) => runOrFail(tool, [...args, ...hand])),
    );
    const failures = ended.filter(({ status }) => status === "rejected");
    if (failures.length > 0) {
      throw new StepError(failures.map(({ reason }) => reason.message).join("\n\n"));
    }
  });
}

/** The files that a build of the engine compiles; none where there is no such build. */
function compiledBy(folder) {
  const path = `${root}/${folder}/compile_commands.json`;
  const commands = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : [];
  return new Set(commands.map(({ file }) => relative(root, file)));
}

/** Every linter, so that one failure does not hide another. */
function linters() {
  const sources = filesUnder("native", (path) => /\.(cc|h)$/.test(path));
  const compiled = sources.filter((path) => path.endsWith(".cc"));
  const format = repair ? ["-i"] : ["--dry-run", "-Werror"];
  const all = [lintTypeScript, () => lintNative("clang-format", format, sources)];
  // The commands are the ones of the compiler, which knows a few options that clang does not.
  const foreign = ["unknown-warning-option", "ignored-optimization-argument"];
  const tidy = ["--quiet", ...foreign.map((name) => `--extra-arg=-Wno-${name}`)];
  if (repair) return all;
  // Files that only the build with a kqueue compiles are checked in that build's configuration.
  const checked = new Set();
  for (const build of ["build", "build/kqueue"]) {
    const known = compiledBy(build);
    const files = compiled.filter((path) => known.has(path) && !checked.has(path));
    for (const path of files) checked.add(path);
    all.push(() => lintNative("clang-tidy", ["-p", build, ...tidy], files));
  }
  return all;
}

await main(async () => {
  await setup({ forTests: true });
  const failures = [];
  for (const linter of linters()) {
    try {
      await linter();
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      failures.push(error.message);
    }
  }
  if (failures.length > 0) throw new StepError(failures.join("\n\n"));
});
