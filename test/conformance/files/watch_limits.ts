// Watches where there is no room for more, and of what is unmounted.

import { mkdirSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { runChildApart, runChildWithDescriptors, whyNotApart } from "../support/children.js";
import type { Suite } from "../support/harness.js";

const LIMITS =
  "echo 3 > /proc/sys/user/max_inotify_instances && echo 4 > /proc/sys/user/max_inotify_watches";

function lines(...all: string[]): string {
  return `${all.join("\n")}\n`;
}

export function filesWatchLimits(suite: Suite): void {
  const name = "watches that have no room say so, and leave nothing";
  const missing = whyNotApart(LIMITS);
  if (missing !== null) suite.skip(name, missing);
  else {
    suite.test(name, async (trial) => {
      const folder = trial.path("limits");
      mkdirSync(`${folder}/narrow`, { recursive: true });
      for (let index = 0; index < 8; index++) {
        mkdirSync(`${folder}/wide/${index}`, { recursive: true });
      }
      const environment = { WATCH_FOLDER: folder };
      const ended = await runChildApart(LIMITS, "watch-limits", suite.backend, environment);
      if (ended.output === "by kqueue\n") return;
      assert.is(
        ended.output,
        lines(
          ...["ENOSPC true", "0 descriptors"],
          ...["created a", "created b", "created c", "created d", "unwatched d"],
          ...["created a/below", "EMFILE true", "2 descriptors"],
        ),
      );
      assert.is(ended.status, 0);
    });
  }

  suite.test("a watch that has no descriptors left does without, and says so", async (trial) => {
    const folder = trial.path("many");
    for (let index = 0; index < 4; index++) mkdirSync(`${folder}/${index}`, { recursive: true });
    for (let index = 0; index < 200; index++) writeFileSync(`${folder}/${index % 4}/f${index}`, "");
    const environment = { WATCH_FOLDER: folder };
    const name = "watch-descriptors";
    const ended = await runChildWithDescriptors(100, name, suite.backend, environment);
    if (ended.output === "by inotify\n") return;
    assert.is(ended.output, lines("true true", "0 descriptors"));
    assert.is(ended.status, 0);
  });

  const unmounting = "a watch tells what is there when a file system below is unmounted";
  const noMount = whyNotApart("mount -t tmpfs none /mnt");
  if (noMount !== null) suite.skip(unmounting, noMount);
  else {
    suite.test(unmounting, async (trial) => {
      const folder = trial.path("mounts");
      mkdirSync(`${folder}/mount/under`, { recursive: true });
      const setUp = `mount -t tmpfs none ${folder}/mount && mkdir ${folder}/mount/over`;
      const environment = { WATCH_FOLDER: folder };
      const ended = await runChildApart(setUp, "watch-unmount", suite.backend, environment);
      if (ended.output === "by kqueue\n") return;
      const told = ended.output.trim().split("\n");
      // What was in it goes in any order.
      const inside = told.filter((line) => line.startsWith("removed mount/")).sort();
      assert.equal(inside, ["removed mount/over", "removed mount/over/deep"]);
      assert.equal(
        told.filter((line) => !inside.includes(line)),
        [
          "created mount/over/deep",
          ...["removed mount", "created mount", "created mount/under"],
          "created mount/under/new",
        ],
      );
      assert.is(ended.status, 0);
    });
  }
}
