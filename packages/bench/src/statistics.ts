// The figures over the rounds: the median, how far they spread, and the ratio of two series.

export interface Summary {
  median: number;
  low: number;
  high: number;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("The median of no values is not defined.");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle]!;
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/**
 * The median over the rounds of ours divided by the peer's.
 *
 * Both figures of one round were taken within seconds of each other, so what slows the machine for
 * a while slows both, and the ratio of a round holds still where the ratio of two medians does not.
 */
export function ratioOf(ours: readonly number[], peer: readonly number[]): number {
  return ratiosOf(ours, peer).median;
}

/** The same with the lowest and the highest ratio of a round. */
export function ratiosOf(ours: readonly number[], peer: readonly number[]): Summary {
  const rounds = Math.min(ours.length, peer.length);
  return summarize(Array.from({ length: rounds }, (_, round) => ours[round]! / peer[round]!));
}
