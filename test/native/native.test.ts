// Builds the engine without Node under the sanitizers (test/native/CMakeLists.txt) and runs its
// tests, each in a process of its own. IO_SEED repeats a run; the seed is printed with a failure.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "../support/skip.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const sources = join(root, "test/native");
const build = join(root, "build/native-tests");
const SKIPPED = 77;
const test = suite("native");
const folder = mkdtempSync(join(tmpdir(), "io-native-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Why the tests cannot be built here, or undefined. */
function whyNot(): string | undefined {
  const probe = join(folder, "probe");
  const flags = ["-xc++", "-", "-fsanitize=address,undefined", "-o", probe];
  const compiled = spawnSync("c++", flags, { input: "int main() {}", encoding: "utf8" });
  if (compiled.status === 0 && spawnSync(probe).status === 0) {
    return spawnSync("cmake", ["--version"]).status === 0 ? undefined : "cmake is not installed";
  }
  return `no sanitizer runtime: ${compiled.error ?? compiled.stderr.trim().split("\n").at(-1)}`;
}

function buildTests(): string[] {
  const options = { encoding: "utf8" as const, stdio: "pipe" as const };
  execFileSync("cmake", ["-S", sources, "-B", build], options);
  execFileSync("cmake", ["--build", build, "--parallel", "2"], options);
  const listed = execFileSync(join(build, "native_tests"), options);
  return listed.trim().split("\n");
}

function register(name: string): void {
  test(name, () => {
    const ended = spawnSync(join(build, "native_tests"), [name], {
      encoding: "utf8",
      env: { ...process.env, TMPDIR: folder },
      // Only a guard: a test that hangs is ended, and then has a signal.
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    const said = `${ended.stdout}${ended.stderr}`.trim();
    if (ended.status === SKIPPED) {
      process.stdout.write(`${said.split("\n").at(-1)}\n`);
      return;
    }
    const how = ended.signal ?? `status ${ended.status}`;
    assert.ok(ended.status === 0, `${name} ended with ${how}:\n${said.slice(0, 4000)}`);
  });
}

const reason = whyNot();
if (reason === undefined) for (const name of buildTests()) register(name);
else skip(test, "the native tests", reason);

test.run();
