// The step of a program that starts a chain: operations on sockets, on the file, and on nothing.

import { contentOf } from "./content.js";
import type { Disk, Startable } from "./disk.js";
import type { Chain } from "./operation.js";
import { type Sockets, UNTOUCHED } from "./sockets.js";
import type { ChainMember } from "./steps.js";
import { Endpoint, recent, type World } from "./world.js";

const nothing = { done: (): void => undefined, undo: (): void => undefined };

export class Chains {
  readonly #world: World;
  readonly #sockets: Sockets;
  readonly #disk: Disk;

  constructor(world: World, sockets: Sockets, disk: Disk) {
    this.#world = world;
    this.#sockets = sockets;
    this.#disk = disk;
  }

  start(wanted: readonly ChainMember[]): void {
    const startables: Startable[] = [];
    for (const member of wanted) {
      const startable = this.#member(member);
      if (startable !== null) startables.push(startable);
    }
    if (startables.length < 2) {
      for (const startable of startables) startable.undo();
      return;
    }
    const chain: Chain = { members: [] };
    for (const [index, { fields, begin, done }] of startables.entries()) {
      const beginLinked: typeof begin = (c, callback) => {
        c.link = index < startables.length - 1;
        begin(c, callback);
      };
      const operation = this.#world.start({ ...fields, chain }, beginLinked, done);
      if (operation === null) throw new Error("a chain that was begun has room for all of it");
      if (["read", "readPastEnd", "write", "sync"].includes(fields.verb)) {
        this.#disk.started(operation);
      }
      const { on } = fields;
      if (on instanceof Endpoint && fields.verb === "send") on.beginSend(operation);
      if (on instanceof Endpoint && fields.verb === "receive") on.receives.push(operation);
    }
  }

  #member(member: ChainMember): Startable | null {
    const { ring } = this.#world;
    switch (member.do) {
      case "nop":
        return {
          fields: { verb: "nop" },
          begin: (c, callback) => ring.nop(c, callback),
          ...nothing,
        };
      case "timeout":
        return {
          fields: { verb: "timeout", durationNs: member.durationNs },
          begin: (c, callback) => ring.timeout(c, callback, member.durationNs),
          ...nothing,
        };
      case "send":
      case "receive": {
        const endpoint = recent(this.#world.endpoints, member.socket);
        if (endpoint === undefined || endpoint.closing) return null;
        return member.do === "send"
          ? this.#send(endpoint, member.size)
          : this.#receive(endpoint, member.size);
      }
      case "read":
        return this.#disk.reading(member.region);
      case "write":
        return this.#disk.writing(member.region);
      case "readPastEnd":
        return this.#disk.readingPastEnd();
      case "sync":
        return this.#disk.syncing();
    }
  }

  // A linked operation has no place among the operations of its socket, so it must be the only one.
  #send(endpoint: Endpoint, size: number): Startable | null {
    if (endpoint.sends.length > 0 || endpoint.sendsAlone > 0 || endpoint.sendsUnknown) return null;
    const payload = endpoint.out.begin(size);
    const done = this.#sockets.sendDone(endpoint);
    endpoint.sendsAlone++;
    return {
      fields: { verb: "send", on: endpoint, sizeBytes: size, payload },
      begin: (c, callback) =>
        this.#world.ring.send(c, callback, endpoint.descriptor, contentOf(payload.id, size)),
      done: (result, operation) => {
        endpoint.sendsAlone--;
        done(result, operation);
      },
      undo: () => {
        endpoint.sendsAlone--;
        endpoint.out.sent(payload, 0);
      },
    };
  }

  #receive(endpoint: Endpoint, size: number): Startable | null {
    if (endpoint.receives.length > 0 || endpoint.receivesAlone > 0) return null;
    if (endpoint.receivesUnknown) return null;
    const memory = new Uint8Array(size).fill(UNTOUCHED);
    const done = this.#sockets.receiveDone(endpoint, memory);
    endpoint.receivesAlone++;
    return {
      fields: { verb: "receive", on: endpoint, sizeBytes: size },
      begin: (c, callback) => this.#world.ring.receive(c, callback, endpoint.descriptor, memory),
      done: (result, operation) => {
        endpoint.receivesAlone--;
        done(result, operation);
      },
      undo: () => {
        endpoint.receivesAlone--;
      },
    };
  }
}
