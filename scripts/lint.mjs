// npm run lint: the linters and formatters of both languages. npm run format: lets them repair what
// they can. Those for C++ run where they are installed; where they are not, a line says so.

import { setup } from "./setup.mjs";
import { filesUnder } from "./support/fingerprint.mjs";
import { main, runOrFail, StepError, step } from "./support/step.mjs";
import { findProgram } from "./support/system.mjs";

const repair = process.argv.includes("--fix");

async function lintTypeScript() {
  const args = repair ? ["check", "--write", "."] : ["check", "--error-on-warnings", "."];
  await step("biome", async () => {
    await runOrFail("node_modules/.bin/biome", args, { advice: "To repair: npm run format" });
  });
}

/** Runs the tool over the files if it is there, and says so if it is not. */
async function lintNative(tool, args, files) {
  if (files.length === 0) return;
  if (!findProgram(tool)) {
    process.stderr.write(`  ${tool}: skipped, it is not installed (apt install ${tool})\n`);
    return;
  }
  await step(tool, async () => {
    await runOrFail(tool, [...args, ...files]);
  });
}

/** Every linter, so that one failure does not hide another. */
function linters() {
  const sources = filesUnder("native", (path) => /\.(cc|h)$/.test(path));
  const compiled = sources.filter((path) => path.endsWith(".cc"));
  const format = repair ? ["-i"] : ["--dry-run", "-Werror"];
  const all = [lintTypeScript, () => lintNative("clang-format", format, sources)];
  // The commands are the ones of the compiler, which knows a few options that clang does not.
  const tidy = [
    "-p",
    "build",
    "--quiet",
    "--extra-arg=-Wno-unknown-warning-option",
    "--extra-arg=-Wno-ignored-optimization-argument",
  ];
  if (!repair) all.push(() => lintNative("clang-tidy", tidy, compiled));
  return all;
}

await main(async () => {
  await setup();
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
