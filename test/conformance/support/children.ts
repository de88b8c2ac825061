// Starts programs of `child.ts` in processes of their own, and waits for how they end.

import { execFileSync, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { GUARD_MS } from "./harness.js";

const childPath = fileURLToPath(new URL("./child.js", import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Runs a program until it ends; one that hangs is killed, and its signal says so. */
export function runChild(
  program: string,
  backend: string,
  environment: Record<string, string> = {},
): Promise<Ended> {
  return run([process.execPath, childPath, program, backend], environment);
}

/** The same with so many descriptors at most, for all that the process opens. */
export function runChildWithDescriptors(
  max: number,
  program: string,
  backend: string,
  environment: Record<string, string> = {},
): Promise<Ended> {
  const limited = ["/bin/sh", "-c", `ulimit -n ${max} && exec "$0" "$@"`];
  return run([...limited, process.execPath, childPath, program, backend], environment);
}

const waitingPath = fileURLToPath(new URL("../streams/waiting_child.js", import.meta.url));

/**
 * Runs a program of `waiting_child.ts` in a network namespace that a shell sets up first. It ends
 * with its last process.
 */
export function runInNamespace(setUp: string, program: string, backend: string): Promise<Ended> {
  const shell = ["unshare", "-rn", "sh", "-c", `${setUp} && exec "$0" "$@"`];
  return run([...shell, process.execPath, waitingPath, program, backend], {});
}

/** Why no such namespace can be made here, or null. */
export function whyNoNamespace(setUp: string): string | null {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  try {
    execFileSync("unshare", ["-rn", "sh", "-c", setUp], { stdio: "pipe" });
    return null;
  } catch (error) {
    const words = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    return `no network namespace can be made and set up (${setUp}): ${words}`;
  }
}

/**
 * Runs a program of `child.ts` with users and mounts of its own, which a shell sets up first.
 */
export function runChildApart(
  setUp: string,
  program: string,
  backend: string,
  environment: Record<string, string>,
): Promise<Ended> {
  const shell = ["unshare", "-rm", "sh", "-c", `${setUp} && exec "$0" "$@"`];
  return run([...shell, process.execPath, childPath, program, backend], environment);
}

/** Why that cannot be, or null. */
export function whyNotApart(setUp: string): string | null {
  if (process.platform !== "linux") return "namespaces of users and mounts are Linux's";
  try {
    execFileSync("unshare", ["-rm", "sh", "-c", setUp], { stdio: "pipe" });
    return null;
  } catch (error) {
    const words = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    return `no namespace can be made and set up (${setUp}): ${words}`;
  }
}

function run(words: readonly string[], environment: Record<string, string>): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const [command = "", ...rest] = words;
    const child = spawn(command, rest, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...environment },
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    const guard = setTimeout(() => child.kill("SIGKILL"), GUARD_MS - 3000);
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(guard);
      resolve({ status, signal, output });
    });
  });
}

/** Runs a program of the system that ends at once. */
export function runChildTool(...words: [string, ...string[]]): void {
  const [command, ...rest] = words;
  execFileSync(command, rest, { stdio: "inherit" });
}
