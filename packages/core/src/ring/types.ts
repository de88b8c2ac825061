// Types that the verbs, and everything made of them, have in common.

/**
 * An open file or socket of one `IO`: the system's number with a generation, so that a descriptor
 * that was closed is refused (EBADF) even when the system has handed its number out again.
 *
 * @category Ring
 */
export type Descriptor = number;

/**
 * Whether a send spares the copy of its bytes into the kernel.
 *
 * "never": it copies, and the memory is free as soon as the kernel has taken the bytes. "always":
 * it does not, wherever the socket and the kernel can; the memory stays the kernel's until the
 * bytes have left, for TCP until the peer has acknowledged them. "auto": it does not when that
 * pays: the message is long enough, and the kernel has not said of this socket that it copies in
 * the end, as it does on loopback. Where it cannot be done the send is a plain one, and counted as
 * fallen back. See the guide "Sending without a copy".
 *
 * @category Sockets
 */
export type ZeroCopy = "auto" | "always" | "never";
