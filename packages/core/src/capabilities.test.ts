// The table of capabilities: every operation has a row with a reason on every backend.

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { capabilitiesOf } from "./capabilities.js";
import { OPCODE_TRUNCATE, OPERATION_NAMES } from "./internal/abi.js";

const test = suite("capabilities");
const added = ["chain", "deadline", "registeredMemory", "receiveZeroCopy"];
const names = [...[...OPERATION_NAMES.values()].map(([name]) => name), ...added];

for (const backend of ["io_uring", "epoll", "kqueue", null]) {
  test(`${backend} has a row for every operation`, () => {
    const table = capabilitiesOf(backend, []);
    assert.equal(Object.keys(table).sort(), [...names].sort());
    for (const [name, { support, reason }] of Object.entries(table)) {
      assert.ok(["native", "emulated", "unsupported"].includes(support), name);
      assert.ok(reason.length > 10, name);
      if (backend === null) assert.is(support, "unsupported", name);
    }
  });
}

test("files are for threads where only readiness is told, and sockets are not", () => {
  const table = capabilitiesOf("epoll", []);
  for (const name of ["open", "read", "writeVectored", "sync", "chain", "acceptMultishot"]) {
    assert.is(table[name]?.support, "emulated", name);
  }
  for (const name of ["accept", "connect", "send", "receive", "timeout"]) {
    assert.is(table[name]?.support, "native", name);
  }
  assert.is(table["registeredMemory"]?.support, "unsupported");
});

test("what the kernel's io_uring lacks is emulated, and says so", () => {
  assert.is(capabilitiesOf("io_uring", [])["truncate"]?.support, "native");
  const { truncate, read } = capabilitiesOf("io_uring", [OPCODE_TRUNCATE]);
  assert.is(truncate?.support, "emulated");
  assert.match(truncate?.reason ?? "", "has no such operation");
  assert.is(read?.support, "native");
});

test.run();
