// The conformance of chains, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-chains.test.js";
