// The record of what goes beside the bytes of a message, which the engine reads and writes.
import type { DatagramAddress } from "../address.js";
import * as abi from "../engine/abi.js";
import type { Region } from "../engine/memory.js";
import type { Descriptor } from "../ring/types.js";
import { SocketAddress } from "../sockets/socket_address.js";

/**
 * What goes beside the bytes of a message (control messages): of a receive what came, and of a send
 * what goes. `io.ring.sendControl()` and `receiveControl()` take one; it may be used again when the
 * operation has completed.
 *
 * @category Ring
 *
 * @example
 * ```ts
 * import { Completion, IO, MessageControl } from "@io/core";
 *
 * await using io = await IO.open();
 * const [near, far] = io.socketPair();
 * await using file = await io.openFile("/dev/null");
 * const { ring } = io;
 * const sent = new MessageControl();
 * sent.descriptors = [file.descriptor];
 * ring.sendControl(new Completion(), () => {}, near.descriptor, Buffer.from("x"), sent);
 * const received = new MessageControl();
 * await new Promise<void>((resolve) => {
 *   const done = () => resolve();
 *   ring.receiveControl(new Completion(), done, far.descriptor, new Uint8Array(1), received);
 * });
 * process.stdout.write(`${received.descriptors.length}\n`);
 * await Promise.all([near.close(), far.close()]);
 * ```
 */
export class MessageControl {
  /** @internal */
  readonly record = new Uint8Array(abi.CONTROL_SIZE_BYTES);
  /** What a receive into it holds; one array for all of them. @internal */
  readonly held: Region[] = [];
  readonly #words = new Int32Array(this.record.buffer);
  readonly #doubles = new Float64Array(this.record.buffer, 0, abi.CONTROL_PEER / 8);
  readonly #address = new SocketAddress();

  /** @internal */
  static isOne(value: unknown): value is MessageControl {
    return typeof value === "object" && value !== null && #words in value;
  }

  /** What a send puts into the text area. @internal */
  get sentRecord(): Uint8Array {
    const count = this.#words[abi.CONTROL_DESCRIPTORS] as number;
    return this.record.subarray(0, abi.CONTROL_LIST + 4 * count);
  }

  /** How many descriptors there are. @internal */
  get count(): number {
    return this.#words[abi.CONTROL_DESCRIPTORS] as number;
  }

  /**
   * Bytes of each datagram that the message consists of: a send is cut into such datagrams (UDP
   * GSO), and a receive has them one after the other (UDP GRO). The last one may be shorter. Null:
   * it is one datagram.
   */
  get segmentBytes(): number | null {
    return this.#number(abi.CONTROL_HAS_SEGMENTS, abi.CONTROL_SEGMENT_BYTES);
  }
  /**
   * Cuts what is sent into datagrams.
   *
   * @param value Bytes of each; null for one datagram.
   */
  set segmentBytes(value: number | null) {
    this.#set(abi.CONTROL_HAS_SEGMENTS, abi.CONTROL_SEGMENT_BYTES, value);
  }

  /** The type of service, or traffic class; its lower two bits are ECN. Null: not known. */
  get tos(): number | null {
    return this.#number(abi.CONTROL_HAS_TOS, abi.CONTROL_TOS);
  }
  /**
   * Sends with this type of service, or traffic class.
   *
   * @param value 0 to 255; null for that of the socket.
   */
  set tos(value: number | null) {
    this.#set(abi.CONTROL_HAS_TOS, abi.CONTROL_TOS, value);
  }

  /** The time to live, or hop limit. Null: not known. */
  get ttl(): number | null {
    return this.#number(abi.CONTROL_HAS_TTL, abi.CONTROL_TTL);
  }
  /**
   * Sends with this time to live, or hop limit.
   *
   * @param value 1 to 255; null for that of the socket.
   */
  set ttl(value: number | null) {
    this.#set(abi.CONTROL_HAS_TTL, abi.CONTROL_TTL, value);
  }

  /** The number of the interface that it came by. Null: not known. */
  get interfaceIndex(): number | null {
    return this.#number(abi.CONTROL_HAS_LOCAL, abi.CONTROL_INTERFACE);
  }

  /** The address that it was sent to. Null: not known. */
  get localAddress(): DatagramAddress | null {
    if ((this.#flags & abi.CONTROL_HAS_LOCAL) === 0) return null;
    return this.#addressAt(abi.CONTROL_LOCAL);
  }

  /** When it came, in milliseconds since 1970, with fractions. Null: not known. */
  get timestampMs(): number | null {
    if ((this.#flags & abi.CONTROL_HAS_TIME) === 0) return null;
    const seconds = this.#doubles[abi.CONTROL_SECONDS / 8] as number;
    return seconds * 1000 + (this.#doubles[abi.CONTROL_NANOSECONDS / 8] as number) / 1e6;
  }

  /** Datagrams that the socket has dropped since it was opened. Null: not known. */
  get drops(): number | null {
    const count = this.#number(abi.CONTROL_HAS_DROPS, abi.CONTROL_DROPS);
    return count === null ? null : count >>> 0;
  }

  /** Of a receive: the sender; null when it has no address. */
  get sender(): DatagramAddress | null {
    return this.#addressAt(abi.CONTROL_PEER);
  }

  /** Of a receive: whether the message was longer than the buffer. */
  get truncated(): boolean {
    const flags = this.#words[abi.CONTROL_PEER / 4 + abi.PEER_FLAGS] as number;
    return (flags & abi.PEER_FLAG_TRUNCATED) !== 0;
  }

  /** Of a receive: whether descriptors, or other control messages, were lost. */
  get controlTruncated(): boolean {
    return (this.#flags & abi.CONTROL_WAS_TRUNCATED) !== 0;
  }

  /**
   * Of a send: the receiver.
   *
   * @param address The receiver; null for the peer of a connected socket.
   */
  set target(address: SocketAddress | null) {
    this.#flag(abi.CONTROL_HAS_PEER, address !== null);
    if (address !== null) this.record.set(address.record, abi.CONTROL_PEER);
  }

  /**
   * The descriptors of this IO that are passed, up to 253. Those of a send stay open and the
   * program's. Those of a receive are new ones, and the program closes them.
   */
  get descriptors(): Descriptor[] {
    return Array.from(this.#list.subarray(0, this.count));
  }
  /**
   * Passes descriptors with the next send.
   *
   * @param descriptors Up to 253 descriptors of this IO.
   */
  set descriptors(descriptors: readonly Descriptor[]) {
    this.#list.set(descriptors.slice(0, abi.MAX_PASSED));
    this.#words[abi.CONTROL_DESCRIPTORS] = Math.min(descriptors.length, abi.MAX_PASSED);
  }

  /** Nothing goes with the next send. */
  clear(): void {
    this.record.fill(0);
  }

  get #list(): Int32Array {
    return new Int32Array(this.record.buffer, abi.CONTROL_LIST, abi.MAX_PASSED);
  }

  get #flags(): number {
    return this.#words[abi.CONTROL_FLAGS] as number;
  }

  #flag(flag: number, on: boolean): void {
    this.#words[abi.CONTROL_FLAGS] = on ? this.#flags | flag : this.#flags & ~flag;
  }

  #number(flag: number, word: number): number | null {
    return (this.#flags & flag) === 0 ? null : (this.#words[word] as number);
  }

  #set(flag: number, word: number, value: number | null): void {
    this.#flag(flag, value !== null);
    this.#words[word] = value ?? 0;
  }

  #addressAt(place: number): DatagramAddress | null {
    this.#address.record.set(this.record.subarray(place, place + abi.PEER_SIZE_BYTES));
    return this.#address.address;
  }
}
