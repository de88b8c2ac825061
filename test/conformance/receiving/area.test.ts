// The conformance of receiving into an area that the kernel registers without a device (Linux 7.1):
// what holds of lent memory holds of it too, and what is its own.

import { suite } from "uvu";
import { AREA_BYTES_LEAST, whyNoArea } from "../../support/area.js";
import { skip } from "../../support/skip.js";
import { conform, openWith, runOn } from "../support/harness.js";
import { area } from "./area.js";
import { lentStreams } from "./streams.js";

const USUAL_BYTES = 4 * 1024 * 1024;

const reason = await whyNoArea();
if (reason === null) {
  runOn(["io_uring"]);
  openWith(({ chunksMaxBytes }) => ({
    zeroCopyReceive: {
      withoutDevice: true,
      sizeBytes: Math.max(chunksMaxBytes ?? USUAL_BYTES, AREA_BYTES_LEAST),
      required: true,
    },
  }));
  conform("area", lentStreams, area);
} else {
  const skipped = suite("area: io_uring");
  skip(skipped, "receiving into an area", reason);
  skipped.run();
}
