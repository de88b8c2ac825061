/** Group commit over a storage that fails on demand: order, taking back, refusing. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Data } from "./data.js";
import { GroupCommit, type SyncPolicy } from "./log/commit.js";
import { type LogStorage, SyncFailure, WriteFailure } from "./log/storage.js";

/** Holds each append until the test lets it end, well or badly. */
class HeldStorage implements LogStorage {
  end = 0;
  appends: { bytes: Buffer; sync: boolean }[] = [];
  cuts = 0;
  syncs = 0;
  cutFailure: Error | undefined;
  private settle: ((error?: Error) => void) | undefined;
  private started: (() => void) | undefined;

  append(bytes: Buffer, sync: boolean): Promise<void> {
    this.appends.push({ bytes: Buffer.from(bytes), sync });
    return new Promise((resolve, reject) => {
      this.settle = (error) => {
        this.settle = undefined;
        if (error !== undefined) return reject(error);
        this.end += bytes.length;
        resolve();
      };
      this.started?.();
      this.started = undefined;
    });
  }

  /** Resolves when an append is in flight. */
  async inFlight(): Promise<void> {
    if (this.settle !== undefined) return;
    await new Promise<void>((resolve) => {
      this.started = resolve;
    });
  }

  async finish(error?: Error): Promise<void> {
    await this.inFlight();
    this.settle!(error);
  }

  async sync(): Promise<void> {
    this.syncs++;
  }

  async cutBack(): Promise<void> {
    this.cuts++;
    if (this.cutFailure !== undefined) throw this.cutFailure;
  }

  async close(): Promise<void> {}
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function setUp(policy: SyncPolicy = "always") {
  const data = new Data();
  const storage = new HeldStorage();
  const events: string[] = [];
  const commit: GroupCommit = new GroupCommit(data, storage, policy, {
    committed: () => events.push(`committed ${commit.settled}`),
    takenBack: (reason) => events.push(`back ${reason.split(" ")[0]} ${commit.settled}`),
    report: () => undefined,
  });
  const set = (key: string, value: string) => {
    data.change(() => data.set(key, value, 0));
    commit.schedule();
  };
  const get = (key: string) => data.keyspace.find(key, 0)?.value;
  return { data, storage, events, commit, set, get };
}

const test = suite("commit");

test("what gathers during a commit is the next one", async () => {
  const { storage, events, commit, set } = setUp();
  set("a", "1");
  await storage.inFlight();
  set("b", "1");
  set("c", "1");
  assert.is(commit.settled, 0);
  await storage.finish();
  await storage.finish();
  await commit.idle();
  assert.equal(events, ["committed 1", "committed 2"]);
  assert.is(storage.appends.length, 2);
  assert.ok(storage.appends.every((append) => append.sync));
});

test("only the policy always syncs with the commit", async () => {
  for (const policy of ["everysec", "no"] as const) {
    const { storage, commit, set } = setUp(policy);
    set("a", "1");
    await storage.finish();
    await commit.idle();
    assert.is(storage.appends[0]!.sync, false);
    assert.is(storage.syncs, 0);
    await commit.close();
    assert.is(storage.syncs, 1, "closing syncs what was only written");
  }
});

test("without room, a batch and all on top of it are taken back; later ones succeed", async () => {
  const { storage, events, commit, set, get } = setUp();
  set("a", "kept");
  await storage.finish();
  await commit.idle();
  set("a", "lost");
  set("b", "lost");
  await storage.inFlight();
  set("a", "lost too");
  await storage.finish(new WriteFailure("", { cause: withCode("ENOSPC") }));
  await commit.idle();
  assert.is(get("a"), "kept");
  assert.is(get("b"), undefined);
  assert.is(storage.cuts, 1);
  assert.is(storage.appends.length, 2, "what had gathered is not written");
  assert.is(commit.refusal, undefined);
  set("b", "now");
  await storage.finish();
  await commit.idle();
  assert.is(get("b"), "now");
  assert.equal(events, ["committed 1", "back MISCONF 3", "committed 4"]);
});

test("after a failed sync writes are refused, and the sync is not tried again", async () => {
  for (const cause of ["EIO", "ENOSPC"]) {
    const { storage, commit, set, get, data } = setUp();
    set("a", "lost");
    await storage.finish(new SyncFailure("", { cause: withCode(cause) }));
    await commit.idle();
    assert.is(get("a"), undefined);
    assert.match(commit.refusal!, /^MISCONF syncing the log failed: .*restart/);
    assert.is(storage.cuts, 1);
    assert.is(storage.syncs, 0);
    set("b", "gets past the check"); // A batch that gathers anyway is not written either.
    await commit.idle();
    assert.is(data.keyspace.size, 0);
    assert.is(storage.appends.length, 1);
    await commit.close();
    assert.is(storage.syncs, 0);
  }
});

test("a write error other than want of room, or a failed repair, ends writing", async () => {
  const first = setUp();
  first.set("a", "1");
  await first.storage.finish(new WriteFailure("", { cause: withCode("EIO") }));
  await first.commit.idle();
  assert.match(first.commit.refusal!, /writing the log failed: .*EIO/);

  const second = setUp();
  second.storage.cutFailure = withCode("EIO");
  second.set("a", "1");
  await second.storage.finish(new WriteFailure("", { cause: withCode("ENOSPC") }));
  await second.commit.idle();
  assert.match(second.commit.refusal!, /EIO/);
});

test("a capture comes at a moment when memory and log agree", async () => {
  const { storage, commit, set, data } = setUp();
  const captured: string[] = [];
  const capture = (logEnd: number) => captured.push(`${data.keyspace.size} at ${logEnd}`);
  commit.captureNext(capture);
  assert.equal(captured, ["0 at 0"]);
  set("a", "1");
  await storage.inFlight();
  const recordBytes = storage.appends[0]!.bytes.length;
  set("b", "1");
  commit.captureNext(capture);
  await storage.finish();
  await storage.inFlight();
  set("c", "1");
  assert.equal(captured[1], `2 at ${recordBytes * 2}`);
  await storage.finish();
  await storage.finish();
  await commit.idle();
});

test("an action between commits has no commit beside it", async () => {
  const { storage, commit, set } = setUp();
  set("a", "1");
  await storage.inFlight();
  const order: string[] = [];
  const done = commit.betweenCommits(async () => {
    order.push(`action after ${commit.settled}`);
    set("b", "1");
    await Promise.resolve();
    order.push(`appends ${storage.appends.length}`);
  });
  await storage.finish();
  await done;
  assert.equal(order, ["action after 1", "appends 1"]);
  await storage.finish();
  await commit.idle();
});

test.run();
