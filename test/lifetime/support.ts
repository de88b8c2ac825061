// Helpers for the lifetime tests: work of every kind to have in flight, the resources of a process,
// and programs that run in processes of their own.

import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Completion, IO, OpenFlags, type Socket } from "@io/core";
import { guardMs } from "../support/guard.js";

/** Long enough never to be over before the test is. */
export const ENDLESS_NS = 3600e9;

/** What a wait gives up after; never how long something is expected to take. */
export const GUARD_MS = guardMs(30_000);

export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), "io-lifetime-"));
  process.on("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The descriptors of this process, with what they are. */
export function descriptors(): string[] {
  const names: string[] = [];
  for (const number of readdirSync("/proc/self/fd")) {
    try {
      names.push(`${number} ${readlinkSync(`/proc/self/fd/${number}`)}`);
    } catch {
      // The folder's own descriptor is gone by now.
    }
  }
  return names;
}

export function residentBytes(): number {
  const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
  return pages * 4096;
}

/** Collects garbage until nothing more is found soon. */
export function collect(): void {
  for (let round = 0; round < 4; round++) globalThis.gc!();
}

/** Lets the event loop turn until `done`; fails after the guard. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const end = performance.now() + GUARD_MS;
  while (!done()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Two sockets that are connected with each other. */
export async function connectedPair(io: IO): Promise<[client: Socket, server: Socket]> {
  const listener = await io.listen({ port: 0 });
  const accepting = listener.accept();
  const client = await io.connect({ port: listener.address.port });
  const server = await accepting;
  await listener.close();
  return [client, server];
}

function nothing(): void {}

/** Puts about `count` operations in flight: receives, accepts, timeouts, reads, writes, chains. */
export async function startMany(io: IO, count: number, folder: string): Promise<void> {
  const { ring } = io;
  const file = await io.openFile(join(folder, "many"), { read: true, write: true, create: true });
  await file.writeAll(new Uint8Array(65536), 0);
  const [client, server] = await connectedPair(io);
  const listener = await io.listen({ port: 0 });
  const other = await io.listen({ port: 0 });
  ring.acceptMultishot(new Completion(), nothing, other.descriptor);
  const starts: (() => void)[] = [
    () => ring.receive(new Completion(), nothing, client.descriptor, new Uint8Array(512)),
    () => ring.timeout(new Completion(), nothing, ENDLESS_NS),
    () => ring.accept(new Completion(), nothing, listener.descriptor),
    () => ring.receive(new Completion(), nothing, server.descriptor, io.buffers.acquire(4096)),
    () => ring.read(new Completion(), nothing, file.descriptor, io.buffers.acquire(4096), 0),
    () => ring.write(new Completion(), nothing, file.descriptor, new Uint8Array(8192), 8192),
    () => void io.sleep(3_600_000, { timeoutMs: 3_000_000 }).catch(nothing),
    () => {
      ring.timeout(linked(), nothing, ENDLESS_NS);
      ring.write(linked(), nothing, file.descriptor, new Uint8Array(512), 0);
      ring.sync(new Completion(), nothing, file.descriptor, "data");
    },
    () => {
      const parts = [new Uint8Array(100), io.buffers.acquire(100)];
      ring.readVectored(new Completion(), nothing, file.descriptor, parts, 0);
    },
  ];
  for (let index = 0; index < count; index++) starts[index % starts.length]!();
}

function linked(): Completion {
  const completion = new Completion();
  completion.link = true;
  return completion;
}

/** The same for a program that turns the ring itself, without promises. */
export function startManyDetached(io: IO, count: number, folder: string): void {
  const { ring } = io;
  let descriptor = -1;
  const flags = OpenFlags.read | OpenFlags.write | OpenFlags.create;
  ring.open(
    new Completion(),
    (_completion, result) => {
      descriptor = result;
    },
    join(folder, "detached"),
    flags,
    0o600,
  );
  while (descriptor === -1) io.runFor(1e9);
  for (let index = 0; index < count; index++) {
    if (index % 2 === 0) ring.timeout(new Completion(), nothing, ENDLESS_NS);
    else ring.read(new Completion(), nothing, descriptor, io.buffers.acquire(4096), 0);
  }
  io.runFor(0);
}

export interface ProgramOptions {
  readonly environment?: Record<string, string>;
  /** Words before the program: what runs it under other limits. */
  readonly prefix?: readonly string[];
}

/** Runs one case of programs.ts in a process of its own until it ends. */
export function runProgram(
  name: string,
  options: ProgramOptions = {},
): SpawnSyncReturns<string> & { said: string } {
  const program = fileURLToPath(new URL("./programs.js", import.meta.url));
  const node = [process.execPath, "--expose-gc", "--enable-source-maps", program, name];
  const [command, ...words] = [...(options.prefix ?? []), ...node];
  const ended = spawnSync(command!, words, {
    encoding: "utf8",
    env: { ...process.env, ...options.environment },
    timeout: GUARD_MS,
    killSignal: "SIGKILL",
  });
  const how = `status ${ended.status}, signal ${ended.signal}`;
  return { ...ended, said: `${name}: ${how}\n${ended.stdout}${ended.stderr}` };
}

export { IO };
