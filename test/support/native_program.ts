// Builds a folder of native tests under the sanitizers and registers each of them as a test here:
// every one runs in a process of its own, so that a test that crashes hides no other.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { skip } from "./skip.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const SKIPPED = 77;

export interface NativeProgram {
  /** The folder with its CMakeLists.txt, and the one that it is built in; relative to the root. */
  readonly sources: string;
  readonly build: string;
  /** The programs that the build makes. Without arguments each lists its tests. */
  readonly programs: readonly string[];
  /** What they cannot do without and is not here, if anything. */
  readonly needs?: () => string | undefined;
  /** The backends that a test is run on, one after the other; none when it uses no backend. */
  readonly backends?: (name: string) => readonly string[];
  /** The systems that the tests' own kqueue plays for a test (test/kqueue/systems.h), if any. */
  readonly systems?: (name: string) => readonly string[];
}

/** What a test is run with, beside what this process has. */
type Environment = Readonly<Record<string, string>>;

/** Why nothing can be built here, or undefined. */
function whyNot(folder: string, native: NativeProgram): string | undefined {
  const lacks = native.needs?.();
  if (lacks !== undefined) return lacks;
  const probe = join(folder, "probe");
  const flags = ["-xc++", "-", "-fsanitize=address,undefined", "-o", probe];
  const compiled = spawnSync("c++", flags, { input: "int main() {}", encoding: "utf8" });
  if (compiled.status === 0 && spawnSync(probe).status === 0) {
    return spawnSync("cmake", ["--version"]).status === 0 ? undefined : "cmake is not installed";
  }
  return `no sanitizer runtime: ${compiled.error ?? compiled.stderr.trim().split("\n").at(-1)}`;
}

function build({ sources, build: target }: NativeProgram): void {
  const options = { cwd: root, encoding: "utf8" as const, stdio: "pipe" as const };
  execFileSync("cmake", ["-S", sources, "-B", target], options);
  execFileSync("cmake", ["--build", target, "--parallel", "2"], options);
}

function runOne(program: string, name: string, folder: string, more: Environment): void {
  const ended = spawnSync(program, [name], {
    encoding: "utf8",
    env: { ...process.env, ...more, TMPDIR: folder },
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
}

/** Registers every test of the programs with `test`. IO_SEED repeats a run. */
export function registerNativeTests(test: Test, what: string, native: NativeProgram): void {
  const folder = mkdtempSync(join(tmpdir(), "io-native-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const reason = whyNot(folder, native);
  if (reason !== undefined) {
    skip(test, what, reason);
    return;
  }
  build(native);
  for (const name of native.programs) {
    const program = join(root, native.build, name);
    const listed = execFileSync(program, { encoding: "utf8" });
    for (const one of listed.trim().split("\n")) {
      const title = native.programs.length === 1 ? one : `${name}: ${one}`;
      const backends = native.backends?.(one) ?? [];
      if (backends.length === 0) test(title, () => runOne(program, one, folder, {}));
      for (const backend of backends) {
        test(`${title}: ${backend}`, () => runOne(program, one, folder, { IO_BACKEND: backend }));
      }
      for (const system of native.systems?.(one) ?? []) {
        const more = { IO_KQUEUE_SYSTEM: system };
        test(`${title}: as on ${system}`, () => runOne(program, one, folder, more));
      }
    }
  }
}
