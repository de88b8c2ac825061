// Bytes that were received and cannot be worked on yet.

const MIN_BYTES = 1024;

const nothing = new Uint8Array(0);

/** A copy. The `slice` of a Buffer is none, and shows what comes into its memory later. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}

/** A copy of bytes, since the memory that they came in is the kernel's again. */
export class HeldBytes {
  bytes: Uint8Array = nothing;
  start = 0;
  end = 0;

  get length(): number {
    return this.end - this.start;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    const { length } = this;
    const needed = length + end - start;
    if (this.end + end - start > this.bytes.length) {
      const grows = needed > this.bytes.length;
      const room = grows ? Math.max(MIN_BYTES, 2 * needed) : 0;
      const larger = grows ? new Uint8Array(Buffer.allocUnsafeSlow(room).buffer) : this.bytes;
      larger.set(this.bytes.subarray(this.start, this.end));
      this.bytes = larger;
      this.start = 0;
      this.end = length;
    }
    this.bytes.set(bytes.subarray(start, end), this.end);
    this.end += end - start;
  }
}
