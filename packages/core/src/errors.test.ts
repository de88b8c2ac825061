// Messages for people: each names the operation, the code, and what to do about it.

import { constants } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Address, addressFrom, formatAddress, type Place, peerOf } from "./address.js";
import {
  FAMILY_IPV4,
  FAMILY_IPV6,
  FAMILY_UNIX,
  FAMILY_VSOCK,
  OPCODE_BIND,
  OPCODE_CONNECT,
  OPCODE_LINK,
  OPCODE_OPEN,
  OPCODE_READ,
  OPCODE_RECEIVE,
  OPCODE_SOCKET,
  OPCODE_WRITE,
  OPERATIONS,
} from "./engine/abi.js";
import { loadNative } from "./engine/load.js";
import {
  closedError,
  errnoName,
  IOError,
  operationError,
  rangeError,
  typeError,
} from "./errors.js";
import { PreparedOperation, runChain } from "./files/chain.js";
import type { Callback, Completion } from "./ring/completion.js";
import type { Operations } from "./ring/promises.js";
import { NO_ENDINGS } from "./ring/promises.js";
import type { Ring } from "./ring/ring.js";
import { alternated, withAddress } from "./sockets/lookup.js";

const test = suite("errors");
const { ECANCELED, EIO, EINVAL, ENOENT, EMFILE, ENOSPC } = constants.errno;
const { EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, ENAMETOOLONG } = constants.errno;
const { ECONNRESET, ENODEV, ETIMEDOUT } = constants.errno;

test("an operation's error has what Node's errors have", () => {
  const error = operationError(OPCODE_OPEN, -ENOENT, "io_uring", { path: "/a" });
  assert.instance(error, IOError);
  assert.instance(error, Error);
  assert.is(error.name, "IOError");
  assert.is(error.code, "ENOENT");
  assert.is(error.errno, -ENOENT);
  assert.is(error.syscall, "open");
  assert.is(error.operation, "open");
  assert.is(error.backend, "io_uring");
  assert.is(error.path, "/a");
  assert.is(error.message, "open of '/a' failed: ENOENT, no such file or directory");
});

test("a step of a copy says that the second path is that of the copy", () => {
  const places = { path: "/a", dest: "/b" };
  const { message } = operationError(OPCODE_OPEN, -ENOENT, "epoll", places);
  assert.match(message, /^open of '\/a' for the copy to '\/b' failed: ENOENT/);
  assert.match(operationError(OPCODE_LINK, -ENOENT, "epoll", places).message, /'\/a' to '\/b'/);
});

test("an error has no fields that say nothing", () => {
  const error = closedError("read", "the file");
  for (const field of ["errno", "syscall", "backend", "path", "address", "cause"]) {
    assert.not(field in error, field);
  }
  assert.is(error.message, "read: the file is closed");
  assert.is(error.code, "ERR_IO_CLOSED");
});

test("common errors say what to do", () => {
  assert.match(operationError(OPCODE_OPEN, -EMFILE, "io_uring").message, /ulimit -n/);
  assert.match(operationError(OPCODE_WRITE, -ENOSPC, "epoll").message, /disk is full/);
  assert.match(operationError(OPCODE_RECEIVE, -ENOSPC, "epoll").message, /max_user_watches/);
  assert.match(operationError(OPCODE_LINK, -ENOSPC, "epoll").message, /disk is full/);
  for (const [errno, advice] of [
    [EADDRNOTAVAIL, /0\.0\.0\.0/],
    [EACCES, /CAP_NET_BIND_SERVICE/],
    [ENAMETOOLONG, /107 bytes/],
  ] as const) {
    assert.match(operationError(OPCODE_BIND, -errno, "epoll").message, advice);
  }
  assert.match(operationError(OPCODE_RECEIVE, -ECANCELED, "epoll").message, /close\(\) of/);
  assert.match(operationError(OPCODE_READ, -EINVAL, "io_uring").message, /direct I\/O/);
  assert.not.match(operationError(OPCODE_OPEN, -EINVAL, "io_uring").message, /direct I\/O/);
});

test("every operation has a name for its errors, and no errno is without one", () => {
  for (const [opcode, { name, syscall }] of OPERATIONS) {
    const error = operationError(opcode, -EIO, "io_uring");
    // A path's attributes are one call for those who use it.
    const shown = name.replace("XattrAt", "Xattr");
    assert.ok(error.message.startsWith(`${shown} failed: EIO`), error.message);
    assert.is(error.syscall, syscall);
  }
  assert.match(operationError(99, -3333, "io_uring").message, /operation 99 failed: E3333/);
  assert.equal(errnoName(-3333), ["E3333", "unknown error"]);
});

test("errors that Node has no name for have the system's", () => {
  loadNative();
  const { EDQUOT, ESTALE } = constants.errno;
  for (const [name, errno] of Object.entries(constants.errno)) {
    const [found] = errnoName(-errno);
    const twins = Object.entries(constants.errno).filter(([, other]) => other === errno);
    assert.ok(
      twins.some(([twin]) => twin === found),
      `${name} (${errno}) is ${found}`,
    );
  }
  const error = operationError(OPCODE_WRITE, -EDQUOT, "epoll", { path: "/full" });
  assert.is(error.code, "EDQUOT");
  assert.match(error.message, /of '\/full' failed: EDQUOT, .*quota exceeded \(the quota /);
  assert.is(operationError(OPCODE_READ, -ESTALE, "io_uring").code, "ESTALE");
});

test("errors of arguments and aborts have Node's codes and names", () => {
  assert.is(rangeError("read", "no").code, "ERR_OUT_OF_RANGE");
  assert.is(typeError("read", "no").code, "ERR_INVALID_ARG_TYPE");
  const aborted = new IOError({ code: "ABORT_ERR", operation: "a", message: "b", cause: "why" });
  assert.is(aborted.name, "AbortError");
  assert.is(aborted.cause, "why");
});

test("addresses are written as people write them", () => {
  assert.is(formatAddress(addressFrom(FAMILY_IPV4, 80, "127.0.0.1")), "127.0.0.1:80");
  assert.is(formatAddress(addressFrom(FAMILY_IPV6, 80, "fe80::1%eth0")), "[fe80::1%eth0]:80");
  assert.is(formatAddress(addressFrom(FAMILY_UNIX, 0, "/run/a")), "/run/a");
  assert.is(formatAddress(addressFrom(FAMILY_UNIX, 0, "\0name")), "@name");
  assert.equal(addressFrom(FAMILY_UNIX, 0, "/a"), { family: "unix", path: "/a" });
  assert.equal(addressFrom(FAMILY_VSOCK, 80, "3"), { family: "vsock", cid: 3, port: 80 });
  assert.is(formatAddress(addressFrom(FAMILY_VSOCK, 80, "3")), "vsock:3:80");
  const any = addressFrom(FAMILY_VSOCK, 0xffffffff, "4294967295");
  assert.is(formatAddress(any), "vsock:any:any");
});

test("errors of vsock say what to load, and what is at the other end", () => {
  const peer = peerOf({ family: "vsock", cid: 3, port: 5000 });
  const rows: [opcode: number, errno: number, advice: RegExp][] = [
    [OPCODE_CONNECT, ENODEV, /vhost_vsock, and to the cid 1 vsock_loopback; load it by modprobe/],
    [OPCODE_CONNECT, ECONNRESET, /nothing listens at this port/],
    [OPCODE_CONNECT, ETIMEDOUT, /SO_VM_SOCKETS_CONNECT_TIMEOUT/],
    [OPCODE_SOCKET, EAFNOSUPPORT, /Linux has it in its module vsock, and macOS has it/],
    [OPCODE_BIND, EADDRNOTAVAIL, /io\.capabilities\.vsock has those it has/],
    [OPCODE_BIND, EACCES, /0 as well: "any" is any free port/],
  ];
  for (const [opcode, errno, advice] of rows) {
    const error = operationError(opcode, -errno, "epoll", { peer });
    assert.match(error.message, advice);
    assert.match(error.message, "'vsock:3:5000' failed");
    assert.equal([error.address, error.port, error.path], ["3", 5000, undefined]);
    // Another family has other causes.
    const other = peerOf({ family: "ipv4", host: "127.0.0.1", port: 1 });
    assert.not.match(operationError(opcode, -errno, "epoll", { peer: other }).message, advice);
  }
});

test("an IP address needs no look-up", async () => {
  const addressOf = (place: Place): Promise<Address> =>
    withAddress(null as never, "connect", place, NO_ENDINGS, async (address) => address);
  assert.is((await addressOf({ port: 1 })).host, "127.0.0.1");
  assert.is((await addressOf({ host: "::1", port: 1 })).family, "ipv6");
  const scoped = await addressOf({ host: "fe80::1%lo", port: 1 });
  assert.equal([scoped.family, scoped.host], ["ipv6", "fe80::1%lo"]);
  assert.is((await addressOf({ path: "/a" })).family, "unix");
});

test("addresses of both families are tried in turn, the first family first", () => {
  const [a, b, c, d, e] = ["::1", "::2", "::3", "127.0.0.1", "127.0.0.2"].map(
    (host): Address => ({ family: host.includes(":") ? "ipv6" : "ipv4", host, port: 1 }),
  ) as [Address, Address, Address, Address, Address];
  assert.equal(alternated([a, b, c, d, e]), [a, d, b, e, c]);
  assert.equal(alternated([d, a, b, c]), [d, a, b, c]);
  assert.equal(alternated([d]), [d]);
});

function operationsOf(ring: Ring, isRefused = false): Operations {
  const nothing = (): void => {};
  const operations = { ring, backend: "io_uring", checkRoom: nothing, checkChained: nothing };
  return {
    ...operations,
    tokenOf: () => [0, 1],
    wasRefused: () => isRefused,
  } as unknown as Operations;
}

/** A ring that answers a chain with the results that it is given. */
function chainWith(results: number[], wholes: number[], isRefused = false): Promise<unknown[]> {
  const answers: (() => void)[] = [];
  const ring = { checkBuffer: () => undefined } as unknown as Ring;
  const prepared = results.map((result, index) => {
    const start = (completion: Completion<number>, callback: Callback<number>): void => {
      completion._opcode = OPCODE_READ;
      answers.push(() => callback(completion, result));
    };
    const whole = wholes[index]!;
    return new PreparedOperation(ring, {}, whole, start);
  });
  const promise = runChain(operationsOf(ring, isRefused), prepared);
  for (const answer of answers) answer();
  return promise;
}

async function errorOf(promise: Promise<unknown>): Promise<IOError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, IOError);
    return error as IOError;
  }
  throw new Error("did not fail");
}

test("a chain reports the operation that broke it", async () => {
  assert.equal(await chainWith([5, 0, 7], [5, -1, 7]), [5, 0, 7]);
  const failed = await errorOf(chainWith([5, -EIO, -ECANCELED], [5, 5, 5]));
  assert.is(failed.code, "EIO");
  const refused = await errorOf(chainWith([-ECANCELED, -ECANCELED, -EINVAL], [5, 5, 5], true));
  assert.equal([refused.code, refused.member], ["EINVAL", 2]);
  const cancelled = await errorOf(chainWith([5, -ECANCELED, -ECANCELED], [5, 5, 5]));
  assert.is(cancelled.code, "ECANCELED");
  const short = await errorOf(chainWith([5, 3, -ECANCELED], [5, 5, 5]));
  assert.is(short.code, "ERR_IO_CHAIN_SHORT");
  assert.match(short.message, /operation 2 of 3 moved 3 of 5 bytes/);
  assert.equal([short.member, short.results], [1, [5, 3, -ECANCELED]]);
});

test("a chain is checked before anything of it starts", async () => {
  const ring = {} as Ring;
  const one = new PreparedOperation({} as Ring, {}, -1, () => {
    throw new Error("started");
  });
  const codes = [
    (await errorOf(runChain(operationsOf(ring), []))).code,
    (await errorOf(runChain(operationsOf(ring), new Array<PreparedOperation>(65).fill(one)))).code,
    (await errorOf(runChain(operationsOf(ring), [one]))).code,
    (await errorOf(runChain(operationsOf(ring), [{} as PreparedOperation]))).code,
  ];
  assert.equal(codes, [
    "ERR_OUT_OF_RANGE",
    "ERR_OUT_OF_RANGE",
    "ERR_INVALID_ARG_TYPE",
    "ERR_INVALID_ARG_TYPE",
  ]);
});

test.run();
