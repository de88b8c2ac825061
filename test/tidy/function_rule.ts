// The rule on the length of functions in C++; Biome has the one for TypeScript. It relies on
// clang-format: a function ends at the first brace that is indented no deeper than its first line.

import { type Finding, isNative, type Rule, type Source } from "./source.js";

const lengthLimitLines = 80;

const control = /^\s*(?:\}\s*)?(?:if|else|for|while|switch|do|try|catch|with|return|case)\b/;
const functionHeader = /\)\s*(?:const|noexcept|override|final|mutable|->\s*[\w:<>*& ]+|\s)*\{$/s;

function count(text: string, letter: string): number {
  return text.split(letter).length - 1;
}

/** The line on which the statement that ends on line `last` starts, by its parentheses. */
function startOfStatement(code: readonly string[], last: number): number {
  let open = 0;
  for (let index = last; index >= 0; index--) {
    const text = code[index]!;
    open += count(text, "(") - count(text, ")");
    if (open >= 0) return index;
  }
  return last;
}

function indentation(text: string): number {
  return text.length - text.trimStart().length;
}

/** The index of the line that closes what opens on `start`, whose brace is on `last`. */
function endOfBlock(code: readonly string[], start: number, last: number): number {
  const limit = indentation(code[start]!);
  const end = code.findIndex(
    (text, index) => index > last && text.trimStart().startsWith("}") && indentation(text) <= limit,
  );
  return end === -1 ? code.length - 1 : end;
}

function checkFunctions({ code }: Source): Finding[] {
  const findings: Finding[] = [];
  for (const [last, text] of code.entries()) {
    if (!text.trimEnd().endsWith("{")) continue;
    const start = startOfStatement(code, last);
    const header = code
      .slice(start, last + 1)
      .join("\n")
      .trimEnd();
    if (control.test(header) || !functionHeader.test(header)) continue;
    const lines = endOfBlock(code, start, last) - start + 1;
    if (lines > lengthLimitLines) {
      findings.push({ line: start + 1, message: `${lines} lines: give a part a name of its own` });
    }
  }
  return findings;
}

function sample(
  path: string,
  opening: string,
  closing: string,
  bodyLines: number,
): {
  path: string;
  text: string;
} {
  return { path, text: `${opening}\n${"  x;\n".repeat(bodyLines)}${closing}\n` };
}

export const functionRule: Rule = {
  name: `functions in C++ have at most ${lengthLimitLines} lines`,
  applies: isNative,
  check: checkFunctions,
  caught: [
    sample("a.cc", "int Engine::a(int b,\n              int c) const {", "}", 79),
    sample("a.cc", "Engine::Engine(int b)\n    : b_(b) {", "}", 79),
    sample("a.cc", "  auto a = [&](int b) -> int {", "  };", 79),
  ],
  passed: [
    sample("a.cc", "void a(int b) {", "}", 78),
    sample("a.cc", "namespace io {", "}  // namespace io", 200),
    sample("a.cc", "while (a(b)) {", "}", 79),
  ],
};
