// The bytes that are sent: each send of a stream has its own, so that a byte that is lost, doubled,
// invented or out of its order shows.

const TABLE_BYTES = 1024 * 1024;

/** The longest payload. */
export const MAX_PAYLOAD_BYTES = 512 * 1024;

/** So many bytes at its beginning distinguish a payload from all others. */
export const TELLING_BYTES = 6;

const table = makeTable();

function makeTable(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(TABLE_BYTES);
  let state = 0x2545f491;
  for (let index = 0; index < bytes.length; index++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state >>> 8;
  }
  return bytes;
}

/** The bytes of a payload. The memory is shared: it is only sent and compared with. */
export function contentOf(payload: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const start = (Math.imul(payload, 2654435761) >>> 0) % (TABLE_BYTES - MAX_PAYLOAD_BYTES);
  return table.subarray(start, start + sizeBytes);
}
