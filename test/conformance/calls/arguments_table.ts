// The shape of the table of calls. It follows the declarations of the library: a public method, a
// parameter or an option that has no row does not compile.

import type * as core from "@io/core";
import type { Kind } from "./arguments_kinds.js";

/** One argument of a call: a value that is right, and what is. */
export interface Argument {
  readonly good: () => unknown;
  readonly kind: Kind;
  /** Of an object of options: each of them. */
  readonly fields?: Readonly<Record<string, Kind>>;
  /** What the options need to be right but for the one that is tried. */
  readonly base?: () => object;
}

/** A public call: how it is made, and what it takes. */
export interface Call {
  readonly name: string;
  readonly make: (given: unknown[]) => unknown;
  readonly takes: readonly Argument[];
}

type AnyMethod = (...given: never[]) => unknown;

// A field of any type is none.
type IsMethod<M> = 0 extends 1 & M ? false : NonNullable<M> extends AnyMethod ? true : false;

/** The names of the methods of a type. */
export type MethodNames<T> = {
  [K in keyof T]-?: IsMethod<T[K]> extends true ? K : never;
}[keyof T] &
  string;

type KeysOf<T> = T extends unknown ? keyof T : never;

// An argument that may be {} is an object of options: each of its keys has to have a row.
type OptionsOf<P> = P extends object ? (Record<never, never> extends P ? P : never) : never;

type FieldsOf<P> = [OptionsOf<P>] extends [never]
  ? unknown
  : { readonly fields: Readonly<Record<KeysOf<OptionsOf<P>> & string, Kind>> };

/** A row has an argument for each parameter. */
export type Row<M> = M extends (...given: infer Given) => unknown
  ? { readonly [I in keyof Given]-?: Argument & FieldsOf<Given[I]> }
  : never;

/** A row for each method. */
export type Rows<T> = { readonly [K in MethodNames<T>]: Row<T[K]> };

/** An object of options, in which one has to be given, with a row for each key. */
export type KeyRows<T> = Readonly<Record<KeysOf<T> & string, Kind>>;

type Core = typeof core;
type Instance<C> = C extends { prototype: infer P } ? (0 extends 1 & P ? never : P) : never;

/** The classes that the library exports. */
export type ClassNames = {
  [K in keyof Core]: [Instance<Core[K]>] extends [never] ? never : K;
}[keyof Core];

/** The functions that it exports. */
export type FunctionNames = {
  [K in keyof Core]: [Instance<Core[K]>] extends [never]
    ? Core[K] extends AnyMethod
      ? K
      : never
    : never;
}[keyof Core];

type Statics<C> = Omit<C, "prototype" | keyof ErrorConstructor>;

/** The rows of a class, and what its methods are called on. */
export interface ClassRows<T, C> {
  readonly on: object;
  readonly methods: Rows<T>;
  readonly statics: Rows<Statics<C>>;
}

/** Rows for all that is public. */
export type Table = {
  readonly [K in ClassNames]: ClassRows<Instance<Core[K]>, Core[K]>;
} & { readonly functions: Rows<Pick<Core, FunctionNames>> };

/** The calls of an object's methods. */
export function callsOn(prefix: string, target: object, rows: object): Call[] {
  return Object.entries(rows as Record<string, readonly Argument[]>).map(([name, takes]) => ({
    name: `${prefix}.${name}`,
    make: (given) => callOn(target, name, given),
    takes,
  }));
}

/** A method by its name, with arguments of any kind. */
export function callOn(target: object, name: string, given: unknown[]): unknown {
  const method = (target as Record<string, unknown>)[name] as (...all: unknown[]) => unknown;
  return Reflect.apply(method, target, given);
}
