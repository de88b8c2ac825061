// The conformance of stream sockets: data, listening and connecting, and the verbs of the ring.

import { conform } from "../support/harness.js";
import { streamsClosing } from "./closing.js";
import { streamsCrowd } from "./crowd.js";
import { streamsData } from "./data.js";
import { streamsFiles } from "./files.js";
import { streamsHalfClosed } from "./half_closed.js";
import { streamsHostile } from "./hostile.js";
import { streamsListening } from "./listening.js";
import { streamsMany } from "./many.js";
import { streamsMessages } from "./messages.js";
import { streamsOdd } from "./odd.js";
import { streamsOptions } from "./options.js";
import { streamsPieces } from "./pieces.js";
import { streamsPipelined } from "./pipelined.js";
import { streamsPiping } from "./piping.js";
import { streamsReader } from "./reader.js";
import { streamsRing } from "./ring.js";
import { streamsShutSending } from "./shut_sending.js";
import { streamsStalledFiles } from "./stalled_files.js";

conform(
  "streams",
  streamsData,
  streamsListening,
  streamsClosing,
  streamsFiles,
  streamsStalledFiles,
  streamsRing,
  streamsOdd,
  streamsHostile,
  streamsHalfClosed,
  streamsShutSending,
  streamsMessages,
  streamsOptions,
  streamsPieces,
  streamsPiping,
  streamsReader,
  streamsPipelined,
  streamsMany,
  streamsCrowd,
);
