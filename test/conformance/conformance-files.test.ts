// The conformance of files: opening, which may have to wait, data, what is done to a file as a
// whole, and many at once.

import { filesBlocked } from "./files_blocked.js";
import { filesCrowd } from "./files_crowd.js";
import { filesData } from "./files_data.js";
import { filesLock } from "./files_lock.js";
import { filesOpen } from "./files_open.js";
import { filesPosition } from "./files_position.js";
import { filesWhole } from "./files_whole.js";
import { conform } from "./harness.js";

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
