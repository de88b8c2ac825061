// The engine as TypeScript sees it: the functions that native/node/addon.cc exports.

/** An address as the engine says it; the path of a unix socket is bytes. */
export type NativeName = [family: number, port: number, host: string | Uint8Array];

export interface NativeSession {
  /** 0, or the errno that explains why there is no engine; `reason` says it in words. */
  readonly failure: number;
  readonly reason: string;
  /** What to change, when there is no engine; may be empty. */
  readonly advice: string;
  /** Opcodes that the backend's kernel lacks, so that the engine makes the call itself. */
  readonly lacking: readonly number[];
  /** FEATURE_* of the engine, as bits. */
  readonly features: number;
  readonly backend: string;
  /** Slots for operations that there are by now, and at most. */
  readonly slots: number;
  readonly maxSlots: number;
  /** Makes more slots, and says how many there are then; 0 when it is closed. */
  grow(): number;
  /** Of the area that was asked for: whether it is there, why, and what to change. */
  readonly area: { available: boolean; reason: string; advice: string };
  /** How many operations have completed already. */
  submit(): number;
  /** Detached mode only: completions published. */
  poll(deadlineNs: number): number;
  activate(): void;
  /** Attached mode only: something was queued while the header says that the event loop sleeps. */
  wake(): void;
  /** A handle, or -1 when there are too many. The memory begins where the view does. */
  addBuffer(memory: Uint8Array, sizeBytes: number, register: boolean, hold: boolean): number;
  releaseBuffer(handle: number): boolean;
  /** A group of lent memory, or a negative errno. */
  addGroup(returned: ArrayBuffer, capacity: number, messages: boolean): number;
  provideBuffers(
    group: number,
    buffer: number,
    offset: number,
    strideBytes: number,
    bufferBytes: number,
    count: number,
  ): number;
  removeGroup(group: number): number;
  /** The area's group, or a negative errno. */
  addArea(words: ArrayBuffer, capacity: number): number;
  /** Level and name are the system's own numbers. 0, or a negative errno. */
  setOption(descriptor: number, level: number, name: number, value: number | Uint8Array): number;
  /** How many bytes the system has written into `into`, or a negative errno. */
  getOption(descriptor: number, level: number, name: number, into: Uint8Array): number;
  /** Sets from how many bytes on "auto" spares the copy; with -1 it only says it. */
  zeroCopyThreshold(descriptor: number, bytes: number): number;
  /** A descriptor for a duplicate of the system's number, or a negative errno. */
  borrow(number: number): number;
  /** Takes over a number of the system; a negative errno when that stays its owner's. */
  adopt(number: number): number;
  /** One that came over a socket blocks from now on, also for those that share it. */
  setBlocking(descriptor: number): void;
  /** By DESCRIPTOR_KIND_*: the ends of a pipe, or two connected sockets; or a negative errno. */
  openPair(kind: number): [descriptor: number, descriptor: number] | number;
  /** DESCRIPTOR_KIND_*, or a negative errno. */
  kindOf(descriptor: number): number;
  /** A descriptor that is readable when the process has ended, or a negative errno. */
  openProcess(process: number): number;
  processEnd(descriptor: number): [hasCode: boolean, value: number] | number;
  /** 0, or a negative errno; the group and its source are records of addresses. */
  changeGroup(
    descriptor: number,
    joins: boolean,
    interfaceIndex: number,
    group: Uint8Array,
    source: Uint8Array | null,
  ): number;
  /** A process of -1 is not known. */
  peerCredentials(descriptor: number): [process: number, user: number, group: number] | number;
  openNotifier(): [descriptor: number, id: number] | number;
  /** How many values it was given, or a negative errno. */
  takeNotifications(id: number, descriptor: number, values: Int32Array): number;
  closeNotifier(id: number): void;
  /** A descriptor that is readable when one of these signals has come, or a negative errno. */
  openSignals(numbers: readonly number[]): number;
  /** The number of the next signal; 0 or less when there is none. */
  takeSignal(descriptor: number): number;
  /** Before the descriptor is closed. */
  closeSignals(descriptor: number): void;
  /** Whether operations of a descriptor, or of all with -1, keep the event loop alive. */
  setRef(descriptor: number, keeps: boolean): void;
  name(descriptor: number, peer: boolean): NativeName | number;
  /** The file at this path goes with the socket that is bound to it; 0 or a negative errno. */
  ownFile(descriptor: number, path: string): number;
  counters(out: Float64Array): void;
  /** Of one socket; 0 or a negative errno. */
  socketCounters(descriptor: number, out: Float64Array): number;
  /** Cancels what is in flight until nothing is, also what starts later. */
  endAll(): void;
  /** The call that has failed, and its errno, when the engine can carry out nothing any more. */
  loss(): [call: string, errno: number] | null;
  close(): void;
}

/** Memory for a queue of a network device to write to; "" as interface: no device. */
export interface NativeArea {
  readonly interface: string;
  readonly queue: number;
  readonly memory: ArrayBuffer;
  readonly start: number;
  readonly sizeBytes: number;
}

export interface NativeCandidate {
  readonly name: string;
  readonly available: boolean;
  /** "auto" takes it, unless there is a better one. */
  readonly automatic: boolean;
  /** Its error is one that "auto" reports instead of falling back. */
  readonly endsSearch: boolean;
  readonly reason: string;
  readonly advice: string;
  readonly lacking: readonly number[];
  /** FEATURE_* of the engine, as bits. */
  readonly features: number;
}

export interface Native {
  readonly Session: new (
    backend: string,
    entries: number,
    maxSlots: number,
    attached: boolean,
    waitElsewhere: boolean,
    shared: ArrayBuffer,
    dispatch: (published: number) => void,
    area?: NativeArea,
    taskrun?: string,
  ) => NativeSession;
  /** `taskrun` as for a session: "defer" or "coop", anything else leaves it to the engine. */
  probe(taskrun?: string): NativeCandidate[];
  /** With "" as interface only the kernel and the rights are tried. */
  probeZeroCopyReceive(
    networkInterface: string,
    queue: number,
  ): { available: boolean; reason: string; advice: string };
  /** Limits in force now: Infinity for none, -1 when nobody knows. */
  processLimits(): { lockedMemoryBytes: number; descriptors: number };
  /** DESCRIPTOR_KIND_* of a number of the system, or a negative errno. */
  kindOf(number: number): number;
  /** The cids of this machine for vsock, or a negative errno. The kernel may load its module. */
  vsockCids(): readonly number[] | number;
  /** A value for a notifier of any thread of the process; 0 or a negative errno. */
  notify(id: number, value: number): number;
  /** Where other code has set handlers above those of the signals that are taken. */
  takeSignalsAgain(): void;
  /** Name and text of an error number of the system, which is positive here. */
  errorName(errno: number): readonly [name: string, text: string] | undefined;
  /** The address of a buffer's memory, modulo `alignment`. */
  addressRemainder(buffer: ArrayBuffer, alignment: number): number;
  /** Writes the record of an address; 0, or a negative errno. */
  writeAddress(family: number, port: number, host: string | Uint8Array, record: Uint8Array): number;
  readAddress(record: Uint8Array): NativeName | number;
  /** Levels and options of sockets by name, those that this system has. */
  readonly socketConstants: Readonly<Record<string, number>>;
  /** Whether memory stays alive although its ArrayBuffer is detached. */
  readonly holdsMemory: boolean;
  /** The size of the system's pages. */
  readonly pageBytes: number;
  /** The version of the package that it was built for. */
  readonly version: string;
}
