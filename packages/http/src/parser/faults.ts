// What can be wrong with a request: a number for the parser, and the answer that the client gets.

/** Why a request was refused. */
export interface Fault {
  /** For programs and logs. */
  readonly code: string;
  /** The status of the answer. */
  readonly status: number;
  /** For people. */
  readonly text: string;
  /** llhttp takes such a request; node:http itself refuses the one without a Host. */
  readonly stricter: boolean;
}

const rows: Fault[] = [];

function fault(status: number, code: string, text: string, stricter = false): number {
  rows.push({ code: `ERR_HTTP_${code}`, status, text, stricter });
  return -rows.length;
}

// llhttp knows those of RTSP, too.
export const BAD_METHOD = fault(501, "METHOD", "The method is none of HTTP.", true);
export const BAD_START = fault(400, "START", "The request does not begin with a method.");
export const BAD_TARGET = fault(400, "TARGET", "A character may not stand in a request target.");
export const BAD_FORM = fault(400, "TARGET_FORM", "The request target has no form of HTTP.", true);
export const BAD_SPACES = fault(400, "SPACES", "The request line has more than one space.", true);
// llhttp takes the protocols RTSP and ICE, too.
export const BAD_PROTOCOL = fault(400, "PROTOCOL", "HTTP/1.1 must follow the target.", true);
export const BAD_VERSION = fault(505, "VERSION", "The server speaks HTTP/1.1 and HTTP/1.0.", true);
export const NO_VERSION = fault(505, "NO_VERSION", "The request line has no version.", true);
export const BAD_LINE_END = fault(400, "LINE_END", "A line must end with CR and LF.");
export const BAD_NAME = fault(400, "FIELD_NAME", "A character may not stand in a field name.");
export const SPACE_BEFORE_COLON = fault(400, "FIELD_SPACE", "A blank stands before a colon.");
export const FOLDED = fault(400, "FIELD_FOLDED", "A field line begins with a blank.");
export const BAD_VALUE = fault(400, "FIELD_VALUE", "A character may not stand in a field value.");
export const BAD_LENGTH = fault(400, "LENGTH", "Content-Length is not a number of bytes.");
export const LONG_LENGTH = fault(413, "LENGTH_SIZE", "Content-Length is beyond 2^53.", true);
export const TWO_LENGTHS = fault(400, "TWO_LENGTHS", "Content-Length stands there twice.");
export const BOTH_LENGTHS = fault(
  400,
  "BOTH_LENGTHS",
  "Content-Length and Transfer-Encoding exclude each other.",
);
export const BAD_CODING = fault(501, "CODING", "The one Transfer-Encoding is chunked.", true);
export const OLD_CODING = fault(400, "OLD_CODING", "HTTP/1.0 has no Transfer-Encoding.", true);
export const TAB_BEHIND = fault(400, "TAB", "A tab stands in a field that frames messages.", true);
export const CONNECT_BODY = fault(400, "CONNECT_BODY", "CONNECT has no body.", true);
export const NO_HOST = fault(400, "NO_HOST", "A request of HTTP/1.1 must have a Host.", true);
export const TWO_HOSTS = fault(400, "TWO_HOSTS", "Host stands there twice.", true);
export const BAD_HOST = fault(400, "HOST", "Host is not the name of a host.", true);
export const BAD_EXPECT = fault(417, "EXPECT", "The one expectation is 100-continue.", true);
export const LONG_TARGET = fault(414, "TARGET_SIZE", "The request target is too long.", true);
export const LONG_HEAD = fault(431, "HEAD_SIZE", "The head of the request is too long.", true);
export const MANY_FIELDS = fault(431, "FIELD_COUNT", "The request has too many fields.", true);
export const BAD_CHUNK = fault(400, "CHUNK", "A chunk has no right size.");
export const LONG_CHUNK = fault(413, "CHUNK_SIZE", "A chunk is beyond 2^53 bytes.", true);
// llhttp takes some that are malformed behind an escaped backslash.
export const BAD_EXTENSION = fault(400, "CHUNK_EXTENSION", "A chunk extension is wrong.", true);
export const NO_EXTENSION = fault(400, "EXTENSION_NAME", "A chunk extension has no name.", true);
export const LONG_EXTENSION = fault(413, "EXTENSION_SIZE", "Chunk extensions are too long.", true);
export const BAD_CHUNK_END = fault(400, "CHUNK_END", "A chunk does not end with CR and LF.");
export const BAD_TRAILER = fault(400, "TRAILER", "A field may not stand in a trailer.", true);
export const LONG_BODY = fault(413, "BODY_SIZE", "The body is longer than the server takes.", true);
export const SLOW_HEAD = fault(408, "HEAD_TIMEOUT", "The head of the request took too long.", true);
export const SLOW_BODY = fault(408, "BODY_TIMEOUT", "The body of the request took too long.", true);
export const SLOW_REQUEST = fault(408, "REQUEST_TIMEOUT", "The request took too long.", true);
// node:http answers 400 to the first as well; the second breaks its connection.
export const CUT_HEAD = fault(400, "HEAD_CUT", "The connection ended within the head.");
export const CUT_BODY = fault(400, "BODY_CUT", "The connection ended within the body.");

/** The fault that a negative number of the parser stands for. */
export function faultOf(number: number): Fault {
  return rows[-number - 1]!;
}
