// Connecting to a name: all of its addresses, one after the other and then side by side, as in
// RFC 8305 ("happy eyeballs").
import type { Address } from "../address.js";
import { builtin } from "../engine/builtin.js";
import { numberError } from "../errors.js";
import { fromHere, type OperationOptions } from "../ring/promises.js";
import { flag, shown } from "../support/check.js";
import {
  addressesOf,
  allFailed,
  alternated,
  type Limit,
  type LookupOptions,
  lookupFrom,
} from "./lookup.js";

/**
 * How a name with several addresses becomes a connection.
 *
 * @category Sockets
 */
export interface AttemptOptions extends LookupOptions {
  /**
   * `false`: only the first address of a name is tried. Node's own default counts where it is
   * absent (`true` from Node 20 on), which `net.setDefaultAutoSelectFamily()` changes.
   */
  autoSelectFamily?: boolean | null | undefined;
  /**
   * Milliseconds that an attempt has to itself before the next address is tried beside it, 10 at
   * least. Node's own default counts where it is absent, which is 250.
   */
  autoSelectFamilyAttemptTimeoutMs?: number | null | undefined;
}

/** The same, checked. What is not given is Node's own default, at the time of the call. */
export interface Attempts {
  readonly lookup: ReturnType<typeof lookupFrom>;
  readonly all: boolean | undefined;
  readonly delayMs: number | undefined;
}

// As in Node, and for the same reason: attempts at all addresses at once are none in turn.
const MIN_DELAY_MS = 10;
const MAX_DELAY_MS = 0x7fffffff;

/** Checks how a name is to be tried. */
export function attemptsFrom(options: AttemptOptions): Attempts {
  const { autoSelectFamily, autoSelectFamilyAttemptTimeoutMs: delayMs } = options;
  const given = autoSelectFamily !== undefined && autoSelectFamily !== null;
  const isDelay = typeof delayMs === "number" && delayMs > 0 && delayMs <= MAX_DELAY_MS;
  if (delayMs !== undefined && delayMs !== null && !isDelay) {
    const right = "give milliseconds above 0";
    const message = `autoSelectFamilyAttemptTimeoutMs is ${shown(delayMs)}: ${right}`;
    throw numberError("connect", delayMs, message);
  }
  return {
    lookup: lookupFrom(options, "connect"),
    all: given ? flag(autoSelectFamily, true, "autoSelectFamily", "connect") : undefined,
    delayMs: isDelay ? Math.max(MIN_DELAY_MS, delayMs) : undefined,
  };
}

/** Something that can be given up. */
interface Closable {
  close(): Promise<void>;
}

/** One attempt: connects to an address, or leaves nothing behind. */
export type Attempt<S> = (address: Address, options: OperationOptions) => Promise<S>;

/**
 * Connects to a name. Each attempt has a head start over the next one, which begins at once when an
 * attempt has failed. The first that succeeds ends the others. When this settles none is left.
 * With a `family` only addresses of that are tried.
 */
export async function connectByName<S extends Closable>(
  { host, port }: { host: string; port: number },
  options: Attempts,
  limit: Limit,
  attempt: Attempt<S>,
  family: Address["family"] | null = null,
): Promise<S> {
  const looking = Promise.all([addressesOf(host, port, "connect", options.lookup), nodeDefaults()]);
  const [found, defaults] = await limit.race(looking).catch((error: unknown) => {
    throw fromHere(error);
  });
  const all = options.all ?? defaults.autoSelectFamily;
  const usable = family === null ? found : found.filter((one) => one.family === family);
  // When there is none its own error says why.
  const tried = usable.length === 0 ? found : usable;
  const addresses = all ? alternated(tried) : tried.slice(0, 1);
  const race = new Race(limit, attempt);
  const winner = await race.run(addresses, options.delayMs ?? defaults.delayMs);
  if (winner !== null) return winner;
  throw fromHere(limit.error ?? allFailed(`${host}:${port}`, host, addresses, race.errors));
}

async function nodeDefaults(): Promise<{ autoSelectFamily: boolean; delayMs: number }> {
  const net = builtin("node:net");
  return {
    autoSelectFamily: net.getDefaultAutoSelectFamily?.() ?? true,
    delayMs: net.getDefaultAutoSelectFamilyAttemptTimeout?.() ?? 250,
  };
}

class Race<S extends Closable> {
  /** What each attempt failed with, in the order of the addresses. */
  readonly errors: unknown[] = [];
  readonly #limit: Limit;
  readonly #attempt: Attempt<S>;
  readonly #running: AbortController[] = [];
  #winner: S | null = null;
  /** Ends the head start of the newest attempt. */
  #next: () => void = () => undefined;

  constructor(limit: Limit, attempt: Attempt<S>) {
    this.#limit = limit;
    this.#attempt = attempt;
  }

  async run(addresses: readonly Address[], delayMs: number): Promise<S | null> {
    const stop = (): void => this.#stop();
    this.#limit.signal.addEventListener("abort", stop, { once: true });
    const attempts: Promise<void>[] = [];
    for (const [index, address] of addresses.entries()) {
      if (this.#winner !== null || this.#limit.error !== null) break;
      const started = this.#start(index, address);
      attempts.push(started);
      if (index < addresses.length - 1) await this.#headStart(started, delayMs);
    }
    await Promise.all(attempts);
    this.#limit.signal.removeEventListener("abort", stop);
    return this.#winner;
  }

  async #start(index: number, address: Address): Promise<void> {
    const controller = new AbortController();
    this.#running.push(controller);
    try {
      const connected = await this.#attempt(address, { signal: controller.signal });
      if (this.#winner === null) {
        this.#winner = connected;
        this.#stop();
      } else {
        await connected.close(); // it was faster than its cancel
      }
    } catch (error) {
      this.errors[index] = error;
    }
  }

  #stop(): void {
    for (const controller of this.#running) controller.abort();
    this.#next();
  }

  #headStart(started: Promise<void>, delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#next = () => {
        clearTimeout(timer);
        resolve();
      };
      void started.then(this.#next);
    });
  }
}
