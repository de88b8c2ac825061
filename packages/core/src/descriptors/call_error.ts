// The error of a call that is no operation.
import { errnoName, IOError, operationError } from "../errors.js";

// What the general advice of a code gets wrong, by the call of the system or of this library.
const OWN_ADVICE: ReadonlyMap<string, string> = new Map([
  ["fcntl EBADF", "no descriptor of this process has that number"],
  ["joinGroup EADDRINUSE", "the socket has joined the group already"],
  ["fcntl ELOOP", "the event loop of this thread waits with it, and would wait for itself"],
  ["joinGroup EINVAL", "the address is no multicast group, or of another family than the socket"],
  ["joinGroup ENOPROTOOPT", "the group is of another family than the socket"],
  ["leaveGroup ENOPROTOOPT", "the group is of another family than the socket"],
]);

/**
 * `errno` is negative; the sentence names the call of this library and that of the system, and what
 * it was about: "process 7".
 */
export function callError(
  operation: string,
  syscall: string,
  errno: number,
  backend: string,
  about?: string,
): IOError {
  const { code, message } = operationError(0, errno, backend);
  const call = about === undefined ? operation : `${operation} of ${about}`;
  const said = message.replace(/^[^:]*:/, () => `${call} failed in ${syscall}:`);
  const own = OWN_ADVICE.get(`${syscall} ${code}`) ?? OWN_ADVICE.get(`${operation} ${code}`);
  const text = own === undefined ? said : `${said.replace(/ \([^)]*\)$/, "")} (${own})`;
  return new IOError({ code, errno, syscall, operation, backend, message: text });
}

/** The same of a number that the program gave: EBADF is not of a descriptor of the IO then. */
export function givenError(
  operation: string,
  fd: number,
  syscall: string,
  errno: number,
  backend: string,
): IOError {
  const [code, text] = errnoName(errno);
  if (code !== "EBADF") return callError(operation, syscall, errno, backend);
  const message =
    `${operation} of descriptor ${fd} failed in ${syscall}: ${code}, ${text} (the process has no ` +
    "such descriptor: its owner has closed it, or it is the number of another process)";
  return new IOError({ code, errno, syscall, operation, backend, message });
}
