// The conformance of descriptors of other code, and of what other threads send.

import { conform } from "../support/harness.js";
import { descriptorsAdopt } from "./adopt.js";
import { descriptorsNotifier } from "./notifier.js";
import { descriptorsPassing } from "./passing.js";
import { descriptorsPoll } from "./poll.js";
import { descriptorsProcess } from "./process.js";
import { descriptorsSignals } from "./signals.js";

conform(
  "descriptors",
  descriptorsPoll,
  descriptorsNotifier,
  descriptorsAdopt,
  descriptorsPassing,
  descriptorsProcess,
  descriptorsSignals,
);
