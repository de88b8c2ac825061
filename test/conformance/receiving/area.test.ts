// The conformance of receiving into an area that the kernel registers without a device (Linux 7.1):
// the tests of provided buffers, and those of the area alone.

import { suite } from "uvu";
import { MIN_AREA_BYTES, whyNoArea } from "../../support/area.js";
import { skip } from "../../support/skip.js";
import { conform, openWith, runOn } from "../support/harness.js";
import { area } from "./area.js";
import { receivingStreams } from "./streams.js";

const USUAL_BYTES = 4 * 1024 * 1024;

const reason = await whyNoArea();
if (reason === null) {
  runOn(["io_uring"]);
  openWith(({ chunksMaxBytes }) => ({
    zeroCopyReceive: {
      withoutDevice: true,
      sizeBytes: Math.max(chunksMaxBytes ?? USUAL_BYTES, MIN_AREA_BYTES),
      required: true,
    },
  }));
  conform("area", receivingStreams, area);
} else {
  const skipped = suite("area: io_uring");
  skip(skipped, "receiving into an area", reason);
  skipped.run();
}
