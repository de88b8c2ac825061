// The other end of a datagram, in memory that the engine reads and writes.
import { addressFrom, addressParts, type DatagramAddress } from "../address.js";
import * as abi from "../engine/abi.js";
import { loadNative } from "../engine/load.js";
import type { Region } from "../engine/memory.js";
import { bytesFromText } from "../engine/text.js";
import { valueError } from "../support/check.js";

const RECORD_WORDS = abi.PEER_SIZE_BYTES / 4;
/** The rest of the record says nothing of an IPv4 address. */
const IPV4_WORDS = abi.PEER_BYTES / 4 + 1;

/**
 * The sender or the receiver of a datagram: a record that the caller owns and uses again and again.
 * `ring.receiveMessage` writes the sender into it, and `ring.sendMessage` takes it as it is, so an
 * answer costs neither an allocation nor a look at the address.
 *
 * @category Datagrams
 *
 * @example
 * ```ts
 * import { Completion, IO, SocketAddress } from "@io/core";
 *
 * await using io = await IO.open();
 * await using socket = await io.openDatagram({ host: "127.0.0.1", port: 0 });
 * const { descriptor, localAddress } = socket;
 * const sender = new SocketAddress();
 * const received = new Uint8Array(1500);
 * await new Promise<void>((resolve) => {
 *   io.ring.receiveMessage(new Completion(), (_completion, count) => {
 *     process.stdout.write(`${count} bytes from port ${sender.address?.port}\n`);
 *     resolve();
 *   }, descriptor, received, sender);
 *   const to = SocketAddress.of(localAddress);
 *   io.ring.sendMessage(new Completion(), () => undefined, descriptor, Buffer.from("hello"), to);
 * });
 * ```
 */
export class SocketAddress {
  /** @internal */
  readonly record = new Uint8Array(abi.PEER_SIZE_BYTES);
  /** What a receive into it holds; one array for all of them. @internal */
  readonly held: Region[] = [];
  readonly #words = new Uint32Array(this.record.buffer);
  // Of the IPv4 host that was last read: many datagrams come from the same one.
  #hostWord = 0;
  #host = "0.0.0.0";

  /** @internal */
  static isOne(value: unknown): value is SocketAddress {
    return typeof value === "object" && value !== null && #words in value;
  }

  /**
   * Makes one with this address.
   *
   * @param address A numeric address with a port, or a path.
   * @returns the new record
   * @throws `ERR_INVALID_ARG_VALUE` when the host is not numeric, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`
   */
  static of(address: DatagramAddress): SocketAddress {
    const made = new SocketAddress();
    made.set(address);
    return made;
  }

  /**
   * Changes the address that it names.
   *
   * @param address A numeric address with a port, or a path.
   * @throws `ERR_INVALID_ARG_VALUE` when the host is not numeric, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`
   */
  set(address: DatagramAddress): void {
    this.name(address, "SocketAddress.set");
  }

  /** The same for another call, which its errors name. @internal */
  name(address: DatagramAddress, operation: string): void {
    const [number, port, text] = addressParts(address, operation);
    const { family } = address;
    if (number === abi.FAMILY_VSOCK) {
      throw valueError(operation, "a cid and a port of vsock are for streams alone");
    }
    const name = bytesFromText(text);
    const result = loadNative().writeAddress(number, port, name, this.record);
    if (result === 0) return;
    if (family === "unix") {
      const why = "cannot be the path of a unix socket: it is empty or too long";
      throw valueError(operation, `${JSON.stringify(text)} ${why}`);
    }
    const right = family === "ipv4" ? "IPv4 address such as 127.0.0.1" : "IPv6 address such as ::1";
    throw valueError(operation, `"${text}" is no ${right}: look a name up first, by node:dns`);
  }

  /** Takes the record that begins at this word. @internal */
  copyFrom(words: Uint32Array, at: number): void {
    const isIPv4 = words[at + abi.PEER_FAMILY] === abi.FAMILY_IPV4;
    const count = isIPv4 ? IPV4_WORDS : RECORD_WORDS;
    for (let index = 0; index < count; index++) this.#words[index] = words[at + index] as number;
  }

  /** The address; null when there is none, as of a unix socket that sent and was not bound. */
  get address(): DatagramAddress | null {
    const family = this.#words[abi.PEER_FAMILY] as number;
    if (family === 0) return null;
    if (family === abi.FAMILY_IPV4) {
      const port = this.#words[abi.PEER_PORT] as number;
      return { family: "ipv4", host: this.#ipv4Host(), port };
    }
    const name = loadNative().readAddress(this.record);
    if (typeof name === "number") throw new Error("the engine has written a record it cannot read");
    return addressFrom(...name) as DatagramAddress | null;
  }

  #ipv4Host(): string {
    const word = this.#words[abi.PEER_BYTES / 4] as number;
    if (word !== this.#hostWord) {
      const [a, b, c, d] = this.record.subarray(abi.PEER_BYTES, abi.PEER_BYTES + 4);
      this.#hostWord = word;
      this.#host = `${a}.${b}.${c}.${d}`;
    }
    return this.#host;
  }

  /** Whether what was received did not fit into the buffer: the rest of the datagram is lost. */
  get truncated(): boolean {
    return ((this.#words[abi.PEER_FLAGS] as number) & abi.PEER_FLAG_TRUNCATED) !== 0;
  }
}
