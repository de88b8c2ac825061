/**
 * Patterns of KEYS, SCAN MATCH and CONFIG GET: `*`, `?`, `[a-z]`, `[^a]` and `\` before a character
 * that is meant literally. Works on strings that hold one byte per character.
 *
 * A star is remembered once, not by recursion: when the rest does not fit, the match goes back to
 * the latest star and lets it take one more character. So the time is at most length times length,
 * where the recursive form can be made exponential by a hostile pattern.
 */

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CARET = 0x5e;
const BACKSLASH = 0x5c;
const DASH = 0x2d;

export function globMatches(pattern: string, text: string): boolean {
  let patternAt = 0;
  let textAt = 0;
  let starAt = -1;
  let starTextAt = 0;
  while (textAt < text.length) {
    if (pattern.charCodeAt(patternAt) === STAR) {
      starAt = patternAt++;
      starTextAt = textAt;
      continue;
    }
    const next = matchOne(pattern, patternAt, text.charCodeAt(textAt));
    if (next > 0) {
      patternAt = next;
      textAt++;
    } else if (starAt >= 0) {
      patternAt = starAt + 1;
      textAt = ++starTextAt;
    } else {
      return false;
    }
  }
  while (pattern.charCodeAt(patternAt) === STAR) patternAt++;
  return patternAt >= pattern.length;
}

/** Where the pattern goes on after it has matched one character, or 0 when it does not match. */
function matchOne(pattern: string, at: number, character: number): number {
  if (at >= pattern.length) return 0;
  const code = pattern.charCodeAt(at);
  if (code === QUESTION) return at + 1;
  if (code === OPEN) return matchClass(pattern, at + 1, character);
  if (code === BACKSLASH && at + 1 < pattern.length) {
    return pattern.charCodeAt(at + 1) === character ? at + 2 : 0;
  }
  return code === character ? at + 1 : 0;
}

/** As in Redis, a class that is never closed ends with the pattern. */
function matchClass(pattern: string, start: number, character: number): number {
  let at = start;
  const inverted = pattern.charCodeAt(at) === CARET;
  if (inverted) at++;
  let matched = false;
  while (at < pattern.length && pattern.charCodeAt(at) !== CLOSE) {
    let low = pattern.charCodeAt(at);
    if (low === BACKSLASH && at + 1 < pattern.length) {
      low = pattern.charCodeAt(++at);
    } else if (pattern.charCodeAt(at + 1) === DASH && at + 2 < pattern.length) {
      const high = pattern.charCodeAt(at + 2);
      if (character >= Math.min(low, high) && character <= Math.max(low, high)) matched = true;
      at += 3;
      continue;
    }
    if (low === character) matched = true;
    at++;
  }
  if (matched === inverted) return 0;
  return Math.min(at + 1, pattern.length);
}
