// Starts the processes of a benchmark, each pinned to one core, and leaves none of them behind.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

let cleansUp = false;

/** A signal ends the benchmark by way of `exit`, where whatever still runs is killed. */
function cleanUpOnExit(): void {
  if (cleansUp) return;
  cleansUp = true;
  process.on("exit", killAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => process.exit(1));
  }
}

/** The path of a program, or undefined if it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Reads a list such as "0-2,5" of /proc/self/status. */
export function parseCoreList(text: string): number[] {
  return text
    .trim()
    .split(",")
    .flatMap((part) => {
      const [first, last = first] = part.split("-").map(Number);
      if (first === undefined || last === undefined) return [];
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** The cores that this process may use. */
function allowedCores(): number[] {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    return parseCoreList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0");
  } catch {
    return [0];
  }
}

/**
 * "measured" is the core of the program under test, "load" that of what keeps it busy; "any" is for
 * what may use all of them.
 */
export type Core = "measured" | "load" | "any";

/**
 * The command as it is started: pinned with taskset, and with the wish to be killed by the kernel
 * when this process dies, since a killed process cannot clean up.
 */
export function pinnedCommand(core: Core, command: readonly string[]): string[] {
  const [measured = 0, load = measured] = allowedCores();
  const prefix: string[] = [];
  if (findProgram("setpriv")) prefix.push("setpriv", "--pdeathsig", "KILL");
  const pins = core !== "any" && findProgram("taskset");
  if (pins) prefix.push("taskset", "-c", `${core === "load" ? load : measured}`);
  return [...prefix, ...command];
}

export interface RunOptions {
  core?: Core;
  timeoutSeconds: number;
  environment?: Record<string, string>;
  /** Is given each line of the output as it comes. */
  onLine?: (line: string) => void;
}

/** The options of this Node.js are its own: a contender starts with the defaults. */
function environmentFor(additions: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...environment } = process.env;
  return { ...environment, ...additions };
}

/** A child with its output by line and its end as a promise. */
export class Running {
  readonly #child: ChildProcess;
  /** Resolves with the output when the process ends well, rejects with why it did not. */
  readonly ended: Promise<string>;
  #stopped = false;

  constructor(command: readonly string[], options: RunOptions) {
    cleanUpOnExit();
    const [program = "", ...rest] = pinnedCommand(options.core ?? "measured", command);
    const environment = environmentFor(options.environment);
    const child = spawn(program, rest, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    running.add(child);
    this.ended = this.#watch(command.join(" "), options);
    // A server that is stopped on purpose exits with an error, and its output is not needed.
    this.ended.catch(() => undefined);
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  #watch(title: string, { timeoutSeconds, onLine }: RunOptions): Promise<string> {
    const child = this.#child;
    let output = "";
    let complaint = "";
    if (child.stdout) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        output += `${line}\n`;
        onLine?.(line);
      });
    }
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      complaint = `${complaint}${chunk}`.slice(-4000);
    });
    return new Promise((resolve, reject) => {
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        child.kill("SIGKILL");
      }, timeoutSeconds * 1000);
      child.on("error", reject);
      child.on("close", (code, signal) => {
        clearTimeout(timer);
        running.delete(child);
        if (code === 0) return resolve(output);
        const how = timedOut ? `no end after ${timeoutSeconds} s` : (signal ?? `status ${code}`);
        reject(new Error(`${title}: ${how}${lastWords(complaint)}`));
      });
    });
  }

  /** Kills the process and waits for its end. */
  async stop(): Promise<void> {
    if (!this.#stopped) this.#child.kill("SIGKILL");
    this.#stopped = true;
    await this.ended.catch(() => undefined);
  }

  /** The processor time that all its threads have used. The output must still be open. */
  usedNs(): number {
    const folder = `/proc/${this.processId}/task`;
    return readdirSync(folder)
      .map((thread) => readFileSync(`${folder}/${thread}/schedstat`, "utf8"))
      .reduce((sum, text) => sum + Number(text.split(" ")[0]), 0);
  }
}

/** The message of an error that Node.js printed, or else the last line that was printed. */
export function lastWords(complaint: string): string {
  const lines = complaint.split("\n").filter((line) => line.trim() !== "");
  const message = lines.find((line) => /^\w*Error\b.*:/.test(line)) ?? lines.at(-1);
  return message === undefined ? "" : `: ${message.trim()}`;
}

/** Runs a process to its end and resolves to what it printed. */
export function runProcess(command: readonly string[], options: RunOptions): Promise<string> {
  return new Running(command, options).ended;
}

/** Starts a server, which prints its port as its first line. It is killed after its life time. */
export async function startServer(
  command: readonly string[],
  options: RunOptions,
): Promise<{ server: Running; port: number }> {
  let announce: (line: string) => void = () => undefined;
  const firstLine = new Promise<string>((resolve) => {
    announce = resolve;
  });
  const server = new Running(command, { ...options, onLine: announce });
  const ended = server.ended.then(() => {
    throw new Error(`${command.join(" ")}: ended before it was asked to`);
  });
  const port = Number(await Promise.race([firstLine, ended]));
  if (!Number.isInteger(port) || port <= 0) {
    await server.stop();
    throw new Error(`${command.join(" ")}: did not print its port`);
  }
  return { server, port };
}
