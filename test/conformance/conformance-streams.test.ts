// The conformance of stream sockets: data, listening and connecting, and the verbs of the ring.

import { conform } from "./harness.js";
import { streamsClosing } from "./streams_closing.js";
import { streamsCrowd } from "./streams_crowd.js";
import { streamsData } from "./streams_data.js";
import { streamsFiles } from "./streams_files.js";
import { streamsHalfClosed } from "./streams_half_closed.js";
import { streamsHostile } from "./streams_hostile.js";
import { streamsListening } from "./streams_listening.js";
import { streamsMany } from "./streams_many.js";
import { streamsOdd } from "./streams_odd.js";
import { streamsPipelined } from "./streams_pipelined.js";
import { streamsRing } from "./streams_ring.js";

conform(
  "streams",
  streamsData,
  streamsListening,
  streamsClosing,
  streamsFiles,
  streamsRing,
  streamsOdd,
  streamsHostile,
  streamsHalfClosed,
  streamsPipelined,
  streamsMany,
  streamsCrowd,
);
