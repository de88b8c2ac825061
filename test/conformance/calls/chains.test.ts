// The conformance of linked operations, in both layers.

import { conform } from "../support/harness.js";
import { chains } from "./chains.js";

conform("chains", chains);
