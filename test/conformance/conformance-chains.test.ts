// The conformance of linked operations, in both layers.

import { chains } from "./chains.js";
import { conform } from "./harness.js";

conform("chains", chains);
