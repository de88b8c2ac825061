// A completion that comes many times, each time with bytes in a buffer of a group.

import { Completion } from "../ring/completion.js";
import type { ChunkSource } from "./chunk_source.js";

/**
 * A completion that receives into a {@link BufferGroup}: `ring.receiveMultishot` is started with
 * one. When the callback is given a result above 0, so many bytes begin at `offset` of buffer
 * `bufferId`.
 *
 * @category Ring
 *
 * @example
 * ```ts
 * import { IO, MultishotCompletion } from "@io/core";
 *
 * await using io = await IO.open();
 * await using socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
 * const { ring } = io;
 * const group = ring.bufferGroup({ bufferBytes: 2048, messages: true });
 * const came = new Promise<number>((resolve) => {
 *   const receiving = new MultishotCompletion();
 *   ring.receiveMessageMultishot(receiving, ({ bufferId }, result) => {
 *     if (result < 0) return;
 *     group.release(bufferId);
 *     resolve(result);
 *   }, socket.descriptor, group);
 * });
 * await socket.sendTo("ping", socket.localAddress);
 * process.stdout.write(`${await came} bytes\n`);
 * ```
 */
export class MultishotCompletion<C = unknown> extends Completion<C> {
  /** The buffer of the group that holds the bytes; -1 before the first. */
  bufferId = -1;
  /** Where the bytes begin in that buffer, in bytes. */
  offset = 0;
  /** @internal */
  _group: ChunkSource | null = null;
}
