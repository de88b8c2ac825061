/** Starts real server processes for the tests here, and talks to them in plain bytes. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
export const mainPath = join(dirname(require.resolve("@io/kv/package.json")), "dist", "main.js");

/** What a wait gives up after; never how long something is expected to take. */
const GUARD_MS = 60_000;

let left: (() => void)[] = [];
process.on("exit", cleanUp);

/** For `test.after`: ends what a failed test has left running, which would keep this process up. */
export function cleanUp(): void {
  const undoing = left;
  left = [];
  for (const undo of undoing) undo();
}

/** A folder that goes when this process ends. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "io-kv-test-"));
  left.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Undoes something when this process ends, also after a failure. */
export function atExit(undo: () => void): void {
  left.unshift(undo);
}

export function hasProgram(name: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`]);
    return true;
  } catch {
    return false;
  }
}

/** A process whose lines, from both outputs, can be waited for. */
export class Program {
  readonly lines: string[] = [];
  readonly ended: Promise<{ status: number | null; signal: string | null }>;
  private waiting: (() => void)[] = [];
  private over = false;

  constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout!, child.stderr!]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        const parts = (rest + chunk).split("\n");
        rest = parts.pop()!;
        this.lines.push(...parts);
        this.wake();
      });
    }
    this.ended = new Promise((resolve) => {
      child.on("close", (status, signal) => {
        this.over = true;
        this.wake();
        resolve({ status, signal });
      });
    });
    atExit(() => child.kill("SIGKILL"));
  }

  get output(): string {
    return this.lines.join("\n");
  }

  /** The first line, from the given one on, that matches. */
  async line(pattern: RegExp, from = 0): Promise<string> {
    let late = false;
    const guard = setTimeout(() => {
      late = true;
      this.wake();
    }, GUARD_MS);
    try {
      for (;;) {
        const found = this.lines.slice(from).find((line) => pattern.test(line));
        if (found !== undefined) return found;
        if (this.over || late) throw new Error(`no line matches ${pattern} in:\n${this.output}`);
        await new Promise<void>((resolve) => {
          this.waiting.push(resolve);
        });
      }
    } finally {
      clearTimeout(guard);
    }
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export class KvServer {
  constructor(
    readonly program: Program,
    readonly port: number,
  ) {}

  /** Asks it to end and waits until it has. */
  async stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<number | null> {
    this.program.child.kill(signal);
    return (await this.program.ended).status;
  }

  async kill(): Promise<void> {
    this.program.child.kill("SIGKILL");
    await this.program.ended;
  }
}

export interface StartOptions {
  readonly folder: string;
  readonly more?: readonly string[];
  /** Run by a shell in front of the server: to set limits. */
  readonly prelude?: string;
  readonly environment?: Record<string, string>;
  /** Words in front of the command: a program that runs it somewhere else. */
  readonly container?: readonly string[];
}

/** Starts the program without waiting for anything. */
export function launch(words: readonly string[], options: Partial<StartOptions> = {}): Program {
  const quoted = [...(options.container ?? []), process.execPath, mainPath, ...words]
    .map((word) => `'${word}'`)
    .join(" ");
  const child = spawn("sh", ["-c", `${options.prelude ?? ":"}; exec ${quoted}`], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.environment },
  });
  return new Program(child);
}

/** Starts a server on a free port and waits until it listens. */
export async function start(options: StartOptions): Promise<KvServer> {
  const words = ["--port", "0", "--data", options.folder, ...(options.more ?? [])];
  const program = launch(words, options);
  const line = await program.line(/listening on/);
  return new KvServer(program, Number(/:(\d+),/.exec(line)![1]));
}

/** A bare connection that gathers what it receives. */
export class Wire {
  received = "";
  ended = false;
  /** Why the connection broke, if it did not end in order. */
  failure: Error | undefined;
  private waiting: (() => void)[] = [];

  private constructor(readonly socket: Socket) {
    atExit(() => socket.destroy());
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.received += chunk;
      this.wake();
    });
    socket.on("error", (error) => {
      this.failure = error; // "close" follows.
    });
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.ended = true;
        this.wake();
      });
    }
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
    return new Wire(socket);
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Waits until as many bytes have arrived, and takes them. */
  async take(count: number): Promise<string> {
    await this.until(() => this.received.length >= count);
    const taken = this.received.slice(0, count);
    this.received = this.received.slice(count);
    return taken;
  }

  /** Everything until the server closes. */
  async rest(): Promise<string> {
    await this.until(() => this.ended);
    this.socket.end();
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }

  private async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.ended) throw new Error(`the server closed after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        this.waiting.push(resolve);
      });
    }
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** The seed of this run: KV_SEED, or a new one. It is printed so that a failure can be repeated. */
export function seedOf(name: string): number {
  const seed = Number(process.env["KV_SEED"] ?? Date.now() % 1_000_000_000);
  process.stdout.write(`${name}: seed ${seed} (repeat with KV_SEED=${seed})\n`);
  return seed;
}

/** A small generator of random numbers (mulberry32): the same seed gives the same run. */
export function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * limit);
  };
}
