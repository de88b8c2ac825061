// The steps of a program that concern sockets: sends, receives, shutdowns, closes, and connections
// that come and go.

import type { Socket } from "@io/core";
import type { Layer } from "../files/steps.js";
import { contentOf } from "./content.js";
import type { HeldChunk } from "./held_chunks.js";
import { type Payload, type Side, Violation } from "./model.js";
import { CLOSED, type Operation, type OperationFields, REFUSED } from "./operation.js";
import { Peer, plainConnection, targetOf } from "./peer.js";
import type { Limit, StreamStep } from "./steps.js";
import { type Done, Endpoint, type OwnListener, type World } from "./world.js";

/** What memory is filled with before anything is received into it. */
export const UNTOUCHED = 0xa5;

type Step<D extends StreamStep["do"]> = Extract<StreamStep, { do: D }>;
type Fields = Omit<OperationFields, "layer">;

function limitOf(limitNs: Limit, layer: Layer): { limitNs?: number } {
  return limitNs === null || layer === "ring" ? {} : { limitNs };
}

/** Memory of some lengths is received into as several buffers, one of them without bytes. */
function scattered(memory: Uint8Array): Uint8Array[] {
  if (memory.length % 3 !== 0 || memory.length === 0) return [memory];
  const third = memory.length / 3;
  return [memory.subarray(0, third), memory.subarray(third, third), memory.subarray(third)];
}

function forget(from: Operation[], operation: Operation): void {
  const index = from.indexOf(operation);
  if (index !== -1) from.splice(index, 1);
}

/** Some lengths are sent as a list. */
function listed(content: Uint8Array): Uint8Array | Uint8Array[] {
  const middle = Math.floor(content.length / 2);
  if (content.length % 2 === 0) return content;
  return [content.subarray(0, middle), content.subarray(middle)];
}

export class Sockets {
  readonly #world: World;
  #names = 0;
  /** Memory of receives that have ended, which must not change any more. */
  readonly #released: { memory: Uint8Array; from: number; name: string }[] = [];
  /** Connections of plain peers that are being made. */
  connecting = 0;

  constructor(world: World) {
    this.#world = world;
  }

  // ---- making sides

  endpoint(
    descriptor: number,
    socket: Socket | null,
    isUnix: boolean,
    candidates?: () => Side[],
  ): Endpoint {
    this.#world.opened(descriptor);
    const name = `${isUnix ? "unix" : "tcp"} ${this.#names++}`;
    const endpoint = new Endpoint(name, isUnix, descriptor, socket, candidates);
    this.#world.endpoints.push(endpoint);
    return endpoint;
  }

  /** The layer that a step can use: a socket that the ring made has no promises. */
  #layer(endpoint: Endpoint, wanted: Layer): Layer {
    return endpoint.socket === null ? "ring" : wanted;
  }

  #mustFail(endpoint: Endpoint, layer: Layer): { mustFailWith?: number } {
    if (layer === "promise" && endpoint.handleClosed) return { mustFailWith: CLOSED };
    return endpoint.closing ? { mustFailWith: REFUSED } : {};
  }

  // ---- receiving

  receive(endpoint: Endpoint, { size, layer: wanted, limitNs }: Step<"receive">): void {
    if (endpoint.receivesAlone > 0 || endpoint.receivesUnknown) return;
    const layer = this.#layer(endpoint, wanted);
    const fields = {
      verb: "receive",
      on: endpoint,
      sizeBytes: size,
      ...limitOf(limitNs, layer),
      ...this.#mustFail(endpoint, layer),
    } as const;
    const memory = new Uint8Array(size).fill(UNTOUCHED);
    const parts = scattered(memory);
    const done = this.receiveDone(endpoint, memory);
    const { ring } = this.#world;
    const { descriptor } = endpoint;
    const socket = endpoint.socket as Socket;
    const operation =
      layer === "ring"
        ? this.#world.start(
            fields,
            (c, callback) =>
              parts.length > 1
                ? ring.receiveVectored(c, callback, descriptor, parts)
                : ring.receive(c, callback, descriptor, memory),
            done,
          )
        : this.#world.startPromise(
            fields,
            (options) =>
              parts.length > 1
                ? socket.receiveVectored(parts, options)
                : socket.receive(memory, options),
            done,
          );
    if (operation !== null) endpoint.receives.push(operation);
  }

  /** What a receive's completion means; `memory` is its own. */
  receiveDone(endpoint: Endpoint, memory: Uint8Array): (result: number, o: Operation) => void {
    return (result, operation) => {
      forget(endpoint.receives, operation);
      const count = Math.max(result, 0);
      this.#released.push({ memory, from: count, name: operation.name });
      if (result === 0) endpoint.inbox.end();
      if (result <= 0) return;
      const found = endpoint.inbox.receive(memory.slice(0, count));
      if (found !== null) endpoint.pair(found);
    };
  }

  receiveFull(endpoint: Endpoint, { size }: Step<"receiveFull">): void {
    const { socket } = endpoint;
    if (socket === null || endpoint.receives.length > 0 || endpoint.receivesUnknown) return;
    if (endpoint.closing || endpoint.receivesAlone > 0) return;
    endpoint.receivesAlone++;
    const memory = new Uint8Array(size);
    const operation = this.#world.startPromise(
      { verb: "receive", on: endpoint, sizeBytes: size },
      () => socket.receiveFull(memory),
      (result, ended) => {
        forget(endpoint.receives, ended);
        endpoint.receivesAlone--;
        // The bytes that it had received before it failed are not reported.
        if (result < 0) this.#receivesUnknown(endpoint);
        if (result > 0) {
          const found = endpoint.inbox.receive(memory.slice(0, result));
          if (found !== null) endpoint.pair(found);
        }
        if (result >= 0 && result < size) endpoint.inbox.end();
      },
    );
    // It may go on for long after bytes have come, so it is not among those that must complete.
    operation.composite = true;
    endpoint.receives.push(operation);
  }

  #receivesUnknown(endpoint: Endpoint): void {
    endpoint.receivesUnknown = true;
    endpoint.stopReceiving();
  }

  // ---- sending

  send(endpoint: Endpoint, { sizes, layer: wanted, limitNs }: Step<"send">): void {
    if (endpoint.sendsAlone > 0 || endpoint.sendsUnknown) return;
    const layer = this.#layer(endpoint, wanted);
    const size = sizes.reduce((sum, one) => sum + one, 0);
    const payload = endpoint.out.begin(size);
    const parts = partsOf(contentOf(payload.id, size), sizes);
    this.#startSend(endpoint, payload, parts, layer, limitNs, this.sendDone(endpoint));
  }

  burst(endpoint: Endpoint, { count, size, layer }: Step<"burst">): void {
    for (let number = 0; number < count; number++) {
      const sizes = [1 + ((size * (number + 1)) % 5000)];
      this.send(endpoint, { do: "send", socket: 0, sizes, layer, limitNs: null });
    }
  }

  /** Sends a held chunk from its place. */
  echo(endpoint: Endpoint, heldChunk: HeldChunk, wanted: Layer): void {
    if (endpoint.sendsAlone > 0 || endpoint.sendsUnknown) return;
    const layer = this.#layer(endpoint, wanted);
    const payload = endpoint.out.begin(heldChunk.bytes.length, heldChunk.bytes);
    const done = this.sendDone(endpoint);
    heldChunk.use(1);
    const released: Done = (result, operation) => {
      heldChunk.use(-1);
      done(result, operation);
    };
    if (!this.#startSend(endpoint, payload, [heldChunk.view()], layer, null, released))
      heldChunk.use(-1);
  }

  #startSend(
    endpoint: Endpoint,
    payload: Payload,
    parts: readonly Uint8Array[],
    layer: Layer,
    limitNs: Limit,
    done: Done,
  ): boolean {
    const fields: Fields = {
      verb: "send",
      on: endpoint,
      sizeBytes: payload.sizeBytes,
      payload,
      ...limitOf(limitNs, layer),
      ...this.#mustFail(endpoint, layer),
    };
    const { ring } = this.#world;
    const { descriptor } = endpoint;
    const socket = endpoint.socket as Socket;
    const [first] = parts;
    const single = parts.length === 1 && first !== undefined ? first : null;
    const operation =
      layer === "ring"
        ? this.#world.start(
            fields,
            (c, callback) =>
              single === null
                ? ring.sendVectored(c, callback, descriptor, parts)
                : ring.send(c, callback, descriptor, single),
            done,
          )
        : this.#world.startPromise(
            fields,
            (options) =>
              single === null ? socket.sendVectored(parts, options) : socket.send(single, options),
            done,
          );
    if (operation === null) endpoint.out.sent(payload, 0);
    else endpoint.beginSend(operation);
    return operation !== null;
  }

  sendDone(endpoint: Endpoint): (result: number, operation: Operation) => void {
    return (result, operation) => {
      forget(endpoint.sends, operation);
      const { payload } = operation.fields;
      if (payload !== undefined) endpoint.out.sent(payload, Math.max(result, 0));
    };
  }

  sendAll(endpoint: Endpoint, { size }: Step<"sendAll">): void {
    const { socket } = endpoint;
    if (socket === null || endpoint.sends.length > 0 || endpoint.sendsUnknown) return;
    if (endpoint.closing || endpoint.sendsAlone > 0) return;
    endpoint.sendsAlone++;
    const payload = endpoint.out.begin(size);
    const operation = this.#world.startPromise(
      { verb: "send", on: endpoint, sizeBytes: size, payload },
      () => socket.sendAll(listed(contentOf(payload.id, size))).then(() => size),
      (result, ended) => {
        forget(endpoint.sends, ended);
        endpoint.sendsAlone--;
        endpoint.out.sent(payload, result === size ? size : null);
        if (result < 0) endpoint.sendsUnknown = true;
      },
    );
    operation.composite = true;
    endpoint.beginSend(operation);
  }

  // ---- ending

  shutdown(endpoint: Endpoint, { how, layer: wanted }: Step<"shutdown">): void {
    // On a unix socket the sends of a plain peer would fail, and node:net then destroys it.
    if (how !== "send" && endpoint.isUnix && endpoint.other instanceof Peer) return;
    const layer = this.#layer(endpoint, wanted);
    const refused = this.#mustFail(endpoint, layer);
    const fields = { verb: "shutdown", on: endpoint, ...refused } as const;
    const { descriptor, socket } = endpoint;
    const done = (result: number): void => {
      if (result !== 0 || how === "receive") return;
      endpoint.shutdownDone = true;
      endpoint.out.ended = true;
    };
    const operation =
      layer === "ring"
        ? this.#world.start(
            fields,
            (c, callback) => this.#world.ring.shutdown(c, callback, descriptor, how),
            done,
          )
        : this.#world.startPromise(
            fields,
            () => (socket as Socket).shutdown(how).then(() => 0),
            done,
          );
    if (operation === null || refused.mustFailWith !== undefined) return;
    if (how !== "receive") endpoint.out.ending = true;
    if (how !== "send") endpoint.stopReceiving();
  }

  close(endpoint: Endpoint, wanted: Layer): void {
    // A stream that waits for memory is no operation, so the verb of the ring would not end it.
    const receiving = endpoint.stream !== null && !endpoint.closing;
    const layer = this.#layer(endpoint, receiving ? "promise" : wanted);
    const { descriptor, socket } = endpoint;
    if (layer === "promise" && endpoint.handleClosed) return; // the same promise again
    const refused = endpoint.closing ? { mustFailWith: REFUSED } : {};
    const fields = { verb: "close", on: endpoint, ...refused } as const;
    const inFlight = this.#world.on(endpoint);
    const done = (result: number): void => {
      if (result !== 0) return;
      this.#closed(endpoint);
    };
    if (layer === "promise") {
      this.#world.startPromise(fields, () => (socket as Socket).close().then(() => 0), done);
      endpoint.handleClosed = true;
    } else {
      const operation = this.#world.start(
        fields,
        (c, callback) => this.#world.ring.close(c, callback, descriptor),
        done,
      );
      if (operation === null) return;
    }
    if (endpoint.closing) return;
    endpoint.closing = true;
    endpoint.leave(false);
    this.#world.askToEndChains(inFlight);
  }

  #closed(endpoint: Endpoint): void {
    endpoint.closed = true;
    endpoint.out.ended = true;
    this.#world.open--;
    const left = this.#world.on(endpoint).filter(({ fields }) => {
      // The promises of one round settle after its callbacks.
      return (
        fields.layer === "ring" && fields.mustFailWith === undefined && fields.verb !== "close"
      );
    });
    if (left.length === 0) return;
    throw new Violation(`${endpoint.name} is closed, and ${left[0]?.name} is in flight on it`);
  }

  // ---- connections

  accept(listener: OwnListener, { limitNs, multishot }: Step<"accept">): void {
    if (listener.handle !== null) {
      this.#acceptPromise(listener, limitNs);
      return;
    }
    const refused = listener.gone ? { mustFailWith: REFUSED } : {};
    const verb = multishot ? "acceptMultishot" : "accept";
    const operation = this.#world.start(
      { verb, on: listener, ...refused },
      (c, callback) => this.#world.ring[verb](c, callback, listener.descriptor),
      (result, accept) => {
        if (accept.ended) forget(listener.accepts, accept);
        if (result > 0) this.#accepted(listener, result, null);
      },
    );
    if (operation !== null && !listener.gone) listener.accepts.push(operation);
  }

  #acceptPromise(listener: OwnListener, limitNs: Limit): void {
    let socket: Socket | null = null;
    const refused = listener.gone ? { mustFailWith: CLOSED } : {};
    const operation = this.#world.startPromise(
      { verb: "accept", on: listener, ...limitOf(limitNs, "promise"), ...refused },
      async (options) => {
        socket = (await listener.handle?.accept(options)) ?? null;
        return socket?.descriptor ?? 0;
      },
      (result, accept) => {
        forget(listener.accepts, accept);
        if (result > 0) this.#accepted(listener, result, socket);
      },
    );
    if (!listener.gone) listener.accepts.push(operation);
  }

  #accepted(listener: OwnListener, descriptor: number, socket: Socket | null): void {
    listener.accepted++;
    const candidates = (): Side[] => listener.connectors.filter((side) => side.other === null);
    const endpoint = this.endpoint(descriptor, socket, listener.isUnix, candidates);
    listener.acceptors.push(endpoint);
    this.#world.say(`     ${endpoint.name} was accepted on ${listener.name}`);
  }

  /** A new connection to one of our listeners; its bytes show who accepted it. */
  connect(listener: OwnListener, { layer, limitNs }: Step<"connect">): void {
    if (layer === "promise") {
      this.#connectPromise(listener, limitNs);
      return;
    }
    const { family } = listener.address;
    const { ring } = this.#world;
    this.#world.start(
      { verb: "socket" },
      (c, callback) => ring.socket(c, callback, family),
      (descriptor) => {
        if (descriptor <= 0 || this.#world.over) return;
        const candidates = (): Side[] => listener.acceptors.filter((side) => side.other === null);
        const endpoint = this.endpoint(descriptor, null, listener.isUnix, candidates);
        // Until it is connected no step may use it but a close.
        const at = this.#world.endpoints.indexOf(endpoint);
        this.#world.endpoints.splice(at, 1);
        const operation = this.#world.start(
          { verb: "connect", on: listener },
          (c, callback) => ring.connect(c, callback, descriptor, listener.address),
          (result) => {
            this.#world.endpoints.push(endpoint);
            if (result === 0) this.#connected(listener, endpoint);
            else if (!this.#world.over) this.close(endpoint, "ring");
          },
        );
        if (operation === null) this.#world.endpoints.push(endpoint);
      },
    );
  }

  #connectPromise(listener: OwnListener, limitNs: Limit): void {
    let socket: Socket | null = null;
    const { io } = this.#world;
    this.#world.startPromise(
      { verb: "connect", on: listener, ...limitOf(limitNs, "promise") },
      async (options) => {
        socket = await io.connect({ ...targetOf(listener.address), ...options });
        return 0;
      },
      (result) => {
        if (result !== 0 || socket === null) return;
        const candidates = (): Side[] => listener.acceptors.filter((side) => side.other === null);
        const endpoint = this.endpoint(socket.descriptor, socket, listener.isUnix, candidates);
        this.#connected(listener, endpoint);
      },
    );
  }

  #connected(listener: OwnListener, side: Side): void {
    listener.made++;
    listener.connectors.push(side);
    this.#world.say(`     ${side.name} is connected to ${listener.name}`);
  }

  closeListener(listener: OwnListener): void {
    if (listener.gone) return;
    const inFlight = this.#world.on(listener);
    listener.gone = true;
    const done = (): void => {
      listener.closed = true;
      this.#world.open--;
    };
    if (listener.handle !== null) {
      const { handle } = listener;
      this.#world.startPromise({ verb: "close" }, () => handle.close().then(() => 0), done);
    } else {
      const operation = this.#world.start(
        { verb: "close" },
        (c, callback) => this.#world.ring.close(c, callback, listener.descriptor),
        done,
      );
      if (operation === null) {
        listener.gone = false;
        return;
      }
    }
    const accepts = inFlight.filter(({ fields }) => fields.verb !== "connect");
    this.#world.askToEnd(accepts);
  }

  /** A plain peer connects to one of our listeners. */
  plainConnect(listener: OwnListener): void {
    if (listener.gone) return;
    this.connecting++;
    plainConnection(targetOf(listener.address))
      .then(
        (socket) => {
          const candidates = (): Side[] => listener.acceptors.filter((side) => side.other === null);
          const name = `plain ${this.#names++}`;
          const peer = new Peer(name, listener.isUnix, socket, this.#world.fail, candidates);
          this.#world.peers.push(peer);
          this.#connected(listener, peer);
        },
        (error) => {
          if (!listener.gone) throw error;
        },
      )
      .catch(this.#world.fail)
      .finally(() => this.connecting--);
  }

  // ---- the end

  /** Memory must not have changed after its operation had ended. */
  checkMemory(): void {
    for (const { memory, from, name } of this.#released) {
      for (let index = from; index < memory.length; index++) {
        if (memory[index] !== UNTOUCHED) throw new Violation(`${name}: byte ${index} was written`);
      }
    }
  }
}

export function partsOf(whole: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return whole.subarray(start - size, start);
  });
}
