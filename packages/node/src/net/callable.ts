// Node's classes of streams may be called without `new`; a class of the language may not.

type Class = abstract new (...given: never[]) => object;

/** The class, which may be called without `new` as well. */
export function callable<C extends Class>(made: C): C {
  return new Proxy(made, {
    apply: (target, _self, given) => Reflect.construct(target, given),
  });
}
