/**
 * Integers as Redis reads them: decimal, canonical (no plus sign, no leading zero, no "-0"), within
 * 64 signed bits. Small ones stay numbers; only the rare wide ones become a bigint.
 */

export const INTEGER_MAX = 9223372036854775807n;
export const INTEGER_MIN = -9223372036854775808n;

/** Digits that always fit a number without loss. */
const SMALL_DIGITS = 15;

/** The integer that the text spells, or undefined. A number when it has at most 15 digits. */
export function parseInteger(text: string): number | bigint | undefined {
  const negative = text.charCodeAt(0) === 0x2d;
  const first = negative ? 1 : 0;
  const digits = text.length - first;
  if (digits < 1 || digits > 19) return undefined;
  if (text.charCodeAt(first) === 0x30 && (digits > 1 || negative)) return undefined;
  let value = 0;
  for (let index = first; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  if (digits <= SMALL_DIGITS) return negative ? -value : value;
  const wide = BigInt(text);
  return wide > INTEGER_MAX || wide < INTEGER_MIN ? undefined : wide;
}

/** The sum as an integer, or undefined when it leaves 64 signed bits. */
export function addIntegers(
  left: number | bigint,
  right: number | bigint,
): number | bigint | undefined {
  if (typeof left === "number" && typeof right === "number") {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const sum = BigInt(left) + BigInt(right);
  return sum > INTEGER_MAX || sum < INTEGER_MIN ? undefined : sum;
}

/** The integer as a number, saturated: for counts and indexes, where "very many" is enough. */
export function toIndex(value: number | bigint): number {
  return typeof value === "number" ? value : Number(value);
}
