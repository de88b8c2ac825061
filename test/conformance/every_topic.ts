// The whole conformance suite, for files that choose what it runs over.

import "./conformance-area-fallback.test.js";
import "./conformance-chains.test.js";
import "./conformance-closing.test.js";
import "./conformance-datagrams.test.js";
import "./conformance-deadlines.test.js";
import "./conformance-files.test.js";
import "./conformance-lent.test.js";
import "./conformance-memory.test.js";
import "./conformance-ring.test.js";
import "./conformance-streams.test.js";
import "./conformance-systems.test.js";
import "./conformance-waiting.test.js";
import "./conformance-zero-copy.test.js";
