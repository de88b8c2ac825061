// The conformance of vsock: addresses everywhere, and connections where the machine has them to
// itself. The tests of streams run over vsock as well: it is one of their families.

import { conform } from "../support/harness.js";
import { vsockAddresses } from "./addresses.js";
import { vsockConnections } from "./connections.js";

conform("vsock", vsockAddresses, vsockConnections);
