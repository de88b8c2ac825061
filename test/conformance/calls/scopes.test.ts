// The conformance of cancel scopes.

import { conform } from "../support/harness.js";
import { scopes } from "./scopes.js";

conform("scopes", scopes);
