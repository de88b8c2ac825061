// Runs a program of files on a backend, one step after the other, and compares every result, all
// data and the folder that is left with the model, exactly.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  type BackendName,
  Completion,
  type Descriptor,
  type File,
  IO,
  OpenFlags,
  type Ring,
} from "@io/core";
import * as assert from "uvu/assert";
import { closed, settledWith, until } from "../drive.js";
import { tally } from "../tally.js";
import { apply, applyChain, breaksChain, type Opened, type Outcome } from "./expected.js";
import { FileLayers, failed, settled, type Target } from "./layers.js";
import { FileTree, type FolderNode, type OpenFile } from "./model.js";
import type { FileOperation, FileProgram, FileStep } from "./steps.js";

const { EBADF, ECANCELED } = constants.errno;

/** How many of the last opened files a step can name. */
const REACH = 6;

let base = "";
let programs = 0;

/** A new empty folder; all of them are gone when the process ends. */
function newFolder(): string {
  if (base === "") {
    base = mkdtempSync(join(tmpdir(), "io-model-"));
    process.on("exit", () => rmSync(base, { recursive: true, force: true }));
  }
  const folder = join(base, String(programs++));
  mkdirSync(folder);
  return folder;
}

interface RunningFile extends Opened, Target {
  /** A promise of the library said that it was closed, so its methods refuse. */
  handleClosed: boolean;
}

/** What can be put between the program and the ring: for proving that the checks find something. */
export type Wrap = (ring: Ring) => Ring;

class FileRun {
  readonly #io: IO;
  readonly #ring: Ring;
  readonly #layers: FileLayers;
  readonly #tree = new FileTree();
  readonly #files: RunningFile[] = [];
  readonly #seen = new Set<Descriptor>();
  #writes = 0;
  callbacks = 0;
  executed = 0;

  constructor(io: IO, folder: string, wrap: Wrap) {
    this.#io = io;
    this.#ring = wrap(io.ring);
    this.#layers = new FileLayers(io, folder);
  }

  async step(step: FileStep): Promise<void> {
    if (step.do === "close") await this.#close(step.file, step.layer === "promise");
    else if (step.do === "chain") await this.#chain(step);
    else await this.#single(step, step.layer === "promise");
  }

  #fileOf(operation: FileOperation): RunningFile | undefined {
    return "file" in operation ? this.#recent(operation.file) : undefined;
  }

  #recent(index: number): RunningFile | undefined {
    const reach = Math.min(this.#files.length, REACH);
    return reach === 0 ? undefined : this.#files.at(-1 - (index % reach));
  }

  async #single(operation: FileOperation, asPromise: boolean): Promise<void> {
    const file = this.#fileOf(operation);
    const seed = this.#writes++;
    this.executed++;
    if (asPromise && operation.do === "open" && isFileOptions(operation.flags)) {
      return this.#openPromise(operation);
    }
    const handle = file?.handle ?? null;
    if (asPromise && handle !== null && file?.handleClosed) {
      const promise = this.#layers.promise(operation, handle, seed);
      if (promise !== null) {
        const outcome = await settledWith(this.#io, promise, operation.do);
        return assert.equal(outcome, { result: "ERR_IO_CLOSED" });
      }
    }
    const { opened, ...expected } = apply(this.#tree, operation, file, seed);
    const promise = asPromise ? this.#layers.promise(operation, handle, seed) : null;
    const actual =
      promise === null
        ? (await this.#onRing([operation], [file], seed, 0))[0]
        : await settledWith(this.#io, promise, operation.do);
    this.#compare(operation, expected, actual as Outcome, opened);
  }

  async #openPromise(operation: Extract<FileOperation, { do: "open" }>): Promise<void> {
    const { opened, ...expected } = apply(this.#tree, operation, undefined, 0);
    const opening = this.#layers.open(operation.path, operation.flags, operation.mode);
    let handle: File | null = null;
    const outcome = opening.then((file): Outcome => {
      handle = file;
      return { result: file.descriptor };
    }, failed);
    const actual = await settledWith(this.#io, outcome, "open");
    this.#compare(operation, expected, actual, opened, handle);
  }

  async #close(index: number, asPromise: boolean): Promise<void> {
    const file = this.#recent(index);
    if (file === undefined) return;
    this.executed++;
    const expected = file.closed ? -EBADF : 0;
    let result: number | string;
    if (asPromise && file.handle !== null) {
      // Closing again is the same promise.
      const again = file.handleClosed;
      result = (await settledWith(this.#io, settled(file.handle.close()), "close")).result;
      file.handleClosed = true;
      if (again) return;
    } else {
      result = await this.#call("close", (c, callback) =>
        this.#ring.close(c, callback, file.descriptor),
      );
    }
    assert.is(result, expected, "close");
    file.closed = true;
  }

  async #call(
    what: string,
    start: (c: Completion, callback: (c: Completion, result: number) => void) => void,
  ): Promise<number> {
    const results: number[] = [];
    const completion = new Completion();
    start(completion, (_c, result) => {
      this.callbacks++;
      results.push(result);
    });
    await until(
      this.#io,
      () => results.length > 0,
      () => what,
    );
    assert.is(results.length, 1, `${what}: exactly one completion`);
    assert.is(completion.active, false);
    return results[0] as number;
  }

  // ---- chains

  async #chain(step: Extract<FileStep, { do: "chain" }>): Promise<void> {
    const asPromise = step.layer === "promise" && (await this.#promiseChain(step.members));
    if (asPromise) return;
    const files = step.members.map((member) => this.#fileOf(member));
    const seed = this.#writes;
    this.#writes += step.members.length;
    this.executed += step.members.length;
    const expected = applyChain(this.#tree, step.members, files, seed, step.hard);
    const actual = await this.#onRing(step.members, files, seed, step.hard);
    for (const [index, member] of step.members.entries()) {
      const { opened, ...outcome } = expected[index] as Outcome & { opened?: OpenFile };
      this.#compare(member, outcome, actual[index] as Outcome, opened);
    }
  }

  /** Starts operations, as a chain when there are several, and gives what came of each. */
  async #onRing(
    operations: readonly FileOperation[],
    files: readonly (RunningFile | undefined)[],
    seed: number,
    hard: number,
  ): Promise<Outcome[]> {
    const prepared = operations.map((operation, index) =>
      this.#layers.prepare(operation, files[index], seed + index),
    );
    const outcomes: Outcome[] = [];
    const order: number[] = [];
    for (const [index, one] of prepared.entries()) {
      const member = new Completion();
      const isHard = (hard & (1 << index)) !== 0;
      member.link = index < prepared.length - 1 && (isHard ? "hard" : true);
      one.start(this.#ring, member, (completion, result) => {
        this.callbacks++;
        assert.is(completion.active, false, "a single operation has one completion");
        assert.is(outcomes[index], undefined, "an operation completed twice");
        outcomes[index] = one.outcome(result);
        order.push(index);
      });
    }
    await until(
      this.#io,
      () => order.length === operations.length,
      () => `completions of ${operations.map((operation) => operation.do)}: ${order}`,
    );
    return outcomes;
  }

  /** False when there is nothing in it that `io.chain` takes. */
  async #promiseChain(members: readonly FileOperation[]): Promise<boolean> {
    const taken = members.filter((member) => {
      const file = this.#fileOf(member);
      const single = !("sizes" in member) || member.sizes.length === 1;
      const isKind = member.do === "read" || member.do === "write" || member.do === "sync";
      return isKind && single && file !== undefined && file.handle !== null && !file.handleClosed;
    });
    if (taken.length === 0) return false;
    const files = taken.map((member) => this.#fileOf(member) as RunningFile);
    const seed = this.#writes;
    this.#writes += taken.length;
    this.executed += taken.length;
    const expected = applyChain(this.#tree, taken, files, seed);
    const links = taken.map((member, index) =>
      this.#layers.link(member, (files[index] as RunningFile).handle as File, seed + index),
    );
    const chain = this.#io
      .chain(links.map(({ prepared }) => prepared))
      .then((results) => ({ results }), failed);
    const actual = await settledWith(this.#io, chain, "chain");
    assert.equal(actual, promisedChain(taken, expected), "chain");
    for (const [index, { bytes = new Uint8Array() }] of expected.entries()) {
      const read = links[index]?.memory.subarray(0, bytes.length) ?? bytes;
      assert.is(Buffer.compare(read, bytes), 0, "the bytes of a read in a chain");
    }
    return true;
  }

  // ---- comparing

  #compare(
    operation: FileOperation,
    expected: Outcome,
    actual: Outcome,
    opened: OpenFile | undefined,
    handle: File | null = null,
  ): void {
    const what = JSON.stringify(operation);
    tally(`file ${operation.do}`, opened === undefined ? expected.result : 0);
    if (opened === undefined) {
      if (!isDeepStrictEqual(actual, expected)) {
        assert.equal(summary(actual), summary(expected), what);
        assert.unreachable(`${what}: the bytes differ`);
      }
      return;
    }
    const descriptor = actual.result as number;
    assert.ok(descriptor > 0, `${what} gave ${descriptor} and not a descriptor`);
    assert.not(this.#seen.has(descriptor), `${what}: the descriptor ${descriptor} came before`);
    this.#seen.add(descriptor);
    this.#files.push({ file: opened, closed: false, descriptor, handle, handleClosed: false });
  }

  end(folder: string): void {
    const { inFlight, strays, overflows, submitted, refused, completed, descriptors } =
      this.#io.stats();
    assert.equal([inFlight, strays, overflows], [0, 0, 0], "inFlight, strays, overflows");
    assert.is(submitted + refused, completed, "submitted and refused, and completed");
    assert.is(descriptors, this.#files.filter((file) => !file.closed).length, "descriptors");
    compareFolder(this.#tree.root, folder);
  }
}

function summary(outcome: Outcome): object {
  const { bytes, ...rest } = outcome;
  return bytes === undefined ? rest : { ...rest, sizeBytes: bytes.length };
}

/** What the promise of a chain gives for these outcomes of its members. */
function promisedChain(
  members: readonly FileOperation[],
  outcomes: readonly Outcome[],
): { results: number[] } | Outcome {
  const results = outcomes.map((outcome) => outcome.result as number);
  const broken = (index: number): boolean =>
    breaksChain(members[index] as FileOperation, results[index] as number);
  const own = results.findIndex((result, index) => result !== -ECANCELED && broken(index));
  const first = own === -1 ? results.findIndex((_, index) => broken(index)) : own;
  if (first === -1) return { results };
  const result = results[first] as number;
  return { result: result < 0 ? result : "ERR_IO_CHAIN_SHORT" };
}

function compareFolder(folder: FolderNode, path: string): void {
  const names = readdirSync(path).sort();
  assert.equal(names, [...folder.entries.keys()].sort(), `the names in ${path}`);
  for (const [name, node] of folder.entries) {
    const inside = join(path, name);
    if (node.kind === "folder") compareFolder(node, inside);
    else if (node.kind === "link") assert.is(readlinkSync(inside), node.target.join("/"));
    else assert.ok(readFileSync(inside).equals(node.bytes), `the content of ${inside}`);
  }
}

// openFile() refuses to empty a file that is opened for reading alone; the ring does it.
function isFileOptions(flags: number): boolean {
  const writes = (flags & (OpenFlags.write | OpenFlags.append)) !== 0;
  return writes || (flags & OpenFlags.truncate) === 0;
}

/** Runs a program; resolves with how many operations it had. */
export async function runFiles(
  backend: BackendName,
  program: FileProgram,
  wrap: Wrap = (ring) => ring,
): Promise<number> {
  const folder = newFolder();
  const io = await IO.open({ backend, mode: program.mode, entries: 128, inFlightLimit: 64 });
  const run = new FileRun(io, folder, wrap);
  let failedRun = true;
  try {
    for (const step of program.steps) await run.step(step);
    run.end(folder);
    failedRun = false;
  } finally {
    // The first failure stays the error, even when closing fails as well.
    if (failedRun) await closed(io).catch(() => undefined);
    else await closed(io);
    rmSync(folder, { recursive: true });
  }
  return run.executed;
}
