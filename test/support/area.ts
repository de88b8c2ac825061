// An area without a device, which tests can receive into where the running kernel has it (Linux
// 7.1, CAP_NET_ADMIN).

import { IO } from "@io/core";

export const MIN_AREA_BYTES = 64 * 1024;

/** Why there is none here; null when there is one. */
export async function whyNoArea(): Promise<string | null> {
  const io = await IO.open({
    zeroCopyReceive: { withoutDevice: true, sizeBytes: MIN_AREA_BYTES },
  });
  const { support, reason } = io.zeroCopyReceive;
  await io.close();
  return support === "native" ? null : reason;
}
