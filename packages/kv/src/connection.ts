/**
 * One client: receives requests, runs them, sends the replies in order.
 *
 * The replies to all requests that arrived together leave together, once every batch that any of
 * them depends on is in the log. Replies still held back are marked with the batch they depend on
 * (`marks`: from, to, batch), so that they can be turned into errors if that batch is taken back.
 *
 * A client that does not read its replies, or that writes faster than the log takes it, is not
 * listened to until its replies are out: that bounds what it can make the server hold.
 */

import type { IO, Socket } from "@io/core";
import type { Call, ClientState, Engine } from "./commands/command.js";
import { execute } from "./commands/table.js";
import { messageOf } from "./errors.js";
import type { GroupCommit } from "./log/commit.js";
import { type ChunkPool, ReplyWriter } from "./resp/reply.js";
import { ProtocolError, Request } from "./resp/request.js";

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly io: IO;
  readonly engine: Engine;
  readonly commit: GroupCommit;
  readonly pool: ChunkPool;
  /** Calls `connection.flush()` after the next commit. */
  waitForCommit(connection: Connection): void;
  report(line: string): void;
}

export const RECEIVE_BYTES = 16 * 1024;
/** With so many bytes of replies held, or of records gathered, no further request is run. */
const REPLIES_LIMIT_BYTES = 1024 * 1024;
const GATHERED_LIMIT_BYTES = 16 * 1024 * 1024;
/** How long, and for how much more, a client is listened to after its last reply. */
const LINGER_MS = 1000;
const LINGER_BYTES = 16 * 1024 * 1024;

export class Connection implements Call {
  readonly request: Request;
  readonly reply: ReplyWriter;
  readonly engine: Engine;
  waitsForCommit = false;

  private readonly memory: Uint8Array;
  private readonly marks: number[] = [];
  private dependsOn = 0;
  private sending = false;
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
        while (!this.runRequests()) await this.repliesOut();
      }
      await this.repliesOut();
      if (!this.broken) await this.linger();
    } catch (error) {
      // A client that goes away is not worth a line; a fault of this program is.
      if (!(error instanceof Error) || !("code" in error)) throw error;
    } finally {
      this.broken = true;
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

  /** Sends what may leave. */
  flush(): void {
    if (this.sending || this.broken || this.reply.sizeBytes === 0) return;
    if (this.dependsOn > this.host.commit.settled) this.host.waitForCommit(this);
    else void this.send();
  }

  /** Turns the replies that depend on a batch after `kept` into errors. */
  takenBack(reason: string, kept: number): void {
    const { marks, reply } = this;
    if (marks.length === 0) return;
    const outgoing = reply.take();
    const bytes = Buffer.concat(outgoing.chunks);
    reply.release(outgoing);
    let from = 0;
    for (let index = 0; index < marks.length; index += 3) {
      if (marks[index + 2]! <= kept) continue;
      reply.encoded(bytes.subarray(from, marks[index]));
      reply.error(reason);
      from = marks[index + 1]!;
    }
    reply.encoded(bytes.subarray(from));
    marks.length = 0;
    this.dependsOn = 0;
    this.flush();
  }

  /** Runs the requests at hand; false when there may be more but the replies must leave first. */
  private runRequests(): boolean {
    const { reply, engine, client } = this;
    const { commit } = this.host;
    engine.nowMs = Date.now();
    let done = true;
    while (!client.closing && this.nextRequest()) {
      const from = reply.sizeBytes;
      execute(this, commit.refusal);
      const batch = engine.data.keyspace.touched;
      if (batch > commit.settled) {
        this.marks.push(from, reply.sizeBytes, batch);
        if (batch > this.dependsOn) this.dependsOn = batch;
      }
      if (
        reply.sizeBytes > REPLIES_LIMIT_BYTES ||
        engine.data.batch.sizeBytes > GATHERED_LIMIT_BYTES
      ) {
        done = false;
        break;
      }
    }
    if (engine.data.batch.records > 0) commit.schedule();
    this.flush();
    return done;
  }

  private nextRequest(): boolean {
    try {
      return this.request.next();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.reply.error(`ERR Protocol error: ${messageOf(error)}`);
      this.client.closing = true;
      return false;
    }
  }

  private async send(): Promise<void> {
    const { reply, socket } = this;
    this.sending = true;
    try {
      while (reply.sizeBytes > 0 && this.dependsOn <= this.host.commit.settled) {
        const outgoing = reply.take();
        this.marks.length = 0;
        this.dependsOn = 0;
        for (const chunk of outgoing.chunks) await socket.sendAll(chunk);
        reply.release(outgoing);
      }
    } catch {
      this.fail(); // The client has gone; whatever it was told last, it no longer listens.
    }
    this.sending = false;
    if (this.broken || reply.sizeBytes === 0) this.wake();
    else this.host.waitForCommit(this);
  }

  private async repliesOut(): Promise<void> {
    while (!this.broken && (this.sending || this.reply.sizeBytes > 0)) {
      await new Promise<void>((resolve) => {
        this.resume = resolve;
      });
    }
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
