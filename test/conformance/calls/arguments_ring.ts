// The verbs of the ring and of what belongs to it, with what each argument takes.

import { Completion, MultishotCompletion, SocketAddress, StatRecord } from "@io/core";
import {
  type Argument,
  argument,
  type Call,
  KINDS,
  type Scene,
  type Takes,
} from "./arguments_kinds.js";

// Its own, so that a verb which wrongly takes something is called back for nothing.
const callback = argument(() => () => undefined, "callback");
const completion = argument(() => new Completion(), "nothing");
const lentCompletion = argument(() => new MultishotCompletion(), "nothing");
// No descriptor of this IO, so that nothing happens when it is taken; the engine says EBADF.
const descriptor: Argument = { good: () => -1, takes: isWord };
const view = argument(() => new Uint8Array(8), "view");
const views = argument(() => [new Uint8Array(8)], "nothing");
const offset = argument(() => 0, "offset");
const size = argument(() => 0, "size");
const flag = argument(() => false, "boolean");
const peer = argument(() => new SocketAddress(), "nothing");
const path = argument(() => "/nowhere/at/all", "path");
const zeroCopy: Argument = { good: () => "never", takes: isUndefinedOrNull };
const address = argument(() => ({ family: "ipv4", host: "127.0.0.1", port: 9 }), "nothing");

function isWord(value: unknown): boolean {
  return typeof value === "number" && (value | 0) === value;
}

function isUndefinedOrNull(value: unknown): boolean {
  return value === undefined || value === null;
}

function isLimit(value: unknown): boolean {
  return value === undefined || (KINDS.size(value) && (value as number) <= 0x7fffffff);
}

const verbs = (scene: Scene): Record<string, Argument[]> => ({
  nop: [completion, callback],
  timeout: [completion, callback, size],
  cancel: [completion, callback, completion],
  cancelDescriptor: [completion, callback, descriptor],
  cancelAll: [completion, callback],
  open: [completion, callback, path, argument(() => 1, "flags"), argument(() => 0, "mode")],
  close: [completion, callback, descriptor],
  read: [completion, callback, descriptor, view, offset],
  write: [completion, callback, descriptor, view, offset],
  readVectored: [completion, callback, descriptor, views, offset],
  writeVectored: [completion, callback, descriptor, views, offset],
  stat: [
    completion,
    callback,
    { good: () => -1, takes: (value) => isWord(value) || KINDS.path(value) },
    argument(() => new StatRecord(), "nothing"),
    flag,
  ],
  sync: [completion, callback, descriptor, argument(() => "data", "nothing")],
  allocate: [completion, callback, descriptor, size, size, flag],
  truncate: [completion, callback, descriptor, size],
  rename: [completion, callback, path, path],
  link: [completion, callback, path, path],
  symlink: [completion, callback, path, path],
  readlink: [completion, callback, path, view],
  unlink: [completion, callback, path, flag],
  mkdir: [completion, callback, path, argument(() => 0, "mode")],
  socket: [
    completion,
    callback,
    argument(() => "ipv4", "nothing"),
    argument(() => "stream", "undefined"),
  ],
  bind: [completion, callback, descriptor, address],
  listen: [completion, callback, descriptor, { good: () => 1, takes: isLimitGiven }],
  accept: [completion, callback, descriptor],
  acceptMultishot: [completion, callback, descriptor],
  connect: [completion, callback, descriptor, address],
  send: [completion, callback, descriptor, view, zeroCopy],
  sendVectored: [completion, callback, descriptor, views, zeroCopy],
  sendFile: [completion, callback, descriptor, descriptor, size, size],
  receive: [completion, callback, descriptor, view],
  sendMessage: [
    completion,
    callback,
    descriptor,
    view,
    { good: () => new SocketAddress(), takes: (value) => value === null },
    zeroCopy,
  ],
  receiveMessage: [completion, callback, descriptor, view, peer],
  shutdown: [completion, callback, descriptor, argument(() => "send", "nothing")],
  receiveMultishot: [
    lentCompletion,
    callback,
    descriptor,
    argument(() => scene.group, "nothing"),
    { good: () => 0, takes: isLimit },
  ],
  receiveMessageMultishot: [
    lentCompletion,
    callback,
    descriptor,
    argument(() => scene.messages, "nothing"),
  ],
});

const isLimitGiven: Takes = (value) => value !== undefined && isLimit(value);

function groupsOf({ io, group }: Scene): Call[] {
  return [
    {
      name: "ring.bufferGroup",
      make: (given) => apply(io.ring, "bufferGroup", given),
      takes: [argument(() => undefined, "options")],
      options: {
        bufferBytes: isUndefinedOrNull,
        maxBytes: (value) =>
          isUndefinedOrNull(value) || (KINDS.size(value) && (value as number) > 16_384),
        messages: KINDS.boolean,
      },
    },
    {
      // Nothing of it is lent, so every piece is refused.
      name: "group.view",
      make: (given) => apply(group, "view", given),
      takes: [argument(() => 0, "nothing"), size, size],
    },
    {
      name: "group.release",
      make: (given) => apply(group, "release", given),
      takes: [argument(() => 0, "nothing")],
    },
    {
      name: "group.sender",
      make: (given) => apply(group, "sender", given),
      takes: [argument(() => 0, "nothing"), peer],
    },
    {
      name: "group.truncated",
      make: (given) => apply(group, "truncated", given),
      takes: [argument(() => 0, "nothing")],
    },
    { name: "group.available", make: (given) => apply(group, "available", given), takes: [] },
    {
      name: "group.whenAvailable",
      make: (given) => apply(group, "whenAvailable", given),
      takes: [callback],
    },
  ];
}

function apply(target: object, name: string, given: unknown[]): unknown {
  const method = (target as Record<string, unknown>)[name] as (...all: unknown[]) => unknown;
  return Reflect.apply(method, target, given);
}

/** What stands on a completion, as the flags of an entry. */
function flagsOfCompletion(): Call[] {
  return [
    {
      name: "completion.link",
      make: ([link]) => {
        new Completion().link = link as boolean;
      },
      takes: [{ good: () => true, takes: KINDS.boolean }],
    },
    {
      name: "completion.timeoutNs",
      make: ([timeoutNs]) => {
        new Completion().timeoutNs = timeoutNs as number;
      },
      takes: [{ good: () => 1, takes: (value) => isUndefinedOrNull(value) || KINDS.size(value) }],
    },
  ];
}

/** Every verb of the ring, and its groups. */
export function callsOfRing(scene: Scene): Call[] {
  const { ring } = scene.io;
  const calls = Object.entries(verbs(scene)).map(([name, takes]) => ({
    name: `ring.${name}`,
    make: (given: unknown[]) => apply(ring, name, given),
    takes,
  }));
  return [...calls, ...groupsOf(scene), ...flagsOfCompletion()];
}

/** The verbs that the table has, for a look at whether it has all. */
export function verbsTried(scene: Scene): string[] {
  return [...Object.keys(verbs(scene)), "bufferGroup", "flush"];
}
