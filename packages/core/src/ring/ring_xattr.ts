// The verbs on extended attributes of what a path names. They are part of the ring: see ring.ts.
import * as abi from "../engine/abi.js";
import { typeError } from "../errors.js";
import { type Path, shown, valueError } from "../support/check.js";
import type { Callback, Completion } from "./completion.js";
import { NO_DIRECTORY } from "./ring_paths.js";
import { WatchVerbs } from "./ring_watch.js";
import type { Descriptor } from "./types.js";

/**
 * Whether an extended attribute that is set may be there: "create" wants a new one, "replace" one
 * that is there, "any" takes either.
 *
 * @category Files
 */
export type XattrHow = "any" | "create" | "replace";

export const XATTR_HOWS: Readonly<Record<XattrHow, number>> = {
  any: abi.XATTR_ANY,
  create: abi.XATTR_CREATE,
  replace: abi.XATTR_REPLACE,
};

/** The name of an attribute, as the system takes it. */
export function attributeFrom(name: string, operation: string): string {
  if (typeof name !== "string") {
    throw typeError(operation, `the name is ${shown(name)}: give a string`);
  }
  if (name !== "" && !name.includes("\0")) return name;
  throw valueError(operation, `the name is ${shown(name)}: give one as "user.note"`);
}

/** What an attribute is of. */
interface OfPath {
  readonly path: Path;
  readonly name: string;
  readonly how: number;
  readonly followLinks: boolean;
  readonly at: Descriptor;
  readonly resolve: number;
}

/** The verbs of {@link Ring} on extended attributes by path. */
export abstract class XattrVerbs extends WatchVerbs {
  /**
   * Reads an extended attribute into `into`; completes with how many bytes it has, or with -ERANGE
   * when they are more than `into` has.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param name The name of the attribute, such as "user.note".
   * @param into Where the value is written.
   * @param followLinks `false`: of a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  getXattrAt<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    name: string,
    into: ArrayBufferView,
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    const of: OfPath = { path, name, how: 0, followLinks, at, resolve };
    this.#attribute(completion, callback, abi.OPCODE_GET_XATTR_AT, of, into);
  }

  /**
   * Sets an extended attribute; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param name The name of the attribute, such as "user.note".
   * @param value The bytes that it shall have.
   * @param how "create" fails with -EEXIST when it is there, "replace" with -ENODATA when it is
   *   not; "any" (the default) does either.
   * @param followLinks `false`: of a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  setXattrAt<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    name: string,
    value: ArrayBufferView,
    how: XattrHow = "any",
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    const flag = this.oneOf(how, XATTR_HOWS, "how", "setXattrAt");
    const of: OfPath = { path, name, how: flag, followLinks, at, resolve };
    this.#attribute(completion, callback, abi.OPCODE_SET_XATTR_AT, of, value);
  }

  /**
   * Writes the names of the extended attributes into `into`, each with a zero byte behind it;
   * completes with how many bytes they are, or with -ERANGE when they are more than `into` has.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param into Where the names are written.
   * @param followLinks `false`: of a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  listXattrAt<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    into: ArrayBufferView,
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    const of: OfPath = { path, name: "", how: 0, followLinks, at, resolve };
    this.#attribute(completion, callback, abi.OPCODE_LIST_XATTR_AT, of, into);
  }

  /**
   * Removes an extended attribute; completes with 0.
   *
   * @param completion Carries the operation. It may be used again when its `active` is false.
   * @param callback Called with the completion and the result.
   * @param path A path, a `file:` URL or bytes.
   * @param name The name of the attribute.
   * @param followLinks `false`: of a symbolic link itself; `true` by default.
   * @param at The descriptor of the directory that a relative path begins at; -1, the default, is
   *   the process's.
   * @param resolve {@link ResolveFlags}, or-ed; 0 by default.
   * @throws As every verb: see {@link Ring}
   */
  removeXattrAt<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    path: Path,
    name: string,
    followLinks = true,
    at: Descriptor = NO_DIRECTORY,
    resolve = 0,
  ): void {
    const of: OfPath = { path, name, how: 0, followLinks, at, resolve };
    this.#attribute(completion, callback, abi.OPCODE_REMOVE_XATTR_AT, of);
  }

  // Both texts and the entry that has them must reach the engine in one batch.
  #attribute<C>(
    completion: Completion<C>,
    callback: Callback<C>,
    opcode: number,
    { path, name, how, followLinks, at, resolve }: OfPath,
    memory?: ArrayBufferView,
  ): void {
    const operation = this.nameOf(opcode);
    this.queue.checkText(operation, completion);
    const bytes = this.pathAt(path, at, operation);
    const text = opcode === abi.OPCODE_LIST_XATTR_AT ? "" : attributeFrom(name, operation);
    const follows = this.flag(followLinks, true, "followLinks", operation);
    const rules = this.rules(opcode, at, resolve);
    this.queue.reserveText(Buffer.byteLength(bytes) + Buffer.byteLength(text));
    const [start, length] = this.queue.putText(text, operation);
    const [pathStart, pathLength] = this.queue.putText(bytes, operation);
    const entry =
      opcode === abi.OPCODE_REMOVE_XATTR_AT
        ? this.descriptor(completion, callback, opcode, at)
        : this.transfer(completion, callback, opcode, operation, at, memory as ArrayBufferView);
    const { words, doubles } = this.queue;
    doubles[entry / 2 + abi.ENTRY_OFFSET] = start;
    doubles[entry / 2 + abi.ENTRY_EXTENT] = pathStart;
    words[entry + abi.ENTRY_ARGUMENT] = length;
    const ofLink = follows ? 0 : abi.XATTR_OF_LINK;
    words[entry + abi.ENTRY_ARGUMENT_EXTRA] = how | ofLink | (pathLength << abi.XATTR_PATH_SHIFT);
    this.resolveBy(entry, rules);
  }
}
