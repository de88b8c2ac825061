#!/usr/bin/env node
// The command line of @io/core: doctor and build.

async function load(name) {
  try {
    return await import(`../bundle/${name}.js`);
  } catch (error) {
    process.stderr.write(
      `io-core: the library is not compiled (${error.message}).\n` +
        'In the repository: npm run build. As a dependency: install "@io/core" again.\n',
    );
    process.exitCode = 1;
    return undefined;
  }
}

const words = process.argv.slice(2);
if (words[0] === "build" && !words.includes("--help")) {
  const building = await load("build");
  if (building !== undefined) process.exitCode = building.build(words.slice(1));
} else {
  const loaded = await load("doctor");
  if (loaded !== undefined) {
    const { status, output, errors } = loaded.doctor(words, process.stdout.columns);
    process.stdout.write(output);
    process.stderr.write(errors);
    process.exitCode = status;
  }
}
