// Who is called when a signal aborts. Each signal has one listener, however many operations it is
// given to: Node takes more than ten for a leak, and warns. An operation follows its signal until
// it has ended, also after the abort: so a scope knows when all that follows its own has ended.

type Act = () => void;

interface Following {
  readonly acts: Set<Act>;
  readonly listener: () => void;
  /** Called once, when nothing follows the signal any more. */
  onIdle: (() => void) | null;
}

const followings = new WeakMap<AbortSignal, Following>();

/** Calls `act` once when the signal aborts, unless it is unfollowed before. */
export function follow(signal: AbortSignal, act: Act): void {
  let following = followings.get(signal);
  if (following === undefined) {
    const acts = new Set<Act>();
    const listener = (): void => {
      for (const one of [...acts]) one();
    };
    following = { acts, listener, onIdle: null };
    signal.addEventListener("abort", listener, { once: true });
    followings.set(signal, following);
  }
  following.acts.add(act);
}

/** Ends a `follow`: what follows has ended. Called twice it does nothing. */
export function unfollow(signal: AbortSignal, act: Act): void {
  const following = followings.get(signal);
  if (following === undefined) return;
  following.acts.delete(act);
  if (following.acts.size > 0) return;
  // A signal with a listener is kept in memory, with all that the listener names.
  followings.delete(signal);
  signal.removeEventListener("abort", following.listener);
  following.onIdle?.();
}

/** Calls back once, when nothing follows the signal. Only a scope asks that, of its own signal. */
export function whenIdle(signal: AbortSignal, callback: () => void): void {
  const following = followings.get(signal);
  if (following === undefined) callback();
  else following.onIdle = callback;
}
