// A file system that misbehaves, as a process of its own: `node server.js <folder>`. It speaks the
// protocol of /dev/fuse (linux/fuse.h), prints "mounted", and ends with its standard input.
//
// The name of a file says how it behaves. "hang": operations on it wait until they are interrupted.
// "hangopen": its open does. "flush-<error>": its close fails with the error, when it is
// interrupted or when a program looks for the file "go". "read-<error>": each read fails so.
// "once-<error>": the first read does. "write-<error>": each write. "late": its reads wait until a
// program looks for "go", and what begins with "reading" is there once one does.

import { spawnSync } from "node:child_process";
import { closeSync, openSync, read, writeSync } from "node:fs";
import { constants } from "node:os";

const INIT = 26;
const LOOKUP = 1;
const FORGET = 2;
const GETATTR = 3;
const SETATTR = 4;
const OPEN = 14;
const READ = 15;
const WRITE = 16;
const RELEASE = 18;
const FLUSH = 25;
const INTERRUPT = 36;
const BATCH_FORGET = 42;
const HEAD_BYTES = 40;
const WRITE_HEAD_BYTES = 40;
const SIZE_BYTES = 1 << 20;
// Of the requests that the kernel sends without waiting for them: one more would block its caller.
const BACKGROUND = 4;

const { ENOENT, ENOSYS, EINTR, EIO } = constants.errno;
const HUNG = [EINTR, EIO] as const;
const [folder = ""] = process.argv.slice(2);
const device = openSync("/dev/fuse", "r+");
const names: string[] = [];
// The answer to each when it is interrupted, and by "go".
const waiting = new Map<bigint, readonly [interrupted: number, go: number]>();
const answered = new Set<string>();
const late = new Map<bigint, number>();

function reply(unique: bigint, error: number, data: Uint8Array = new Uint8Array(0)): void {
  const message = Buffer.alloc(16 + data.byteLength);
  message.writeUInt32LE(message.byteLength, 0);
  message.writeInt32LE(-error, 4);
  message.writeBigUInt64LE(unique, 8);
  message.set(data, 16);
  writeSync(device, message);
}

function attributes(node: number): Buffer {
  const data = Buffer.alloc(88);
  data.writeBigUInt64LE(BigInt(node), 0);
  data.writeBigUInt64LE(BigInt(SIZE_BYTES), 8);
  data.writeUInt32LE(node === 1 ? 0o40755 : 0o100666, 60);
  data.writeUInt32LE(1, 64);
  return data;
}

function found(node: number): Buffer {
  const data = Buffer.alloc(128);
  data.writeBigUInt64LE(BigInt(node), 0);
  data.writeBigUInt64LE(3600n, 16); // the kernel may believe it for an hour
  data.writeBigUInt64LE(3600n, 24);
  data.set(attributes(node), 40);
  return data;
}

function lookUp(unique: bigint, name: string): void {
  if (name === "go") {
    for (const [one, [, error]] of waiting) reply(one, error);
    waiting.clear();
    for (const [one, sizeBytes] of late) reply(one, 0, Buffer.alloc(sizeBytes, "l"));
    late.clear();
  }
  const isThere = name.startsWith("reading") && late.size > 0;
  if (isThere || /^(fine|late|hang|hangopen|(flush|read|once|write)-E[A-Z]+)$/.test(name)) {
    if (!names.includes(name)) names.push(name);
    reply(unique, 0, found(names.indexOf(name) + 2));
  } else {
    reply(unique, ENOENT);
  }
}

function init(unique: bigint): void {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(7, 0);
  data.writeUInt32LE(31, 4);
  data.writeUInt16LE(BACKGROUND, 16);
  data.writeUInt32LE(1 << 16, 20);
  data.writeUInt32LE(1, 24);
  reply(unique, 0, data);
}

const errnoOf = (name: string): number => {
  const known: Readonly<Record<string, number>> = constants.errno;
  return known[name.slice(name.indexOf("-") + 1)] ?? 0;
};

function transfer(unique: bigint, name: string, opcode: number, body: Buffer): void {
  const kind = name.slice(0, name.indexOf("-"));
  if (name === "hang") {
    waiting.set(unique, HUNG);
  } else if (opcode === READ && kind === "once" && !answered.has(name)) {
    answered.add(name);
    reply(unique, errnoOf(name));
  } else if (kind === (opcode === READ ? "read" : "write")) {
    reply(unique, errnoOf(name));
  } else if (opcode === READ && name === "late") {
    late.set(unique, body.readUInt32LE(16));
  } else if (opcode === READ) {
    reply(unique, 0, Buffer.alloc(body.readUInt32LE(16), "f"));
  } else {
    const data = Buffer.alloc(8);
    data.writeUInt32LE(body.byteLength - WRITE_HEAD_BYTES, 0);
    reply(unique, 0, data);
  }
}

function open(unique: bigint, name: string): void {
  if (name === "hangopen") {
    waiting.set(unique, HUNG);
    return;
  }
  const data = Buffer.alloc(16);
  data.writeUInt32LE(1, 8); // past the page cache
  reply(unique, 0, data);
}

function attributesUntil(node: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeBigUInt64LE(3600n, 0);
  return Buffer.concat([head, attributes(node)]);
}

function flush(unique: bigint, name: string): void {
  if (name.startsWith("flush-")) waiting.set(unique, [errnoOf(name), errnoOf(name)]);
  else reply(unique, 0);
}

function interrupt(target: bigint): void {
  const errors = waiting.get(target);
  if (errors !== undefined && waiting.delete(target)) reply(target, errors[0]);
}

const answers: Readonly<Record<number, (unique: bigint, node: number, body: Buffer) => void>> = {
  [INIT]: init,
  [LOOKUP]: (unique, _, body) => lookUp(unique, body.toString("latin1", 0, body.indexOf(0))),
  [GETATTR]: (unique, node) => reply(unique, 0, attributesUntil(node)),
  [SETATTR]: (unique, node) => reply(unique, 0, attributesUntil(node)),
  [OPEN]: (unique, node) => open(unique, nameOf(node)),
  [READ]: (unique, node, body) => transfer(unique, nameOf(node), READ, body),
  [WRITE]: (unique, node, body) => transfer(unique, nameOf(node), WRITE, body),
  [FLUSH]: (unique, node) => flush(unique, nameOf(node)),
  [RELEASE]: (unique) => reply(unique, 0),
  [INTERRUPT]: (_, __, body) => interrupt(body.readBigUInt64LE(0)),
  [FORGET]: () => undefined,
  [BATCH_FORGET]: () => undefined,
};

function nameOf(node: number): string {
  return names[node - 2] ?? "";
}

function answer(message: Buffer): void {
  const unique = message.readBigUInt64LE(8);
  const node = Number(message.readBigUInt64LE(16));
  const answerIt = answers[message.readUInt32LE(4)];
  if (answerIt === undefined) reply(unique, ENOSYS);
  else answerIt(unique, node, message.subarray(HEAD_BYTES));
}

function serve(buffer: Buffer): void {
  read(device, buffer, 0, buffer.byteLength, null, (error, count) => {
    if (error?.code === "ENODEV") return; // it was unmounted
    if (error === null) answer(Buffer.from(buffer.subarray(0, count)));
    serve(buffer);
  });
}

const options = "fd=3,rootmode=40000,user_id=0,group_id=0";
const mounted = spawnSync("mount", ["-i", "-t", "fuse", "-o", options, "io-test", folder], {
  stdio: ["ignore", "inherit", "inherit", device],
});
process.stdout.write(mounted.status === 0 ? "mounted\n" : "not mounted\n");
serve(Buffer.alloc((1 << 16) + 4096));
process.stdin.resume().on("end", () => {
  spawnSync("umount", ["-l", folder]);
  closeSync(device);
  process.exit(0);
});
