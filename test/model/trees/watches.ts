// Programs that watch a file, a folder, or a folder with all below it, while names change.
// Each change is one call of the system, so the kernel's events of it are known (fs/notify), and so
// is what the watch makes of them.

import * as fs from "node:fs";
import { join } from "node:path";
import { type BackendName, IO, type Watch, type WatchAction, type WatchEvent } from "@io/core";
import fc from "fast-check";
import * as assert from "uvu/assert";
import { closed, settledWith } from "../drive.js";
import { tally } from "../tally.js";
import { newFolder, type Path } from "./nodes.js";

export type Change =
  | { do: "create"; path: Path }
  | { do: "write"; path: Path }
  | { do: "truncate"; path: Path }
  | { do: "chmod"; path: Path; mode: number }
  | { do: "mkdir"; path: Path }
  | { do: "rmdir"; path: Path }
  | { do: "unlink"; path: Path }
  | { do: "symlink"; path: Path }
  | { do: "rename"; from: Path; to: Path }
  | { do: "link"; from: Path; to: Path };

export type WatchStep = Change | { do: "look" };

export interface WatchProgram {
  mode: "attached" | "detached";
  what: "file" | "folder" | "tree";
  steps: WatchStep[];
}

const below = fc.array(fc.constantFrom("a", "b", "s"), { maxLength: 3, size: "max" });
const path = fc
  .tuple(
    fc.oneof(
      { weight: 5, arbitrary: fc.constant("w") },
      { weight: 2, arbitrary: fc.constant("o") },
    ),
    below,
  )
  .map(([top, rest]): Path => [top, ...rest]);

const onOne = (weight: number, ...verbs: Change["do"][]): fc.WeightedArbitrary<WatchStep>[] =>
  verbs.map((verb) => ({
    weight,
    arbitrary: fc
      .record({ do: fc.constant(verb), path, mode: fc.nat(0o77) })
      .map((made) => ({ ...made, mode: 0o700 | made.mode }) as WatchStep),
  }));

const onTwo = (weight: number, verb: "rename" | "link"): fc.WeightedArbitrary<WatchStep> => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(verb), from: path, to: path }) as fc.Arbitrary<WatchStep>,
});

const step = fc.oneof(
  ...onOne(6, "create", "write", "mkdir"),
  ...onOne(3, "truncate", "chmod", "unlink", "rmdir"),
  ...onOne(1, "symlink"),
  onTwo(10, "rename"),
  onTwo(3, "link"),
  { weight: 4, arbitrary: fc.constant<WatchStep>({ do: "look" }) },
);

export const watchPrograms: fc.Arbitrary<WatchProgram> = fc.record({
  mode: fc.constantFrom("attached", "detached"),
  what: fc.constantFrom("file", "folder", "tree"),
  steps: fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
});

/** The same events, or others, for proving that the checks find something. */
export type WrapEvents = (events: WatchEvent[]) => WatchEvent[];

interface Leaf {
  readonly kind: "file" | "link";
  links: number;
}

interface Folder {
  readonly kind: "folder";
  readonly entries: Map<string, Thing>;
}

type Thing = Leaf | Folder;

/** What the kernel says: of a name in a folder, or of a thing itself, which has no name then. */
interface Raw {
  readonly of: Thing;
  readonly name: string;
  readonly action: WatchAction;
  readonly isFolder: boolean;
}

interface Place {
  readonly above: Folder;
  readonly name: string;
  readonly thing: Thing | undefined;
}

function folderOf(...entries: (readonly [string, Thing])[]): Folder {
  return { kind: "folder", entries: new Map(entries) };
}

function leaf(kind: Leaf["kind"] = "file"): Leaf {
  return { kind, links: 1 };
}

function isIn(place: Folder, other: Thing | undefined): boolean {
  if (other?.kind !== "folder") return false;
  return place === other || [...other.entries.values()].some((one) => isIn(place, one));
}

/** The names and files, and what the kernel reports of each change. */
class Names {
  readonly root: Folder;

  constructor() {
    this.root = folderOf(
      ["w", folderOf(["a", leaf()], ["s", folderOf(["b", leaf()])])],
      ["o", folderOf(["s", folderOf(["a", leaf()], ["s", folderOf()])])],
    );
  }

  find(path: Path): Place | null {
    let above: Thing | undefined = this.root;
    for (const name of path.slice(0, -1)) {
      above = above?.kind === "folder" ? above.entries.get(name) : undefined;
    }
    if (above?.kind !== "folder") return null;
    const name = path.at(-1) as string;
    return { above, name, thing: above.entries.get(name) };
  }

  /** Null when the system refuses it. */
  change(one: Change): Raw[] | null {
    if (one.do === "rename" || one.do === "link") {
      const [from, to] = [this.find(one.from), this.find(one.to)];
      if (from === null || to === null) return null;
      return one.do === "rename" ? this.#rename(from, to) : this.#link(from, to);
    }
    const place = this.find(one.path);
    if (place === null) return null;
    const { above, name, thing } = place;
    const ofName = (action: WatchAction, isFolder = false): Raw => {
      return { of: above, name, action, isFolder };
    };
    const made = (own: Thing): Raw[] | null => {
      if (thing !== undefined) return null;
      above.entries.set(name, own);
      return [ofName("created", own.kind === "folder")];
    };
    switch (one.do) {
      case "create":
        return made(leaf());
      case "symlink":
        return made(leaf("link"));
      case "mkdir":
        return made(folderOf());
      case "write":
      case "truncate":
        return thing?.kind === "file" ? [ofName("modified"), self(thing, "modified")] : null;
      case "chmod":
        if (thing === undefined || thing.kind === "link") return null;
        return [ofName("attributes", thing.kind === "folder"), self(thing, "attributes")];
      case "rmdir":
        if (thing?.kind !== "folder" || thing.entries.size > 0) return null;
        above.entries.delete(name);
        return [ofName("removed", true), self(thing, "removed")];
      case "unlink":
        if (thing === undefined || thing.kind === "folder") return null;
        above.entries.delete(name);
        return [...this.#lost(thing), ofName("removed")];
    }
  }

  // One name less; the last one takes the file with it.
  #lost(thing: Thing): Raw[] {
    if (thing.kind !== "folder" && --thing.links > 0) return [self(thing, "attributes")];
    return [self(thing, "attributes"), self(thing, "removed")];
  }

  #link({ thing }: Place, to: Place): Raw[] | null {
    if (thing === undefined || thing.kind === "folder" || to.thing !== undefined) return null;
    to.above.entries.set(to.name, thing);
    thing.links++;
    return [
      self(thing, "attributes"),
      { of: to.above, name: to.name, action: "created", isFolder: false },
    ];
  }

  #rename(from: Place, to: Place): Raw[] | null {
    const { thing } = from;
    if (thing === undefined || isIn(to.above, thing) || isIn(from.above, to.thing)) return null;
    if (thing === to.thing) return [];
    if (to.thing !== undefined) {
      if ((thing.kind === "folder") !== (to.thing.kind === "folder")) return null;
      if (to.thing.kind === "folder" && to.thing.entries.size > 0) return null;
    }
    from.above.entries.delete(from.name);
    to.above.entries.set(to.name, thing);
    const isFolder = thing.kind === "folder";
    return [
      { of: from.above, name: from.name, action: "movedFrom", isFolder },
      { of: to.above, name: to.name, action: "movedTo", isFolder },
      ...(to.thing === undefined ? [] : this.#lost(to.thing)),
      self(thing, "movedFrom"),
    ];
  }
}

function self(of: Thing, action: WatchAction): Raw {
  return { of, name: "", action, isFolder: of.kind === "folder" };
}

/** An event as the program sees it. */
type Seen = string;

function seen({ action, filename, isDirectory, isWatched }: Omit<WatchEvent, "cookie">): Seen {
  return `${action} ${filename}${isDirectory ? "/" : ""}${isWatched ? " itself" : ""}`;
}

function event(
  action: WatchAction,
  filename: string,
  isDirectory: boolean,
  isWatched = false,
): Seen {
  return seen({ eventType: "change", action, filename, isDirectory, isWatched });
}

const SENTINEL = "~";
// With the names of folders that come, in any order.
const ANY_ORDER = "created";

class WatchRun {
  readonly #io: IO;
  readonly #path: string;
  readonly #what: WatchProgram["what"];
  readonly #wrap: WrapEvents;
  readonly #names = new Names();
  readonly #watched: Thing;
  readonly #name: string;
  #watch: Watch | null = null;
  #expected: Seen[] = [];
  #ended = false;
  executed = 0;

  constructor(io: IO, path: string, what: WatchProgram["what"], wrap: WrapEvents) {
    this.#io = io;
    this.#path = path;
    this.#what = what;
    this.#wrap = wrap;
    this.#name = what === "file" ? "a" : "w";
    const { root } = this.#names;
    const w = root.entries.get("w") as Folder;
    this.#watched = what === "file" ? (w.entries.get("a") as Thing) : w;
  }

  async begin(): Promise<void> {
    makeOnDisk(this.#names.root, this.#path);
    const path = join(this.#path, ...(this.#what === "file" ? ["w", "a"] : ["w"]));
    const opening = this.#io.watch(path, { recursive: this.#what === "tree" });
    this.#watch = await settledWith(this.#io, opening, "watch");
  }

  async step(one: WatchStep): Promise<void> {
    if (one.do === "look") return this.look();
    this.executed++;
    // The paths are those before the change.
    const paths = this.#what === "tree" ? foldersBelow(this.#watched as Folder) : null;
    const raw = this.#names.change(one);
    const isDone = isMade(() => make(one, this.#path));
    assert.is(isDone, raw !== null, `${JSON.stringify(one)} is refused`);
    if (raw === null || this.#ended) return;
    for (const said of raw) this.#expect(said, paths);
    // What a folder has when it is found shows only when no more has happened.
    if (this.#what === "tree" || this.#ended) await this.look();
  }

  #expect({ of, name, action, isFolder }: Raw, paths: Map<Thing, string> | null): void {
    if (this.#ended) return;
    if (of === this.#watched && name === "") {
      this.#add(event(action, this.#name, this.#what !== "file", true));
      this.#ended = action === "removed" || (action === "movedFrom" && this.#what === "tree");
      return;
    }
    if (name === "" || this.#what === "file") return;
    const at = paths === null ? (of === this.#watched ? "" : undefined) : paths.get(of);
    if (at === undefined) return;
    const path = at === "" ? name : `${at}/${name}`;
    this.#add(event(action, path, isFolder));
    const comes = action === "movedTo" || action === "created";
    if (this.#what !== "tree" || !isFolder || !comes) return;
    const folder = (of as Folder).entries.get(name) as Folder;
    for (const found of namesBelow(folder, path)) this.#add(found);
  }

  // The kernel joins an event with an equal one before it, when that was not read yet.
  #add(one: Seen): void {
    if (this.#expected.at(-1) !== one) this.#expected.push(one);
  }

  /** Compares what has come since the last look. */
  async look(): Promise<void> {
    if (this.#watch === null) return;
    const expected = this.#expected;
    const marks = this.#ended ? [] : this.#mark();
    for (const mark of marks) this.#add(mark);
    this.#expected = [];
    const events: WatchEvent[] = [];
    // The marks of a file may look like what stands before them.
    while (this.#ended || events.length < expected.length || !isMarked(events, marks)) {
      const { done, value } = await settledWith(this.#io, this.#watch.next(), "the next event");
      if (done) break;
      events.push(value as WatchEvent);
    }
    const found = this.#wrap(events);
    for (const one of events) tally(`watch ${this.#what}`, one.action);
    assert.equal(inOrder(found.map(seen)), inOrder(expected), "the events");
    checkCookies(found);
    if (this.#ended) this.#watch = null;
  }

  /** Changes whose events come after all others; gives those. */
  #mark(): Seen[] {
    const path = this.#pathOf(this.#watched) as string;
    if (this.#what === "file") {
      fs.truncateSync(path);
      fs.chmodSync(path, 0o600);
      fs.truncateSync(path);
      const [written, changed] = (["modified", "attributes"] as const).map((action) =>
        event(action, this.#name, false, true),
      ) as [Seen, Seen];
      return [written, changed, written];
    }
    fs.writeFileSync(join(path, SENTINEL), "");
    fs.unlinkSync(join(path, SENTINEL));
    return [event("created", SENTINEL, false), event("removed", SENTINEL, false)];
  }

  #pathOf(thing: Thing, from: Folder = this.#names.root, path = this.#path): string | null {
    for (const [name, one] of from.entries) {
      const own = join(path, name);
      if (one === thing) return own;
      const deeper = one.kind === "folder" ? this.#pathOf(thing, one, own) : null;
      if (deeper !== null) return deeper;
    }
    return null;
  }

  async end(): Promise<void> {
    await this.look();
    if (this.#watch !== null) await settledWith(this.#io, this.#watch.close(), "close");
    const { inFlight, strays, descriptors } = this.#io.stats();
    assert.equal([inFlight, strays, descriptors], [0, 0, 0], "inFlight, strays, descriptors");
  }
}

/** Whether the last events are these. */
function isMarked(events: readonly WatchEvent[], marks: readonly Seen[]): boolean {
  const last = events.slice(-marks.length).map(seen);
  return last.length === marks.length && last.every((one, at) => one === marks[at]);
}

/** What is found in a folder comes in any order. */
function inOrder(events: readonly Seen[]): Seen[] {
  const sorted: Seen[] = [];
  for (let at = 0; at < events.length; ) {
    let end = at;
    while (events[end]?.startsWith(ANY_ORDER)) end++;
    sorted.push(...events.slice(at, end).sort());
    if (end === at) sorted.push(events[end++] as Seen);
    at = end;
  }
  return sorted;
}

/** Both events of a rename have the same number, and no others have one. */
function checkCookies(events: readonly WatchEvent[]): void {
  for (const [at, { action, cookie, isWatched }] of events.entries()) {
    const isMove = !isWatched && (action === "movedFrom" || action === "movedTo");
    assert.is(cookie !== 0, isMove, `the cookie of ${action}`);
    const before = events[at - 1];
    const isPair = isMove && action === "movedTo" && before?.action === "movedFrom";
    const isOther = before?.isWatched === true;
    if (isPair && !isOther && before.cookie !== cookie) {
      const count = events.filter((one) => one.cookie === cookie).length;
      assert.is(count, 1, "the cookies of a rename");
    }
  }
}

function foldersBelow(
  folder: Folder,
  path = "",
  into = new Map<Thing, string>(),
): Map<Thing, string> {
  into.set(folder, path);
  for (const [name, one] of folder.entries) {
    if (one.kind === "folder") foldersBelow(one, path === "" ? name : `${path}/${name}`, into);
  }
  return into;
}

function namesBelow(folder: Folder, path: string): Seen[] {
  return [...folder.entries].flatMap(([name, one]) => {
    const own = `${path}/${name}`;
    const isFolder = one.kind === "folder";
    return [event("created", own, isFolder), ...(isFolder ? namesBelow(one, own) : [])];
  });
}

function makeOnDisk(folder: Folder, path: string): void {
  for (const [name, one] of folder.entries) {
    const own = join(path, name);
    if (one.kind === "folder") {
      fs.mkdirSync(own);
      makeOnDisk(one, own);
    } else fs.writeFileSync(own, "");
  }
}

/** False when the system has refused it. */
function isMade(call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return false;
  }
}

/** Makes a change: one call of the system that is reported, and no more. */
function make(one: Change, base: string): void {
  if (one.do === "rename" || one.do === "link") {
    const [from, to] = [join(base, ...one.from), join(base, ...one.to)];
    if (one.do === "rename") fs.renameSync(from, to);
    else fs.linkSync(from, to);
    return;
  }
  const path = join(base, ...one.path);
  if (one.do === "create") fs.closeSync(fs.openSync(path, "wx"));
  else if (one.do === "symlink") fs.symlinkSync("nowhere", path);
  else if (one.do === "mkdir") fs.mkdirSync(path);
  else if (one.do === "rmdir") fs.rmdirSync(path);
  else if (one.do === "unlink") fs.unlinkSync(path);
  // Of a link, which leads nowhere, it fails.
  else if (one.do === "chmod") fs.chmodSync(path, one.mode);
  else change(path, one.do === "write");
}

/** Through no link: of where that leads the model knows nothing. */
function change(path: string, writes: boolean): void {
  const file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NOFOLLOW);
  try {
    if (writes) fs.writeSync(file, "x");
    else fs.ftruncateSync(file, 3);
  } finally {
    fs.closeSync(file);
  }
}

/** Runs a program; resolves with how many operations it had. */
export async function runWatches(
  backend: BackendName,
  program: WatchProgram,
  wrap: WrapEvents = (events) => events,
): Promise<number> {
  const path = newFolder();
  const io = await IO.open({ backend, mode: program.mode });
  const run = new WatchRun(io, path, program.what, wrap);
  let failedRun = true;
  try {
    await run.begin();
    for (const one of program.steps) await run.step(one);
    await run.end();
    failedRun = false;
  } finally {
    // The first failure stays the error, even when closing fails as well.
    if (failedRun) await closed(io).catch(() => undefined);
    else await closed(io);
    fs.rmSync(path, { recursive: true });
  }
  return run.executed + 1;
}
