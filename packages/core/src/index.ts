/**
 * Completion-based I/O for Node.js: files, sockets and timers over io_uring or epoll.
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open(); // io.backend is "io_uring" or "epoll"; io.why tells why
 * await using log = await io.openFile("wal.log", { write: true, create: true });
 * using page = io.buffers.acquire(4096);
 * await io.chain(log.writing(page, 0), log.syncing("data"));
 * ```
 *
 * @packageDocumentation
 */
export type { Address } from "./address.js";
export { type BackendName, type Candidate, type Limits, type Probe, probe } from "./backend.js";
export { type AcquiredBuffer, Buffers } from "./buffers.js";
export type { Capabilities, Capability, Support } from "./capabilities.js";
export { Prepared } from "./chain.js";
export { Chunk, DatagramChunk } from "./chunk.js";
export { type Callback, Completion } from "./completion.js";
export {
  type Datagram,
  type DatagramOptions,
  type DatagramPlace,
  DatagramSocket,
  type DatagramSocketOptions,
  type DatagramTarget,
} from "./datagram.js";
export { IOError, type IOErrorFields } from "./errors.js";
export { File, type LockKind, type Position } from "./file.js";
export { BufferGroup, type BufferGroupOptions, LentCompletion } from "./group.js";
export type { AttemptOptions } from "./internal/connecting.js";
export type { LookupOptions } from "./internal/lookup.js";
export type { OperationOptions, SendOptions, SendSteps } from "./internal/operations.js";
export type { SocketStats } from "./internal/socket_base.js";
export {
  type ConnectOptions,
  IO,
  type IOOptions,
  type ListenOptions,
  type OpenOptions,
  type Stats,
} from "./io.js";
export { Listener } from "./listener.js";
export { Peer } from "./peer.js";
export { Receiving, type ReceivingOptions } from "./receiving.js";
export {
  type Descriptor,
  OpenFlags,
  Ring,
  STAT_FIELDS,
  type SyncLevel,
} from "./ring.js";
export type { ShutdownHow, SocketKind, ZeroCopy } from "./ring_sockets.js";
export { Socket, type SocketOptions } from "./socket.js";
export type { FileKind, Stat } from "./stat.js";
export { Timer } from "./timer.js";
export {
  probeZeroCopyReceive,
  type ZeroCopyReceive,
  type ZeroCopyReceiveOptions,
  type ZeroCopyReceiveProbe,
} from "./zero_copy_receive.js";
