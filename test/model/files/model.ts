// The exact model of a folder on Linux: the result of every operation on files, error numbers
// included. It follows the order in which the kernel checks things (fs/namei.c, fs/open.c,
// fs/read_write.c), because that decides which of two errors a program sees.

import { constants } from "node:os";
import { OpenFlags } from "@io/core";
import type { SpaceMode } from "./steps.js";

const { errno } = constants;

/** The longest name of a file (NAME_MAX). */
const MAX_NAME_BYTES = 255;
/** Symbolic links that one path leads over at most (MAXSYMLINKS). */
const MAX_LINKS = 40;

export interface FileNode {
  readonly kind: "file";
  bytes: Uint8Array;
  links: number;
  readonly mode: number;
}

export interface FolderNode {
  readonly kind: "folder";
  readonly entries: Map<string, Node>;
  readonly mode: number;
}

export interface LinkNode {
  readonly kind: "link";
  /** From the folder that the link is in. */
  readonly target: Path;
  links: number;
}

/** What can be open. */
export type OpenNode = FileNode | FolderNode;
export type Node = OpenNode | LinkNode;

/** The names from the program's own folder down. */
export type Path = readonly string[];

/** What a descriptor stands for. */
export class OpenFile {
  readonly node: OpenNode;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly append: boolean;
  position = 0;

  constructor(node: OpenNode, flags: number) {
    this.node = node;
    this.writable = (flags & (OpenFlags.write | OpenFlags.append)) !== 0;
    this.readable = !this.writable || (flags & OpenFlags.read) !== 0;
    this.append = (flags & OpenFlags.append) !== 0;
  }
}

interface Place {
  readonly parent: FolderNode;
  readonly name: string;
  readonly node: Node | undefined;
}

export class FileTree {
  readonly root: FolderNode = { kind: "folder", entries: new Map(), mode: 0o700 };
  readonly #mask = process.umask();

  // ---- by path

  open(path: Path, flags: number, mode: number): OpenFile | number {
    const create = (flags & OpenFlags.create) !== 0;
    const exclusive = create && (flags & OpenFlags.exclusive) !== 0;
    const place = this.#find(path, !exclusive && (flags & OpenFlags.noFollow) === 0);
    if (typeof place === "number") return place;
    const { node } = place;
    if (node === undefined) {
      if (!create) return -errno.ENOENT;
      const made: FileNode = { kind: "file", bytes: new Uint8Array(), links: 1, mode: 0 };
      const file = { ...made, mode: mode & ~this.#mask };
      place.parent.entries.set(place.name, file);
      return new OpenFile(file, flags);
    }
    if (exclusive) return -errno.EEXIST;
    if (node.kind === "link") {
      return (flags & OpenFlags.directory) !== 0 ? -errno.ENOTDIR : -errno.ELOOP;
    }
    const truncate = (flags & OpenFlags.truncate) !== 0;
    if (node.kind === "folder") {
      const changes = (flags & (OpenFlags.write | OpenFlags.append)) !== 0;
      if (create || truncate || changes) return -errno.EISDIR;
    } else {
      if ((flags & OpenFlags.directory) !== 0) return -errno.ENOTDIR;
      if (truncate) node.bytes = new Uint8Array();
    }
    return new OpenFile(node, flags);
  }

  /** What a path leads to. */
  lookUp(path: Path): OpenNode | number {
    const node = this.#lookUp(path, true);
    if (typeof node === "object" && node.kind === "link") throw new Error("a link is followed");
    return node;
  }

  #lookUp(path: Path, follow: boolean): Node | number {
    const place = this.#find(path, follow);
    if (typeof place === "number") return place;
    return place.node ?? -errno.ENOENT;
  }

  mkdir(path: Path, mode: number): number {
    const place = this.#find(path);
    if (typeof place === "number") return place;
    if (place.node !== undefined) return -errno.EEXIST;
    const folder: FolderNode = { kind: "folder", entries: new Map(), mode: mode & ~this.#mask };
    place.parent.entries.set(place.name, folder);
    return 0;
  }

  link(existing: Path, path: Path): number {
    const node = this.#lookUp(existing, false);
    if (typeof node === "number") return node;
    const place = this.#find(path);
    if (typeof place === "number") return place;
    if (place.node !== undefined) return -errno.EEXIST;
    if (node.kind === "folder") return -errno.EPERM;
    place.parent.entries.set(place.name, node);
    node.links++;
    return 0;
  }

  symlink(target: Path, path: Path): number {
    const place = this.#find(path);
    if (typeof place === "number") return place;
    if (place.node !== undefined) return -errno.EEXIST;
    place.parent.entries.set(place.name, { kind: "link", target, links: 1 });
    return 0;
  }

  readlink(path: Path): string | number {
    const node = this.#lookUp(path, false);
    if (typeof node === "number") return node;
    return node.kind === "link" ? node.target.join("/") : -errno.EINVAL;
  }

  unlink(path: Path, directory: boolean): number {
    const place = this.#find(path);
    if (typeof place === "number") return place;
    const { node } = place;
    if (node === undefined) return -errno.ENOENT;
    if (directory && node.kind !== "folder") return -errno.ENOTDIR;
    if (!directory && node.kind === "folder") return -errno.EISDIR;
    if (node.kind === "folder" && node.entries.size > 0) return -errno.ENOTEMPTY;
    this.#remove(place);
    return 0;
  }

  rename(from: Path, to: Path): number {
    // Both parents are looked up before either name is.
    const fromParent = this.#folder(from);
    if (typeof fromParent === "number") return fromParent;
    const toParent = this.#folder(to);
    if (typeof toParent === "number") return toParent;
    const source = this.#find(from);
    if (typeof source === "number") return source;
    if (source.node === undefined) return -errno.ENOENT;
    const target = this.#find(to);
    if (typeof target === "number") return target;
    if (isIn(target.parent, source.node)) return -errno.EINVAL;
    if (isIn(source.parent, target.node)) return -errno.ENOTEMPTY;
    if (source.node === target.node) return 0;
    if (target.node !== undefined) {
      if (source.node.kind === "folder" && target.node.kind !== "folder") return -errno.ENOTDIR;
      if (source.node.kind !== "folder" && target.node.kind === "folder") return -errno.EISDIR;
      if (target.node.kind === "folder" && target.node.entries.size > 0) return -errno.ENOTEMPTY;
      this.#remove(target);
    }
    source.parent.entries.delete(source.name);
    target.parent.entries.set(target.name, source.node);
    return 0;
  }

  // ---- by descriptor

  /** How many bytes a read gives, and from where. */
  read(file: OpenFile, sizeBytes: number, offset: number): Uint8Array | number {
    if (!file.readable) return -errno.EBADF;
    if (file.node.kind === "folder") return -errno.EISDIR;
    const start = offset === -1 ? file.position : offset;
    const read = file.node.bytes.slice(start, start + sizeBytes);
    if (offset === -1) file.position += read.length;
    return read;
  }

  write(file: OpenFile, bytes: Uint8Array, offset: number): number {
    if (!file.writable || file.node.kind === "folder") return -errno.EBADF;
    if (bytes.length === 0) return 0;
    const { node } = file;
    let start = offset === -1 ? file.position : offset;
    // Linux appends whatever the position that was named (pwrite(2), BUGS).
    if (file.append) start = node.bytes.length;
    grow(node, start + bytes.length);
    node.bytes.set(bytes, start);
    if (offset === -1) file.position = start + bytes.length;
    return bytes.length;
  }

  truncate(file: OpenFile, sizeBytes: number): number {
    if (!file.writable || file.node.kind === "folder") return -errno.EINVAL;
    const { node } = file;
    if (sizeBytes < node.bytes.length) node.bytes = node.bytes.slice(0, sizeBytes);
    else grow(node, sizeBytes);
    return 0;
  }

  allocate(file: OpenFile, offset: number, sizeBytes: number, mode: SpaceMode): number {
    if (sizeBytes === 0) return -errno.EINVAL;
    if (!file.writable || file.node.kind === "folder") return -errno.EBADF;
    if (mode === "grow" || mode === "zeroRange") grow(file.node, offset + sizeBytes);
    if (mode === "punchHole" || mode === "zeroRange") {
      file.node.bytes.fill(0, offset, offset + sizeBytes);
    }
    return 0;
  }

  // ---- looking up

  // The folder that the last name of a path is in, links on the way included.
  #folder(path: Path): FolderNode | number {
    const place = this.#find(path);
    if (typeof place !== "number") return place.parent;
    const isTooLong = place === -errno.ENAMETOOLONG && (path.at(-1) ?? "").length > MAX_NAME_BYTES;
    return isTooLong ? this.#folder([...path.slice(0, -1), "short"]) : place;
  }

  /** Follows the links on the way, and with `follow` that which has the last name. */
  #find(path: Path, follow = false): Place | number {
    let parent: Node = this.root;
    let names = [...path];
    for (let links = 0; ; ) {
      const name = names.shift() ?? "";
      if (parent.kind !== "folder") return -errno.ENOTDIR;
      if (name.length > MAX_NAME_BYTES) return -errno.ENAMETOOLONG;
      const node: Node | undefined = parent.entries.get(name);
      const isLast = names.length === 0;
      if (node?.kind === "link" && (follow || !isLast)) {
        if (links++ >= MAX_LINKS) return -errno.ELOOP;
        names = [...node.target, ...names];
        continue;
      }
      if (isLast) return { parent, name, node };
      if (node === undefined) return -errno.ENOENT;
      parent = node;
    }
  }

  #remove({ parent, name, node }: Place): void {
    parent.entries.delete(name);
    if (node !== undefined && node.kind !== "folder") node.links--;
  }
}

/** Whether a folder is another one, or lies in it. */
function isIn(folder: FolderNode, other: Node | undefined): boolean {
  if (other?.kind !== "folder") return false;
  return folder === other || [...other.entries.values()].some((entry) => isIn(folder, entry));
}

function grow(node: FileNode, sizeBytes: number): void {
  if (sizeBytes <= node.bytes.length) return;
  const larger = new Uint8Array(sizeBytes);
  larger.set(node.bytes);
  node.bytes = larger;
}
