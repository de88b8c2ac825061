// The conformance of receiving into borrowed buffers, and of loops over sockets.

import { conform } from "../support/harness.js";
import { receivingCrowd } from "./crowd.js";
import { receivingDatagrams } from "./datagrams.js";
import { receivingKept } from "./kept.js";
import { ownedBytes } from "./owned.js";
import { receivingResets } from "./resets.js";
import { receivingRing } from "./ring.js";
import { receivingStreams } from "./streams.js";

conform(
  "receiving",
  receivingRing,
  receivingCrowd,
  receivingResets,
  receivingStreams,
  receivingKept,
  receivingDatagrams,
  ownedBytes,
);
