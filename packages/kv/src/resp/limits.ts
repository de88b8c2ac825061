/** How much one request may be. The figures are Redis's, where it has one. */

export const BULK_LIMIT_BYTES = 512 * 1024 * 1024;
export const ARGUMENT_LIMIT = 1024 * 1024;
export const INLINE_LIMIT_BYTES = 64 * 1024;
/** All arguments of one request together. */
export const REQUEST_LIMIT_BYTES = 1024 * 1024 * 1024;
/** A line such as `*3` or `$11`: a sign, nineteen digits and the line end fit easily. */
export const HEADER_LIMIT_BYTES = 32;
