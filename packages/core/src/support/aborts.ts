// Who is called when a signal aborts. Each signal has one listener, however many operations it is
// given to: Node takes more than ten for a leak, and warns.

type Act = () => void;

interface Following {
  readonly acts: Set<Act>;
  readonly listener: () => void;
}

const followings = new WeakMap<AbortSignal, Following>();

/** Calls `act` once when the signal aborts, unless it is unfollowed before. */
export function follow(signal: AbortSignal, act: Act): void {
  let following = followings.get(signal);
  if (following === undefined) {
    const acts = new Set<Act>();
    const listener = (): void => {
      followings.delete(signal);
      for (const one of acts) one();
    };
    following = { acts, listener };
    signal.addEventListener("abort", listener, { once: true });
    followings.set(signal, following);
  }
  following.acts.add(act);
}

/** Takes back a `follow`; nothing happens when it was called or taken back before. */
export function unfollow(signal: AbortSignal, act: Act): void {
  const following = followings.get(signal);
  if (following === undefined) return;
  following.acts.delete(act);
  if (following.acts.size > 0) return;
  // A signal with a listener is kept in memory, with all that the listener names.
  followings.delete(signal);
  signal.removeEventListener("abort", following.listener);
}
