// The conformance of datagram sockets, on kqueue.

import "./over_kqueue.js";
import "./conformance-datagrams.test.js";
