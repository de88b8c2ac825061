// Programs that copy trees: what is in the source and in the copy is made by some steps, and each
// copy leaves exactly what the model says. Where a copy has to fail, each name is either as it was
// or as it was to be.

import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type BackendName,
  type CopyTreeOptions,
  type CopyTreeProgress,
  type Directory,
  IO,
  IOError,
} from "@io/core";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { closed, settledWith } from "../drive.js";
import { tally } from "../tally.js";
import {
  cloned,
  type FolderNode,
  folder,
  listing,
  type Node,
  newFolder,
  nodeAt,
  type Path,
  readTree,
} from "./nodes.js";

export type CopyStep =
  | { do: "file"; path: Path; size: number; mode: number }
  | { do: "folder"; path: Path; mode: number }
  | { do: "link"; path: Path; target: string }
  | {
      do: "copy";
      from: Path;
      to: Path;
      recursive: boolean;
      force: boolean;
      errorOnExist: boolean;
      times: boolean;
      /** The filter leaves this name out. */
      without: string;
      /** By a directory that keeps paths below it. */
      inside: boolean;
      /** It is aborted at this report of its progress. */
      abortAfter: number | null;
    };

export interface CopyProgram {
  mode: "attached" | "detached";
  steps: CopyStep[];
}

const name = fc.constantFrom("a", "b", "c", "d");
const names = fc.array(name, { minLength: 1, maxLength: 4, size: "max" });
const place = fc.tuple(fc.constantFrom("from", "to"), names).map(([top, rest]) => [top, ...rest]);
const mode = fc.nat(0o177).map((bits) => 0o600 | bits);
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(50) },
  { weight: 2, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.nat(300_000) },
);
const seldom = fc.nat(4).map((at) => at === 0);
const often = seldom.map((at) => !at);
const within = (top: string): fc.Arbitrary<Path> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant([top]) },
    { weight: 1, arbitrary: names.map((rest) => [top, ...rest]) },
  );

const step: fc.Arbitrary<CopyStep> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant("file" as const), path: place, size, mode }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("folder" as const),
      path: place,
      mode: mode.map((bits) => bits | 0o700),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("link" as const),
      path: place,
      target: names.map((all) => all.join("/")),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("copy" as const),
      from: within("from"),
      to: within("to"),
      recursive: often,
      force: often,
      errorOnExist: seldom,
      times: fc.boolean(),
      without: fc.oneof(fc.constant(""), name),
      inside: fc.boolean(),
      abortAfter: fc.oneof(
        { weight: 6, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.nat(5) },
      ),
    }),
  },
);

export const copyPrograms: fc.Arbitrary<CopyProgram> = fc.record({
  mode: fc.constantFrom("attached", "detached"),
  steps: fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
});

/** `io.cp`, or one that is broken on purpose. */
export type Copy = (
  from: string,
  to: string,
  options: CopyTreeOptions,
  copier: IO | Directory,
) => Promise<CopyTreeProgress>;

const plainCopy: Copy = (from, to, options, copier) => copier.cp(from, to, options);

type CopyCall = Extract<CopyStep, { do: "copy" }>;

/** What a copy does to the model. */
class Copying {
  readonly #call: CopyCall;
  readonly made = { files: 0, directories: 0, links: 0, bytes: 0 };
  /** The codes that it may fail with; none when it succeeds. */
  readonly codes = new Set<string>();
  /** The paths of files and links that it makes. */
  readonly places: Path[] = [];

  constructor(call: CopyCall) {
    this.#call = call;
  }

  start(root: FolderNode): void {
    const { from, to, recursive } = this.#call;
    if (this.#isLeftOut(from)) return;
    const source = nodeAt(root, from);
    if (source === undefined) {
      for (const code of ["ENOENT", "ENOTDIR"]) this.codes.add(code);
      return;
    }
    if (source.kind === "folder" && !recursive) {
      this.codes.add("EISDIR");
      return;
    }
    const above = makeParents(root, to);
    if (above === null) throw new Error("such a step is left out");
    this.#copy(source, above, from, to);
  }

  #isLeftOut(path: Path): boolean {
    return path.at(-1) === this.#call.without;
  }

  #copy(source: Node, above: FolderNode, from: Path, to: Path): void {
    const name = to.at(-1) as string;
    const there = above.entries.get(name);
    if (source.kind !== "folder") {
      this.#copyName(source, there, above, to);
      return;
    }
    if (there !== undefined && there.kind !== "folder") {
      for (const code of ["ENOTDIR", "ELOOP", "ERR_IO_RESOLVE"]) this.codes.add(code);
      return;
    }
    if (there === undefined) this.made.directories++;
    const target = there ?? folder(source.mode);
    above.entries.set(name, target);
    for (const [own, node] of source.entries) {
      const path = [...from, own];
      if (!this.#isLeftOut(path)) this.#copy(node, target, path, [...to, own]);
    }
  }

  #copyName(
    source: Exclude<Node, FolderNode>,
    there: Node | undefined,
    above: FolderNode,
    to: Path,
  ): void {
    const { force, errorOnExist } = this.#call;
    if (there !== undefined && !force) {
      if (errorOnExist) this.codes.add("EEXIST");
      return;
    }
    if (there?.kind === "folder") {
      this.codes.add("EISDIR");
      return;
    }
    above.entries.set(to.at(-1) as string, source);
    this.places.push(to);
    if (source.kind === "link") this.made.links++;
    else {
      this.made.files++;
      this.made.bytes += source.bytes.length;
    }
  }
}

/** The folder that a path is in, with those that are missing; null when something else is there. */
function makeParents(root: FolderNode, path: Path, mask = process.umask()): FolderNode | null {
  let node: Node = root;
  for (const one of path.slice(0, -1)) {
    if (node.kind !== "folder") return null;
    const next: Node = node.entries.get(one) ?? folder(0o777 & ~mask);
    node.entries.set(one, next);
    node = next;
  }
  return node.kind === "folder" ? node : null;
}

/** After a failure each name is as it was or as it was to be, and nothing else is there. */
function checkBetween(
  before: Node | undefined,
  after: Node | undefined,
  now: Node,
  at: string,
): void {
  const isOne = [before, after].some((one) => one !== undefined && isSame(one, now));
  if (isOne) return;
  assert.is(now.kind, "folder", `${at} is neither what it was nor what it was to be`);
  const there = now as FolderNode;
  const [was, becomes] = [before, after].map((one) => (one?.kind === "folder" ? one : undefined));
  assert.ok(was ?? becomes, `${at} is a folder`);
  assert.is(there.mode, (was ?? becomes)?.mode, `the mode of ${at}`);
  for (const [name, node] of there.entries) {
    checkBetween(was?.entries.get(name), becomes?.entries.get(name), node, `${at}/${name}`);
  }
  for (const name of was?.entries.keys() ?? []) {
    assert.ok(there.entries.has(name), `${at}/${name} was there before`);
  }
}

function isSame(one: Node, other: Node): boolean {
  return listing(one).join("\n") === listing(other).join("\n");
}

class CopyRun {
  readonly #io: IO;
  readonly #path: string;
  readonly #copy: Copy;
  #root: FolderNode = folder();
  #made = 0;
  executed = 0;

  constructor(io: IO, path: string, copy: Copy) {
    this.#io = io;
    this.#path = path;
    this.#copy = copy;
  }

  async step(one: CopyStep): Promise<void> {
    if (one.do === "copy") return this.#tryCopy(one);
    const isFree = nodeAt(this.#root, one.path) === undefined;
    const root = cloned(this.#root) as FolderNode;
    const above = isFree ? makeParents(root, one.path) : null;
    if (above === null) return;
    this.executed++;
    this.#root = root;
    const path = join(this.#path, ...one.path);
    mkdirSync(join(path, ".."), { recursive: true });
    const own = one.path.at(-1) as string;
    if (one.do === "link") {
      symlinkSync(one.target, path);
      above.entries.set(own, { kind: "link", target: one.target });
      return;
    }
    if (one.do === "folder") {
      mkdirSync(path);
      above.entries.set(own, folder(one.mode));
    } else {
      const seed = this.#made++;
      const bytes = Uint8Array.from({ length: one.size }, (_, at) => (seed * 7 + at * 13) & 0xff);
      writeFileSync(path, bytes);
      above.entries.set(own, { kind: "file", bytes, mode: one.mode });
    }
    chmodSync(path, one.mode);
  }

  async #tryCopy(call: CopyCall): Promise<void> {
    const before = this.#root;
    const after = cloned(before) as FolderNode;
    // Where a link is on the way, the system decides.
    const isLink = (at: number): boolean =>
      nodeAt(before, call.from.slice(0, at + 1))?.kind === "link";
    if (call.from.slice(0, -1).some((_, at) => isLink(at))) return;
    if (makeParents(cloned(before) as FolderNode, call.to) === null) return;
    if (nodeAt(before, call.to)?.kind === "link" && nodeAt(before, call.from)?.kind === "folder") {
      return;
    }
    this.executed++;
    const model = new Copying(call);
    model.start(after);
    const { progress, error } = await this.#call(call);
    const now = readTree(this.#path) as FolderNode;
    tally("copy", error === null ? model.made.files : error.code);
    if (error === null) {
      assert.equal([...model.codes], [], "a copy that has to fail");
      assert.equal(listing(now), listing(after), "the trees after a copy");
      assert.equal(progress, model.made, "what a copy says it has made");
      if (call.times) for (const place of model.places) this.#checkTime(call, place);
    } else {
      const wanted = [...model.codes, ...(call.abortAfter === null ? [] : ["ABORT_ERR"])];
      assert.ok(wanted.includes(error.code), `a copy failed with ${error.message}`);
      const [was, is] = [nodeAt(before, ["from"]), nodeAt(now, ["from"])];
      assert.equal(is && listing(is), was && listing(was), "the source");
      checkBetween(before, after, now, ".");
    }
    this.#root = now;
  }

  async #call(
    call: CopyCall,
  ): Promise<{ progress: CopyTreeProgress | null; error: IOError | null }> {
    const { recursive, force, errorOnExist, times, without, abortAfter, inside } = call;
    const controller = new AbortController();
    let told = 0;
    const options: CopyTreeOptions = {
      ...{ recursive, force, errorOnExist, preserveTimestamps: times },
      ...(without === "" ? {} : { filter: (path) => !path.endsWith(`/${without}`) }),
      onProgress: () => {
        if (told++ === abortAfter) controller.abort();
      },
      signal: controller.signal,
    };
    const io = this.#io;
    const opening = inside ? io.openDirectory(this.#path, { resolve: { beneath: true } }) : null;
    const directory = opening === null ? null : await settledWith(io, opening, "openDirectory");
    const [from, to] = [call.from, call.to].map((path) =>
      inside ? path.join("/") : join(this.#path, ...path),
    ) as [string, string];
    const copied = this.#copy(from, to, options, directory ?? io).then(
      (progress) => ({ progress: { ...progress }, error: null }),
      (error: unknown) => {
        if (!(error instanceof IOError)) throw error;
        return { progress: null, error };
      },
    );
    const result = await settledWith(io, copied, "cp");
    if (directory !== null) await settledWith(io, directory.close(), "close");
    return result;
  }

  // A copy's time is at most a microsecond later than that of its source.
  #checkTime({ from, to }: CopyCall, place: Path): void {
    const source = [...from, ...place.slice(to.length)];
    const [was, is] = [source, place].map(
      (path) => lstatSync(join(this.#path, ...path), { bigint: true }).mtimeNs,
    ) as [bigint, bigint];
    assert.ok(is >= was && is < was + 1000n, `the time of ${place.join("/")} differs`);
  }

  end(): void {
    const { inFlight, strays, descriptors } = this.#io.stats();
    assert.equal([inFlight, strays, descriptors], [0, 0, 0], "inFlight, strays, descriptors");
  }
}

/** Runs a program; resolves with how many operations it had. */
export async function runCopies(
  backend: BackendName,
  program: CopyProgram,
  wrap: (copy: Copy) => Copy = (copy) => copy,
): Promise<number> {
  const path = newFolder();
  const io = await IO.open({ backend, mode: program.mode });
  const run = new CopyRun(io, path, wrap(plainCopy));
  let failedRun = true;
  try {
    for (const one of program.steps) await run.step(one);
    run.end();
    failedRun = false;
  } finally {
    // The first failure stays the error, even when closing fails as well.
    if (failedRun) await closed(io).catch(() => undefined);
    else await closed(io);
    rmSync(path, { recursive: true });
  }
  return Math.max(1, run.executed);
}
