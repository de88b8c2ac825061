// Deadlines for many connections with one timer: a wheel of slots, each a list. To put a deadline
// off costs one store: the entry stays in its slot and is looked at when that comes up.

/** Something with a deadline. The fields are the wheel's. */
export abstract class WheelEntry {
  /** The tick at which the time is over; 0 for none. */
  deadline = 0;
  /** The slot that it stands in; -1 when it is in none. */
  slot = -1;
  /** The tick at which that comes up. */
  due = 0;
  previous: WheelEntry | null = null;
  next: WheelEntry | null = null;
  /** Called when the time is over. */
  abstract onDeadline(): void;
}

const SLOTS = 512; // a power of two

export class Wheel {
  readonly tickMs: number;
  /** The current tick. */
  now = 1;
  readonly #slots: (WheelEntry | null)[] = new Array<WheelEntry | null>(SLOTS).fill(null);
  readonly #onTick: () => void;
  readonly #isNeeded: () => boolean;
  #timer: NodeJS.Timeout | null = null;
  #startedMs = 0;
  #entries = 0;

  /** `onTick` is called at each tick, as long as there are entries or it is needed otherwise. */
  constructor(tickMs: number, onTick: () => void, isNeeded: () => boolean) {
    this.tickMs = tickMs;
    this.#onTick = onTick;
    this.#isNeeded = isNeeded;
  }

  /** Milliseconds as ticks: never too few. */
  ticks(durationMs: number): number {
    return Math.ceil(durationMs / this.tickMs) + 1;
  }

  /** Sets the deadline so many ticks from now; 0 is none. */
  set(entry: WheelEntry, ticks: number): void {
    if (ticks === 0) {
      entry.deadline = 0;
      return;
    }
    const deadline = this.now + ticks;
    entry.deadline = deadline;
    // It is looked at when its slot comes up, which is early enough if that is not later.
    if (entry.slot !== -1 && entry.due <= deadline) return;
    this.#unlink(entry);
    this.#link(entry);
  }

  /** Takes the entry off the wheel. */
  remove(entry: WheelEntry): void {
    entry.deadline = 0;
    this.#unlink(entry);
  }

  /** Stops the timer. */
  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #link(entry: WheelEntry): void {
    const ahead = Math.min(Math.max(1, entry.deadline - this.now), SLOTS - 1);
    entry.due = this.now + ahead;
    const slot = entry.due & (SLOTS - 1);
    const first = this.#slots[slot]!;
    entry.slot = slot;
    entry.previous = null;
    entry.next = first;
    if (first !== null) first.previous = entry;
    this.#slots[slot] = entry;
    this.#entries++;
    this.start();
  }

  #unlink(entry: WheelEntry): void {
    if (entry.slot === -1) return;
    if (entry.previous !== null) entry.previous.next = entry.next;
    else this.#slots[entry.slot] = entry.next;
    if (entry.next !== null) entry.next.previous = entry.previous;
    entry.slot = -1;
    entry.previous = null;
    entry.next = null;
    this.#entries--;
  }

  /** Starts the timer, unless it runs. */
  start(): void {
    if (this.#timer !== null) return;
    this.#onTick();
    this.#startedMs = performance.now() - this.now * this.tickMs;
    this.#timer = setInterval(() => this.#turn(), this.tickMs);
    this.#timer.unref();
  }

  // A loop that was busy makes up for the ticks that it has missed.
  #turn(): void {
    this.#onTick();
    if (this.#entries === 0 && !this.#isNeeded()) {
      this.close();
      return;
    }
    const due = Math.floor((performance.now() - this.#startedMs) / this.tickMs);
    const steps = Math.min(due - this.now, SLOTS);
    if (due - this.now > SLOTS) this.now = due - SLOTS;
    for (let step = 0; step < steps; step++) this.#step();
  }

  #step(): void {
    this.now++;
    const slot = this.now & (SLOTS - 1);
    let entry = this.#slots[slot]!;
    this.#slots[slot] = null;
    // The list is taken apart first, because a deadline may put entries anywhere.
    const due: WheelEntry[] = [];
    while (entry !== null) {
      const { next } = entry;
      entry.slot = -1;
      entry.previous = null;
      entry.next = null;
      this.#entries--;
      if (entry.deadline !== 0) {
        if (entry.deadline <= this.now) due.push(entry);
        else this.#link(entry);
      }
      entry = next!;
    }
    for (const one of due) {
      if (one.slot !== -1 || one.deadline === 0 || one.deadline > this.now) continue;
      one.deadline = 0;
      one.onDeadline();
    }
  }
}
