// The report of `npx @io/core doctor`: the choice of the backend, why each better one was not
// taken, what to change, the limits, and how each operation is done. It prints nothing itself.
import { release } from "node:os";
import { CHAIN_LIMIT, MAX_ENTRIES, MAX_IN_FLIGHT_LIMIT, VECTOR_LIMIT } from "../engine/abi.js";
import {
  type Candidate,
  type Limits,
  type Probe,
  probe as probeMachine,
} from "../probe/backend.js";
import {
  type Capabilities,
  type Capability,
  type CapabilityName,
  capabilitiesOf,
} from "../probe/capabilities.js";

/** What the program is to print, and how it is to end. */
export interface Findings {
  /** 0: `IO.open()` works here. 1: it would fail. 2: the command line is wrong. */
  readonly status: 0 | 1 | 2;
  readonly output: string;
  /** For standard error, in words; may be empty. */
  readonly errors: string;
}

const USAGE = `Usage: io-core doctor [--json]
       io-core build

doctor says which backend @io/core takes on this machine, why each better one is not taken, and what
to change. --json prints the same for a program. Ends with 0 when a backend can be opened, with 1
when none can, and with 2 when it was called wrongly.

build compiles the engine from the sources in this package, for a machine for which there is none.
It needs cmake, make or ninja, and a C++20 compiler. Ends with 0 when the engine was built.
`;

const NARROWEST_COLUMNS = 60;

/** Runs the command; `columns` is how wide the text may be. */
export function doctor(words: readonly string[], columns = 100): Findings {
  const [command, ...options] = words;
  if (words.includes("--help")) return { status: 0, output: USAGE, errors: "" };
  if (command === undefined) return { status: 2, output: "", errors: USAGE };
  const unknown = options.find((option) => option !== "--json");
  if (command !== "doctor" || unknown !== undefined) {
    const wrong = command === "doctor" ? unknown : command;
    return { status: 2, output: "", errors: `io-core: ${wrong} is not understood\n\n${USAGE}` };
  }
  const { found, problem } = examine();
  const errors = problem === undefined ? "" : `io-core: ${problem}\n`;
  const output = options.includes("--json")
    ? `${JSON.stringify(found, null, 2)}\n`
    : describe(found, Math.max(columns, NARROWEST_COLUMNS));
  return { status: found.chosen === null ? 1 : 0, output, errors };
}

interface Examined {
  readonly found: Probe;
  readonly problem?: string;
}

/** Also where the engine is missing or broken: the report names that too. */
function examine(): Examined {
  let found: Probe;
  try {
    found = probeMachine();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { found: withoutEngine(problem), problem };
  }
  if (found.chosen !== null) return { found };
  return { found, problem: `IO.open() fails here: ${found.why}` };
}

function withoutEngine(why: string): Probe {
  return {
    chosen: null,
    why,
    candidates: [],
    kernel: release(),
    limits: {
      maxEntries: MAX_ENTRIES,
      maxInFlight: MAX_IN_FLIGHT_LIMIT,
      maxVectors: VECTOR_LIMIT,
      maxChain: CHAIN_LIMIT,
      lockedMemoryBytes: null,
      descriptors: null,
    },
    capabilities: untried(),
  };
}

/** Without an engine nothing is known of any operation. */
function untried(): Capabilities {
  const unknown: Capability = { support: "unknown", reason: "there is no engine to try it" };
  const names = Object.keys(capabilitiesOf(null, [], 0)) as CapabilityName[];
  return Object.fromEntries(names.map((name) => [name, unknown])) as Record<
    CapabilityName,
    Capability
  >;
}

// ---- For a person

function describe(found: Probe, columns: number): string {
  const system = `${process.platform}-${process.arch}, kernel ${found.kernel}`;
  const parts = [
    paragraph("Backend  ", found.chosen === null ? `none: ${found.why}` : found.why, columns),
    paragraph("System   ", `${system}, Node ${process.version}`, columns),
    "",
    "Candidates, best first",
    ...found.candidates.flatMap((candidate) => candidateLines(candidate, found.chosen, columns)),
    ...(found.candidates.length === 0 ? ["  unknown, because there is no engine to try them"] : []),
    "",
    "Limits",
    ...limitLines(found.limits, found.candidates.length > 0, columns),
    "",
    found.chosen === null ? "Operations" : `Operations on ${found.chosen}`,
    ...capabilityLines(found.capabilities, columns),
  ];
  return `${parts.join("\n")}\n`;
}

/** Breaks a text into lines, of which all but the first are indented as far as the label. */
function paragraph(label: string, text: string, columns: number): string {
  const indentation = " ".repeat(label.length);
  const lines: string[] = [];
  let line = label;
  let empty = true;
  for (const word of text.split(" ")) {
    if (!empty && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = indentation;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line].join("\n");
}

function candidateLines(candidate: Candidate, chosen: string | null, columns: number): string[] {
  const { name, available, reason, advice } = candidate;
  const mark = name === chosen ? "taken" : available ? "works" : "no";
  const lines = [paragraph(`  ${name.padEnd(10)}${mark.padEnd(7)}`, reason, columns)];
  if (advice !== undefined) lines.push(paragraph(`${" ".repeat(19)}To change: `, advice, columns));
  return lines;
}

/** The engine asks the system for the limits of the process: without one they are not known. */
function limitLines(limits: Limits, isKnown: boolean, columns: number): string[] {
  const absent = isKnown ? "no limit" : "unknown";
  const inWords = (limit: number | null, unit = "") =>
    limit === null ? absent : `${limit.toLocaleString("en-US")}${unit}`;
  const rows: [string, string][] = [
    [
      "locked memory",
      `${inWords(limits.lockedMemoryBytes, " bytes")} (RLIMIT_MEMLOCK, ulimit -l): io.buffers ` +
        "that io_uring keeps mapped count, and from Linux 6.14 on its rings",
    ],
    ["descriptors", `${inWords(limits.descriptors)} (RLIMIT_NOFILE, ulimit -n)`],
    ["entries", `${inWords(limits.maxEntries)} at most in the ring of an IO`],
    ["in flight", `${inWords(limits.maxInFlight)} operations at most of an IO`],
    ["vectors", `${inWords(limits.maxVectors)} buffers at most of one operation`],
    ["chain", `${inWords(limits.maxChain)} operations at most`],
  ];
  return rows.map(([label, text]) => paragraph(`  ${label.padEnd(17)}`, text, columns));
}

/** Operations that are done in the same way, for the same reason, share an entry. */
function capabilityLines(capabilities: Capabilities, columns: number): string[] {
  const groups = new Map<string, string[]>();
  for (const [name, { support, reason }] of Object.entries(capabilities)) {
    const key = `${support}\n${reason}`;
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  return [...groups].flatMap(([key, names]) => {
    const [support = "", reason = ""] = key.split("\n");
    const label = `  ${support.padEnd(13)}`;
    return [
      paragraph(label, names.join(", "), columns),
      paragraph(" ".repeat(label.length), `(${reason})`, columns),
    ];
  });
}
