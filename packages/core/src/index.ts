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
 * await io.chain([log.prepareWrite(page, 0), log.prepareSync("data")]);
 * ```
 *
 * @packageDocumentation
 */
export type { Address, InternetAddress, UnixAddress } from "./address.js";
export type { OperationName } from "./engine/abi.js";
export { type AcquiredBuffer, Buffers } from "./engine/buffers.js";
export { IOError, type IOErrorFields } from "./errors.js";
export type { PreparedOperation } from "./files/chain.js";
export { File, type LockKind, type Position, type TransferOptions } from "./files/file.js";
export { type Stat, StatRecord } from "./files/stat.js";
export {
  type ConnectOptions,
  type DebugOptions,
  type InternetListenOptions,
  IO,
  type IOOptions,
  type ListenOptions,
  type OpenOptions,
  type Stats,
  type UnixListenOptions,
} from "./io.js";
export {
  type BackendName,
  type Candidate,
  type Limits,
  type Probe,
  probe,
} from "./probe/backend.js";
export type {
  Capabilities,
  Capability,
  CapabilityName,
  Support,
} from "./probe/capabilities.js";
export {
  probeZeroCopyReceive,
  type ZeroCopyReceive,
  type ZeroCopyReceiveOptions,
  type ZeroCopyReceiveProbe,
} from "./probe/zero_copy_receive.js";
export { BufferGroup, type BufferGroupOptions } from "./receiving/buffer_group.js";
export { Chunk, DatagramChunk } from "./receiving/chunk.js";
export { type ChunkOptions, ChunkStream } from "./receiving/chunk_stream.js";
export { MultishotCompletion } from "./receiving/multishot_completion.js";
export { type Callback, Completion } from "./ring/completion.js";
export type { OperationOptions, SendOptions, SendSteps } from "./ring/operations.js";
export {
  OpenFlags,
  Ring,
  type SyncLevel,
} from "./ring/ring.js";
export type { ShutdownHow, SocketKind } from "./ring/ring_sockets.js";
export type { Descriptor, ZeroCopy } from "./ring/types.js";
export type { AttemptOptions } from "./sockets/connecting.js";
export {
  type Datagram,
  type DatagramBytes,
  type DatagramOptions,
  type DatagramPlace,
  DatagramSocket,
  type DatagramSocketOptions,
  type DatagramTarget,
} from "./sockets/datagram.js";
export { Listener } from "./sockets/listener.js";
export type { LookupOptions } from "./sockets/lookup.js";
export { Socket, type SocketOptions } from "./sockets/socket.js";
export { SocketAddress } from "./sockets/socket_address.js";
export type { SocketStats } from "./sockets/socket_base.js";
export type { Bytes, FileMode, Path } from "./support/check.js";
export { Timer } from "./timer.js";
