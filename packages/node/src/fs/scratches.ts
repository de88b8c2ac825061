// Memory that files are read into before they are copied to the program's own. The kernel knows it
// already, where each new buffer would have to be made known to it. There is a limit to it, which
// also limits how many files readFile() has open: more would only compete for the processor's
// cache.

/** Memory for a file, which is mostly shorter. */
export type Scratch = Uint8Array<ArrayBuffer>;

const SCRATCH_BYTES = 64 * 1024;
const SCRATCHES = 64;
const PATIENCE_MS = 10;

type Waiting = (scratch: Scratch) => void;

const free: Scratch[] = [];
const line: Waiting[] = [];
let taken = 0;
let givenBack = 0;
let watch: NodeJS.Timeout | undefined;

function make(): Scratch {
  return new Uint8Array(SCRATCH_BYTES);
}

/** Whether one may be taken at once. */
export function hasScratch(): boolean {
  return taken < SCRATCHES;
}

/** Takes one, beyond the limit too. */
export function takeScratch(): Scratch {
  taken++;
  return free.pop() ?? make();
}

/** Takes one as soon as there is one. */
export function nextScratch(): Promise<Scratch> {
  watch ??= watched();
  return new Promise((resolve) => {
    line.push(resolve);
  });
}

// A read of a pipe may keep a scratch for long. When no file is done for a while, the next one
// in the line gets another scratch, so that it never waits for a pipe that waits for it.
function watched(): NodeJS.Timeout {
  let seen = givenBack;
  return setInterval(() => {
    if (seen === givenBack) line.shift()?.(takeScratch());
    seen = givenBack;
    if (line.length > 0) return;
    clearInterval(watch);
    watch = undefined;
  }, PATIENCE_MS);
}

/** Gives one back. No operation uses it any more. */
export function giveScratch(scratch: Scratch): void {
  givenBack++;
  const next = taken <= SCRATCHES ? line.shift() : undefined;
  if (next !== undefined) {
    next(scratch);
    return;
  }
  taken--;
  if (free.length < SCRATCHES) free.push(scratch);
}
