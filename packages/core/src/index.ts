/**
 * Completion-based I/O for Node.js: files, sockets and timers over io_uring, epoll or kqueue.
 *
 * @example
 * ```ts
 * import { IO } from "@io/core";
 *
 * await using io = await IO.open(); // io.backend names the backend; io.why tells why
 * await using log = await io.openFile("wal.log", { write: true, create: true });
 * using page = io.buffers.acquire(4096);
 * await io.chain([log.prepareWrite(page, 0), log.prepareSync("data")]);
 * ```
 *
 * @module @io/core
 */
export type {
  Address,
  DatagramAddress,
  InternetAddress,
  UnixAddress,
  VsockAddress,
  VsockCid,
} from "./address.js";
export type { Adopted } from "./descriptors/adopt.js";
export { BorrowedDescriptor, type PollEvents } from "./descriptors/borrowed.js";
export type { DescriptorKind } from "./descriptors/kinds.js";
export { MessageControl } from "./descriptors/message_control.js";
export { Notifier, type NotifierToken, notify } from "./descriptors/notifier.js";
export {
  type Passable,
  ReceivedDescriptor,
  type ReceivedDescriptors,
} from "./descriptors/passing.js";
export type { ProcessEnd } from "./descriptors/process.js";
export { type SignalName, Signals } from "./descriptors/signals.js";
export type { OperationName } from "./engine/abi.js";
export { type AcquiredBuffer, Buffers } from "./engine/buffers.js";
export { IOError, type IOErrorFields } from "./errors.js";
export type {
  ChainValues,
  MemberOptions,
  MemberPlace,
  MemberValue,
  Prepare,
  PreparedOperation,
  PrepareVerb,
  RingVerb,
  VerbArguments,
} from "./files/chain.js";
export type { CopyFileOptions, CopyProgress } from "./files/copy_file.js";
export type {
  CopyTreeFilter,
  CopyTreeListener,
  CopyTreeOptions,
  CopyTreeProgress,
} from "./files/copy_tree.js";
export {
  Directory,
  type LinkOptions,
  type ListOptions,
  type OpenDirectoryOptions,
  type PathOperations,
  type PathOptions,
  type RenameOptions,
  type ResolveRules,
} from "./files/directory.js";
export {
  type CopyRangeOptions,
  File,
  type PreparedWriteOptions,
  type TransferOptions,
  type WriteAllOptions,
  type WriteOptions,
} from "./files/file.js";
export type {
  AllocateOptions,
  FileRange,
  LockOptions,
  Position,
  SetXattrOptions,
} from "./files/file_base.js";
export type { DirectoryEntry, EntryKind } from "./files/listing.js";
export type { OpenOptions } from "./files/open.js";
export {
  type AtomicWrite,
  type BigIntStat,
  type DirectAlignment,
  type Stat,
  StatRecord,
} from "./files/stat.js";
export { type StatFs, StatFsRecord } from "./files/stat_fs.js";
export type { WatchAction, WatchEvent, WatchOptions } from "./files/watch/events.js";
export { Watch } from "./files/watch/index.js";
export { type DebugOptions, IO, type IOOptions } from "./io.js";
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
  WriteFlagName,
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
export type {
  OperationOptions,
  SendOptions,
  SendSteps,
  StreamSendOptions,
} from "./ring/promises.js";
export { Ring, type SyncLevel, WriteFlags } from "./ring/ring.js";
export type { Advice, AllocateMode } from "./ring/ring_files.js";
export { CopyFlags, OpenFlags, RenameFlags, ResolveFlags } from "./ring/ring_paths.js";
export { type PollEvent, PollFlags } from "./ring/ring_poll.js";
export type { ShutdownHow, SocketKind } from "./ring/ring_sockets.js";
export type { XattrHow } from "./ring/ring_xattr.js";
export type { Descriptor, ZeroCopy } from "./ring/types.js";
export { Scope } from "./scope.js";
export type { AttemptOptions } from "./sockets/connecting.js";
export {
  type Datagram,
  type DatagramBytes,
  type DatagramMessage,
  type DatagramOptions,
  type DatagramPlace,
  DatagramSocket,
  type DatagramSocketOptions,
  type DatagramTarget,
  type GroupOptions,
  type SendManyOptions,
} from "./sockets/datagram.js";
export { Listener } from "./sockets/listener.js";
export type { LookupOptions } from "./sockets/lookup.js";
export type {
  ConnectOptions,
  InternetListenOptions,
  ListenOptions,
  UnixListenOptions,
  VsockListenOptions,
} from "./sockets/opening.js";
export type {
  CommonSocketOptions,
  KeepAlive,
  OptionsOf,
  RawOptionValue,
  SocketOptions,
} from "./sockets/option_types.js";
export type { PipeOptions } from "./sockets/piping.js";
export { type ReaderOptions, type ReadUntilOptions, SocketReader } from "./sockets/reader.js";
export { type PeerCredentials, Socket } from "./sockets/socket.js";
export { SocketAddress } from "./sockets/socket_address.js";
export type { TcpInfo, TcpState } from "./sockets/tcp_info.js";
export type { SocketStats, Stats } from "./stats.js";
export type { Bytes, FileMode, Path } from "./support/check.js";
export { Timer } from "./timer.js";
