// The conformance of files: opening, which may have to wait, data, what is done to a file as a
// whole, and many at once.

import { conform } from "../support/harness.js";
import { filesBlocked } from "./blocked.js";
import { filesCrowd } from "./crowd.js";
import { filesData } from "./data.js";
import { filesLock } from "./lock.js";
import { filesOpen } from "./open.js";
import { filesPosition } from "./position.js";
import { filesWhole } from "./whole.js";

conform(
  "files",
  filesOpen,
  filesData,
  filesWhole,
  filesCrowd,
  filesPosition,
  filesLock,
  filesBlocked,
);
