// What makes an object of ours pass for one of Node's: the members that it does not have by itself
// come from a real one, which is made when the first of them is asked for.

type Members = Record<PropertyKey, unknown>;

/**
 * Completes the class: `real` gives the object of Node's that stands behind one of ours. `sample`
 * is an object of Node's, whose own symbols are what Node looks at when it is given one.
 */
export function inherit<T extends object>(
  ours: { readonly prototype: T },
  theirs: { readonly prototype: object },
  sample: object,
  real: (object: T) => object,
): void {
  const target = ours.prototype;
  Object.setPrototypeOf(target, theirs.prototype);
  for (const name of Object.getOwnPropertyNames(theirs.prototype)) {
    if (Object.hasOwn(target, name)) continue;
    const { value } = Object.getOwnPropertyDescriptor(theirs.prototype, name)!;
    const descriptor: PropertyDescriptor =
      typeof value === "function"
        ? {
            value(this: T, ...given: unknown[]): unknown {
              const object = real(this);
              return Reflect.apply(value, object, given);
            },
          }
        : { get: getter(real, name) };
    Object.defineProperty(target, name, { ...descriptor, configurable: true });
  }
  for (const symbol of Object.getOwnPropertySymbols(sample)) {
    Object.defineProperty(target, symbol, { get: getter(real, symbol), configurable: true });
  }
}

function getter<T extends object>(real: (object: T) => object, name: PropertyKey) {
  return function (this: T): unknown {
    return (real(this) as Members)[name];
  };
}
