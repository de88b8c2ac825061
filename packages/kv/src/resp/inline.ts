/**
 * Inline commands: one line of words, as a person types them into telnet. Words may be quoted as in
 * Redis: 'single' with \' only, "double" with \n \r \t \b \a \\ \" and \xHH.
 */

/** The words, with one byte per character, or undefined when the quotes do not balance. */
export function splitInline(line: string): string[] | undefined {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && isSpace(line.charCodeAt(at))) at++;
    if (at >= line.length) return words;
    const word = readWord(line, at);
    if (word === undefined) return undefined;
    words.push(word.text);
    at = word.end;
  }
}

function readWord(line: string, start: number): { text: string; end: number } | undefined {
  let text = "";
  let at = start;
  while (at < line.length && !isSpace(line.charCodeAt(at))) {
    const character = line[at]!;
    if (character !== '"' && character !== "'") {
      text += character;
      at++;
      continue;
    }
    const quoted = readQuoted(line, at + 1, character);
    if (quoted === undefined) return undefined;
    text += quoted.text;
    at = quoted.end;
    // A closing quote must be followed by a space or by nothing.
    if (at < line.length && !isSpace(line.charCodeAt(at))) return undefined;
  }
  return { text, end: at };
}

function readQuoted(
  line: string,
  start: number,
  quote: string,
): { text: string; end: number } | undefined {
  let text = "";
  let at = start;
  while (at < line.length) {
    const character = line[at]!;
    if (character === quote) return { text, end: at + 1 };
    if (character !== "\\" || at + 1 >= line.length) {
      text += character;
      at++;
    } else if (quote === "'") {
      const escaped = line[at + 1] === "'";
      text += escaped ? "'" : "\\";
      at += escaped ? 2 : 1;
    } else {
      const hex = /^x([0-9a-fA-F]{2})/.exec(line.slice(at + 1, at + 4));
      const code = hex === null ? 0 : Number.parseInt(hex[1]!, 16);
      text += hex === null ? escapedCharacter(line[at + 1]!) : String.fromCharCode(code);
      at += hex === null ? 2 : 4;
    }
  }
  return undefined;
}

function escapedCharacter(character: string): string {
  switch (character) {
    case "n":
      return "\n";
    case "r":
      return "\r";
    case "t":
      return "\t";
    case "b":
      return "\b";
    case "a":
      return "\x07";
    default:
      return character;
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0;
}
