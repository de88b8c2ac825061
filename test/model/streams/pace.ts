// How a program goes on: turns of the event loop, and waits for what must happen.

import type { Callback, Completion, IO } from "@io/core";
import { Patience, turn, until } from "../drive.js";
import type { World } from "./world.js";

type Start = (completion: Completion, callback: Callback) => void;

export class Pace {
  readonly #world: World;
  readonly #io: IO;

  constructor(world: World) {
    this.#world = world;
    this.#io = world.io;
  }

  async turns(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      if (this.#io.mode === "detached") this.#io.runFor(0);
      if (this.#io.mode === "attached" || this.#world.peers.length > 0) await turn();
      else await Promise.resolve();
    }
  }

  async until(done: () => boolean, what: string): Promise<void> {
    const doneOrFailed = (): boolean => {
      this.#world.check();
      return done();
    };
    await until(this.#io, doneOrFailed, () => what);
    this.#world.check();
  }

  /** Waits until nothing is left that must complete. */
  async settle(): Promise<void> {
    const world = this.#world;
    const done = (): boolean => {
      world.check();
      return world.waitingFor().length === 0;
    };
    await until(this.#io, done, () => `the ends of ${world.waitingFor().join(", ")}`);
    world.check();
  }

  /** Asks again and again, because something may start after the last time. */
  async endEverything(ask: () => void, connecting: () => boolean): Promise<void> {
    const world = this.#world;
    const names = (): string => [...world.inFlight].map(({ name }) => name).join(", ");
    const patience = new Patience(() => `everything is asked to end, and there are ${names()}`);
    while (world.inFlight.size > 0 || world.streams.size > 0 || connecting()) {
      ask();
      for (const { controller, fields } of world.inFlight) {
        // A promise of a listener waits for a connection, and not for an operation.
        if (fields.verb === "accept") controller?.abort();
      }
      world.quiet = true;
      await this.turns(1);
      await this.zero((c, callback) => world.ring.nop(c, callback));
      await turn();
      world.check();
      patience.check();
    }
    world.quiet = false;
  }

  // ---- what a program needs before it begins

  /** An operation that gives a descriptor. */
  descriptor(start: Start): Promise<number> {
    return this.#call("socket", start);
  }

  /** An operation that gives 0. */
  zero(start: Start): Promise<number> {
    return this.#call("nop", start);
  }

  async #call(verb: "socket" | "nop", start: Start): Promise<number> {
    const results: number[] = [];
    this.#world.start({ verb }, start, (result) => {
      results.push(result);
    });
    await this.until(() => results.length > 0, "an operation that the program needs");
    return results[0] as number;
  }

  async promise<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(() => settled, "a promise that the program needs");
    return promise;
  }
}
