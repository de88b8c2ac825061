// Helpers for the tests of the choice: programs that take io_uring away, and processes without it.

import { execFileSync, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Candidate, Probe } from "@io/core";

/** Only a guard: a program that hangs is ended, and then has a signal. */
const GUARD_MS = 60_000;

const require = createRequire(import.meta.url);
export const corePath = dirname(require.resolve("@io/core/package.json"));
const root = fileURLToPath(new URL("../../..", import.meta.url));
const sources = join(root, "test/fallback");
const build = join(root, "build/fallback");

export interface Tools {
  /** Runs what follows without the named calls: `[deny, "EPERM", "setup,enter,register"]`. */
  readonly deny: string;
  /** To be preloaded: `uname()` then tells what TEST_KERNEL_RELEASE and TEST_KERNEL_BUILD say. */
  readonly kernelName: string;
  /** To be preloaded: the signals of a ring are late, as on some kernels. */
  readonly lateSignals: string;
  /** To be loaded: forbids io_uring_enter to the thread that does it. */
  readonly forbidEnter: string;
}

/** Builds the tools of this folder, or says why they are not available. */
export function buildTools(): Tools | string {
  if (process.platform !== "linux") return "seccomp filters are a matter of Linux";
  try {
    execFileSync("cmake", ["-S", sources, "-B", build], { stdio: "pipe" });
    execFileSync("cmake", ["--build", build], { stdio: "pipe" });
  } catch (error) {
    return `the tools of test/fallback do not build: ${(error as Error).message}`;
  }
  const deny = join(build, "deny");
  const tried = spawnSync(deny, ["EPERM", "setup", "true"], { encoding: "utf8" });
  if (tried.status !== 0) return `a seccomp filter cannot be set here: ${tried.stderr.trim()}`;
  return {
    deny,
    kernelName: join(build, "libkernel_name.so"),
    lateSignals: join(build, "liblate_signals.so"),
    forbidEnter: join(build, "libforbid_enter.so"),
  };
}

export interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
  /** Everything, for the message of an assertion. */
  readonly said: string;
}

export interface RunOptions {
  /** Words before the program: what runs it with less than there is. */
  readonly prefix?: readonly string[];
  readonly environment?: Record<string, string>;
}

/** Runs a program of Node in a process of its own. */
export function run(words: readonly string[], options: RunOptions = {}): Ended {
  const [command, ...rest] = [...(options.prefix ?? []), process.execPath, ...words];
  const { IO_BACKEND: _, ...environment } = process.env;
  const ended = spawnSync(command!, rest, {
    encoding: "utf8",
    env: { ...environment, ...options.environment },
    timeout: GUARD_MS,
    killSignal: "SIGKILL",
  });
  const { status, stdout, stderr } = ended;
  const how = `${words.join(" ")}: status ${status}, signal ${ended.signal}`;
  return { status, output: stdout, errors: stderr, said: `${how}\n${stdout}${stderr}` };
}

export const doctorPath = join(corePath, "bin/io-core.js");

/** What the doctor says to a program. */
export function examine(options: RunOptions = {}): Ended & { found: Probe } {
  const ended = run([doctorPath, "doctor", "--json"], options);
  return { ...ended, found: JSON.parse(ended.output) as Probe };
}

export function candidateOf(found: Probe, name: string): Candidate {
  const candidate = found.candidates.find((one) => one.name === name);
  if (candidate === undefined) throw new Error(`no candidate is named ${name}`);
  return candidate;
}

/** Runs one case of programs.ts. */
export function runProgram(name: string, options: RunOptions = {}): Ended {
  return run([fileURLToPath(new URL("./programs.js", import.meta.url)), name], options);
}
