// A first-in first-out queue that usually has one item or none. Every connection has some, so the
// first item stands by itself, and nothing is allocated for it.

export class Line<T extends object> {
  #first: T | null = null;
  #others: T[] | null = null;

  get length(): number {
    if (this.#first === null) return 0;
    return 1 + (this.#others === null ? 0 : this.#others.length);
  }

  push(one: T): void {
    if (this.#first === null) this.#first = one;
    else if (this.#others === null) this.#others = [one];
    else this.#others.push(one);
  }

  shift(): T | undefined {
    const first = this.#first;
    if (first === null) return undefined;
    const others = this.#others;
    if (others === null) this.#first = null;
    else {
      this.#first = others.shift() as T;
      if (others.length === 0) this.#others = null;
    }
    return first;
  }

  /** Empties the line, and gives what was in it. */
  takeAll(): T[] {
    const all: T[] = [];
    for (let one = this.shift(); one !== undefined; one = this.shift()) all.push(one);
    return all;
  }
}
