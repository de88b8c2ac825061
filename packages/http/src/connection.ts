// One connection: receives requests, has them answered one after the other, and sends the answers.
//
// What is received stands in buffers that were provided to the kernel, and are released before the
// callback ends: a request that is complete is parsed where it stands, and what cannot be worked on
// yet is copied (`#held`). A connection that waits for a request holds neither buffer, block nor
// head. Its parts: `BodyReceiver` has what comes behind a head, `Sending` all that goes out.

import { constants } from "node:os";
import { Completion, type File, type IO, MultishotCompletion, type Socket } from "@io/core";
import { BodyReceiver } from "./body_receiver.js";
import { Departure } from "./departure.js";
import { codeOf, isOfPeer } from "./errors.js";
import { Exchange } from "./exchange.js";
import { HttpError } from "./fields.js";
import { HeldBytes } from "./held_bytes.js";
import type { Outbox } from "./outbox.js";
import * as faults from "./parser/faults.js";
import type { RequestHead } from "./parser/request_head.js";
import type { BodySource } from "./request_body.js";
import { Sending, type SendingOwner } from "./sending.js";
import type { ServerCore } from "./server_core.js";
import { refusal } from "./status.js";
import { Upgraded } from "./upgraded.js";
import { WheelEntry } from "./wheel.js";

/** A receive ends when so much has come, and is made again when the connection wants more. */
const RECEIVE_BYTES = 64 * 1024;
/** The same where nothing waits, since the handler takes each piece at once: fewer receives. */
const TAKEN_RECEIVE_BYTES = 256 * 1024;
/** With so much that was received and not worked on, nothing more is received. */
const MAX_HELD_BYTES = 64 * 1024;
const NO_BUFFERS = -constants.errno.ENOBUFS;

// What the bytes that come belong to.
const HEAD = 0;
const BODY = 1;
/** The request is complete, and its answer is not: they belong to the next one. */
const NEXT = 2;
/** Another protocol has the connection. */
const UPGRADED = 3;
/** The server has said its last: they are dropped. */
const LINGERING = 4;

export class Connection extends WheelEntry implements SendingOwner, BodySource {
  readonly socket: Socket;
  /** What the connection is counted under for its limit. */
  readonly addressKey: string;

  readonly #server: ServerCore;
  readonly #receiving = new MultishotCompletion<Connection>(this);
  readonly #descriptor: number;
  readonly #sending: Sending;
  readonly #outbox: Outbox;
  #phase = HEAD;
  #head: RequestHead | null = null;
  #exchange: Exchange | null = null;
  // Of the request, when it has one.
  #body: BodyReceiver | null = null;
  // Never empty.
  #held: HeldBytes | null = null;
  // Inside #process, which goes on by itself and flushes at its end.
  #inside = false;
  #persists = true;
  #peerEnded = false;
  #sendingEnded = false;
  // Of a client that has ended its side before its answer was complete.
  #departure: Departure | null = null;
  #closed = false;
  #upgraded: Upgraded | null = null;
  // In a request of which more is to come, whose time is measured.
  #timesHead = true;
  /** The tick at which the request has taken too long; 0 for none. */
  #requestEnd = 0;
  /** The tick since which it waits for its next request. */
  #idleSince = 0;
  #startedMs = 0;
  #writtenBefore = 0;

  constructor(server: ServerCore, socket: Socket, addressKey: string) {
    super();
    this.#server = server;
    this.socket = socket;
    this.addressKey = addressKey;
    this.#descriptor = socket.descriptor;
    this.#sending = new Sending(server, socket, this);
    this.#outbox = this.#sending.outbox;
  }

  /** Receives from now on, or closes the connection where that cannot be. */
  start(): void {
    this.#await(this.#server.ticks.head);
    this.#receive();
  }

  // ---- receiving

  #receive(): void {
    if (this.#receiving.active || this.#closed || this.#peerEnded) return;
    try {
      const { ring, group } = this.#server;
      const isTaken = this.#exchange?.startedBody?.isTaken ?? false;
      const bytes = isTaken ? TAKEN_RECEIVE_BYTES : RECEIVE_BYTES;
      ring.receiveMultishot(this.#receiving, onReceived, this.#descriptor, group, bytes);
    } catch (error) {
      // The IO is closed, or has no room for one more operation.
      this.#break(error);
    }
  }

  /** @internal */
  onReceived(result: number): void {
    if (result > 0) {
      const { group } = this.#server;
      const { bufferId, offset } = this.#receiving;
      const bytes = group.view(bufferId, 0, group.bufferBytes);
      try {
        if (!this.#closed) this.#take(bytes, offset, offset + result);
      } finally {
        group.release(bufferId);
      }
      this.#server.metrics.receivedBytes += result;
      if (!this.#receiving.active && this.#wantsBytes) this.#receive();
      return;
    }
    if (this.#closed) return;
    if (result === NO_BUFFERS) this.#server.group.whenAvailable(() => this.#receive());
    else if (result === 0) this.#onPeerEnded();
    else this.#break(result);
  }

  get #wantsBytes(): boolean {
    if (this.#phase === UPGRADED) return this.#upgraded!.wantsBytes;
    return this.#held === null || this.#held.length < MAX_HELD_BYTES;
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    if (this.#phase === LINGERING) return;
    if (this.#held !== null) {
      this.#held.add(bytes, start, end);
      this.#processHeld();
      return;
    }
    const at = this.#process(bytes, start, end);
    if (at === end || this.#closed) return;
    this.#held = new HeldBytes();
    this.#held.add(bytes, at, end);
  }

  #processHeld(): void {
    const held = this.#held;
    if (held === null) return;
    held.start = this.#process(held.bytes, held.start, held.end);
    if (held.length === 0) this.#held = null;
  }

  // ---- requests

  // Works on bytes as long as it can, sends what that has brought, and returns where it stopped.
  #process(bytes: Uint8Array, start: number, end: number): number {
    if (this.#inside) return start;
    this.#inside = true;
    let at = start;
    try {
      while (at < end && !this.#closed) {
        const next = this.#step(bytes, at, end);
        if (next === -1) break;
        at = next;
      }
    } finally {
      this.#inside = false;
    }
    this.#outbox.flush();
    return this.#closed ? end : at;
  }

  // Returns how far it has come, or -1 when the bytes have to wait.
  #step(bytes: Uint8Array, start: number, end: number): number {
    switch (this.#phase) {
      case HEAD:
        return this.#readHead(bytes, start, end);
      case BODY:
        return this.#readBody(bytes, start, end);
      case UPGRADED:
        return this.#upgraded!.takeBytes(bytes, start, end);
      case LINGERING:
        return end;
      default:
        return -1;
    }
  }

  #readHead(bytes: Uint8Array, start: number, end: number): number {
    if (this.#sending.isFull) return -1;
    this.#head ??= this.#server.heads.take();
    const head = this.#head;
    const length = head.parse(bytes, start, end);
    if (length > 0) {
      this.#begin(head);
      return start + length;
    }
    if (length < 0) {
      this.#refuse(length);
      return end;
    }
    if (!this.#timesHead) {
      this.#timesHead = true;
      this.#await(this.#server.ticks.head);
    }
    return -1;
  }

  #begin(head: RequestHead): void {
    const server = this.#server;
    const { contentLength, chunked } = head;
    this.#persists =
      !head.close &&
      (head.minorVersion === 1 || head.keepAlive) &&
      !server.stopping &&
      head.method !== "CONNECT";
    this.#writtenBefore = this.#sending.writtenBytes;
    if (server.timesRequests) this.#startedMs = performance.now();
    if (contentLength > server.maxBodyBytes) {
      this.#refuse(faults.LONG_BODY);
      return;
    }
    const hasBody = chunked || contentLength > 0;
    this.#phase = hasBody ? BODY : NEXT;
    if (server.ticks.request > 0) this.#requestEnd = server.wheel.now + server.ticks.request;
    this.#await(this.#phase === NEXT ? 0 : server.ticks.body);
    server.metrics.requests++;
    const exchange = new Exchange(this, this.#outbox, head);
    this.#exchange = exchange;
    if (hasBody) {
      this.#body = new BodyReceiver(exchange, head, server.headLimits, server.maxBodyBytes);
    }
    const isOver = server.handle(exchange);
    if (exchange.ended && this.#phase === NEXT && isOver && !this.#closed) {
      // The handler has returned: the next request may have the same head.
      this.#finish(exchange);
      exchange.detach();
      server.heads.give(head);
      return;
    }
    // The handler may go on even when the connection is closed: the bytes must stay its own.
    head.keep();
    if (this.#closed || this.#phase === UPGRADED) return;
    if (!exchange.ended && this.#peerEnded) this.#noteEnd(exchange);
    if (!exchange.ended || this.#exchange !== exchange) return;
    if (this.#phase === NEXT) this.#finish(exchange);
    else this.#dropBody(exchange);
  }

  // The request and its answer are complete.
  #finish(exchange: Exchange): void {
    const server = this.#server;
    this.#head = null;
    this.#exchange = null;
    server.onAnswered(exchange, this.#startedMs, this.#sentSince());
    if (this.#closed) return;
    this.#body = null;
    this.#requestEnd = 0;
    this.#timesHead = false;
    if (!this.#persists) {
      this.#linger();
      return;
    }
    this.#phase = HEAD;
    this.#idleSince = server.wheel.now;
    this.#await(server.ticks.rest);
  }

  // Of the answer. Those before it may not have been sent when the connection ends.
  #sentSince(): number {
    return Math.max(0, this.#sending.writtenBytes - this.#writtenBefore);
  }

  // ---- bodies

  #readBody(bytes: Uint8Array, start: number, end: number): number {
    const body = this.#body!;
    const exchange = this.#exchange!;
    // A handler that went on behind its answer may have left the body meanwhile.
    if (exchange.ended && !body.drops) this.#dropBody(exchange);
    const at = body.take(bytes, start, end);
    // Requests may stand behind it: they do not wait for a handler that has left it.
    const isStuck = at === -1 && exchange.ended;
    if (isStuck !== body.isStuck) {
      body.isStuck = isStuck;
      this.#await(isStuck ? this.#server.ticks.look : this.#server.ticks.body);
    }
    if (body.isEndless) this.#linger();
    if (body.fault !== 0) {
      this.#refuse(body.fault);
      return end;
    }
    if (body.ended) this.#endBody();
    return at;
  }

  #endBody(): void {
    if (this.#phase === LINGERING || this.#closed) return;
    const exchange = this.#exchange!;
    this.#phase = NEXT;
    exchange.startedBody?.end();
    this.#await(0);
    if (exchange.ended) this.#finish(exchange);
  }

  // It was answered before all of it had come. A handler that reads goes on with it.
  #dropBody(exchange: Exchange): void {
    const body = this.#body!;
    // Of a stream's reader that has asked for nothing the client knows nothing.
    if (!body.continueWaits && exchange.startedBody?.isWanted) return;
    body.drop();
    // The client waits for a word that will not come, or has sent the body anyway: nothing tells.
    if (body.continueWaits) this.#linger();
  }

  get io(): IO {
    return this.#server.io;
  }

  get bodyHasEnded(): boolean {
    return this.#phase !== BODY;
  }

  /** Whether more is to come of the body of this exchange, which may be over. */
  bodyComes(exchange: Exchange): boolean {
    return exchange === this.#exchange && !this.bodyHasEnded;
  }

  trailerOf(exchange: Exchange): RequestHead | null {
    return exchange === this.#exchange ? (this.#body?.trailer ?? null) : null;
  }

  onBodyWanted(): void {
    const body = this.#body;
    if (!body?.continueWaits) return;
    body.continueWaits = false;
    this.#exchange?.sendContinue();
    this.flushLater();
  }

  onBodyRoom(): void {
    this.#goOn();
  }

  // ---- answers

  /** Whether another request may follow the answer that is being sent. */
  get keepsAlive(): boolean {
    return this.#persists;
  }

  /** The end of the connection is the end of the answer. */
  closeAfter(): void {
    this.#persists = false;
  }

  onHeadBegun(status: number): void {
    this.#server.metrics.countStatus(status);
    // The client that still waits has its answer instead.
    if (this.#body?.continueWaits) this.#persists = false;
  }

  /** The handler has answered, maybe within its call. */
  onAnswered(): void {
    if (this.#inside || this.#closed) return;
    this.#goOn();
  }

  /** Sends what was written, unless that is done anyway when the handler returns. */
  flushLater(): void {
    if (this.#inside || this.#closed) return;
    this.#server.root.runInAsyncScope(this.#flush, this);
  }

  #flush(): void {
    this.#outbox.flush();
  }

  // From outside of what the ring has called: what is called later must not run in the context of
  // the handler that is running now.
  #goOn(): void {
    if (this.#inside || this.#closed) return;
    this.#server.root.runInAsyncScope(this.#goOnInside, this);
  }

  #goOnInside(): void {
    const exchange = this.#exchange;
    if (exchange?.ended && this.#phase !== UPGRADED) {
      if (this.#phase === NEXT) this.#finish(exchange);
      else if (!this.#body?.drops) this.#dropBody(exchange);
    }
    this.#processHeld();
    if (this.#closed) return;
    this.#outbox.flush();
    if (this.#peerEnded) this.#afterPeerEnded();
    else if (this.#wantsBytes) this.#receive();
  }

  /** Resolves when the client has taken enough for more to be written, or has gone. */
  room(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.flushLater();
    if (this.deadline === 0) this.#await(this.#server.ticks.send);
    return this.#sending.room();
  }

  /** Sends a part of a file; resolves with the bytes. */
  sendFile(file: File, offset: number, lengthBytes: number): Promise<number> {
    const sent = this.#sending.sendFile(file, offset, lengthBytes);
    this.flushLater();
    // What was written before goes first, and the client may take none of it.
    if (this.deadline === 0) this.#await(this.#server.ticks.send);
    return sent;
  }

  onRoom(): void {
    if (this.#phase !== HEAD || this.#held === null || this.#inside) return;
    this.#processHeld();
    if (this.#wantsBytes) this.#receive();
    if (this.#peerEnded) this.#afterPeerEnded();
  }

  onDrained(): void {
    if (this.#phase === LINGERING) {
      this.#await(this.#server.ticks.linger);
      this.#endSending();
    } else this.#upgraded?.onDrained();
  }

  onSendFailed(cause: unknown): void {
    this.#break(cause);
  }

  onFileFailed(cause: unknown): void {
    this.destroy(gone("a file could not be sent", cause));
  }

  // ---- other protocols

  /** The connection is the caller's; what comes from now on is its stream's. */
  upgrade(): Upgraded {
    const upgraded = new Upgraded({
      write: (bytes) => this.#outbox.put(bytes),
      flush: () => this.flushLater(),
      isEmpty: () => this.#outbox.isEmpty,
      resume: () => this.#goOn(),
      end: () => this.#endSending(),
      destroy: () => this.destroy(),
    });
    this.#upgraded = upgraded;
    this.#departure?.stop();
    this.#phase = UPGRADED;
    this.#requestEnd = 0;
    this.#await(0);
    const exchange = this.#exchange!;
    this.#exchange = null;
    this.#head = null; // the handler may still read it
    this.#server.onAnswered(exchange, this.#startedMs, 0);
    if (!this.#inside) setImmediate(() => this.#goOn());
    return upgraded;
  }

  // ---- the end

  #onPeerEnded(): void {
    this.#peerEnded = true;
    if (this.#phase === UPGRADED) {
      this.#endUpgraded();
      return;
    }
    if (this.#phase === LINGERING) {
      if (this.#outbox.isEmpty) this.destroy();
      return;
    }
    const exchange = this.#exchange;
    if (exchange !== null) {
      this.#noteEnd(exchange);
      this.#endCutBody(exchange);
      return;
    }
    this.#afterPeerEnded();
  }

  // The peer has ended. The stream has its end behind what it has not taken yet.
  #endUpgraded(): void {
    if (this.#held !== null) return;
    this.#upgraded!.onEnd();
    if (this.#sendingEnded) this.#leaveUpgraded();
  }

  // Both sides have ended, and all that has come is the stream's: it may be read much later, or
  // never, and has no use for the socket.
  #leaveUpgraded(): void {
    this.#upgraded = null;
    this.destroy();
  }

  // The client may wait for the answer, or have gone.
  #noteEnd(exchange: Exchange): void {
    const onGone = (): void => this.destroy(gone("the client has gone"));
    const onFailed = (cause: unknown): void => this.#break(cause);
    this.#departure ??= new Departure(this.#server, this.socket, onGone, onFailed);
    exchange.abortSignal(gone("the client has ended the connection"));
  }

  // A body that is not complete never will be. What the handler has left no room for is of it, too.
  #endCutBody(exchange: Exchange): void {
    if (this.bodyHasEnded || this.#held !== null) return;
    this.#persists = false;
    this.#await(0); // what is left to wait for is the handler
    exchange.abort(exchange.abortReason ?? gone("the client has ended the connection"));
    if (exchange.ended) this.#linger();
  }

  /** The handler has given up, because the client has gone or has not sent all of its body. */
  giveUp(exchange: Exchange): void {
    if (exchange !== this.#exchange) return;
    this.#server.root.runInAsyncScope(() => {
      if (exchange.begun) this.destroy();
      else if (!this.bodyHasEnded) this.#refuse(faults.CUT_BODY);
      else {
        exchange.break(0);
        this.#linger(); // what was answered before goes out still
      }
    });
  }

  // What it has sent before is answered still.
  #afterPeerEnded(): void {
    if (this.#phase === LINGERING || this.#closed) return;
    if (this.#exchange !== null) {
      this.#endCutBody(this.#exchange);
      return;
    }
    if (this.#phase === UPGRADED) {
      this.#endUpgraded();
      return;
    }
    if (this.#held !== null && this.#sending.isFull) return;
    if (this.#isInHead) this.#refuseHeld(this.#head!, faults.CUT_HEAD);
    else this.#linger();
  }

  /** Whether a part of a request's head has come, which stands in #held. */
  get #isInHead(): boolean {
    return this.#phase === HEAD && this.#held !== null && (this.#head?.inRequest ?? false);
  }

  #refuse(fault: number): void {
    if (this.#phase === LINGERING) return; // its last word was said
    const server = this.#server;
    const exchange = this.#exchange;
    const { code, text, status } = faults.faultOf(fault);
    if (exchange?.ended) {
      server.onBodyRefused(fault, exchange);
      exchange.failBody(new HttpError(code, text));
      this.#linger(); // the answer is complete, and what comes behind the head was not asked for
      return;
    }
    const begun = exchange?.begun ?? false;
    if (exchange === null) this.#writtenBefore = this.#sending.writtenBytes;
    if (!begun) {
      server.metrics.countStatus(status);
      this.#outbox.put(refusal(fault));
    }
    this.#exchange = null;
    if (exchange?.endsByClose) this.#resetsAtClose();
    exchange?.break(status);
    this.#reportRefused(fault, exchange, exchange?.status ?? status);
    exchange?.abort(new HttpError(code, text));
    if (begun) this.destroy();
    else this.#linger();
  }

  // What has come of it was copied, and the kernel has the memory that it came in.
  #refuseHeld(head: RequestHead, fault: number): void {
    const held = this.#held!;
    head.moveTo(held.bytes, held.start, held.end);
    this.#refuse(fault);
  }

  // Nothing can be answered to it any more.
  #reportCutHead(head: RequestHead, held: HeldBytes): void {
    head.moveTo(held.bytes, held.start, held.end);
    this.#writtenBefore = this.#sending.writtenBytes;
    this.#reportRefused(faults.CUT_HEAD, null, 0);
  }

  #reportRefused(fault: number, exchange: Exchange | null, status: number): void {
    const head = this.#head!;
    const startedMs = exchange === null ? 0 : this.#startedMs;
    const sentBytes = this.#sentSince();
    const address = this.socket.remoteAddress;
    this.#server.onRefused({ fault, head, exchange, address, status, startedMs, sentBytes });
  }

  // Sends what is left, ends its side, and drops what the client still sends for a moment: to close
  // at once would make the kernel reset the connection, and the reset may destroy the last answer.
  #linger(): void {
    if (this.#phase === LINGERING || this.#closed) return;
    this.#phase = LINGERING;
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange !== null) {
      this.#server.onAnswered(exchange, this.#startedMs, this.#sentSince());
    }
    this.#held = null;
    this.#requestEnd = 0;
    const { ticks } = this.#server;
    // The moment begins when the client has all: a slow one may take longer than that.
    this.#await(this.#outbox.bytes > 0 ? ticks.send : ticks.linger);
    this.#outbox.flush();
    if (this.#outbox.isEmpty) this.#endSending();
    if (!this.#inside) this.#receive();
  }

  #endSending(): void {
    if (this.#closed) return;
    if (this.#peerEnded && this.#phase !== UPGRADED) {
      this.destroy();
      return;
    }
    this.#sendingEnded = true;
    if (this.#peerEnded && this.#held === null) {
      this.#leaveUpgraded();
      return;
    }
    try {
      this.#server.ring.shutdown(new Completion(), ignore, this.#descriptor, "send");
    } catch (error) {
      this.#break(error);
    }
  }

  /** No further request: an idle connection ends at once, any other with its answer. */
  stop(): void {
    this.#persists = false;
    const idle = this.#phase === HEAD && !this.#isInHead;
    if (idle && this.#outbox.isEmpty) this.destroy();
    else if (idle) this.#linger();
  }

  // The connection is of no use any more.
  #break(cause: unknown): void {
    if (this.#closed) return;
    if (!isOfPeer(cause)) this.#server.onFailed(cause);
    this.destroy(gone("the connection has failed", cause));
  }

  /** Ends it now, unless it serves another exchange than this one. */
  destroyBy(exchange: Exchange): void {
    if (this.#exchange === null || this.#exchange === exchange) this.destroy();
  }

  /** Ends it now, whatever is under way. */
  destroy(reason: unknown = gone("the connection was closed")): void {
    if (this.#closed) return;
    this.#closed = true;
    const server = this.#server;
    server.wheel.remove(this);
    this.#departure?.stop();
    if (this.#isInHead) this.#reportCutHead(this.#head!, this.#held!);
    const isUnsent = !this.#persists && this.#phase !== UPGRADED && !this.#outbox.isEmpty;
    if (isUnsent || this.#exchange?.endsByClose) this.#resetsAtClose();
    this.#sending.drop();
    this.#held = null;
    this.#upgraded?.onClosed();
    const closing = server.root.runInAsyncScope(() => this.socket.close());
    server.onClosed(this, closing);
    const exchange = this.#exchange;
    this.#exchange = null;
    if (exchange === null) return;
    // One that has ended waits for the rest of its body.
    server.onAnswered(exchange, this.#startedMs, this.#sentSince());
    exchange.break(0);
    exchange.abort(reason);
  }

  // An answer without a length ends with the connection: a mere end would make it look complete.
  #resetsAtClose(): void {
    if (this.socket.remoteAddress?.family === "unix") return; // which knows no reset
    try {
      this.socket.setOptions({ lingerMs: 0 });
    } catch (error) {
      // BSDs say EINVAL of a connection that was reset.
      if (codeOf(error) !== "EINVAL") this.#server.report(error);
    }
  }

  // ---- time

  #await(ticks: number): void {
    const { wheel } = this.#server;
    let left = ticks;
    if (this.#requestEnd > 0) {
      const max = Math.max(1, this.#requestEnd - wheel.now);
      left = ticks === 0 ? max : Math.min(ticks, max);
    }
    wheel.set(this, left);
  }

  // It may have been looked at earlier, because of what it had to send.
  get #hasIdled(): boolean {
    const { ticks, wheel } = this.#server;
    return ticks.idle > 0 && wheel.now >= this.#idleSince + ticks.idle;
  }

  override onDeadline(): void {
    const { ticks, wheel } = this.#server;
    if (this.#requestEnd > 0 && wheel.now >= this.#requestEnd) {
      this.#refuse(faults.SLOW_REQUEST);
      return;
    }
    if (this.#outbox.bytes > 0) {
      // The client has bytes to take: it keeps the connection as long as it takes some.
      if (this.#sending.hasGoneOn()) this.#await(ticks.send);
      else this.destroy(gone("the client did not take the answer"));
      return;
    }
    if (this.#phase === LINGERING) this.destroy();
    else if (this.#phase === HEAD) {
      if (this.#isInHead) this.#refuseHeld(this.#head!, faults.SLOW_HEAD);
      else if (this.#timesHead || this.#hasIdled) this.destroy();
      else if (ticks.idle > 0) this.#await(this.#idleSince + ticks.idle - wheel.now);
    } else if (this.#phase === BODY) this.#onBodyDeadline();
  }

  // A handler that does not read is not the client's fault. One that has answered, and takes none
  // of what waits for it, is waited for no longer.
  #onBodyDeadline(): void {
    const { ticks } = this.#server;
    const body = this.#body!;
    const exchange = this.#exchange!;
    const isFull = body.isStuck || (!body.drops && (exchange.startedBody?.isFull ?? false));
    if (!isFull) this.#refuse(faults.SLOW_BODY);
    else if (!exchange.ended || body.hasGoneOn()) {
      this.#await(body.isStuck ? ticks.look : ticks.body);
    } else {
      body.drop();
      this.#await(ticks.body);
      this.#goOn();
    }
  }
}

function onReceived(completion: MultishotCompletion<Connection>, result: number): void {
  completion.context.onReceived(result);
}

function ignore(): void {}

/** Why a request was aborted. */
function gone(text: string, cause?: unknown): HttpError {
  return new HttpError("ERR_HTTP_ABORTED", text, { cause });
}
