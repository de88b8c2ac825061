// The conformance of files: opening, which may have to wait, data, operations on a whole file, and
// many operations at once.

import { conform } from "../support/harness.js";
import { filesAttributes } from "./attributes.js";
import { filesBlocked } from "./blocked.js";
import { filesCopy } from "./copy.js";
import { filesCopyTrees } from "./copy_trees.js";
import { filesCrowd } from "./crowd.js";
import { filesData } from "./data.js";
import { filesDirectories } from "./directories.js";
import { filesFlags } from "./flags.js";
import { filesListing } from "./listing.js";
import { filesLock } from "./lock.js";
import { filesOpen } from "./open.js";
import { filesPosition } from "./position.js";
import { filesSpace } from "./space.js";
import { filesTrees } from "./trees.js";
import { filesWatch } from "./watch.js";
import { filesWatchLimits } from "./watch_limits.js";
import { filesWhole } from "./whole.js";

conform(
  "files",
  filesOpen,
  filesData,
  filesWhole,
  filesCrowd,
  filesPosition,
  filesLock,
  filesFlags,
  filesSpace,
  filesAttributes,
  filesCopy,
  filesCopyTrees,
  filesDirectories,
  filesListing,
  filesTrees,
  filesWatch,
  filesWatchLimits,
  filesBlocked,
);
