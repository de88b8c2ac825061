// Runs the contenders of a workload in turn, round after round, and makes a report of the figures.

import { machineName, QuietWatch } from "./machine.js";
import { findProgram } from "./processes.js";
import { ratiosOf, type Summary, summarize } from "./statistics.js";

export interface Settings {
  rounds: number;
  durationSeconds: number;
  /** Everything is exercised and nothing is measured well. */
  small: boolean;
}

/** What one run of a contender measured, by unit. The first is the figure that is compared. */
export type Figures = Record<string, number>;

export interface Contender {
  /** "ours" is compared with every name that does not begin with "ours". */
  name: string;
  /** Set when the same peer runs with several settings; the best one then stands for the peer. */
  variant?: string;
  /** Why it cannot run here. */
  unavailable?: string;
  /** Runs it once, in a fresh process. */
  measure(settings: Settings): Promise<Figures>;
}

/** A ratio beside those of "ours" to each peer: of one contender to the best of others. */
export interface Comparison {
  of: string;
  to: string[];
}

export interface Case {
  name: string;
  better: "higher" | "lower";
  contenders: Contender[];
  comparisons?: Comparison[];
}

export interface Workload {
  name: string;
  /** Makes what the cases need. `dispose` removes it again. */
  prepare(settings: Settings): Promise<{ cases: Case[]; dispose(): void }>;
}

export interface Row extends Summary {
  case: string;
  name: string;
  unit: string;
}

export interface Skip {
  case: string;
  name: string;
  reason: string;
  /** It started and broke, as opposed to not being here. */
  failed: boolean;
}

export interface Report {
  workload: string;
  machine: string;
  quiet: boolean;
  rows: Row[];
  ratios: Record<string, number>;
  /** By ratio: the lowest and the highest of a round. */
  spreads: Record<string, [number, number]>;
  /** The cases whose figures are times. */
  lessIsBetter: string[];
  /** How long the workload took, from its preparation to its end. */
  seconds: number;
  skipped: Skip[];
  notes: string[];
}

/** A contender with the figures of its rounds, by unit. */
interface Entry {
  contender: Contender;
  series: Map<string, number[]>;
  skip?: Skip;
}

/** What is about to run, how many runs have ended, and how many there are. */
export type Progress = (line: string, done: number, total: number) => void;

/** The name with the variant, which tells two entries of one peer apart. */
function fullName({ name, variant }: Contender): string {
  return variant === undefined ? name : `${name} (${variant})`;
}

function record(entry: Entry, figures: Figures): void {
  for (const [unit, value] of Object.entries(figures)) {
    if (!Number.isFinite(value)) throw new TypeError(`The figure for ${unit} is not a number.`);
    const values = entry.series.get(unit);
    if (values) values.push(value);
    else entry.series.set(unit, [value]);
  }
}

async function measureOnce(entry: Entry, caseName: string, settings: Settings): Promise<void> {
  try {
    record(entry, await entry.contender.measure(settings));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    entry.skip = { case: caseName, name: fullName(entry.contender), reason, failed: true };
  }
}

/** The figures that are compared: those of the unit that the contender named first. */
function mainSeries(entry: Entry): number[] {
  const [values] = entry.series.values();
  if (!values) throw new Error(`${fullName(entry.contender)} gave no figure.`);
  return values;
}

/**
 * Each round begins with another one: a contender that always ran after the same peer would have
 * the machine as that one left it, and the first of a round has been seen to lose a tenth.
 */
function turned<T>(list: readonly T[], by: number): T[] {
  const first = by % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

async function runRounds(
  one: Case,
  settings: Settings,
  progress: (line: string) => void,
): Promise<Entry[]> {
  const entries = one.contenders.map((contender): Entry => {
    const entry: Entry = { contender, series: new Map() };
    if (contender.unavailable === undefined) return entry;
    const reason = contender.unavailable;
    return { ...entry, skip: { case: one.name, name: fullName(contender), reason, failed: false } };
  });
  for (let round = 0; round < settings.rounds; round++) {
    for (const entry of turned(entries, round)) {
      if (entry.skip) continue;
      progress(`${one.name}, round ${round + 1}: ${fullName(entry.contender)}`);
      await measureOnce(entry, one.name, settings);
    }
  }
  return entries;
}

function rowsOf(caseName: string, name: string, entry: Entry): Row[] {
  return [...entry.series].map(([unit, values]) => ({
    case: caseName,
    name,
    unit,
    ...summarize(values),
  }));
}

/** The entry with the best median: of a peer with several settings, the one that stands for it. */
function bestOf(entries: Entry[], better: Case["better"]): Entry {
  const sign = better === "higher" ? 1 : -1;
  const value = (entry: Entry) => sign * summarize(mainSeries(entry)).median;
  return entries.reduce((best, entry) => (value(entry) > value(best) ? entry : best));
}

function addRatio(report: Report, name: string, ours: number[], peer: number[]): void {
  const { median, low, high } = ratiosOf(ours, peer);
  report.ratios[name] = median;
  report.spreads[name] = [low, high];
}

/** Adds what one case gave to the report. */
export function addCase(report: Report, one: Case, entries: Entry[]): void {
  for (const { skip } of entries) if (skip) report.skipped.push(skip);
  const ran = entries.filter((entry) => !entry.skip);
  // By the name in the report: the best of the variants has the plain one.
  const named = new Map<string, Entry>();
  for (const name of new Set(ran.map((entry) => entry.contender.name))) {
    const variants = ran.filter((entry) => entry.contender.name === name);
    const chosen = bestOf(variants, one.better);
    named.set(name, chosen);
    for (const entry of variants) {
      if (entry !== chosen) named.set(fullName(entry.contender), entry);
    }
    if (chosen.contender.variant === undefined) continue;
    report.notes.push(`${one.name}: ${name} is the one with ${chosen.contender.variant}.`);
  }
  const ours = named.get("ours");
  for (const [name, entry] of named) {
    report.rows.push(...rowsOf(one.name, name, entry));
    if (!ours || name.startsWith("ours")) continue;
    addRatio(report, `${one.name} ours/${name}`, mainSeries(ours), mainSeries(entry));
  }
  compare(report, one, named);
}

/** Adds the ratios that a case asks for. One whose contender did not run has none. */
function compare(report: Report, one: Case, named: Map<string, Entry>): void {
  const pick = one.better === "higher" ? Math.max : Math.min;
  for (const { of, to } of one.comparisons ?? []) {
    const entry = named.get(of);
    const others = to.flatMap((name) => named.get(name) ?? []).map(mainSeries);
    const [first] = others;
    if (entry === undefined || first === undefined || others.length < to.length) continue;
    const best = first.map((_, round) => pick(...others.map((series) => series[round] ?? 0)));
    const name = to.length > 1 ? `better of ${to.join(" and ")}` : to[0];
    addRatio(report, `${one.name} ${of}/${name}`, mainSeries(entry), best);
  }
}

/** How many contenders run in one round of all cases. */
function runsOf(cases: readonly Case[]): number {
  const able = cases.map(({ contenders }) => contenders.filter((one) => !one.unavailable).length);
  return able.reduce((sum, count) => sum + count, 0);
}

export async function runWorkload(
  workload: Workload,
  settings: Settings,
  progress: Progress = () => undefined,
): Promise<Report> {
  const watch = await QuietWatch.start(settings.small ? 0.1 : 1);
  const report: Report = {
    workload: workload.name,
    machine: machineName(),
    quiet: false,
    rows: [],
    ratios: {},
    spreads: {},
    lessIsBetter: [],
    seconds: 0,
    skipped: [],
    notes: [],
  };
  const start = performance.now();
  const { cases, dispose } = await workload.prepare(settings);
  const total = runsOf(cases) * settings.rounds;
  let done = 0;
  const begin = (line: string) => progress(`${workload.name}: ${line}`, done++, total);
  try {
    for (const one of cases) {
      if (one.better === "lower") report.lessIsBetter.push(one.name);
      addCase(report, one, await runRounds(one, settings, begin));
    }
  } finally {
    dispose();
  }
  report.seconds = (performance.now() - start) / 1000;
  const { quiet, reason } = watch.stop();
  report.quiet = quiet;
  if (!quiet) report.notes.push(`The machine was not quiet: ${reason}.`);
  if (!findProgram("taskset")) report.notes.push("Nothing was pinned: there is no taskset.");
  return report;
}
