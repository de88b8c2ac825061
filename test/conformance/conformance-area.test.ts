// The conformance of receiving into an area that the kernel registers without a device (Linux 7.1):
// what holds of lent memory holds of it too, and what is its own.

import { IO } from "@io/core";
import { suite } from "uvu";
import { skip } from "../support/skip.js";
import { area } from "./area.js";
import { conform, openWith, runOn } from "./harness.js";
import { lentStreams } from "./lent_streams.js";

const LEAST_BYTES = 64 * 1024;
const USUAL_BYTES = 4 * 1024 * 1024;

async function whyNot(): Promise<string | null> {
  const zeroCopyReceive = { withoutDevice: true, sizeBytes: LEAST_BYTES } as const;
  await using io = await IO.open({ zeroCopyReceive });
  return io.zeroCopyReceive.support === "native" ? null : io.zeroCopyReceive.reason;
}

const reason = await whyNot();
if (reason === null) {
  runOn(["io_uring"]);
  openWith(({ lentLimitBytes = USUAL_BYTES }) => ({
    zeroCopyReceive: {
      withoutDevice: true,
      sizeBytes: Math.max(lentLimitBytes, LEAST_BYTES),
      required: true,
    },
  }));
  conform("area", lentStreams, area);
} else {
  const skipped = suite("area: io_uring");
  skip(skipped, "receiving into an area", reason);
  skipped.run();
}
