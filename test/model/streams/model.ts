// One direction of a connection: the bytes that were sent and received, and the rule between the
// two.
//
// A receiver gets a prefix of the bytes that the sends took, in the order of the sends. The length
// of a send is known when it has completed, which may be after its bytes were received, so the
// bytes wait here until it is.

import { contentOf, TELLING_BYTES } from "./content.js";

/** What the model does not allow. */
export class Violation extends Error {}

/** What one send was given. */
export class Payload {
  readonly id: number;
  readonly sizeBytes: number;
  /** How many of its bytes were taken; null while that is not known. */
  taken: number | null = null;
  /** It ended without saying how much was taken, so any part of its beginning may arrive. */
  cut = false;

  readonly #own: Uint8Array | null;

  constructor(id: number, sizeBytes: number, own: Uint8Array | null = null) {
    this.id = id;
    this.sizeBytes = sizeBytes;
    this.#own = own;
  }

  /** The first of its bytes: its content is its own, unless it was received before. */
  bytes(count: number): Uint8Array {
    return this.#own?.subarray(0, count) ?? contentOf(this.id, count);
  }

  /** How many of its bytes may arrive at most, as far as one knows. */
  get maxBytes(): number {
    return this.taken ?? this.sizeBytes;
  }
}

let payloads = 0;

/** Every program counts from the beginning, so that it does the same each time. */
export function restartPayloadIds(): void {
  payloads = 0;
}

export class Stream {
  readonly name: string;
  readonly #payloads: Payload[] = [];
  /** The first payload that has not wholly arrived, and how much of it has. */
  #at = 0;
  #arrived = 0;
  readonly #uncompared: Uint8Array[] = [];
  /** Bytes received so far. */
  received = 0;
  /** The sender has begun to end it: by a shutdown, or by closing. */
  ending = false;
  /** The end has reached the system: the receiver must get to see it. */
  ended = false;
  /** Bytes may be lost on the way, because the sender vanished in a way that a network reports. */
  lossy = false;
  /** The receiver closed, or shut its direction down. */
  receiverGone = false;
  /** Bytes that were sent after that. */
  sentIntoNothing = 0;
  #endSeenAt: number | null = null;

  constructor(name: string) {
    this.name = name;
  }

  begin(sizeBytes: number, own: Uint8Array | null = null): Payload {
    const payload = new Payload(payloads++, sizeBytes, own);
    this.#payloads.push(payload);
    return payload;
  }

  /** A send has completed; null when it does not say how much it took. */
  sent(payload: Payload, taken: number | null): void {
    if (payload.taken !== null || payload.cut) throw new Violation(`${this.name}: sent twice`);
    if (taken === null) payload.cut = true;
    else payload.taken = taken;
    if (this.receiverGone) this.sentIntoNothing += taken ?? payload.sizeBytes;
    this.#compare();
  }

  receive(bytes: Uint8Array): void {
    if (this.#endSeenAt !== null && !this.receiverGone) {
      throw new Violation(`${this.name}: ${bytes.length} bytes after the end of the stream`);
    }
    this.received += bytes.length;
    if (this.received > this.#maxBytes()) {
      const more = this.received - this.#maxBytes();
      throw new Violation(`${this.name}: ${more} bytes more were received than sent`);
    }
    this.#uncompared.push(bytes);
    this.#compare();
  }

  /** The receiver has got the end of the stream. */
  end(): void {
    if (!this.ending && !this.lossy && !this.receiverGone) {
      throw new Violation(`${this.name}: an end of the stream that has no cause`);
    }
    this.#endSeenAt ??= this.received;
  }

  get endSeen(): boolean {
    return this.#endSeenAt !== null;
  }

  /** Bytes that a receive must give, because the system has them. */
  get available(): number {
    return this.#known() - this.received;
  }

  /** Whether no send is in flight. */
  get settled(): boolean {
    return this.#payloads.every((payload) => payload.taken !== null || payload.cut);
  }

  /** Bytes on their way at most. */
  get maxOutstanding(): number {
    return this.#maxBytes() - this.received;
  }

  /** Whether received bytes can be the beginning of this stream. */
  mayBegin(bytes: Uint8Array): boolean {
    let at = 0;
    for (const payload of this.#payloads) {
      const size = Math.min(payload.maxBytes, bytes.length - at);
      if (!equal(bytes.subarray(at, at + size), payload.bytes(size))) return false;
      at += size;
      if (at === bytes.length) return true;
      if (payload.taken === null) return true; // the rest depends on how much of it was taken
    }
    return at === bytes.length;
  }

  /** At the end of a program: everything that was received was sent, and nothing is missing. */
  check(everything: boolean): void {
    this.#compare();
    if (this.#uncompared.length > 0) {
      throw new Violation(`${this.name}: bytes were received that were never sent`);
    }
    const whole = everything || (this.#endSeenAt !== null && !this.receiverGone);
    if (!whole || this.lossy || this.#payloads.some((payload) => payload.cut)) return;
    if (this.available === 0) return;
    throw new Violation(`${this.name}: ${this.available} bytes are missing at the end`);
  }

  #maxBytes(): number {
    return this.#payloads.reduce((sum, payload) => sum + payload.maxBytes, 0);
  }

  #known(): number {
    return this.#payloads.reduce((sum, payload) => sum + (payload.taken ?? 0), 0);
  }

  #compare(): void {
    for (;;) {
      const payload = this.#payloads[this.#at];
      const bytes = this.#uncompared[0];
      if (payload === undefined || bytes === undefined) return;
      if (payload.taken === null && !payload.cut) return;
      const size = Math.min(payload.maxBytes - this.#arrived, bytes.length);
      const expected = payload.bytes(payload.maxBytes).subarray(this.#arrived);
      if (!equal(bytes.subarray(0, size), expected.subarray(0, size))) {
        throw new Violation(
          `${this.name}: wrong bytes, in payload ${this.#at} from ${this.#arrived}`,
        );
      }
      this.#arrived += size;
      if (size === bytes.length) this.#uncompared.shift();
      else this.#uncompared[0] = bytes.subarray(size);
      if (this.#arrived < payload.maxBytes) continue;
      this.#at++;
      this.#arrived = 0;
    }
  }
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** What arrives at a side whose peer may not be known yet: the bytes tell. */
export class Inbox {
  readonly name: string;
  stream: Stream | null = null;
  readonly #candidates: () => Side[];
  #unresolved: Uint8Array<ArrayBufferLike> = new Uint8Array();
  #endSeen = false;

  constructor(name: string, candidates: () => Side[]) {
    this.name = name;
    this.#candidates = candidates;
  }

  /** Gives the peer when these bytes tell which one it is. */
  receive(bytes: Uint8Array): Side | null {
    if (this.stream !== null) {
      this.stream.receive(bytes);
      return null;
    }
    this.#unresolved = Buffer.concat([this.#unresolved, bytes]);
    const possible = this.#possible();
    if (possible.length > 1 || this.#unresolved.length < TELLING_BYTES) return null;
    return possible[0] ?? null;
  }

  end(): void {
    this.#endSeen = true;
    this.stream?.end();
  }

  resolve(stream: Stream): void {
    this.stream = stream;
    if (this.#unresolved.length > 0) stream.receive(this.#unresolved);
    if (this.#endSeen) stream.end();
  }

  check(): void {
    if (this.stream === null && this.#unresolved.length > 0) this.#possible();
  }

  #possible(): Side[] {
    const possible = this.#candidates().filter((side) => side.out.mayBegin(this.#unresolved));
    if (possible.length > 0) return possible;
    throw new Violation(`${this.name}: ${this.#unresolved.length} bytes that no peer sent`);
  }
}

/** One end of a connection, ours or a plain peer's. */
export class Side {
  readonly name: string;
  readonly isUnix: boolean;
  readonly out: Stream;
  readonly inbox: Inbox;
  other: Side | null = null;
  /** It is closed, or being closed. */
  gone = false;
  /** It shut down its receiving direction. */
  deaf = false;

  constructor(name: string, isUnix: boolean, candidates: () => Side[] = () => []) {
    this.name = name;
    this.isUnix = isUnix;
    this.out = new Stream(`${name} -> `);
    this.inbox = new Inbox(`-> ${name}`, candidates);
  }

  /** Two sides are found to be the ends of one connection. */
  pair(other: Side): void {
    if (this.other === other) return;
    if (this.other !== null || other.other !== null) {
      throw new Violation(`${this.name} and ${other.name} have other peers`);
    }
    this.other = other;
    other.other = this;
    for (const side of [this, other]) {
      if (side.gone || side.deaf) (side.other as Side).out.receiverGone = true;
    }
    this.inbox.resolve(other.out);
    other.inbox.resolve(this.out);
  }

  /** It is being closed, or has been destroyed: what it had not read decides what its peer sees. */
  leave(abruptly: boolean): void {
    if (this.gone) return;
    this.gone = true;
    const incoming = this.inbox.stream;
    this.out.ending = true;
    // TCP answers unread data with a reset, and a reset loses the bytes under way.
    const unread = incoming === null || incoming.maxOutstanding > 0;
    if (!this.isUnix && (abruptly || unread)) this.out.lossy = true;
    if (incoming !== null) incoming.receiverGone = true;
  }

  /** It will not receive again. */
  stopReceiving(): void {
    this.deaf = true;
    if (this.inbox.stream !== null) this.inbox.stream.receiverGone = true;
  }

  /** It neither sends nor receives any more: TCP then answers what still comes with a reset. */
  get shut(): boolean {
    return this.gone || (this.deaf && this.out.ending);
  }

  /** Whether a receive may report that the connection was reset. */
  get mayBeReset(): boolean {
    const { other } = this;
    if (other === null) return true; // one cannot know
    return this.isUnix ? other.gone : other.shut || this.shut;
  }

  /** Whether a send may fail because the peer will not receive. */
  get mayFailToSend(): boolean {
    const { other } = this;
    if (other === null || other.gone || this.mayBeReset) return true;
    return this.out.ending || (this.isUnix && other.deaf);
  }

  /** At the end of a program. `everything`: all that was sent must have arrived. */
  check(everything: boolean): void {
    const incoming = this.inbox.stream;
    if (!this.isUnix && this.shut && (incoming?.sentIntoNothing ?? 1) > 0) this.out.lossy = true;
    this.inbox.check();
    if (this.other !== null) this.out.check(everything && !this.other.gone && !this.other.deaf);
  }
}
