// What the two kinds of watches share: the words of an event, and what opens, adds and tells.
import { IOError } from "../../errors.js";
import type { Operations } from "../../ring/promises.js";
import { OpenFlags } from "../../ring/ring_paths.js";
import type { Descriptor } from "../../ring/types.js";
import { knows } from "../../support/check.js";
import { joined, nameIn, type PathBase, runOnPath } from "../base.js";
import { type EntryKind, kindOf, type Listing, type NextOptions } from "../listing.js";
import type { WatchAction, WatchEvent } from "./events.js";

export const WATCH = knows("watch", "recursive");

/** A record of inotify(7), or of a kqueue. */
export interface RawEvent {
  readonly number: number; // of what it was added as
  readonly mask: number;
  readonly cookie: number;
  readonly name: string;
}

export function eventOf(
  action: WatchAction,
  filename: string,
  isDirectory: boolean,
  cookie = 0,
  isWatched = false,
): WatchEvent {
  const isChange = action === "modified" || action === "attributes";
  const isOther = action === "overflow" || action === "unwatched";
  const eventType = isOther ? action : isChange ? "change" : "rename";
  return { eventType, action, filename, isWatched, isDirectory, cookie };
}
/** What another process has removed or replaced meanwhile. */
export function isGone(error: unknown): boolean {
  const { code } = error as IOError;
  return code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "ERR_IO_RESOLVE";
}

/** What the system says of one directory; the others may go on. */
export function isOfSystem(error: unknown): boolean {
  return error instanceof IOError && /^E[A-Z0-9]+$/.test(error.code) && error.code !== "ECANCELED";
}
/** Where the watched file or directory is opened again. */
export interface Place {
  readonly base: PathBase;
  readonly path: string | Uint8Array;
  /** Whether it is a name in an open directory, so that what is not there was moved or removed. */
  readonly isName: boolean;
}

export function below(folder: string, name: string): string {
  return folder === "" ? name : joined(folder, name);
}

export function lastPart(path: string): string {
  const bare = path.replace(/\/+$/, "");
  return bare.slice(bare.lastIndexOf("/") + 1);
}

/** Where the events of a watch come from, and what they say. */
export abstract class Source {
  readonly path: string;
  readonly descriptor: Descriptor;
  /** What is to be reported next. */
  readonly ready: WatchEvent[] = [];
  /** The last event has come. */
  ended = false;
  /** The promise of the watch is fulfilled. */
  begun = false;
  next: NextOptions;
  protected place: Place;
  protected recursive: boolean;
  protected isDirectory = true;

  constructor(
    base: PathBase,
    bytes: string | Uint8Array,
    descriptor: Descriptor,
    recursive: boolean,
    next: NextOptions,
  ) {
    this.place = { base, path: bytes, isName: false };
    this.path = nameIn(base, bytes);
    this.descriptor = descriptor;
    this.recursive = recursive;
    this.next = next;
  }

  protected get operations(): Operations {
    return this.place.base.operations;
  }

  /** Adds what is watched. */
  abstract begin(): Promise<void>;

  /** What is taken together of the records that one read has given. */
  abstract batchesOf(records: readonly RawEvent[]): readonly (readonly RawEvent[])[];

  /** Makes events of records, which are in `ready` then, also before an error. */
  abstract take(records: readonly RawEvent[]): Promise<void>;

  /** A read begins, or has given all that there was. */
  noteRead(_isAll: boolean): void {}

  /** Closes what it has opened beside the watch itself. */
  abstract release(): Promise<void>;

  /**
   * Whether the watch does without what has failed so. Until it has begun, ETIMEDOUT is the limit
   * of the caller, who gets it.
   */
  protected goesOnAfter(error: unknown): boolean {
    return isOfSystem(error) && (this.begun || (error as IOError).code !== "ETIMEDOUT");
  }

  protected async openFirst(): Promise<Descriptor> {
    try {
      return await this.open(this.place, OpenFlags.read | OpenFlags.directory);
    } catch (error) {
      if ((error as IOError).code !== "ENOTDIR") throw error;
      this.isDirectory = false;
      this.recursive = false; // a file has nothing below it
      return this.open(this.place, OpenFlags.read);
    }
  }

  protected open({ base, path }: Pick<Place, "base" | "path">, flags: number): Promise<Descriptor> {
    const { at, rules } = base;
    const about = { path: this.path };
    return runOnPath(base, WATCH, this.next(), about, (ring, pending, settle) =>
      ring.open(pending, settle, path, flags, 0, at, rules),
    );
  }

  protected add(opened: Descriptor, path: string): Promise<number> {
    return this.operations.run(
      (pending, settle) => this.operations.ring.watchAdd(pending, settle, this.descriptor, opened),
      this.next(),
      { path },
      WATCH,
    );
  }

  protected tell(
    action: WatchAction,
    filename: string,
    isDirectory: boolean,
    cookie = 0,
    isWatched = false,
  ): void {
    this.ready.push(eventOf(action, filename, isDirectory, cookie, isWatched));
  }

  /** Of what is watched itself. */
  protected tellOfRoot(action: WatchAction): void {
    this.tell(action, lastPart(this.path), this.isDirectory, 0, true);
  }

  /** What a file system did not say with a name; null when it is gone. */
  protected async kindOf(listing: Listing, name: string): Promise<EntryKind | null> {
    try {
      return await kindOf(listing, name, this.next);
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }
}
