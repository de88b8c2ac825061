// The model's knowledge of one operation, and the results that it may have.

import { constants } from "node:os";
import type { Completion } from "@io/core";
import { type Payload, Side, Violation } from "./model.js";

const { EBADF, ECANCELED, ECONNREFUSED, ECONNRESET, EALREADY, ENOBUFS, ENOENT, ENOTCONN, EPIPE } =
  constants.errno;
const { ETIMEDOUT } = constants.errno;

/** Stand for errors of the library that have no error number. */
export const CLOSED = -100_001;
export const LIMIT_REACHED = -100_002;

export type Verb =
  | "nop"
  | "timeout"
  | "cancel"
  | "cancelDescriptor"
  | "cancelAll"
  | "open"
  | "close"
  | "read"
  | "readPastEnd"
  | "write"
  | "sync"
  | "socket"
  | "connect"
  | "accept"
  | "acceptMultishot"
  | "send"
  | "receive"
  | "receiveMultishot"
  | "receiving"
  | "next"
  | "leave"
  | "shutdown";

/** A place where our operations wait for connections. */
export interface Listening {
  readonly name: string;
  gone: boolean;
}

/** Operations that are linked, in order. */
export interface Chain {
  readonly members: Operation[];
}

export interface OperationFields {
  readonly verb: Verb;
  readonly layer: "ring" | "promise";
  readonly on?: Side | Listening;
  readonly sizeBytes?: number;
  readonly payload?: Payload;
  /** A timeout's duration, or the time limit of a promise, in nanoseconds. */
  readonly durationNs?: number;
  readonly limitNs?: number;
  /** Bytes after which a receive ends by itself. */
  readonly maxBytes?: number;
  /** The only result that it may have, because what it names is closed. */
  readonly mustFailWith?: number;
  readonly target?: Operation;
  readonly chain?: Chain;
  /** The receive into provided buffers of a call that waits for a chunk. */
  readonly stream?: Operation;
}

let operations = 0;

/** Every program counts from the beginning. */
export function countOperationsAnew(): void {
  operations = 0;
}

export class Operation {
  readonly id = operations++;
  readonly fields: OperationFields;
  readonly startedAt = process.hrtime.bigint();
  /** Something asked for its end: a cancel, a close, a signal. */
  askedToEnd = false;
  /** A cancel of this very operation has completed, so it must end. */
  mustEnd = false;
  /** A cancel said that it has ended this one. */
  wasEndedByCancel = false;
  /** It consists of several operations, so that it may go on for long, and end between two. */
  composite = false;
  ended = false;
  /** A send with others behind it on its socket. */
  hasBehind = false;
  /** All buffers that it may receive into were held at some time since its start. */
  mayLackMemory = false;
  /** Bytes that it has brought. */
  received = 0;
  results: number[] = [];
  completion: Completion | null = null;
  controller: AbortController | null = null;

  constructor(fields: OperationFields) {
    this.fields = fields;
    fields.chain?.members.push(this);
  }

  /** For counting what happened: the verb, and how it was used. */
  get kind(): string {
    const { verb, layer, on, chain, limitNs } = this.fields;
    const family = on instanceof Side ? (on.isUnix ? "unix " : "tcp ") : "";
    const linked = chain === undefined ? "" : ", linked";
    return `${family}${verb} (${layer}${limitNs === undefined ? "" : ", limited"}${linked})`;
  }

  get name(): string {
    const { verb, layer, on, sizeBytes, durationNs, limitNs, maxBytes, target } = this.fields;
    const words = [`#${this.id}`, verb, layer === "promise" ? "(promise)" : ""];
    if (on !== undefined) words.push(`on ${on.name}`);
    if (sizeBytes !== undefined) words.push(`${sizeBytes} B`);
    if (durationNs !== undefined) words.push(`${durationNs} ns`);
    if (limitNs !== undefined) words.push(`limit ${limitNs} ns`);
    if (maxBytes !== undefined) words.push(`limit ${maxBytes} B`);
    if (target !== undefined) words.push(`of #${target.id}`);
    if (this.fields.chain !== undefined) words.push("linked");
    return words.filter(Boolean).join(" ");
  }

  get side(): Side {
    if (this.fields.on instanceof Side) return this.fields.on;
    throw new Error(`${this.name} has no side`);
  }

  /** Throws when the model does not allow this result. */
  checkResult(result: number): void {
    const problem = this.#problem(result);
    if (problem !== null) throw new Violation(`${this.name} gave ${result}: ${problem}`);
  }

  #problem(result: number): string | null {
    const { layer, limitNs, mustFailWith, chain } = this.fields;
    if (result === LIMIT_REACHED) return layer === "promise" ? null : "the limit is no result";
    if (chain !== undefined) {
      const problem = this.#problemInChain(chain, result);
      if (problem !== undefined) return problem;
    }
    if (mustFailWith !== undefined) {
      return result === mustFailWith ? null : `it must fail with ${mustFailWith}`;
    }
    if (this.wasEndedByCancel && !isEnd(result)) {
      return "a cancel said that it had ended this operation";
    }
    const asked = this.askedToEnd || this.fields.stream?.askedToEnd === true;
    if (result === -ECANCELED) return asked ? null : "it ended without a request";
    if (result === CLOSED) return asked ? null : "nothing was closed";
    if (this.composite && result === REFUSED && this.side.gone) return null;
    if (result === -ETIMEDOUT) {
      if (limitNs === undefined) return "it has no time limit";
      const passed = process.hrtime.bigint() - this.startedAt;
      return passed >= BigInt(limitNs) ? null : `its limit ended it after ${passed} ns`;
    }
    return this.#problemOfVerb(result);
  }

  // Null or a sentence when the chain decides, undefined when the operation's own rules do.
  #problemInChain(chain: Chain, result: number): string | null | undefined {
    for (const member of chain.members) {
      if (member === this) return undefined;
      if (!member.ended) return `${member.name} stands before it and has not completed`;
      if (!member.brokeItsChain) continue;
      return result === -ECANCELED ? null : `${member.name} broke their chain`;
    }
    return undefined;
  }

  /** Whether what follows it in its chain must not be started. */
  get brokeItsChain(): boolean {
    const result = this.results.at(-1) ?? 0;
    const { verb, sizeBytes = 0 } = this.fields;
    if (result < 0 || verb === "readPastEnd") return true;
    return (verb === "read" || verb === "write") && result < sizeBytes;
  }

  #problemOfVerb(result: number): string | null {
    const { verb, sizeBytes = 0 } = this.fields;
    switch (verb) {
      case "nop":
      case "close":
      case "sync":
      case "readPastEnd":
      case "receiving":
      case "leave":
        return result === 0 ? null : "it gives 0";
      case "timeout":
        return this.#problemOfTimeout(result);
      case "cancel":
        return [0, -ENOENT, -EALREADY].includes(result) ? null : "it gives 0, ENOENT or EALREADY";
      case "cancelDescriptor":
      case "cancelAll":
        return result >= 0 ? null : "it gives how many it ended";
      case "open":
      case "socket":
      case "accept":
      case "acceptMultishot":
        return result > 0 ? null : "it gives a descriptor";
      case "read":
      case "write":
        return result === sizeBytes ? null : `it moves all ${sizeBytes} bytes`;
      case "connect":
        return this.#problemOfConnect(result);
      case "send":
        return this.#problemOfSend(result);
      case "receive":
      case "receiveMultishot":
      case "next":
        return this.#problemOfReceive(result);
      case "shutdown":
        return this.#problemOfShutdown(result);
    }
  }

  #problemOfTimeout(result: number): string | null {
    if (result !== 0) return "it gives 0";
    const passed = process.hrtime.bigint() - this.startedAt;
    return passed >= BigInt(this.fields.durationNs ?? 0) ? null : `too early, after ${passed} ns`;
  }

  #problemOfConnect(result: number): string | null {
    if (result >= 0) return null;
    // ENOENT: the file of a unix path has gone with its listener.
    const refused = [-ECONNREFUSED, -ECONNRESET, -ENOENT].includes(result);
    const { on } = this.fields;
    return refused && on?.gone ? null : "a listener is there";
  }

  #problemOfSend(result: number): string | null {
    const { sizeBytes = 0 } = this.fields;
    if (result > sizeBytes) return "more than it was given";
    if (result > 0 || (result === 0 && sizeBytes === 0)) return null;
    if (result === 0) return "it took nothing";
    if (result === -EPIPE) return this.side.mayFailToSend ? null : "the peer is there";
    if (result === -ECONNRESET) return this.side.mayBeReset ? null : "the peer is there";
    return "no such result";
  }

  #problemOfReceive(result: number): string | null {
    const { sizeBytes = 0 } = this.fields;
    if (result > sizeBytes) return "more than there was room for";
    if (result >= 0) return null; // the stream checks the bytes, and the end
    if (result === NO_BUFFERS && this.fields.verb === "receiveMultishot") {
      return this.mayLackMemory ? null : "there is memory";
    }
    if (result === -ECONNRESET) return this.side.mayBeReset ? null : "the peer is there";
    return "no such result";
  }

  #problemOfShutdown(result: number): string | null {
    if (result === 0) return null;
    const { isUnix, mayBeReset, out, other } = this.side;
    const over = mayBeReset || (out.ending && (other === null || other.out.ending));
    return result === -ENOTCONN && !isUnix && over ? null : "the socket is connected";
  }
}

/** Whether an operation with this result was ended before it was over. */
export function isEnd(result: number): boolean {
  return result === -ECANCELED || result === -ETIMEDOUT;
}

/** What an operation on a closed descriptor gives. */
export const REFUSED = -EBADF;

/** The result of a receive when all provided buffers are held. */
export const NO_BUFFERS = -ENOBUFS;
