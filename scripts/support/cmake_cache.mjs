// CMake's cache names the folder that it was made in, and refuses any other: a checkout that was
// moved or copied would not build.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

/** What a cache says of where it was made: its own folder and the sources'. */
function placesOf(cache) {
  const value = (name) => cache.match(new RegExp(`^${name}:INTERNAL=(.*)$`, "m"))?.[1];
  return { build: value("CMAKE_CACHEFILE_DIR"), sources: value("CMAKE_HOME_DIRECTORY") };
}

/**
 * Removes the configuration of a build folder, when it was made for another place, so that it is
 * made again. What was built stays: CMake builds again what the new configuration changes.
 */
export function forgetMovedCache(buildFolder, sourceFolder) {
  const path = join(buildFolder, "CMakeCache.txt");
  if (!existsSync(path)) return false;
  const { build, sources } = placesOf(readFileSync(path, "utf8"));
  if (build === resolve(buildFolder) && sources === resolve(sourceFolder)) return false;
  rmSync(path);
  rmSync(join(buildFolder, "CMakeFiles"), { recursive: true, force: true });
  return true;
}
