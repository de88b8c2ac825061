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
export const OPCODE_LOCK = 45;
export const OPCODE_UNLOCK = 46;
export const OPCODE_ADVISE = 47;
export const OPCODE_SYNC_RANGE = 48;
export const OPCODE_FCHMOD = 49;
export const OPCODE_FCHOWN = 50;
export const OPCODE_FUTIMES = 51;
export const OPCODE_GET_XATTR = 52;
export const OPCODE_SET_XATTR = 53;
export const OPCODE_LIST_XATTR = 54;
export const OPCODE_REMOVE_XATTR = 55;
export const OPCODE_COPY_RANGE = 56;
export const OPCODE_REFLINK = 57;
export const OPCODE_FSTATFS = 58;
export const OPCODE_LINK_DESCRIPTOR = 59;
export const OPCODE_READ_DIRECTORY = 65;
export const OPCODE_REALPATH = 66;
export const OPCODE_CHMOD = 67;
export const OPCODE_CHOWN = 68;
export const OPCODE_UTIMES = 69;
export const OPCODE_ACCESS = 70;
export const OPCODE_STATFS = 71;
export const OPCODE_WATCH = 72;
export const OPCODE_WATCH_ADD = 73;
export const OPCODE_WATCH_REMOVE = 74;
export const OPCODE_GET_XATTR_AT = 75;
export const OPCODE_SET_XATTR_AT = 76;
export const OPCODE_LIST_XATTR_AT = 77;
export const OPCODE_REMOVE_XATTR_AT = 78;
export const OPCODE_PEEK_MESSAGE = 80;
export const OPCODE_COPY_FILE = 87;
export const OPCODE_PEEK = 90;
export const OPCODE_RECEIVE_VECTORED = 91;
export const OPCODE_DISCONNECT = 92;
export const OPCODE_POLL = 115;
export const OPCODE_POLL_MULTISHOT = 116;
export const OPCODE_DETACH = 117;
export const OPCODE_SEND_CONTROL = 118;
export const OPCODE_RECEIVE_CONTROL = 119;

export const ENTRY_FLAG_LINKED = 256;
export const ENTRY_FLAG_DEADLINE = 512;
export const ENTRY_FLAG_UNREF = 1024;
export const ENTRY_RESOLVE_SHIFT = 11;
export const ENTRY_FLAG_HARD_LINK = 16384;
export const ENTRY_FLAGS_ALL = 32512;
export const SECOND_RESOLVE_SHIFT = 8;
export const RESOLVE_NO_SYMLINKS = 1;
export const RESOLVE_BENEATH = 2;
export const RESOLVE_IN_ROOT = 4;
export const RESOLVE_ALL = 7;
export const NO_DIRECTORY = 4294967295;
export const CHAIN_DESCRIPTOR = 4294967294;
export const RENAME_NO_REPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const COPY_REFLINK = 1;
export const COPY_REFLINK_ONLY = 2;
export const COPY_TIMES = 4;
export const COPY_FLAGS_ALL = 7;
export const COPY_LIMIT_BYTES = 16777216;
export const DIRECTORY_ENTRY_HEAD_BYTES = 3;
export const DIRECTORY_BUFFER_MIN_BYTES = 4096;
export const KIND_UNKNOWN = 0;
export const KIND_FILE = 1;
export const KIND_DIRECTORY = 2;
export const KIND_LINK = 3;
export const KIND_FIFO = 4;
export const KIND_SOCKET = 5;
export const KIND_CHARACTER_DEVICE = 6;
export const KIND_BLOCK_DEVICE = 7;
export const COMPLETION_FLAG_MORE = 1;
export const COMPLETION_FLAG_REFUSED = 2;
export const COMPLETION_FLAG_BUFFER = 4;
export const COMPLETION_FLAG_OPEN = 8;
export const COMPLETION_BUFFER_SHIFT = 8;
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
export const MAX_GROUPS = 256;
export const MAX_GROUP_BUFFERS = 32768;
export const MAX_CHUNKS = 1048576;
export const MIN_AREA_BYTES = 65536;
export const MAX_AREA_BYTES = 1073741824;
export const MIN_ENTRIES = 128;
export const MAX_ENTRIES = 32768;
export const MAX_IN_FLIGHT_LIMIT = 1000000;
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
export const OPEN_FLAG_DATA_SYNC = 512;
export const OPEN_FLAG_TEMPORARY = 1024;
export const OPEN_FLAG_NO_ACCESS_TIME = 2048;
export const OPEN_FLAGS_ALL = 4095;
export const WRITE_FLAG_DATA_SYNC = 1;
export const WRITE_FLAG_UNCACHED = 2;
export const WRITE_FLAG_ATOMIC = 4;
export const WRITE_FLAG_APPEND = 8;
export const WRITE_FLAG_NO_WAIT = 16;
export const WRITE_FLAGS_ALL = 31;
export const ALLOCATE_GROW = 0;
export const ALLOCATE_KEEP_SIZE = 1;
export const ALLOCATE_PUNCH_HOLE = 2;
export const ALLOCATE_ZERO_RANGE = 3;
export const ALLOCATE_COLLAPSE = 4;
export const ALLOCATE_INSERT = 5;
export const ADVICE_NORMAL = 0;
export const ADVICE_SEQUENTIAL = 1;
export const ADVICE_RANDOM = 2;
export const ADVICE_WILL_NEED = 3;
export const ADVICE_DONT_NEED = 4;
export const ADVICE_NO_REUSE = 5;
export const XATTR_ANY = 0;
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
export const XATTR_OF_LINK = 4;
export const XATTR_PATH_SHIFT = 3;
export const STATFS_TYPE = 0;
export const STATFS_BLOCK_SIZE_BYTES = 1;
export const STATFS_BLOCKS = 2;
export const STATFS_FREE_BLOCKS = 3;
export const STATFS_AVAILABLE_BLOCKS = 4;
export const STATFS_FILES = 5;
export const STATFS_FREE_FILES = 6;
export const STATFS_FIELDS = 7;
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
export const FAMILY_VSOCK = 4;
export const POLL_READABLE = 1;
export const POLL_WRITABLE = 2;
export const POLL_HANG_UP = 4;
export const POLL_ERROR = 8;
export const DESCRIPTOR_KIND_OTHER = 0;
export const DESCRIPTOR_KIND_FILE = 1;
export const DESCRIPTOR_KIND_SOCKET = 2;
export const DESCRIPTOR_KIND_LISTENER = 3;
export const DESCRIPTOR_KIND_DATAGRAM = 4;
export const DESCRIPTOR_KIND_PIPE = 5;
export const DESCRIPTOR_KIND_TERMINAL = 6;
export const DESCRIPTOR_KIND_DEVICE = 7;
export const CONTROL_FLAGS = 0;
export const CONTROL_SEGMENT_BYTES = 1;
export const CONTROL_TOS = 2;
export const CONTROL_TTL = 3;
export const CONTROL_INTERFACE = 4;
export const CONTROL_DROPS = 5;
export const CONTROL_DESCRIPTORS = 6;
export const CONTROL_SECONDS = 32;
export const CONTROL_NANOSECONDS = 40;
export const CONTROL_PEER = 64;
export const CONTROL_LOCAL = 192;
export const CONTROL_LIST = 320;
export const MAX_PASSED = 253;
export const CONTROL_SIZE_BYTES = 1336;
export const CONTROL_HAS_SEGMENTS = 1;
export const CONTROL_HAS_TOS = 2;
export const CONTROL_HAS_TTL = 4;
export const CONTROL_HAS_LOCAL = 8;
export const CONTROL_HAS_TIME = 16;
export const CONTROL_HAS_DROPS = 32;
export const CONTROL_HAS_PEER = 64;
export const CONTROL_WAS_TRUNCATED = 128;
export const SOCKET_KIND_STREAM = 1;
export const SOCKET_KIND_DATAGRAM = 2;
export const SOCKET_KIND_SEQPACKET = 3;
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
export const SEND_MORE = 512;
export const SHUTDOWN_RECEIVE = 1;
export const SHUTDOWN_SEND = 2;
export const SHUTDOWN_BOTH = 3;
export const FEATURE_SEND_ZERO_COPY = 1;
export const FEATURE_SEND_VECTORS_ZERO_COPY = 2;
export const FEATURE_REPORTS_COPIES = 4;
export const FEATURE_REGISTERED_VECTORS = 8;
export const FEATURE_WRITE_DATA_SYNC = 16;
export const FEATURE_WRITE_UNCACHED = 32;
export const FEATURE_WRITE_ATOMIC = 64;
export const FEATURE_WRITE_APPEND = 128;
export const FEATURE_WRITE_NO_WAIT = 256;
export const FEATURE_WATCH_KQUEUE = 512;
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
export const STAT_MOUNT = 13;
export const STAT_DIRECT_MEMORY_BYTES = 14;
export const STAT_DIRECT_POSITION_BYTES = 15;
export const STAT_ATOMIC_MIN_BYTES = 16;
export const STAT_ATOMIC_MAX_BYTES = 17;
export const STAT_ATOMIC_SEGMENTS = 18;
export const STAT_EXACT_INODE = 19;
export const STAT_EXACT_SIZE = 20;
export const STAT_ACCESSED_NS = 21;
export const STAT_MODIFIED_NS = 22;
export const STAT_CHANGED_NS = 23;
export const STAT_CREATED_NS = 24;
export const STAT_EXACT_MOUNT = 25;
export const STAT_FIELDS = 26;

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

/**
 * The names of the operations.
 *
 * @category Diagnostics
 */
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
  | "readlink"
  | "lock"
  | "unlock"
  | "advise"
  | "syncRange"
  | "fchmod"
  | "fchown"
  | "futimes"
  | "getXattr"
  | "setXattr"
  | "listXattr"
  | "removeXattr"
  | "copyRange"
  | "reflink"
  | "fstatfs"
  | "linkDescriptor"
  | "readDirectory"
  | "realpath"
  | "chmod"
  | "chown"
  | "utimes"
  | "access"
  | "statfs"
  | "watch"
  | "watchAdd"
  | "watchRemove"
  | "getXattrAt"
  | "setXattrAt"
  | "listXattrAt"
  | "removeXattrAt"
  | "peekMessage"
  | "copyFile"
  | "peek"
  | "receiveVectored"
  | "disconnect"
  | "poll"
  | "pollMultishot"
  | "detach"
  | "sendControl"
  | "receiveControl";

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
  [
    45,
    {
      name: "lock",
      syscall: "fcntl",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    46,
    {
      name: "unlock",
      syscall: "fcntl",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    47,
    {
      name: "advise",
      syscall: "posix_fadvise",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    48,
    {
      name: "syncRange",
      syscall: "sync_file_range",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    49,
    {
      name: "fchmod",
      syscall: "fchmod",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    50,
    {
      name: "fchown",
      syscall: "fchown",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    51,
    {
      name: "futimes",
      syscall: "futime",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    52,
    {
      name: "getXattr",
      syscall: "fgetxattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    53,
    {
      name: "setXattr",
      syscall: "fsetxattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    54,
    {
      name: "listXattr",
      syscall: "flistxattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    55,
    {
      name: "removeXattr",
      syscall: "fremovexattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    56,
    {
      name: "copyRange",
      syscall: "copy_file_range",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    57,
    {
      name: "reflink",
      syscall: "ioctl",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    58,
    {
      name: "fstatfs",
      syscall: "fstatfs",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    59,
    {
      name: "linkDescriptor",
      syscall: "linkat",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    65,
    {
      name: "readDirectory",
      syscall: "scandir",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    66,
    {
      name: "realpath",
      syscall: "realpath",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    67,
    {
      name: "chmod",
      syscall: "chmod",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    68,
    {
      name: "chown",
      syscall: "chown",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    69,
    {
      name: "utimes",
      syscall: "utime",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    70,
    {
      name: "access",
      syscall: "access",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    71,
    {
      name: "statfs",
      syscall: "statfs",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    72,
    {
      name: "watch",
      syscall: "inotify_init1",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    73,
    {
      name: "watchAdd",
      syscall: "inotify_add_watch",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    74,
    {
      name: "watchRemove",
      syscall: "inotify_rm_watch",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    75,
    {
      name: "getXattrAt",
      syscall: "getxattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    76,
    {
      name: "setXattrAt",
      syscall: "setxattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    77,
    {
      name: "listXattrAt",
      syscall: "listxattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    78,
    {
      name: "removeXattrAt",
      syscall: "removexattr",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    80,
    {
      name: "peekMessage",
      syscall: "recvmsg",
      since: "5.3",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    87,
    {
      name: "copyFile",
      syscall: "copyfile",
      since: "",
      kind: "file",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    90,
    {
      name: "peek",
      syscall: "recv",
      since: "5.6",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    91,
    {
      name: "receiveVectored",
      syscall: "recvmsg",
      since: "5.3",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    92,
    {
      name: "disconnect",
      syscall: "connect",
      since: "",
      kind: "call",
      madeByEngine: true,
      endsOthers: false,
    },
  ],
  [
    115,
    {
      name: "poll",
      syscall: "poll",
      since: "5.1",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    116,
    {
      name: "pollMultishot",
      syscall: "poll",
      since: "5.13",
      kind: "multishot",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    117,
    {
      name: "detach",
      syscall: "close",
      since: "",
      kind: "close",
      madeByEngine: false,
      endsOthers: true,
    },
  ],
  [
    118,
    {
      name: "sendControl",
      syscall: "sendmsg",
      since: "5.3",
      kind: "stream",
      madeByEngine: false,
      endsOthers: false,
    },
  ],
  [
    119,
    {
      name: "receiveControl",
      syscall: "recvmsg",
      since: "5.3",
      kind: "stream",
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
  "maxInFlight",
  "systemCalls",
  "wakeUps",
  "coalescedSends",
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
