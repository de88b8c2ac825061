// The conformance of datagram sockets: messages, addresses, errors, and the verbs of the ring.

import { datagramsData } from "./datagrams_data.js";
import { datagramsErrors } from "./datagrams_errors.js";
import { datagramsRing } from "./datagrams_ring.js";
import { datagramsShut } from "./datagrams_shut.js";
import { conform } from "./harness.js";

conform("datagrams", datagramsData, datagramsErrors, datagramsRing, datagramsShut);
