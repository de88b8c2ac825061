// Events of files: of a file, of the names in a directory, and of a tree that changes meanwhile.
//
// A kqueue (EVFILT_VNODE) says that something has changed, and not how often or in which order:
// what has come and gone before it is looked at is not seen, and what was written into a new file.

import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import type { Directory, IO, IOError, Watch, WatchEvent } from "@io/core";
import * as assert from "uvu/assert";
import { Random, seedOf } from "../../fuzz/support.js";
import { systemHere } from "../../support/system.js";
import type { Suite } from "../support/harness.js";
import { guarded } from "../support/harness.js";
import { failure, failureCode } from "../support/verbs.js";

const END = "the-end";

/** Makes the mark that ends `toMark()`. */
function mark(folder: string): void {
  mkdirSync(`${folder}/${END}`);
}

/**
 * The events up to the mark, which is removed then, and those that come before that is reported: a
 * kqueue has no order between directories, and by then all that came before the mark is here.
 */
async function toMark(watch: Watch, folder: string): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for (;;) {
    const { value, done } = await guarded("the next event", watch.next());
    if (done) throw new Error(`the watch ended after ${JSON.stringify(events)}`);
    if (value.filename !== END) events.push(value);
    else if (value.action === "created") rmdirSync(`${folder}/${END}`);
    else if (value.action === "removed") return events;
  }
}

function short({ action, filename, isDirectory }: WatchEvent): string {
  return `${action} ${filename}${isDirectory ? "/" : ""}`;
}

async function untilMark(watch: Watch, folder: string): Promise<string[]> {
  mark(folder);
  return (await toMark(watch, folder)).map(short);
}

/** What a kqueue has: one change at a time is looked at, or many at once. */
function mergesEvents(io: IO): boolean {
  return io.capabilities.watch.reason.includes("EVFILT_VNODE");
}

/** How many events inotify keeps; for a kqueue, which keeps them all, any large number. */
function queueLimit(io: IO): number {
  if (mergesEvents(io)) return 16_384;
  return Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
}

/** Events of several directories: only inotify has an order of them. */
function inOrder(io: IO, events: string[]): string[] {
  return mergesEvents(io) ? events.sort() : events;
}

function registerOne(suite: Suite): void {
  suite.test("a watch of a directory tells what happens to its names", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("folder");
    mkdirSync(`${folder}/deep`, { recursive: true });
    await using watch = await io.watch(folder);
    assert.is(watch.path, folder);
    const events: WatchEvent[] = [];
    const looked = async (): Promise<void> => {
      if (!mergesEvents(io)) return;
      mark(folder);
      events.push(...(await toMark(watch, folder)));
    };
    writeFileSync(`${folder}/a`, "");
    await looked();
    appendFileSync(`${folder}/a`, "1");
    await looked();
    chmodSync(`${folder}/a`, 0o600);
    await looked();
    renameSync(`${folder}/a`, `${folder}/b`);
    await looked();
    unlinkSync(`${folder}/b`);
    writeFileSync(`${folder}/deep/not told`, "");
    mark(folder);
    events.push(...(await toMark(watch, folder)));
    const expected = [
      ...["created a", "modified a", "attributes a"],
      ...["movedFrom a", "movedTo b", "removed b"],
    ];
    assert.equal(events.map(short), expected);
    const types = ["rename", "change", "change", "rename", "rename", "rename"];
    assert.equal(
      events.map(({ eventType }) => eventType),
      types,
    );
    const [from, to] = events.slice(3) as [WatchEvent, WatchEvent];
    assert.ok(from.cookie > 0);
    assert.is(from.cookie, to.cookie);
    assert.is(events[0]?.cookie, 0);
    assert.ok(events.every(({ isWatched }) => !isWatched));
    // Of the directory itself.
    chmodSync(folder, 0o700);
    const { value: own } = await watch.next();
    const { action, filename, isWatched, isDirectory } = own as WatchEvent;
    assert.equal([action, filename, isWatched, isDirectory], ["attributes", "folder", true, true]);
  });

  suite.test("a name that is not UTF-8 comes as everywhere", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("odd");
    mkdirSync(folder);
    await using watch = await io.watch(Buffer.from(`${folder}/`));
    const bytes = Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff, 0x41)]);
    try {
      writeFileSync(bytes, "");
    } catch {
      return; // macOS takes UTF-8 only
    }
    const { value } = await watch.next();
    assert.is(value?.filename, "\udcffA");
    await io.unlink(`${folder}/${value?.filename}`);
  });
}

function registerOther(suite: Suite): void {
  suite.test(
    "a watch of a file says when its bytes change, and ends when it is removed",
    async (trial) => {
      const io = await trial.open();
      const file = trial.path("file");
      writeFileSync(file, "1");
      symlinkSync("file", trial.path("link"));
      await using watch = await io.watch(trial.path("link"));
      appendFileSync(file, "2");
      utimesSync(file, 1, 1);
      appendFileSync(file, "3");
      unlinkSync(file);
      const events: WatchEvent[] = [];
      for await (const event of watch) events.push(event);
      const actions = events.map(({ action }) => action);
      // The count of its names has changed before it goes.
      const last = ["modified", "attributes", "removed"];
      assert.equal(actions, mergesEvents(io) ? last : ["modified", "attributes", ...last]);
      assert.ok(events.every(({ isWatched, filename }) => isWatched && filename === "link"));
      assert.equal(await watch.next(), { done: true, value: undefined });
    },
  );

  suite.test("a watch under rules stays in its directory", async (trial) => {
    const io = await trial.open();
    mkdirSync(trial.path("root/sub"), { recursive: true });
    symlinkSync("..", trial.path("root/out"));
    await using root = await io.openDirectory(trial.path("root"), { resolve: { beneath: true } });
    assert.is(await failureCode(root.watch("..")), "ERR_IO_RESOLVE");
    assert.is(await failureCode(root.watch("out")), "ERR_IO_RESOLVE");
    assert.is(await failureCode(root.watch("missing")), "ENOENT");
    await using watch = await root.watch("sub", { recursive: true });
    mkdirSync(trial.path("root/sub/new"));
    writeFileSync(trial.path("root/sub/new/file"), "");
    const names = [(await watch.next()).value?.filename, (await watch.next()).value?.filename];
    assert.equal(names, ["new", "new/file"]);
    assert.is(await failureCode(io.watch("")), "ENOENT");
  });
}

function registerEnd(suite: Suite): void {
  suite.test("a watch ends with its loop, its signal, its close and its IO", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("folder");
    mkdirSync(folder);
    const { descriptors } = io.stats();
    // The loop is left.
    const left = await io.watch(folder);
    writeFileSync(`${folder}/a`, "");
    for await (const { filename } of left) {
      assert.is(filename, "a");
      break;
    }
    assert.equal(await left.next(), { done: true, value: undefined });
    // Never begun.
    const unread = await io.watch(folder);
    assert.equal(await unread.return(), { done: true, value: undefined });
    // Closed while it waits.
    const closed = await io.watch(folder);
    const waiting = closed.next();
    await closed.close();
    assert.equal(await guarded("the wait", waiting), { done: true, value: undefined });
    // Aborted while it waits, and before.
    const controller = new AbortController();
    const aborted = await io.watch(folder, { signal: controller.signal });
    const next = failure(aborted.next() as Promise<unknown>);
    controller.abort(new Error("enough"));
    const error = await guarded("the aborted wait", next);
    assert.is(error.code, "ABORT_ERR");
    assert.is((error.cause as Error).message, "enough");
    assert.equal(await aborted.next(), { done: true, value: undefined });
    assert.is(await failureCode(io.watch(folder, { signal: controller.signal })), "ABORT_ERR");
    assert.is(io.stats().descriptors, descriptors);
    // Aborted while events wait.
    const stopping = new AbortController();
    const stopped = await io.watch(folder, { signal: stopping.signal });
    for (const name of ["x", "y"]) writeFileSync(`${folder}/${name}`, "");
    const { value: first } = await stopped.next();
    assert.ok(first?.filename === "x" || (mergesEvents(io) && first?.filename === "y"));
    stopping.abort();
    assert.is(await failureCode(stopped.next()), "ABORT_ERR");
    // With its IO.
    const last = await io.watch(folder);
    const end = last.next();
    await trial.close(io);
    assert.equal(await guarded("the end", end), { done: true, value: undefined });
  });

  suite.test("a watch tells that it has overflowed, and goes on", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("crowd");
    mkdirSync(`${folder}/deep`, { recursive: true });
    await using watch = await io.watch(folder, { recursive: true });
    const limit = queueLimit(io);
    // Two names that take turns, since equal events in a row are one.
    writeFileSync(`${folder}/one`, "");
    for (let count = 0; count < limit / 2 + 10; count++) {
      renameSync(`${folder}/one`, `${folder}/two`);
      renameSync(`${folder}/two`, `${folder}/one`);
    }
    // What has come while events were dropped is watched from then on, and what has gone is not.
    mkdirSync(`${folder}/later/below`, { recursive: true });
    rmdirSync(`${folder}/deep`);
    let told = 0;
    while (!mergesEvents(io)) {
      const { value } = await guarded("the overflow", watch.next());
      if (value?.action === "overflow") {
        assert.equal([value.eventType, value.filename], ["overflow", ""]);
        break;
      }
      told++;
    }
    // A kqueue has an event for each file, however much happens to it.
    if (mergesEvents(io)) {
      const events = await untilMark(watch, folder);
      assert.equal(events.sort(), [
        "created later/",
        "created later/below/",
        "created one",
        "removed deep/",
      ]);
    } else assert.ok(told >= limit - 10 && told <= limit, `${told} of ${limit}`);
    writeFileSync(`${folder}/later/below/file`, "");
    assert.equal(await untilMark(watch, folder), ["created later/below/file"]);
  });
}

function registerLimit(suite: Suite): void {
  suite.test("a watch has begun wholly within its time, or is refused", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("crowded");
    mkdirSync(`${folder}/deep`, { recursive: true });
    for (let index = 0; index < 400; index++) {
      writeFileSync(`${folder}/${index % 2 === 0 ? "" : "deep/"}${index}`, "");
    }
    const { descriptors } = io.stats();
    // Which of them end while it begins, and where, is a matter of the machine.
    for (let timeoutMs = 1; timeoutMs < 300; timeoutMs += Math.ceil(timeoutMs / 4)) {
      let watch: Watch;
      try {
        watch = await io.watch(folder, { recursive: true, timeoutMs });
      } catch (error) {
        assert.is((error as IOError).code, "ETIMEDOUT", `${error}`);
        assert.is(io.stats().descriptors, descriptors);
        continue;
      }
      // What was there is neither new nor without a watch.
      assert.equal(await untilMark(watch, folder), [], `within ${timeoutMs} ms`);
      await watch.close();
    }
    assert.is(io.stats().descriptors, descriptors);
  });
}

function registerSockets(suite: Suite): void {
  suite.test("a unix socket that is made again has gone and come", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("sockets");
    mkdirSync(folder);
    const path = join(folder, "s");
    let listener = await io.listen({ path });
    await using watch = await io.watch(folder);
    // The file system may give the number of the first one to the second one, or not. Its clock has
    // steps: the second one is made in a later one.
    const clock = trial.path("clock");
    for (let round = 0; round < 20; round++) {
      const { mtimeNs } = lstatSync(path, { bigint: true });
      do writeFileSync(clock, "");
      while (lstatSync(clock, { bigint: true }).mtimeNs === mtimeNs);
      await listener.close();
      rmSync(path, { force: true });
      listener = await io.listen({ path });
      assert.equal(await untilMark(watch, folder), ["removed s", "created s"], `round ${round}`);
    }
    await listener.close();
  });
}

function registerTree(suite: Suite): void {
  suite.test("a recursive watch follows directories as they come and go", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("tree");
    const outside = trial.path("outside");
    mkdirSync(`${folder}/a/b`, { recursive: true });
    mkdirSync(`${outside}/c/d`, { recursive: true });
    symlinkSync(outside, `${folder}/link`);
    await using watch = await io.watch(folder, { recursive: true });
    writeFileSync(`${folder}/a/b/file`, "1");
    writeFileSync(`${outside}/not told`, "");
    const written = mergesEvents(io) ? [] : ["modified a/b/file"];
    assert.equal(await untilMark(watch, folder), ["created a/b/file", ...written]);
    // What is in a directory before it is watched is found, once.
    mkdirSync(`${folder}/new/x/y`, { recursive: true });
    writeFileSync(`${folder}/new/x/y/file`, "");
    const found = await untilMark(watch, folder);
    assert.equal(found.sort(), [
      ...["created new/", "created new/x/", "created new/x/y/", "created new/x/y/file"],
    ]);
    // A directory that is renamed has come under its new path, with what is in it.
    renameSync(`${folder}/a`, `${folder}/z`);
    unlinkSync(`${folder}/z/b/file`);
    const moved = await untilMark(watch, folder);
    // What has gone comes first, under the name that it had.
    const before = mergesEvents(io) ? ["removed a/b/file"] : [];
    assert.equal(moved, [...before, "movedFrom a/", "movedTo z/", "created z/b/"]);
    writeFileSync(`${folder}/z/b/more`, "");
    assert.equal(await untilMark(watch, folder), ["created z/b/more"]);
    unlinkSync(`${folder}/z/b/more`);
    assert.equal(await untilMark(watch, folder), ["removed z/b/more"]);
    // One that leaves the tree is watched no more; one that enters it is.
    renameSync(`${folder}/z`, `${outside}/z`);
    renameSync(`${outside}/c`, `${folder}/c`);
    const changed = await untilMark(watch, folder);
    // Where it has come from is not seen.
    const arrived = mergesEvents(io) ? "created" : "movedTo";
    assert.equal(changed, ["movedFrom z/", `${arrived} c/`, "created c/d/"]);
    await untilMark(watch, folder);
    writeFileSync(`${outside}/z/b/not told`, "");
    writeFileSync(`${folder}/c/d/told`, "");
    assert.equal(await untilMark(watch, folder), ["created c/d/told"]);
    // Away and back again.
    renameSync(`${outside}/z`, `${folder}/z`);
    assert.equal(await untilMark(watch, folder), [
      `${arrived} z/`,
      "created z/b/",
      "created z/b/not told",
    ]);
    rmSync(`${folder}/z`, { recursive: true });
    const gone = await untilMark(watch, folder);
    assert.equal(gone, ["removed z/b/not told", "removed z/b/", "removed z/"]);
  });

  suite.test("names that take turns in a tree confuse no watch of it", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("turns");
    mkdirSync(folder);
    await using watch = await io.watch(folder, { recursive: true });
    // The first x is y by the time its event is read, and another is x.
    mkdirSync(`${folder}/x`);
    renameSync(`${folder}/x`, `${folder}/y`);
    mkdirSync(`${folder}/x`);
    await untilMark(watch, folder);
    // Away and back between two reads.
    renameSync(`${folder}/x`, trial.path("away"));
    renameSync(trial.path("away"), `${folder}/x`);
    await untilMark(watch, folder);
    await untilMark(watch, folder);
    writeFileSync(`${folder}/x/1`, "");
    writeFileSync(`${folder}/y/2`, "");
    assert.equal(inOrder(io, await untilMark(watch, folder)), ["created x/1", "created y/2"]);
  });
}

function registerWide(suite: Suite): void {
  suite.test("what is made while a directory is read comes once", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("busy");
    mkdirSync(folder);
    await using watch = await io.watch(folder, { recursive: true });
    const numbers = Array.from({ length: 30 }, (_, index) => `${index}`);
    const make = async (): Promise<void> => {
      for (const name of numbers) {
        mkdirSync(`${folder}/${name}`);
        for (const [index, file] of numbers.entries()) {
          if (index % 3 === 0) await new Promise(setImmediate);
          mkdirSync(`${folder}/${name}/${file}`);
        }
      }
      mark(folder);
    };
    const made = make();
    const created = (await toMark(watch, folder)).filter(({ action }) => action === "created");
    await made;
    const wanted = numbers.flatMap((name) => [name, ...numbers.map((file) => `${name}/${file}`)]);
    assert.equal(created.map(({ filename }) => filename).sort(), wanted.sort());
  });

  suite.test("a wide and deep tree is watched whole", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("wide");
    for (let index = 0; index < 100; index++) {
      mkdirSync(`${folder}/${index}/a/b`, { recursive: true });
    }
    const { descriptors } = io.stats();
    await using watch = await io.watch(folder, { recursive: true });
    // Of a kqueue what is watched is open; otherwise only the directory that it is in.
    assert.is(io.stats().descriptors, descriptors + (mergesEvents(io) ? 302 : 2));
    for (let index = 0; index < 100; index++) writeFileSync(`${folder}/${index}/a/b/f`, "");
    const told = await untilMark(watch, folder);
    const wanted = Array.from({ length: 100 }, (_, index) => `created ${index}/a/b/f`);
    assert.equal(inOrder(io, told), inOrder(io, wanted));
    rmSync(folder, { recursive: true });
    let last: WatchEvent | undefined;
    for await (const event of watch) last = event;
    assert.equal([last?.action, last?.isWatched, last?.isDirectory], ["removed", true, true]);
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test(
    "a directory that may not be read is an event, and the others go on",
    async (trial) => {
      const io = await trial.open();
      const folder = trial.path("locked");
      mkdirSync(`${folder}/shut`, { recursive: true, mode: 0o755 });
      chmodSync(`${folder}/shut`, 0);
      await using watch = await io.watch(folder, { recursive: true });
      const isRoot = process.getuid?.() === 0;
      const told = await untilMark(watch, folder);
      assert.equal(told, isRoot ? [] : ["unwatched shut/"]);
    },
  );
}

/** Makes a file in each of these directories, and gives the events of that. */
async function probed(watch: Watch, folder: string, below: string[]): Promise<string[]> {
  await untilMark(watch, folder); // what has happened before is taken
  for (const path of below) writeFileSync(`${folder}/${path}/probe`, "");
  const told = await untilMark(watch, folder);
  for (const path of below) unlinkSync(`${folder}/${path}/probe`);
  return told.filter((event) => event.startsWith("created ") && event.endsWith("probe")).sort();
}

function probesIn(below: string[]): string[] {
  return below.map((path) => `created ${path}/probe`).sort();
}

function registerMoves(suite: Suite): void {
  suite.test("directories that come and go at once end no watch", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("churn");
    mkdirSync(folder);
    await using watch = await io.watch(folder, { recursive: true });
    // Each turn of the loop another step of a scan has come.
    for (let round = 0; round < 40; round++) {
      mkdirSync(`${folder}/x/y/z`, { recursive: true });
      const next = watch.next();
      for (let turn = 0; turn < round % 20; turn++) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      rmSync(`${folder}/x`, { recursive: true });
      // A kqueue may have seen nothing of it.
      if (mergesEvents(io)) writeFileSync(`${folder}/${round}`, "");
      await guarded("an event", next);
      await untilMark(watch, folder);
    }
    mkdirSync(`${folder}/last/one`, { recursive: true });
    const last = ["last", "last/one"];
    assert.equal(await probed(watch, folder, last), probesIn(last));
  });

  suite.test("a directory that has left a tree is not watched under any name", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("left");
    const outside = trial.path("outside");
    mkdirSync(`${folder}/a/sub`, { recursive: true });
    await using watch = await io.watch(folder, { recursive: true });
    // By two names at once, and then by one.
    renameSync(`${folder}/a`, `${folder}/z`);
    renameSync(`${folder}/z`, outside);
    writeFileSync(`${outside}/secret`, "");
    writeFileSync(`${outside}/sub/secret`, "");
    const last = mergesEvents(io) ? [] : ["movedTo z/", "movedFrom z/"];
    assert.equal(await untilMark(watch, folder), ["movedFrom a/", ...last]);
    writeFileSync(`${outside}/sub/secret 2`, "");
    assert.equal(await untilMark(watch, folder), []);
    renameSync(outside, `${folder}/a`);
    await untilMark(watch, folder);
    renameSync(`${folder}/a`, outside);
    writeFileSync(`${outside}/secret 3`, "");
    assert.equal(await untilMark(watch, folder), ["movedFrom a/"]);
  });
}

function registerBursts(suite: Suite): void {
  suite.test("directories that are renamed in a burst have their last names", async (trial) => {
    const io = await trial.open();
    const bursts: { made: string[]; moved: [string, string][]; below: string[] }[] = [
      {
        made: ["a/x", "b/y", "c/z"],
        moved: [
          ["c", "d"],
          ["b", "c"],
          ["a", "b"],
        ] as [string, string][],
        below: ["b/x", "c/y", "d/z"],
      },
      {
        made: ["a/x", "b/y"],
        moved: [
          ["a", "t"],
          ["b", "a"],
          ["t", "b"],
        ] as [string, string][],
        below: ["a/y", "b/x"],
      },
      {
        made: ["a/b/c", "e"],
        moved: [
          ["a/b", "e/n"],
          ["e/n/c", "a/q"],
          ["a", "e/n/a"],
        ] as [string, string][],
        below: ["e/n/a/q"],
      },
      {
        made: ["a/b/c", "e/f"],
        moved: [
          ["e", "n4"],
          ["a/b", "n4/n3"],
          ["n4", "n0"],
        ] as [string, string][],
        below: ["n0/f", "n0/n3/c", "a"],
      },
    ];
    for (const [index, { made, moved, below }] of bursts.entries()) {
      const folder = trial.path(`burst ${index}`);
      for (const path of made) mkdirSync(`${folder}/${path}`, { recursive: true });
      await using watch = await io.watch(folder, { recursive: true });
      for (const [from, to] of moved) renameSync(`${folder}/${from}`, `${folder}/${to}`);
      assert.equal(await probed(watch, folder, below), probesIn(below), `burst ${index}`);
    }
  });

  suite.test("what is made below a directory while it is renamed is watched", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("below");
    mkdirSync(`${folder}/a`, { recursive: true });
    await using watch = await io.watch(folder, { recursive: true });
    mkdirSync(`${folder}/a/new`);
    renameSync(`${folder}/a`, `${folder}/z`);
    assert.equal(await untilMark(watch, folder), [
      ...(mergesEvents(io) ? [] : ["created a/new/"]),
      ...["movedFrom a/", "movedTo z/", "created z/new/"],
    ]);
    assert.equal(await probed(watch, folder, ["z/new"]), probesIn(["z/new"]));
    // Two that change places, which is one call.
    mkdirSync(`${folder}/other/deep`, { recursive: true });
    await untilMark(watch, folder);
    if (["linux", "macos"].includes(systemHere())) {
      await io.rename(`${folder}/z`, `${folder}/other`, { exchange: true });
    } else {
      renameSync(`${folder}/z`, `${folder}/t`);
      renameSync(`${folder}/other`, `${folder}/z`);
      renameSync(`${folder}/t`, `${folder}/other`);
    }
    const below = ["other/new", "z/deep"];
    assert.equal(await probed(watch, folder, below), probesIn(below));
  });
}

function registerRoot(suite: Suite): void {
  suite.test("a recursive watch stays with its directory, whatever its path", async (trial) => {
    const io = await trial.open();
    const above = trial.path("above");
    mkdirSync(`${above}/root`, { recursive: true });
    mkdirSync(trial.path("other/new"), { recursive: true });
    symlinkSync("above/root", trial.path("link"));
    const { descriptors } = io.stats();
    const directory = await io.openDirectory(above);
    await using byDirectory = await directory.watch("root", { recursive: true });
    await using byPath = await io.watch(`${above}/root`, { recursive: true });
    await using byLink = await io.watch(trial.path("link"), { recursive: true });
    await directory.close();
    renameSync(above, trial.path("moved"));
    unlinkSync(trial.path("link"));
    symlinkSync("other", trial.path("link"));
    const root = trial.path("moved/root");
    mkdirSync(`${root}/new`);
    for (const watch of [byDirectory, byPath, byLink]) {
      assert.is(
        short((await guarded("the directory", watch.next())).value as WatchEvent),
        "created new/",
      );
    }
    writeFileSync(trial.path("other/new/not told"), "");
    writeFileSync(`${root}/new/file`, "");
    for (const watch of [byDirectory, byPath, byLink]) {
      assert.is((await guarded("the file", watch.next())).value?.filename, "new/file");
      await watch.close();
    }
    assert.is(io.stats().descriptors, descriptors);
  });

  suite.test("a watch that has overflowed ends when its directory is gone", async (trial) => {
    const io = await trial.open();
    const limit = queueLimit(io);
    for (const [recursive, how] of [
      [false, "removed"],
      [true, "removed"],
      [true, "movedFrom"],
    ]) {
      const folder = trial.path("full");
      mkdirSync(folder);
      const watch = await io.watch(folder, { recursive: recursive === true });
      writeFileSync(`${folder}/one`, "");
      for (let count = 0; count < limit / 2 + 10; count++) {
        renameSync(`${folder}/one`, `${folder}/two`);
        renameSync(`${folder}/two`, `${folder}/one`);
      }
      if (how === "removed") rmSync(folder, { recursive: true });
      else renameSync(folder, trial.path("gone"));
      const last: string[] = [];
      const read = async (): Promise<void> => {
        for await (const event of watch) last.splice(0, Math.max(0, last.push(short(event)) - 2));
      };
      await guarded("the end", read());
      const end = `${how} full/`;
      if (mergesEvents(io)) assert.is(last.at(-1), end);
      else assert.equal(last, ["overflow ", end]);
    }
  });
}

function registerRest(suite: Suite): void {
  suite.test(
    "a directory that cannot be watched is an event, and the loop goes on",
    async (trial) => {
      const io = await trial.open();
      const folder = trial.path("deep");
      mkdirSync(folder);
      await using watch = await io.watch(folder, { recursive: true });
      // The path from the watched directory becomes longer than a path may be.
      const name = "n".repeat(200);
      const open: Directory[] = [await io.openDirectory(folder)];
      for (let depth = 0; depth < 21; depth++) {
        const at = open.at(-1) as Directory;
        await at.mkdir(name);
        open.push(await at.openDirectory(name));
      }
      const told = await untilMark(watch, folder);
      assert.is(told.filter((event) => event.startsWith("created ")).length, 21);
      // A kqueue needs no path.
      const unwatched = mergesEvents(io) ? 0 : 1;
      assert.is(told.filter((event) => event.startsWith("unwatched ")).length, unwatched);
      // And so it is at the beginning.
      await using second = await io.watch(folder, { recursive: true });
      if (unwatched > 0) assert.is((await second.next()).value?.action, "unwatched");
      await Promise.all(open.map((directory) => directory.close()));
      await io.rm(folder, { recursive: true });
    },
  );

  suite.test(
    "a watch that ends while it opens what has come leaves nothing open",
    async (trial) => {
      const io = await trial.open();
      const folder = trial.path("midst");
      mkdirSync(folder);
      const { descriptors } = io.stats();
      for (let round = 0; round < 30; round++) {
        const controller = new AbortController();
        const { signal } = controller;
        const watch = await io.watch(folder, { recursive: true, signal });
        for (let index = 0; index < 10; index++) {
          mkdirSync(`${folder}/${round}/${index}`, { recursive: true });
          writeFileSync(`${folder}/${round}/${index}/file`, "");
        }
        const next = watch.next().catch((error: unknown) => error);
        // So many are open by then, where what is watched is held open.
        const midst = descriptors + 2 + round;
        for (let turn = 0; turn < 1000 && io.stats().descriptors < midst; turn++) {
          await new Promise(setImmediate);
        }
        for (let turn = 0; turn < round % 4; turn++) await new Promise(setImmediate);
        if (round % 2 === 0) controller.abort();
        await watch.close();
        await guarded("the last event", next);
        await watch.return();
        assert.is(io.stats().descriptors, descriptors, `round ${round}`);
      }
    },
  );

  suite.test("a signal closes a watch that is not read", async (trial) => {
    const io = await trial.open();
    const folder = trial.path("unread");
    mkdirSync(folder);
    const { descriptors } = io.stats();
    const controller = new AbortController();
    const { signal } = controller;
    const watch = await io.watch(folder, { recursive: true, signal });
    assert.is(io.stats().descriptors, descriptors + 2);
    controller.abort();
    for (let turn = 0; turn < 10_000 && io.stats().descriptors > descriptors; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.is(io.stats().descriptors, descriptors);
    assert.is(await failureCode(watch.next()), "ABORT_ERR");
    await watch.close();
  });
}

/** What a reader of the events believes to be there: paths, those of directories with a slash. */
class Picture {
  readonly names = new Set<string>();

  take({ action, filename, isDirectory }: WatchEvent): void {
    const path = isDirectory ? `${filename}/` : filename;
    if (action === "created" || action === "movedTo") this.names.add(path);
    if (action !== "removed" && action !== "movedFrom") return;
    for (const name of this.names) {
      if (name === path || (isDirectory && name.startsWith(path))) this.names.delete(name);
    }
  }
}

function namesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const names = entries.map((entry) => {
    const path = relative(folder, join(entry.parentPath, entry.name));
    return entry.isDirectory() ? `${path}/` : path;
  });
  return names.sort();
}

/** Changes a tree by so many calls, some of which fail. */
function burst(random: Random, folder: string, outside: string, count: number): void {
  const paths = (): string => {
    const depth = 1 + random.below(3);
    return Array.from({ length: depth }, () => random.pick(["a", "b", "c", "d"])).join("/");
  };
  const inTree = (): string => `${folder}/${paths()}`;
  for (let left = count; left > 0; left--) {
    const changes = [
      () => mkdirSync(inTree(), { recursive: random.oneIn(2) }),
      () => writeFileSync(inTree(), "x"),
      () => appendFileSync(inTree(), "y"),
      () => symlinkSync("nowhere", inTree()),
      () => linkSync(inTree(), inTree()),
      () => unlinkSync(inTree()),
      () => rmSync(inTree(), { recursive: true }),
      () => renameSync(inTree(), inTree()),
      () => renameSync(inTree(), inTree()),
      () => renameSync(inTree(), `${outside}/${random.below(4)}`),
      () => renameSync(`${outside}/${random.below(4)}`, inTree()),
    ];
    try {
      random.pick(changes)();
    } catch (error) {
      if (typeof (error as NodeJS.ErrnoException).code !== "string") throw error;
    }
  }
}

function registerRandom(suite: Suite): void {
  const name = "after a burst of changes a reader of the events knows the tree";
  suite.test(name, async (trial) => {
    const io = await trial.open();
    const random = new Random(seedOf(name));
    const folder = trial.path("random");
    const outside = trial.path("outside");
    for (const path of [`${folder}/a/b`, `${folder}/c`, outside]) {
      mkdirSync(path, { recursive: true });
    }
    await using watch = await io.watch(folder, { recursive: true });
    const picture = new Picture();
    for (const path of namesIn(folder)) picture.names.add(path);
    for (let round = 0; round < 150; round++) {
      burst(random, folder, outside, 1 + random.below(12));
      mark(folder);
      const events = await toMark(watch, folder);
      for (const event of events) picture.take(event);
      const said = `round ${round}: ${events.map(short).join(", ")}`;
      assert.equal([...picture.names].sort(), namesIn(folder), said);
    }
    // What is there is watched under the names that it has now.
    const files = namesIn(folder).filter((path) => lstatSync(`${folder}/${path}`).isFile());
    for (const path of files) {
      appendFileSync(`${folder}/${path}`, "z");
      const told = await untilMark(watch, folder);
      assert.ok(told.includes(`modified ${path}`), `${path}: ${told.join(", ")}`);
    }
  });
}

export function filesWatch(suite: Suite): void {
  registerOne(suite);
  registerOther(suite);
  registerEnd(suite);
  registerLimit(suite);
  registerSockets(suite);
  registerTree(suite);
  registerWide(suite);
  registerMoves(suite);
  registerBursts(suite);
  registerRoot(suite);
  registerRest(suite);
  registerRandom(suite);
}
