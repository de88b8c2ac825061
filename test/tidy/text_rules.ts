// Rules on every text of the repository: its width, its length, its ends, leftovers, and its words.

import { type Finding, findInText, isGenerated, isNative, isScript, type Rule } from "./source.js";

const widthLimitColumns = 100;
const lengthLimitLines = 1500;

// In halves, because the rules also read this file.
const leftovers = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"];
const registries = ["npm" + "js", "yarn" + "pkg", "npm" + "mirror"].map((name) => `${name}\\.`);
const registryHosts = [...registries, "deb\\." + "debian\\.org", "pypi" + "\\."];

const isProse = (path: string) => /\.(md|json)$|^LICENSE$/.test(path);
const isCode = (path: string) => isScript(path) || isNative(path);
const isCommented = (path: string) => isCode(path) || /\.(yaml|yml|sh)$|\.txt$|^\.ci\//.test(path);

const width: Rule = {
  name: `lines have at most ${widthLimitColumns} columns`,
  applies: (path) => !isGenerated(path) && !isProse(path),
  check: ({ lines }) =>
    lines.flatMap((text, index) => {
      const columns = [...text].length;
      return columns > widthLimitColumns
        ? [{ line: index + 1, message: `${columns} columns` }]
        : [];
    }),
  caught: [{ path: "a.ts", text: `${"x".repeat(101)}\n` }],
  passed: [{ path: "a.ts", text: `${"ä".repeat(100)}\n` }],
};

const length: Rule = {
  name: `files have at most ${lengthLimitLines} lines`,
  applies: (path) => isCode(path) && !isGenerated(path),
  check: ({ lines }) =>
    lines.length - 1 > lengthLimitLines
      ? [{ line: lines.length - 1, message: `${lines.length - 1} lines: give a part a file` }]
      : [],
  caught: [{ path: "a.cc", text: "x\n".repeat(1501) }],
  passed: [{ path: "a.cc", text: "x\n".repeat(1500) }],
};

const ends: Rule = {
  name: "no white space at the end of a line, one newline at the end of a file, no tab",
  applies: (path) => !isGenerated(path),
  check: (source) => {
    const findings: Finding[] = [
      ...findInText(source, /\s$/, "white space at the end of the line"),
      ...findInText(source, /\t/, "a tab"),
    ];
    const last = source.lines.length;
    if (source.text !== "" && !source.text.endsWith("\n")) {
      findings.push({ line: last, message: "no newline at the end of the file" });
    }
    if (source.text.endsWith("\n\n")) {
      findings.push({ line: last - 1, message: "an empty line at the end of the file" });
    }
    return findings;
  },
  caught: ["a \n", "\ta\n", "a", "a\r\n", "a\n\n"].map((text) => ({ path: "a.md", text })),
  passed: [{ path: "a.md", text: "a\n\nb\n" }],
};

const unfinished: Rule = {
  name: "nothing is left to be done",
  applies: (path) => path !== "pnpm-lock.yaml",
  check: (source) =>
    findInText(source, new RegExp(`\\b(${leftovers.join("|")})\\b`), "do it, or write it down"),
  caught: leftovers.map((word) => ({ path: "a.cc", text: `// ${word}: later\n` })),
  passed: [{ path: "a.cc", text: 'mkstemp("name-XXXXXX");\n' }],
};

const registry: Rule = {
  name: "no host name of a package registry",
  applies: () => true,
  check: (source) =>
    findInText(source, new RegExp(registryHosts.join("|"), "i"), "the host name of a registry"),
  caught: registryHosts.map((host) => ({
    path: "pnpm-lock.yaml",
    text: `tarball: https://x.${host.replaceAll("\\", "")}org/a.tgz\n`,
  })),
  passed: [{ path: "pnpm-lock.yaml", text: "resolution: {integrity: sha512-abc}\n" }],
};

const opening: Rule = {
  name: "a file opens with a comment that says its job",
  applies: (path) => isCommented(path) && !isGenerated(path),
  check: ({ lines }) => {
    const line = lines[0]?.startsWith("#!") ? 1 : 0;
    const words = /^(?:\/\/|\/\*\*?|#) *(.*)/.exec(lines[line] ?? "")?.[1] ?? "";
    // A block comment may begin with an empty line.
    const text = lines[line] === "/**" || lines[line] === "/*" ? (lines[line + 1] ?? "") : words;
    return text.split(" ").length >= 3 ? [] : [{ line: line + 1, message: "no opening comment" }];
  },
  caught: [
    { path: "a.ts", text: 'import "node:fs";\n' },
    { path: "a.cc", text: "// a.cc\n" },
    { path: ".ci/run", text: "#!/bin/sh\nset -e\n" },
  ],
  passed: [
    { path: "a.ts", text: "// Turns numbers into words.\n" },
    { path: "a.ts", text: "/**\n * Turns numbers into words.\n */\n" },
    { path: ".ci/run", text: "#!/bin/sh\n# Runs the whole check.\n" },
  ],
};

// Each in halves, as above. Write instead: forever, again, anyway, otherwise, releases, is not
// available, an invalid number, gets, reports, the name of the thing that acts.
const everywhere = [
  "for ev" + "er",
  "an" + "ew",
  "all the s" + "ame",
  "would el" + "se",
  "lets g" + "o of",
  "let g" + "o of",
  "cannot be h" + "ad",
  "that is n" + "one",
  "wh" + "om",
  "who" + "ever",
  "goes pl" + "ainly",
  "in v" + "ain",
  "is t" + "old",
  "are t" + "old",
  "was t" + "old",
  "were t" + "old",
  "been t" + "old",
  "be t" + "old",
  "tell " + "of",
  "tells " + "of",
  "told " + "of",
];
const inDocuments = ["no" + "body", "some" + "body", "any" + "body", "every" + "body"];

/** The words as one pattern. Between two there may be the break of a line in a comment. */
function phrase(words: readonly string[]): RegExp {
  const gap = "(?: |\\s*\\n\\s*(?:(?://|\\*|#) )?)";
  return new RegExp(`\\b(?:${words.map((word) => word.replaceAll(" ", gap)).join("|")})\\b`, "gi");
}

const plainWords: Rule = {
  name: "plain words",
  applies: (path) => !isGenerated(path) && !/HISTORY[.]md$|^LICENSE$/.test(path),
  check: ({ path, text }) => {
    const words = path.endsWith(".md") ? [...everywhere, ...inDocuments] : everywhere;
    return [...text.matchAll(phrase(words))].map((match) => ({
      line: text.slice(0, match.index).split("\n").length,
      message: `"${match[0].replace(/\s+(?:(?:\/\/|\*|#) )?/g, " ")}": say it in plain words`,
    }));
  },
  caught: [
    ...everywhere.map((word) => ({ path: "a.cc", text: `// It ${word} it.\n` })),
    ...inDocuments.map((word) => ({ path: "a.md", text: `It ${word} it.\n` })),
    { path: "a.cc", text: `// It waits ${everywhere[0]!.replace(" ", "\n// ")}.\n` },
  ],
  passed: [{ path: "a.cc", text: "// Once for every operation.\n" }],
};

export const textRules: readonly Rule[] = [
  width,
  length,
  ends,
  unfinished,
  registry,
  opening,
  plainWords,
];
