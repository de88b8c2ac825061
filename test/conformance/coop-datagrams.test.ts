// The conformance of datagram sockets, on io_uring with COOP_TASKRUN.

import "./over_coop.js";
import "./conformance-datagrams.test.js";
