// The table of capabilities: every operation has a row with a reason on every backend.

import { constants } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  FEATURE_REPORTS_COPIES,
  FEATURE_SEND_ZERO_COPY,
  FEATURE_WRITE_APPEND,
  FEATURE_WRITE_DATA_SYNC,
  OPCODE_READLINK,
  OPCODE_SEND_FILE,
  OPCODE_TRUNCATE,
  OPERATIONS,
} from "../engine/abi.js";
import type { Native } from "../engine/native.js";
import { capabilitiesOf, vsockRow } from "./capabilities.js";

const test = suite("capabilities");
const added = [
  ...["chain", "deadline", "registeredMemory", "zeroCopySend", "zeroCopyReceive", "vsock"],
  ...["writeDsync", "writeUncached", "writeAtomic", "writeAppend", "writeNowait"],
];
const names = [...[...OPERATIONS.values()].map(({ name }) => name), ...added];

for (const backend of ["io_uring", "epoll", "kqueue", null]) {
  test(`${backend} has a row for every operation`, () => {
    const table = capabilitiesOf(backend, [], 0);
    assert.equal(Object.keys(table).sort(), [...names].sort());
    for (const [name, { support, reason }] of Object.entries(table)) {
      assert.ok(["native", "emulated", "copied", "unsupported", "unknown"].includes(support), name);
      assert.ok(reason.length > 10, name);
      if (backend === null) assert.is(support, "unsupported", name);
    }
  });
}

test("files are for threads where the kernel only reports readiness, and sockets are not", () => {
  const table = capabilitiesOf("epoll", [], 0);
  for (const name of [
    "open",
    "read",
    "writeVectored",
    "sync",
    "chain",
    "acceptMultishot",
  ] as const) {
    assert.is(table[name].support, "emulated", name);
  }
  for (const name of ["accept", "connect", "send", "receive", "timeout"] as const) {
    assert.is(table[name].support, "native", name);
  }
  assert.is(table.registeredMemory.support, "unsupported");
});

test("what the kernel's io_uring lacks is emulated, and says so", () => {
  assert.is(capabilitiesOf("io_uring", [], 0).truncate.support, "native");
  const { truncate, read } = capabilitiesOf("io_uring", [OPCODE_TRUNCATE], 0);
  assert.is(truncate.support, "emulated");
  assert.match(truncate.reason, "since Linux 6.9: a thread");
  assert.is(read.support, "native");
  const { readlink } = capabilitiesOf("io_uring", [OPCODE_READLINK], 0);
  assert.match(readlink.reason, "no such operation: a thread");
  assert.is(capabilitiesOf("io_uring", [], 0).sendFile.support, "emulated");
  assert.is(capabilitiesOf("kqueue", [OPCODE_SEND_FILE], 0).sendFile.support, "copied");
});

test("a flag of writes that the kernel does not know names the version that has it", () => {
  const none = capabilitiesOf("epoll", [], 0);
  assert.is(none.writeUncached.support, "unsupported");
  assert.match(none.writeUncached.reason, "since 6.14");
  assert.match(none.writeAtomic.reason, "since 6.11");
  const all = capabilitiesOf("epoll", [], FEATURE_WRITE_DATA_SYNC | FEATURE_WRITE_APPEND);
  assert.is(all.writeDsync.support, "native");
  const alone = capabilitiesOf("kqueue", [], FEATURE_WRITE_DATA_SYNC);
  assert.is(alone.writeDsync.support, "emulated");
});

test("sends without a copy are as good as the kernel", () => {
  const of = (features: number) => capabilitiesOf("io_uring", [], features).zeroCopySend;
  assert.is(of(0).support, "copied");
  assert.is(of(FEATURE_SEND_ZERO_COPY).support, "native");
  assert.match(of(FEATURE_SEND_ZERO_COPY).reason, '"auto" copies');
  const full = of(FEATURE_SEND_ZERO_COPY | FEATURE_REPORTS_COPIES);
  assert.not.match(full.reason, '"auto"');
});

test("vsock is there when the machine has a cid, and says which", () => {
  const of = (cids: readonly number[] | number) => vsockRow({ vsockCids: () => cids } as Native);
  assert.equal(of([3]), { support: "native", reason: "this machine has the cid 3" });
  assert.is(of([2, 1]).reason, "this machine has the cids 2 and 1");
  assert.is(of([]).support, "unsupported");
  assert.match(of([]).reason, /modprobe vmw_vsock_virtio_transport .*vhost_vsock .*vsock_loopback/);
  const none = of(-constants.errno.EAFNOSUPPORT);
  assert.is(none.support, "unsupported");
  assert.match(none.reason, "EAFNOSUPPORT (Linux and macOS have vsock)");
  assert.is(capabilitiesOf(null, [], 0, undefined, of([3])).vsock.support, "unsupported");
  assert.is(capabilitiesOf("epoll", [], 0, undefined, of([3])).vsock.support, "native");
});

test.run();
