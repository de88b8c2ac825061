// The conformance of chains, on kqueue.

import "./over_kqueue.js";
import "./conformance-chains.test.js";
