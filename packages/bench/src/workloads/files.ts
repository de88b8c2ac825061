// Random 4 KiB reads of a file, 32 in flight: from the page cache, and past it with O_DIRECT.

import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { nodeCommand, parseFigures } from "../contender.js";
import { fioArguments, runFio } from "../fio.js";
import type { Case, Contender, Settings, Workload } from "../harness.js";
import { buildFolder } from "../native_build.js";
import { alignedPages } from "../pages.js";
import { findProgram, runProcess } from "../processes.js";
import { pageBytes } from "../random_offsets.js";

const depth = 32;

type Cache = "buffered" | "direct";

interface Program {
  name: string;
  mode: string;
  backend?: string;
  environment?: Record<string, string>;
}

function measureProgram({ name, mode, backend, environment = {} }: Program, ...file: string[]) {
  return async ({ durationSeconds }: Settings) => {
    const rest = backend === undefined ? [] : [backend];
    const command = nodeCommand(name, mode, ...file, depth, durationSeconds, ...rest);
    const timeoutSeconds = 30 + 4 * durationSeconds;
    return parseFigures(await runProcess(command, { timeoutSeconds, environment }));
  };
}

/** io_uring, and epoll: there a read whose bytes are in memory may be made without a thread. */
function ourContenders(path: string, cache: Cache): Contender[] {
  const modes = { ours: "callback", "ours promise": "promise" };
  const pool = { IO_CACHED_READS: "pool" };
  return Object.entries(modes).flatMap(([title, mode]) => {
    const name = "files_ours";
    const onEpoll = { name, mode, backend: "epoll" };
    const ways: [string, Program][] = [
      [title, { name, mode }],
      [`${title} on epoll`, onEpoll],
      [`${title} on epoll, by threads`, { ...onEpoll, environment: pool }],
    ];
    return ways.map(([way, program]) => ({
      name: way,
      measure: measureProgram(program, path, cache),
    }));
  });
}

/** node:fs with the number of threads that Node.js starts by default, and with other numbers. */
function nodeContenders(path: string, cache: Cache): Contender[] {
  const modes = { "fs.promises": "promise", "fs.read": "callback" };
  const threads = cache === "buffered" ? [1, 4] : [4, 32];
  return Object.entries(modes).flatMap(([name, mode]) =>
    threads.map((count) => ({
      name,
      variant: `UV_THREADPOOL_SIZE=${count}`,
      measure: measureProgram(
        { name: "files_node", mode, environment: { UV_THREADPOOL_SIZE: `${count}` } },
        path,
        cache,
      ),
    })),
  );
}

/** fio submits one read at a time without the option to collect, which only pays from the cache. */
function fioContenders(path: string, cache: Cache): Contender[] {
  const batches = {
    buffered: { "batches of 16": [16, 16, 16], "batches of 32": [32, 32, 32] },
    direct: { "batches of 1": [1, 1, 32], "batches of 16": [16, 1, 32] },
  };
  const unavailable = findProgram("fio") ? {} : { unavailable: "fio is not installed" };
  return Object.entries(batches[cache]).map(([variant, [submit, min, max]]) => ({
    name: "fio",
    variant,
    ...unavailable,
    measure: ({ durationSeconds }) => {
      const options = [
        ...fioArguments(path, cache === "direct", depth),
        `--iodepth_batch_submit=${submit}`,
        `--iodepth_batch_complete_min=${min}`,
        `--iodepth_batch_complete_max=${max}`,
      ];
      return runFio(options, durationSeconds);
    },
  }));
}

function contendersFor(path: string, cache: Cache): Contender[] {
  return [
    ...ourContenders(path, cache),
    ...nodeContenders(path, cache),
    ...fioContenders(path, cache),
  ];
}

/** Writes the file, every page with other bytes. O_DIRECT leaves nothing in the page cache. */
function writeFile(path: string, sizeBytes: number, cache: Cache): void {
  const pages = alignedPages(256);
  const whole = new Uint8Array(pages[0]!.buffer, 0, pages.length * pageBytes);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const descriptor = openSync(path, flags | (cache === "direct" ? constants.O_DIRECT : 0));
  try {
    for (let offset = 0; offset < sizeBytes; offset += whole.byteLength) {
      for (const [at, page] of pages.entries()) page.fill((offset / pageBytes + at) * 31);
      writeSync(descriptor, whole, 0, whole.byteLength, offset);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Why the file system cannot do without the page cache, or undefined when it can. */
function whyNotDirect(path: string, sizeBytes: number): string | undefined {
  try {
    writeFile(path, sizeBytes, "direct");
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
    readSync(descriptor, alignedPages(1)[0]!, 0, pageBytes, 0);
    closeSync(descriptor);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `this file system has no O_DIRECT: ${message}`;
  }
}

function casesIn(folder: string, sizeBytes: number): Case[] {
  const buffered = `${folder}/buffered`;
  writeFile(buffered, sizeBytes, "buffered");
  const direct = `${folder}/direct`;
  const reason = whyNotDirect(direct, sizeBytes);
  const unavailable = reason === undefined ? {} : { unavailable: reason };
  const directContenders = contendersFor(direct, "direct").map((contender) => ({
    ...contender,
    ...unavailable,
  }));
  return [
    { name: "buffered", better: "higher", contenders: contendersFor(buffered, "buffered") },
    { name: "O_DIRECT", better: "higher", contenders: directContenders },
  ];
}

export const files: Workload = {
  name: "files",
  async prepare({ small }: Settings) {
    mkdirSync(buildFolder, { recursive: true });
    const folder = mkdtempSync(`${buildFolder}/files-`);
    const dispose = () => rmSync(folder, { recursive: true, force: true });
    // An interrupted run must not leave the files behind either.
    process.on("exit", dispose);
    try {
      const cases = casesIn(folder, (small ? 16 : 256) * 1024 * 1024);
      return { cases, dispose };
    } catch (error) {
      dispose();
      throw error;
    }
  },
};
