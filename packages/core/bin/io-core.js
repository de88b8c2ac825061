#!/usr/bin/env node
// The command line of @io/core. It has one command: doctor.

let doctor;
try {
  ({ doctor } = await import("../dist/doctor.js"));
} catch (error) {
  process.stderr.write(
    `io-core: the library is not compiled (${error.message}).\n` +
      'In the repository: npm run build. As a dependency: install "@io/core" again.\n',
  );
  process.exitCode = 1;
}
if (doctor !== undefined) {
  const { status, output, errors } = doctor(process.argv.slice(2), process.stdout.columns);
  process.stdout.write(output);
  process.stderr.write(errors);
  process.exitCode = status;
}
