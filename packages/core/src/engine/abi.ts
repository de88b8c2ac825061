// Generated from native/abi/abi.def by native/abi/abi_ts.cc. Do not edit: change the list.

export const OPCODE_NOP = 1;
export const OPCODE_TIMEOUT = 2;
export const OPCODE_CANCEL = 3;
export const OPCODE_CANCEL_DESCRIPTOR = 4;
export const OPCODE_CANCEL_ALL = 5;
export const OPCODE_OPEN = 6;
export const OPCODE_CLOSE = 7;
export const OPCODE_READ = 8;
export const OPCODE_WRITE = 9;
export const OPCODE_READ_VECTORED = 10;
export const OPCODE_WRITE_VECTORED = 11;
export const OPCODE_STAT = 12;
export const OPCODE_SYNC = 13;
export const OPCODE_ALLOCATE = 14;
export const OPCODE_TRUNCATE = 15;
export const OPCODE_RENAME = 16;
export const OPCODE_UNLINK = 17;
export const OPCODE_MKDIR = 18;
export const OPCODE_SOCKET = 19;
export const OPCODE_BIND = 20;
export const OPCODE_LISTEN = 21;
export const OPCODE_ACCEPT = 22;
export const OPCODE_ACCEPT_MULTISHOT = 23;
export const OPCODE_CONNECT = 24;
export const OPCODE_SEND = 25;
export const OPCODE_SEND_VECTORED = 26;
export const OPCODE_RECEIVE = 27;
export const OPCODE_SHUTDOWN = 28;
export const OPCODE_RECEIVE_MULTISHOT = 29;
export const OPCODE_RECEIVE_MESSAGE_MULTISHOT = 30;
export const OPCODE_SEND_MESSAGE = 31;
export const OPCODE_RECEIVE_MESSAGE = 32;
export const OPCODE_SEND_FILE = 41;
export const OPCODE_LINK = 42;
export const OPCODE_SYMLINK = 43;
export const OPCODE_READLINK = 44;

export const ENTRY_FLAG_LINKED = 256;
export const ENTRY_FLAG_DEADLINE = 512;
export const ENTRY_FLAG_UNREF = 1024;
export const ENTRY_FLAGS_ALL = 1792;
export const COMPLETION_FLAG_MORE = 1;
export const COMPLETION_FLAG_REFUSED = 2;
export const COMPLETION_FLAG_LENT = 4;
export const COMPLETION_FLAG_OPEN = 8;
export const COMPLETION_PIECE_SHIFT = 8;
export const HEADER_QUEUED = 0;
export const HEADER_TEXT_USED = 1;
export const HEADER_ACTIVE = 2;
export const HEADER_RETURNED = 3;
export const HEADER_ASLEEP = 4;
export const HEADER_PUMPING = 5;
export const HEADER_WORDS = 16;
export const TEXT_SIZE_BYTES = 65536;
export const TEXT_HANDLE = 0;
export const CHAIN_LIMIT = 32;
export const VECTOR_LIMIT = 1024;
export const GROUPS_MOST = 256;
export const PIECES_MOST = 32768;
export const CHUNKS_MOST = 1048576;
export const AREA_BYTES_LEAST = 65536;
export const AREA_BYTES_MOST = 1073741824;
export const ENTRIES_LEAST = 128;
export const ENTRIES_MOST = 32768;
export const IN_FLIGHT_LIMIT_MOST = 1000000;
export const TRANSFER_LIMIT_BYTES = 2147479552;
export const DESCRIPTOR_NUMBER_BITS = 20;
export const DESCRIPTOR_GENERATION_LIMIT = 2047;
export const OPEN_FLAG_READ = 1;
export const OPEN_FLAG_WRITE = 2;
export const OPEN_FLAG_APPEND = 4;
export const OPEN_FLAG_CREATE = 8;
export const OPEN_FLAG_EXCLUSIVE = 16;
export const OPEN_FLAG_TRUNCATE = 32;
export const OPEN_FLAG_DIRECT = 64;
export const OPEN_FLAG_DIRECTORY = 128;
export const OPEN_FLAG_NO_FOLLOW = 256;
export const OPEN_FLAGS_ALL = 511;
export const STAT_BY_PATH = 0;
export const STAT_BY_PATH_NO_FOLLOW = 1;
export const STAT_BY_DESCRIPTOR = 2;
export const LOCK_LEVEL_NONE = 0;
export const LOCK_LEVEL_SHARED = 1;
export const LOCK_LEVEL_EXCLUSIVE = 2;
export const SYNC_LEVEL_DATA = 1;
export const SYNC_LEVEL_FULL = 2;
export const SYNC_LEVEL_BARRIER = 3;
export const FAMILY_IPV4 = 1;
export const FAMILY_IPV6 = 2;
export const FAMILY_UNIX = 3;
export const SOCKET_KIND_STREAM = 1;
export const SOCKET_KIND_DATAGRAM = 2;
export const PEER_FAMILY = 0;
export const PEER_PORT = 1;
export const PEER_LENGTH = 2;
export const PEER_SCOPE = 3;
export const PEER_FLAGS = 4;
export const PEER_BYTES = 20;
export const PEER_SIZE_BYTES = 128;
export const PEER_FLAG_TRUNCATED = 1;
export const ZERO_COPY_NEVER = 0;
export const ZERO_COPY_AUTO = 1;
export const ZERO_COPY_ALWAYS = 2;
export const MESSAGE_VECTORED = 256;
export const SHUTDOWN_RECEIVE = 1;
export const SHUTDOWN_SEND = 2;
export const SHUTDOWN_BOTH = 3;
export const SOCKET_OPTION_NO_DELAY = 1;
export const SOCKET_OPTION_KEEP_ALIVE = 2;
export const SOCKET_OPTION_REUSE_ADDRESS = 3;
export const SOCKET_OPTION_REUSE_PORT = 4;
export const SOCKET_OPTION_RECEIVE_BUFFER_BYTES = 5;
export const SOCKET_OPTION_SEND_BUFFER_BYTES = 6;
export const SOCKET_OPTION_BROADCAST = 7;
export const SOCKET_OPTION_ZERO_COPY_THRESHOLD_BYTES = 8;
export const FEATURE_SEND_ZERO_COPY = 1;
export const FEATURE_SEND_VECTORS_ZERO_COPY = 2;
export const FEATURE_REPORTS_COPIES = 4;
export const FEATURE_REGISTERED_VECTORS = 8;
export const SOCKET_COUNTER_ZERO_COPY_SENDS = 0;
export const SOCKET_COUNTER_ZERO_COPY_BYTES = 1;
export const SOCKET_COUNTER_ZERO_COPY_COPIED = 2;
export const SOCKET_COUNTER_ZERO_COPY_FALLEN_BACK = 3;
export const SOCKET_COUNTER_ZERO_COPY_UNRELEASED = 4;
export const SOCKET_COUNTER_ZERO_COPY_CHUNKS = 5;
export const SOCKET_COUNTER_ZERO_COPY_CHUNK_BYTES = 6;
export const SOCKET_COUNTERS = 7;
export const STAT_SIZE_BYTES = 0;
export const STAT_MODE = 1;
export const STAT_INODE = 2;
export const STAT_DEVICE = 3;
export const STAT_LINKS = 4;
export const STAT_USER = 5;
export const STAT_GROUP = 6;
export const STAT_BLOCK_SIZE_BYTES = 7;
export const STAT_ALLOCATED_BYTES = 8;
export const STAT_ACCESSED_MS = 9;
export const STAT_MODIFIED_MS = 10;
export const STAT_CHANGED_MS = 11;
export const STAT_CREATED_MS = 12;
export const STAT_FIELDS = 13;

export const ENTRY_OPERATION = 0;
export const ENTRY_SLOT = 1;
export const ENTRY_GENERATION = 2;
export const ENTRY_DESCRIPTOR = 3;
export const ENTRY_BUFFER = 4;
export const ENTRY_LENGTH = 5;
export const ENTRY_BUFFER_OFFSET = 3;
export const ENTRY_OFFSET = 4;
export const ENTRY_EXTENT = 5;
export const ENTRY_DEADLINE_NS = 6;
export const ENTRY_ARGUMENT = 14;
export const ENTRY_ARGUMENT_EXTRA = 15;
export const COMPLETION_SLOT = 0;
export const COMPLETION_GENERATION = 1;
export const COMPLETION_RESULT = 2;
export const COMPLETION_FLAGS = 3;
export const ENTRY_WORDS = 16;
export const COMPLETION_WORDS = 4;
export const VECTOR_DOUBLES = 3;

/** The names of the operations. */
export type OperationName =
  | "nop"
  | "timeout"
  | "cancel"
  | "cancelDescriptor"
  | "cancelAll"
  | "open"
  | "close"
  | "read"
  | "write"
  | "readVectored"
  | "writeVectored"
  | "stat"
  | "sync"
  | "allocate"
  | "truncate"
  | "rename"
  | "unlink"
  | "mkdir"
  | "socket"
  | "bind"
  | "listen"
  | "accept"
  | "acceptMultishot"
  | "connect"
  | "send"
  | "sendVectored"
  | "receive"
  | "shutdown"
  | "receiveMultishot"
  | "receiveMessageMultishot"
  | "sendMessage"
  | "receiveMessage"
  | "sendFile"
  | "link"
  | "symlink"
  | "readlink";

/** A row of abi.def: its name here, the system call that errors name, the Linux whose io_uring has
 * it ("" where none has), and what abi.def says of it. */
export interface OperationRow {
  readonly name: OperationName;
  readonly syscall: string;
  readonly since: string;
  readonly kind: "bookkeeping" | "time" | "call" | "stream" | "multishot" | "file" | "close";
  readonly madeByEngine: boolean;
  readonly endsOthers: boolean;
}

/** The operations by number. */
export const OPERATIONS: ReadonlyMap<number, OperationRow> = new Map([
  [
    1,
    {
      name: "nop",
      syscall: "nop",
      since: "5.1",
      kind: "bookkeeping",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    2,
    {
      name: "timeout",
      syscall: "timeout",
      since: "5.4",
      kind: "time",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    3,
    {
      name: "cancel",
      syscall: "cancel",
      since: "5.5",
      kind: "bookkeeping",
      madeByEngine: false,
      endsOthers: true,
    },
  ],
  [
    4,
    {
      name: "cancelDescriptor",
      syscall: "cancel",
      since: "5.19",
      kind: "bookkeeping",
      madeByEngine: false,
      endsOthers: true,
    },
  ],
  [
    5,
    {
      name: "cancelAll",
      syscall: "cancel",
      since: "5.19",
      kind: "bookkeeping",
      madeByEngine: false,
      endsOthers: true,
    },
  ],
  [
    6,
    {
      name: "open",
      syscall: "open",
      since: "5.6",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    7,
    {
      name: "close",
      syscall: "close",
      since: "5.6",
      kind: "close",
      madeByEngine: false,
      endsOthers: true,
    },
  ],
  [
    8,
    {
      name: "read",
      syscall: "read",
      since: "5.1",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    9,
    {
      name: "write",
      syscall: "write",
      since: "5.1",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    10,
    {
      name: "readVectored",
      syscall: "readv",
      since: "5.1",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    11,
    {
      name: "writeVectored",
      syscall: "writev",
      since: "5.1",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    12,
    {
      name: "stat",
      syscall: "stat",
      since: "5.6",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    13,
    {
      name: "sync",
      syscall: "fsync",
      since: "5.1",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    14,
    {
      name: "allocate",
      syscall: "fallocate",
      since: "5.6",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    15,
    {
      name: "truncate",
      syscall: "ftruncate",
      since: "6.9",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    16,
    {
      name: "rename",
      syscall: "rename",
      since: "5.11",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    17,
    {
      name: "unlink",
      syscall: "unlink",
      since: "5.11",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    18,
    {
      name: "mkdir",
      syscall: "mkdir",
      since: "5.15",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    19,
    {
      name: "socket",
      syscall: "socket",
      since: "5.19",
      kind: "call",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    20,
    {
      name: "bind",
      syscall: "bind",
      since: "6.11",
      kind: "call",
      madeByEngine: true,
      endsOthers: false,
    },
  ],
  [
    21,
    {
      name: "listen",
      syscall: "listen",
      since: "6.11",
      kind: "call",
      madeByEngine: true,
      endsOthers: false,
    },
  ],
  [
    22,
    {
      name: "accept",
      syscall: "accept",
      since: "5.5",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    23,
    {
      name: "acceptMultishot",
      syscall: "accept",
      since: "5.19",
      kind: "multishot",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    24,
    {
      name: "connect",
      syscall: "connect",
      since: "5.5",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    25,
    {
      name: "send",
      syscall: "send",
      since: "5.6",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    26,
    {
      name: "sendVectored",
      syscall: "sendmsg",
      since: "5.3",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    27,
    {
      name: "receive",
      syscall: "recv",
      since: "5.6",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    28,
    {
      name: "shutdown",
      syscall: "shutdown",
      since: "5.11",
      kind: "call",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    29,
    {
      name: "receiveMultishot",
      syscall: "recv",
      since: "6.0",
      kind: "multishot",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    30,
    {
      name: "receiveMessageMultishot",
      syscall: "recvmsg",
      since: "6.0",
      kind: "multishot",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    31,
    {
      name: "sendMessage",
      syscall: "sendmsg",
      since: "5.3",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    32,
    {
      name: "receiveMessage",
      syscall: "recvmsg",
      since: "5.3",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    41,
    {
      name: "sendFile",
      syscall: "sendfile",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    42,
    {
      name: "link",
      syscall: "link",
      since: "5.15",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    43,
    {
      name: "symlink",
      syscall: "symlink",
      since: "5.15",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    44,
    {
      name: "readlink",
      syscall: "readlink",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
]);

/** The engine's counters, in the order of its array. */
export const COUNTER_NAMES = [
  "submitted",
  "completed",
  "refused",
  "inFlight",
  "inFlightMost",
  "systemCalls",
  "wakeUps",
  "gatheredSends",
  "cancels",
  "overflows",
  "descriptors",
  "buffers",
  "bufferBytes",
  "registeredBytes",
  "buffersHeld",
  "releasesRefused",
  "zeroCopySends",
  "zeroCopyBytes",
  "zeroCopyCopied",
  "zeroCopyFallenBack",
  "zeroCopyUnreleased",
  "zeroCopyChunks",
  "zeroCopyChunkBytes",
  "zeroCopyChunksHeld",
  "zeroCopyRefused",
  "zeroCopyRefillFull",
  "zeroCopyFlushes",
] as const;
