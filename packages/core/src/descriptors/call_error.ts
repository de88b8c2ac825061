// The error of a call that is no operation.
import { IOError, operationError } from "../errors.js";

/** `errno` is negative; the sentence names the call of this library and that of the system. */
export function callError(
  operation: string,
  syscall: string,
  errno: number,
  backend: string,
): IOError {
  const { code, message } = operationError(0, errno, backend);
  const text = message.replace(/^[^:]*:/, `${operation} failed in ${syscall}:`);
  return new IOError({ code, errno, syscall, operation, backend, message: text });
}
