// The conformance of datagram sockets: messages, addresses, errors, and the verbs of the ring.

import { conform } from "../support/harness.js";
import { datagramsData } from "./data.js";
import { datagramsErrors } from "./errors.js";
import { datagramsFull } from "./full.js";
import { datagramsMessages } from "./messages.js";
import { datagramsRing } from "./ring.js";
import { datagramsShut } from "./shut.js";

conform(
  "datagrams",
  datagramsData,
  datagramsErrors,
  datagramsRing,
  datagramsShut,
  datagramsMessages,
  datagramsFull,
);
