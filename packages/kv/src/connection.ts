/**
 * One client: receives requests, runs them, sends the replies in order.
 *
 * Replies leave once every batch that they depend on is in the log. They are held in parts, one for
 * each batch that gathered while they were written:
 *
 *      parts   |- batch 7, settled: being sent -|- batch 8: in the log's write -|  reply: batch 9
 *
 * Replies still held back are marked with the batch they depend on (`marks`: from, to, batch), so
 * that they can be turned into errors if that batch is taken back.
 *
 * A client may write a whole pipeline before it reads the first reply. So while its replies wait to
 * be read, its requests are received but not run: they are mostly smaller than their replies. What
 * that makes the server hold is bounded for all clients together (client_memory.ts). A client that
 * writes faster than the log takes it is not listened to until the log has taken it.
 */

import type { IO, Socket } from "@io/core";
import type { ClientMemory, Holder } from "./client_memory.js";
import type { Call, ClientState, Engine } from "./commands/command.js";
import { execute } from "./commands/table.js";
import { messageOf } from "./errors.js";
import type { GroupCommit } from "./log/commit.js";
import { REQUEST_LIMIT_BYTES } from "./resp/limits.js";
import {
  type ChunkPool,
  encodeError,
  heldBytesOf,
  type Outgoing,
  ReplyWriter,
  replaceParts,
} from "./resp/reply.js";
import { ProtocolError, Request } from "./resp/request.js";

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly io: IO;
  readonly engine: Engine;
  readonly commit: GroupCommit;
  readonly pool: ChunkPool;
  readonly clientMemory: ClientMemory;
  /** Calls `connection.flush()` after the next commit. */
  waitForCommit(connection: Connection): void;
  report(line: string): void;
}

export const RECEIVE_BYTES = 16 * 1024;
/** With so many bytes of replies held, no further request is run. */
const REPLIES_LIMIT_BYTES = 1024 * 1024;
/** With so many bytes of records gathered, no further request is run. */
const GATHERED_LIMIT_BYTES = 16 * 1024 * 1024;
/** How long, and for how much more, a client is listened to after its last reply. */
const LINGER_MS = 1000;
const LINGER_BYTES = 16 * 1024 * 1024;

/** Replies that may leave together. */
interface Part {
  readonly outgoing: Outgoing;
  readonly dependsOn: number;
  readonly marks: readonly number[];
}

export class Connection implements Call, Holder {
  readonly request: Request;
  readonly reply: ReplyWriter;
  readonly engine: Engine;
  waitsForCommit = false;
  heldBytes = 0;

  private readonly memory: Uint8Array;
  private parts: Part[] = [];
  private partsBytes = 0;
  private marks: number[] = [];
  private dependsOn = 0;
  /** The batch that gathered when the replies in `reply` were written. */
  private writtenIn = 0;
  private sending = false;
  /** Requests are at hand that wait until replies are out. */
  private stalled = false;
  private running: Promise<void> | undefined;
  private peerEnded = false;
  private broken = false;
  private resume: (() => void) | undefined;

  constructor(
    private readonly host: ConnectionHost,
    private readonly socket: Socket,
    readonly client: ClientState,
  ) {
    this.memory = host.io.buffers.acquire(RECEIVE_BYTES);
    const { buffer, byteOffset, length } = this.memory;
    this.request = new Request(Buffer.from(buffer, byteOffset, length));
    this.reply = new ReplyWriter(host.pool);
    this.engine = host.engine;
  }

  /** Serves the client to its end. Never rejects. */
  async run(): Promise<void> {
    try {
      while (!this.client.closing) {
        const count = await this.socket.receive(this.request.room());
        if (count === 0) {
          this.peerEnded = true;
          break;
        }
        this.request.received(count);
        await this.runRequests();
        if (this.stalled) this.count();
      }
      await this.repliesOut();
      if (!this.broken) await this.linger();
    } catch (error) {
      // A client that goes away is not worth a line; a fault of this program is.
      if (!(error instanceof Error) || !("code" in error)) throw error;
    } finally {
      this.broken = true;
      this.dropReplies();
      await this.socket.close();
      this.host.io.buffers.release(this.memory);
    }
  }

  /** Answers no further requests; ends once the replies so far are out. */
  stop(): void {
    this.client.closing = true;
    this.socket.shutdown("receive").catch(() => undefined); // It may have ended by itself.
  }

  /** Ends now, whatever is still to be sent. */
  abandon(): void {
    this.fail();
  }

  disconnect(why: string): void {
    this.host.report(`${this.client.address} was disconnected: ${why}`);
    this.fail();
  }

  /** Sends what may leave. */
  flush(): void {
    if (this.sending || this.broken) return;
    const next = this.nextDependsOn;
    if (next === undefined) return;
    if (next > this.host.commit.settled) this.host.waitForCommit(this);
    else void this.send();
  }

  /** Turns the replies that depend on a batch after `kept` into errors. */
  takenBack(reason: string, kept: number): void {
    const { settled } = this.host.commit;
    if (this.dependsOn > kept) this.endPart();
    const text = encodeError(reason);
    this.parts = this.parts.map((part) => {
      if (part.dependsOn <= kept) return part;
      const ranges: number[] = [];
      for (let index = 0; index < part.marks.length; index += 3) {
        if (part.marks[index + 2]! > kept) ranges.push(part.marks[index]!, part.marks[index + 1]!);
      }
      replaceParts(part.outgoing, ranges, text);
      return { outgoing: part.outgoing, dependsOn: settled, marks: [] };
    });
    this.partsBytes = this.parts.reduce((sum, part) => sum + heldBytesOf(part.outgoing), 0);
    this.flush();
  }

  /** Runs the requests at hand, but for those that wait until replies are out. */
  private async runRequests(): Promise<void> {
    while (this.running !== undefined) await this.running;
    if (this.stalled) return;
    this.running = this.runUntilStalled();
    try {
      await this.running;
    } finally {
      this.running = undefined;
      this.wake();
    }
  }

  private async runUntilStalled(): Promise<void> {
    while (!this.runSome()) {
      if (this.repliesBytes > REPLIES_LIMIT_BYTES) {
        this.stalled = true;
        return;
      }
      await this.host.commit.taken();
    }
  }

  /** False when there may be more requests at hand, which have to wait. */
  private runSome(): boolean {
    const { reply, engine, client } = this;
    const { commit } = this.host;
    const { data } = engine;
    if (data.keyspace.sequence !== this.writtenIn) {
      this.endPart();
      this.writtenIn = data.keyspace.sequence;
    }
    engine.nowMs = Date.now();
    let done = true;
    while (!client.closing && this.nextRequest()) {
      const from = reply.sizeBytes;
      execute(this, commit.refusal);
      const batch = data.keyspace.touched;
      if (batch > commit.settled) {
        this.marks.push(from, reply.sizeBytes, batch);
        if (batch > this.dependsOn) this.dependsOn = batch;
      }
      if (this.repliesBytes > REPLIES_LIMIT_BYTES || data.batch.sizeBytes > GATHERED_LIMIT_BYTES) {
        done = false;
        break;
      }
    }
    if (data.batch.records > 0) commit.schedule();
    this.flush();
    this.count();
    return done;
  }

  /** Bytes of replies that are not out yet. */
  private get repliesBytes(): number {
    return this.partsBytes + this.reply.sizeBytes;
  }

  private nextRequest(): boolean {
    try {
      if (!this.request.next()) return false;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.reply.error(`ERR Protocol error: ${messageOf(error)}`);
      this.client.closing = true;
      return false;
    }
    if (!isHttp(this.request)) return true;
    // A web page can make a browser send a request whose body is a list of commands.
    this.disconnect("it sent an HTTP request");
    return false;
  }

  /** What the next replies to leave depend on; undefined when there are none. */
  private get nextDependsOn(): number | undefined {
    const first = this.parts[0];
    if (first !== undefined) return first.dependsOn;
    return this.reply.sizeBytes === 0 ? undefined : this.dependsOn;
  }

  /** What has been written so far can leave without what comes. */
  private endPart(): void {
    if (this.reply.sizeBytes === 0) return;
    const part = { outgoing: this.reply.take(), dependsOn: this.dependsOn, marks: this.marks };
    this.parts.push(part);
    this.partsBytes += heldBytesOf(part.outgoing);
    this.marks = [];
    this.dependsOn = 0;
  }

  private async send(): Promise<void> {
    const { commit, pool } = this.host;
    this.sending = true;
    try {
      for (let next = this.nextDependsOn; !this.broken; next = this.nextDependsOn) {
        if (next === undefined || next > commit.settled) break;
        if (this.parts.length === 0) this.endPart();
        const { outgoing } = this.parts.shift()!;
        const heldBytes = heldBytesOf(outgoing);
        for (const chunk of outgoing.chunks) await this.socket.sendAll(chunk);
        for (const chunk of outgoing.pooled) pool.release(chunk);
        this.partsBytes -= heldBytes;
        if (this.broken) break;
        this.count();
        this.resumeRequests();
      }
    } catch {
      this.fail(); // The client has gone, and reads no further answer.
    }
    this.sending = false;
    if (this.broken || this.nextDependsOn === undefined) this.wake();
    else this.host.waitForCommit(this);
  }

  /** Replies are out: goes on with the requests that waited for that. */
  private resumeRequests(): void {
    if (!this.stalled || this.repliesBytes > REPLIES_LIMIT_BYTES) return;
    this.stalled = false;
    this.runRequests().catch((error: unknown) => {
      this.host.report(`${this.client.address}: ${messageOf(error)}`);
      this.fail();
    });
  }

  private count(): void {
    const heldBytes = this.repliesBytes + this.request.heldBytes;
    if (heldBytes !== this.heldBytes) this.host.clientMemory.update(this, heldBytes);
    if (this.stalled && this.request.unreadBytes > REQUEST_LIMIT_BYTES) {
      this.disconnect(`it has sent ${REQUEST_LIMIT_BYTES} bytes and not read the replies`);
    }
  }

  private dropReplies(): void {
    this.parts = [];
    this.partsBytes = 0;
    this.reply.take();
    this.host.clientMemory.update(this, 0);
  }

  private async repliesOut(): Promise<void> {
    while (!this.broken && this.hasWork) {
      await new Promise<void>((resolve) => {
        this.resume = resolve;
      });
    }
  }

  private get hasWork(): boolean {
    const waits = this.stalled && !this.client.closing;
    return waits || this.running !== undefined || this.sending || this.nextDependsOn !== undefined;
  }

  private wake(): void {
    const { resume } = this;
    this.resume = undefined;
    resume?.();
  }

  private fail(): void {
    this.broken = true;
    this.client.closing = true;
    void this.socket.close(); // Also ends the receive that may be in flight.
    this.wake();
  }

  /**
   * Ends the sending and reads on for a moment. To close while the client still sends would make
   * the kernel reset the connection, and the reset may destroy the last replies on their way.
   */
  private async linger(): Promise<void> {
    await this.socket.shutdown("send");
    const untilMs = Date.now() + LINGER_MS;
    let discarded = 0;
    while (!this.peerEnded && discarded < LINGER_BYTES) {
      const timeoutMs = untilMs - Date.now();
      if (timeoutMs <= 0) return;
      const count = await this.socket.receive(this.memory, { timeoutMs });
      if (count === 0) return;
      discarded += count;
    }
  }
}

const HTTP_METHODS = ["get", "head", "put", "patch", "delete", "options", "connect", "trace"];

/** The first line of an HTTP request, or the line that every HTTP request has, as Redis looks. */
function isHttp(request: Request): boolean {
  if (request.is(0, "post") || request.is(0, "host:")) return true;
  if (!request.inline || request.count !== 3 || request.length(2) > 16) return false;
  return (
    /^HTTP\/[0-9.]+$/.test(request.text(2)) && HTTP_METHODS.some((each) => request.is(0, each))
  );
}
