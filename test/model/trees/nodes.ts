// A tree of files as plain objects: made on a disk, read back from it, and compared.

import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface FileNode {
  readonly kind: "file";
  readonly bytes: Uint8Array;
  readonly mode: number;
}

export interface LinkNode {
  readonly kind: "link";
  readonly target: string;
}

export interface FolderNode {
  readonly kind: "folder";
  readonly mode: number;
  readonly entries: Map<string, Node>;
}

export type Node = FileNode | LinkNode | FolderNode;

/** The names from the program's own folder down. */
export type Path = readonly string[];

export function folder(
  mode = 0o755,
  entries: readonly (readonly [string, Node])[] = [],
): FolderNode {
  return { kind: "folder", mode, entries: new Map(entries) };
}

/** A copy that changes by itself. */
export function cloned(node: Node): Node {
  if (node.kind !== "folder") return node;
  return folder(
    node.mode,
    [...node.entries].map(([name, one]) => [name, cloned(one)]),
  );
}

/** What stands at a path, with no link followed on the way. */
export function nodeAt(root: FolderNode, path: Path): Node | undefined {
  let node: Node | undefined = root;
  for (const name of path) {
    if (node?.kind !== "folder") return undefined;
    node = node.entries.get(name);
  }
  return node;
}

const RIGHTS = 0o777;

/** What is on the disk. */
export function readTree(path: string): Node {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return { kind: "link", target: readlinkSync(path) };
  const mode = stat.mode & RIGHTS;
  if (!stat.isDirectory()) return { kind: "file", mode, bytes: readFileSync(path) };
  return folder(
    mode,
    readdirSync(path).map((name) => [name, readTree(join(path, name))]),
  );
}

/** One line for each name, for a comparison that shows what differs. */
export function listing(node: Node, path = "."): string[] {
  if (node.kind === "link") return [`${path} -> ${node.target}`];
  const mode = node.mode.toString(8);
  if (node.kind === "file") {
    const sum = node.bytes.reduce((all, byte) => (all * 31 + byte) >>> 0, 7);
    return [`${path} ${mode} ${node.bytes.length} bytes, ${sum}`];
  }
  const names = [...node.entries.keys()].sort();
  const below = names.flatMap((name) => listing(node.entries.get(name) as Node, `${path}/${name}`));
  return [`${path} ${mode} folder`, ...below];
}

let base = "";
let programs = 0;

/** A new empty folder; all of them are gone when the process ends. */
export function newFolder(): string {
  if (base === "") {
    base = mkdtempSync(join(tmpdir(), "io-trees-"));
    process.on("exit", () => rmSync(base, { recursive: true, force: true }));
  }
  const path = join(base, String(programs++));
  mkdirSync(path);
  chmodSync(path, 0o755);
  return path;
}
