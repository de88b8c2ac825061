// The whole conformance, as on OpenBSD.

import "./over_openbsd.js";
import "./every_topic.js";
