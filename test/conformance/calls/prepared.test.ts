// The conformance of `io.prepare` and `io.chain`.

import { conform } from "../support/harness.js";
import { prepared } from "./prepared.js";

conform("prepared", prepared);
