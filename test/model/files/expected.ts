// The model's answer to a step of a file program: the result of each operation, and its data.

import { constants } from "node:os";
import { type FileTree, OpenFile } from "./model.js";
import { type FileOperation, OWN_FILE } from "./steps.js";

const { EBADF, ECANCELED, EINVAL, ENOTSOCK } = constants.errno;

/** What came of an operation: its result, or the code of an error that is not the system's. */
export interface Outcome {
  readonly result: number | string;
  /** What was read. */
  readonly bytes?: Uint8Array;
  /** Size, mode and links; a folder has its mode only, since the others differ by file system. */
  readonly stat?: readonly number[];
}

/** An open file on both sides: the model's, and the descriptor's number. */
export interface Opened {
  readonly file: OpenFile;
  closed: boolean;
}

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;

/** The bytes that the write with this number writes. */
export function writtenBytes(seed: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let index = 0; index < sizeBytes; index++) bytes[index] = (seed * 31 + index * 7) & 0xff;
  return bytes;
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

function statOf(tree: FileTree, target: OpenFile | readonly string[]): Outcome {
  const node = target instanceof OpenFile ? target.node : tree.lookUp(target);
  if (typeof node === "number") return { result: node };
  if (node.kind === "folder") return { result: 0, stat: [S_IFDIR | node.mode] };
  return { result: 0, stat: [S_IFREG | node.mode, node.bytes.length, node.links] };
}

/** Does one operation on the model; `opened` is the file that it names. */
export function apply(
  tree: FileTree,
  operation: FileOperation,
  opened: Opened | undefined,
  writeSeed: number,
): Outcome & { opened?: OpenFile } {
  switch (operation.do) {
    case "open": {
      const file = tree.open(operation.path, operation.flags, operation.mode);
      return typeof file === "number" ? { result: file } : { result: 0, opened: file };
    }
    case "statPath":
      return statOf(tree, operation.path);
    case "rename":
      return { result: tree.rename(operation.from, operation.to) };
    case "link":
      return { result: tree.link(operation.from, operation.to) };
    case "symlink":
      return { result: tree.symlink(operation.target, operation.path) };
    case "readlink": {
      const target = tree.readlink(operation.path);
      if (typeof target === "number") return { result: target };
      return { result: target.length, bytes: new TextEncoder().encode(target) };
    }
    case "unlink":
      return { result: tree.unlink(operation.path, operation.directory) };
    case "mkdir":
      return { result: tree.mkdir(operation.path, operation.mode) };
    default:
      if (opened === undefined || opened.closed) return { result: -EBADF };
      if (operation.do === "closeFile") opened.closed = true;
      return applyToFile(tree, operation, opened.file, writeSeed);
  }
}

function applyToFile(
  tree: FileTree,
  operation: Exclude<FileOperation, { path: unknown } | { from: unknown }>,
  file: OpenFile,
  writeSeed: number,
): Outcome {
  switch (operation.do) {
    case "read": {
      const read = tree.read(file, sum(operation.sizes), operation.offset);
      return typeof read === "number" ? { result: read } : { result: read.length, bytes: read };
    }
    case "write": {
      const bytes = writtenBytes(writeSeed, sum(operation.sizes));
      return { result: tree.write(file, bytes, operation.offset) };
    }
    case "sync":
      return { result: 0 };
    case "allocate": {
      const { offset, sizeBytes, mode } = operation;
      return { result: tree.allocate(file, offset, sizeBytes, mode) };
    }
    case "truncate":
      return { result: tree.truncate(file, operation.sizeBytes) };
    case "stat":
      return statOf(tree, file);
    case "asSocket":
      return { result: -ENOTSOCK };
    case "closeFile":
      return { result: 0 };
  }
}

/** Whether what follows in a chain is not started: a failure, or a transfer that was short. */
export function breaksChain(operation: FileOperation, result: number | string): boolean {
  if (typeof result === "string" || result < 0) return true;
  const transfers = operation.do === "read" || operation.do === "write";
  return transfers && result < sum(operation.sizes);
}

/** A chain as the model sees it: each bit of `hard` and `limited` is that of a member. */
export interface ChainPlan {
  readonly members: readonly FileOperation[];
  readonly hard: number;
  readonly limited: number;
}

type Result = Outcome & { opened?: OpenFile };

function isBit(bits: number, index: number): boolean {
  return (bits & (1 << index)) !== 0;
}

/** Whether the link behind a member is hard. */
export function isHard({ hard }: Pick<ChainPlan, "hard">, index: number): boolean {
  return isBit(hard, index);
}

function isOwn(operation: FileOperation): boolean {
  return "file" in operation && operation.file === OWN_FILE;
}

// What the engine does by itself, and what completes more than once, has no time limit.
function takesLimit(operation: FileOperation): boolean {
  if (operation.do === "closeFile") return false;
  const verb = operation.do === "asSocket" ? operation.verb : "";
  return !["bind", "listen", "acceptMultishot"].includes(verb);
}

/** Why the engine refuses an operation before anything of its chain is started, or 0. */
function refusal(
  operation: FileOperation,
  opened: Opened | undefined,
  isLast: boolean,
  isLimited: boolean,
): number {
  const isMultishot = operation.do === "asSocket" && operation.verb === "acceptMultishot";
  if (isLimited && !takesLimit(operation)) return -EINVAL;
  if (isMultishot && !isLast) return -EINVAL;
  if (isOwn(operation) || !("file" in operation)) return 0;
  return opened === undefined || opened.closed ? -EBADF : 0;
}

function yieldsDescriptor(operation: FileOperation): boolean {
  return operation.do === "open" || (operation.do === "asSocket" && operation.verb === "accept");
}

/** The same of a chain with a file of its own: which member it is, and why. */
function ownRefusal(members: readonly FileOperation[]): [index: number, error: number] | null {
  const uses = members.findIndex(isOwn);
  if (uses === -1) return null;
  const yielder = members.findIndex(yieldsDescriptor);
  if (yielder === -1 || yielder >= uses) return [uses, -EBADF];
  const closes = members.findIndex((member) => isOwn(member) && member.do === "closeFile");
  const later = members.findIndex((member, index) => isOwn(member) && index > closes);
  if (closes === -1) return [yielder, -EINVAL];
  return later === -1 ? null : [later, -EBADF];
}

function refusedAt(
  { members, limited }: ChainPlan,
  files: readonly (Opened | undefined)[],
): [index: number, error: number] | null {
  for (const [index, member] of members.entries()) {
    const isLast = index === members.length - 1;
    const error = refusal(member, files[index], isLast, isBit(limited, index));
    if (error !== 0) return [index, error];
  }
  return ownRefusal(members);
}

/** What the members of a chain give; `files` are those that they name. */
export function applyChain(
  tree: FileTree,
  plan: ChainPlan,
  files: readonly (Opened | undefined)[],
  writeSeed: number,
): Result[] {
  const { members } = plan;
  const refused = refusedAt(plan, files);
  const only = members[0];
  // One operation alone is no chain.
  if (members.length === 1 && only) {
    if (refused !== null) return [{ result: refused[1] }];
    return [apply(tree, only, files[0], writeSeed)];
  }
  if (refused !== null) {
    // Linked entries stand or fall together.
    return members.map((_, index) => ({ result: index === refused[0] ? refused[1] : -ECANCELED }));
  }
  const yielder = members.some(isOwn) ? members.findIndex(yieldsDescriptor) : -1;
  let own: Opened | undefined;
  let broken = false;
  const outcomes: Result[] = [];
  for (const [index, member] of members.entries()) {
    // What the chain has opened is closed, whatever has failed.
    const closesOwn = isOwn(member) && member.do === "closeFile" && own !== undefined;
    if (broken && !closesOwn) {
      outcomes.push({ result: -ECANCELED });
      continue;
    }
    const file = isOwn(member) ? own : files[index];
    const { opened, ...outcome } = apply(tree, member, file, writeSeed + index);
    if (index === yielder && opened !== undefined) own = { file: opened, closed: false };
    // Nobody else gets the descriptor of the chain.
    outcomes.push(opened === undefined || index === yielder ? outcome : { ...outcome, opened });
    broken ||= !isBit(plan.hard, index) && breaksChain(member, outcome.result);
  }
  return outcomes;
}
