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
  IOError,
  OpenFlags,
  type Ring,
} from "@io/core";
import * as assert from "uvu/assert";
import { closed, settledWith, until } from "../drive.js";
import { tally } from "../tally.js";
import {
  apply,
  applyChain,
  breaksChain,
  type ChainPlan,
  isHard,
  type Opened,
  type Outcome,
} from "./expected.js";
import { FileLayers, failed, type Member, settled, type Target } from "./layers.js";
import { FileTree, type FolderNode, type OpenFile } from "./model.js";
import { type FileOperation, type FileProgram, type FileStep, OWN_FILE } from "./steps.js";

const { EBADF, ECANCELED } = constants.errno;

/** A time limit that is not reached. */
const NEVER_NS = 3600e9;

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
    if (!("file" in operation) || operation.file === OWN_FILE) return undefined;
    return this.#recent(operation.file);
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
        ? (await this.#onRing([operation], [file], seed))[0]
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
    const files = step.members.map((member) => this.#fileOf(member));
    const seed = this.#writes;
    this.#writes += step.members.length;
    this.executed += step.members.length;
    const made = step.layer === "promise" ? this.#chainMembers(step, files, seed) : null;
    const expected = applyChain(this.#tree, step, files, seed);
    const actual =
      made === null
        ? await this.#onRing(step.members, files, seed, step)
        : await this.#promiseChain(step, files, made, expected);
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
    { hard, limited }: Pick<ChainPlan, "hard" | "limited"> = { hard: 0, limited: 0 },
  ): Promise<Outcome[]> {
    const prepared = operations.map((operation, index) =>
      this.#layers.prepare(operation, files[index], seed + index),
    );
    const outcomes: Outcome[] = [];
    const order: number[] = [];
    for (const [index, one] of prepared.entries()) {
      const member = new Completion();
      member.link = index < prepared.length - 1 && (isHard({ hard }, index) ? "hard" : true);
      if ((limited & (1 << index)) !== 0) member.timeoutNs = NEVER_NS;
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

  /** The members for `io.chain`; null when one has no such form. */
  #chainMembers(
    { members }: ChainPlan,
    files: readonly (RunningFile | undefined)[],
    seed: number,
  ): Member[] | null {
    const made: Member[] = [];
    for (const [index, member] of members.entries()) {
      const file = files[index];
      // The methods of a file that is closed refuse.
      const target = file?.handleClosed ? { ...file, handle: null } : file;
      const one = this.#layers.member(member, target, seed + index);
      if (one === null) return null;
      made.push(one);
    }
    return made;
  }

  async #promiseChain(
    plan: ChainPlan,
    files: readonly (RunningFile | undefined)[],
    made: readonly Member[],
    expected: readonly Outcome[],
  ): Promise<Outcome[]> {
    const members = made.map(({ prepared, outcome }, index) => {
      const isLimited = (plan.limited & (1 << index)) !== 0;
      const timeoutMs = isLimited ? NEVER_NS / 1e6 : undefined;
      return prepared.with({ hard: isHard(plan, index), timeoutMs, value: outcome });
    });
    const chained = this.#io.chain(members).then(
      (outcomes) => ({ outcomes, error: null }),
      (error: unknown) => {
        if (!(error instanceof IOError)) throw error;
        const results = error.results ?? [];
        const outcomes = results.map((result, index) => (made[index] as Member).outcome(result));
        return { outcomes, error };
      },
    );
    const { outcomes, error } = await settledWith(this.#io, chained, "chain");
    const found = error === null ? null : { member: error.member, result: codeOf(error) };
    assert.equal(found, failureIn(plan, expected), "the error of a chain");
    // A file whose own close was in the chain is closed.
    for (const [index, { do: what }] of plan.members.entries()) {
      const file = files[index];
      const isDone = what === "closeFile" && expected[index]?.result === 0;
      if (isDone && file !== undefined && file.handle !== null) file.handleClosed = true;
    }
    return outcomes;
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

function codeOf({ errno, code }: IOError): number | string {
  return errno ?? code;
}

/** Which member the error of a chain names, and with what; null when the chain succeeds. */
function failureIn(
  plan: ChainPlan,
  expected: readonly Outcome[],
): { member: number; result: number | string } | null {
  const results = expected.map(({ result }) => result as number);
  const fails = (result: number, index: number): boolean =>
    result < 0 ||
    (!isHard(plan, index) && breaksChain(plan.members[index] as FileOperation, result));
  const first = results.findIndex(fails);
  if (first === -1) return null;
  // One that was refused has ended those before it.
  const own = results.findIndex((result, at) => result !== -ECANCELED && fails(result, at));
  const member = first === 0 && own !== -1 ? own : first;
  const result = results[member] as number;
  return { member, result: result < 0 ? result : "ERR_IO_CHAIN_SHORT" };
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
