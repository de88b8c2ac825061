// The rule on the length of functions. It relies on the formatters: a function ends at the first
// brace that is indented no deeper than the line the function starts on.

import { type Finding, isGenerated, isNative, isScript, type Rule, type Source } from "./source.js";

const lengthLimitLines = 80;

const control = /^\s*(?:\}\s*)?(?:if|else|for|while|switch|do|try|catch|with|return|case)\b/;
const scriptHeader = /=>\s*\{$|\bfunction\b|^[^=]*\(.*\)(?::.*)?\s*\{$/s;
const nativeHeader = /\)\s*(?:const|noexcept|override|final|mutable|->\s*[\w:<>*& ]+|\s)*\{$/s;

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

function checkFunctions({ path, code }: Source): Finding[] {
  const isHeader = isNative(path) ? nativeHeader : scriptHeader;
  const findings: Finding[] = [];
  for (const [last, text] of code.entries()) {
    if (!text.trimEnd().endsWith("{")) continue;
    const start = startOfStatement(code, last);
    const header = code
      .slice(start, last + 1)
      .join("\n")
      .trimEnd();
    if (control.test(header) || !isHeader.test(header)) continue;
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
  name: `functions have at most ${lengthLimitLines} lines`,
  applies: (path) => (isScript(path) || isNative(path)) && !isGenerated(path),
  check: checkFunctions,
  caught: [
    sample("a.ts", "export function a(b: number): void {", "}", 79),
    sample("a.ts", "export const a = async (b: number) => {", "};", 79),
    sample("a.ts", "  async #a<T>(b: Map<string, T>): Promise<void> {", "  }", 79),
    sample("a.ts", "  a(\n    b: number,\n  ): void {", "  }", 79),
    sample("a.ts", 'test("a", () => {', "});", 79),
    sample("a.cc", "int Engine::a(int b,\n              int c) const {", "}", 79),
    sample("a.cc", "Engine::Engine(int b)\n    : b_(b) {", "}", 79),
    sample("a.cc", "  auto a = [&](int b) -> int {", "  };", 79),
  ],
  passed: [
    sample("a.ts", "function a(): void {", "}", 78),
    sample("a.ts", "export class A extends B {", "}", 200),
    sample("a.ts", "if (a(b)) {", "}", 79),
    sample("a.cc", "namespace io {", "}  // namespace io", 200),
    sample("a.cc", "while (a(b)) {", "}", 79),
  ],
};
