// What a descriptor is.
import * as abi from "../engine/abi.js";

/**
 * What a descriptor is: a regular file, directory or disk; a stream socket; a listening socket; a
 * datagram socket; an end of a pipe or FIFO; a terminal; another character device.
 *
 * @category Descriptors
 */
export type DescriptorKind =
  | "file"
  | "socket"
  | "listener"
  | "datagram"
  | "pipe"
  | "terminal"
  | "device";

export const KIND_NUMBERS: Readonly<Record<DescriptorKind, number>> = {
  file: abi.DESCRIPTOR_KIND_FILE,
  socket: abi.DESCRIPTOR_KIND_SOCKET,
  listener: abi.DESCRIPTOR_KIND_LISTENER,
  datagram: abi.DESCRIPTOR_KIND_DATAGRAM,
  pipe: abi.DESCRIPTOR_KIND_PIPE,
  terminal: abi.DESCRIPTOR_KIND_TERMINAL,
  device: abi.DESCRIPTOR_KIND_DEVICE,
};

/** The word for what the engine says; null when there is none. */
export function kindName(kind: number): DescriptorKind | null {
  const names = Object.keys(KIND_NUMBERS) as DescriptorKind[];
  return names.find((name) => KIND_NUMBERS[name] === kind) ?? null;
}
