// One emulated machine: boots a kernel, runs cells of test/matrix.mjs there, one after the other,
// and reads their results from its serial line. Nothing that it does changes the disk's image.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { resultOf } from "../support/test_file.mjs";
import { imageFile } from "./image.mjs";
import { kernelsFolder } from "./paths.mjs";

/** Emulation is ten times slower and worse, so what a test gives up after is longer by this. */
const guardFactor = 4;
const fileLimitMs = 600_000;
const kernelLimitMs = 2_700_000;

// The messages of a kernel when something is wrong with it. A stall message is not one of them: the
// host of the emulated machine has other work too.
const complaint = /(BUG|WARNING|KASAN|UBSAN):|Oops|general protection|Kernel panic/;
const slowness = /soft lockup|stall/;

const running = new Set();

export function killMachines() {
  for (const machine of running) machine.kill("SIGKILL");
}

function machineWords(kernelPath, mark, consolePath) {
  const factor = process.env.IO_GUARD_FACTOR ?? guardFactor;
  // no_timer_check: a processor that is emulated under load can miss the ticks by which the kernel
  // checks its timer at the start (check_timer in arch/x86/kernel/apic/io_apic.c), and it panics.
  const kernelWords = [
    ...["console=ttyS0", "quiet", "loglevel=5", "panic=-1", "oops=panic", "no_timer_check"],
    ...["root=/dev/nvme0n1", "rw", "rootfstype=ext4", "init=/sbin/init"],
    ...[`IO_MARK=${mark}`, `IO_FILE_LIMIT=${fileLimitMs / 1000}`, `IO_GUARD_FACTOR=${factor}`],
  ];
  return [
    ...["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"],
    ...["-display", "none", "-monitor", "none", "-no-reboot", "-nodefaults"],
    ...["-serial", `file:${consolePath}`, "-serial", "stdio"],
    ...["-kernel", kernelPath, "-append", kernelWords.join(" ")],
    ...["-drive", `file=${imageFile},if=none,id=root,format=raw,snapshot=on`],
    ...["-device", "nvme,drive=root,serial=1"],
  ];
}

/** What the machine is asked to run: a file, and the variables that it is given. */
function orderOf(cell) {
  if (cell === undefined) return "";
  const variables = Object.entries({ ...cell.variables, IO_TEST: cell.label });
  return [cell.path, ...variables.map(([name, value]) => `${name}=${value}`)].join(" ");
}

/** The other end of the serial line: names one cell after the other, and takes their results. */
class Line {
  #mark;
  #cells;
  #onResult;
  #output = [];
  /** The cell that has begun and not ended. */
  cell;
  endedCount = 0;

  constructor(mark, cells, onResult) {
    this.#mark = mark;
    this.#cells = cells;
    this.#onResult = onResult;
  }

  get output() {
    return this.#output.join("\n");
  }

  /** Takes a line and returns what to answer, which is nothing most of the time. */
  take(line) {
    const [mark, what, ...words] = line.split(" ");
    if (mark !== this.#mark) {
      if (this.cell !== undefined) this.#output.push(line);
      return "";
    }
    if (what === "begin") {
      this.cell = this.#cells[this.endedCount];
      this.#output = [];
      return "";
    }
    // The other words are "ready", once, and "end".
    if (what === "end") this.#end(words.map(Number));
    // An empty line after the last cell switches the machine off.
    return `${orderOf(this.#cells[this.endedCount])}\n`;
  }

  #end([code, begin, end]) {
    // A shell's way to say that a signal ended the process. SIGKILL is what the limit sends.
    const timedOut = code === 128 + 9 && end - begin >= fileLimitMs / 1000;
    const signal = code > 128 && !timedOut ? `signal ${code - 128}` : null;
    const output = `${this.output}\n`;
    const ended = { status: code, signal, timedOut, timeoutMs: fileLimitMs, output };
    this.endedCount++;
    this.#onResult(resultOf(this.cell, ended, end - begin));
    this.cell = undefined;
  }
}

/** A machine that did not come to its end is one failed test, of the cell that ran then. */
function whatIsMissing({ cell, output, endedCount }, cells, timedOut, consoleText) {
  const last = consoleText.trimEnd().split("\n").slice(-20).join("\n");
  const why = timedOut
    ? `the machine did not end within ${kernelLimitMs / 1000} s`
    : "the machine ended before its time";
  return {
    label: cell?.label ?? "(no test)",
    command: ["npm", "run", "test:kernels"],
    passed: 0,
    failed: 1,
    skipped: 0,
    skipReasons: [],
    problems: [`${why}; ${cells.length - endedCount} of ${cells.length} have no result`],
    output: `${output}\n${last}`,
    seconds: 0,
  };
}

/** Starts the machine; resolves when it has ended, to what QEMU said and whether it was stopped. */
function emulate(words, answer) {
  const machine = spawn("qemu-system-x86_64", words, { stdio: ["pipe", "pipe", "pipe"] });
  running.add(machine);
  // A machine that has ended reads no more.
  machine.stdin.on("error", () => {});
  let rest = "";
  machine.stdout.setEncoding("utf8").on("data", (chunk) => {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) machine.stdin.write(answer(line));
  });
  let said = "";
  machine.stderr.setEncoding("utf8").on("data", (chunk) => {
    said += chunk;
  });
  machine.on("error", (error) => {
    said += `${error.message}\n`;
  });
  return new Promise((resolve) => {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      machine.kill("SIGKILL");
    }, kernelLimitMs);
    machine.on("close", () => {
      clearTimeout(timer);
      running.delete(machine);
      resolve({ said, timedOut });
    });
  });
}

/** Runs the cells on a kernel. Calls `onResult` for each; returns what the kernel complained of. */
export async function runOnKernel({ version, folder }, cells, onResult) {
  const consolePath = `${kernelsFolder}/console-${version}.txt`;
  writeFileSync(consolePath, "");
  // No test prints this by chance.
  const mark = `@@${randomBytes(6).toString("hex")}`;
  const line = new Line(mark, cells, onResult);
  const words = machineWords(`${folder}/vmlinuz`, mark, consolePath);
  const { said, timedOut } = await emulate(words, (text) => line.take(text));
  const consoleText = `${said}${readFileSync(consolePath, "utf8")}`;
  if (line.endedCount < cells.length) {
    onResult(whatIsMissing(line, cells, timedOut, consoleText));
  }
  return consoleText.split(/\r?\n/).filter((text) => complaint.test(text) && !slowness.test(text));
}
