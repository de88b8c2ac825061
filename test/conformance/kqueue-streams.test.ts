// The conformance of streams, on kqueue.

import "./over_kqueue.js";
import "./conformance-streams.test.js";
