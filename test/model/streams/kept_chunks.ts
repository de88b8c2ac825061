// The warning of io.close() about chunks that were never released.

const CODE = "IO_CHUNKS_KEPT";

/**
 * How many chunks the warning names that some work gives, hidden from others; null when
 * it does not name all of them.
 */
export async function keptChunks(work: () => Promise<void>): Promise<number | null> {
  const emit = process.emitWarning;
  const warnings: string[] = [];
  process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
    if (rest.includes(CODE)) warnings.push(String(warning));
    else Reflect.apply(emit, process, [warning, ...rest]);
  };
  try {
    await work();
  } finally {
    process.emitWarning = emit;
  }
  if (warnings.some((warning) => warning.includes("others of "))) return null;
  const counts = warnings.flatMap((warning) => [...warning.matchAll(/[:,] (\d+) of /g)]);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
