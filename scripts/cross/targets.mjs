// The systems that engines are built for, and the oldest version of each that is meant to work:
// macOS 11 (preadv), and glibc 2.28, which Node 20 itself needs. FreeBSD is not among them: zig has
// its headers since 0.15 only, and npm has no such zig.

export const targets = [
  {
    name: "linux-x64-gnu",
    triple: "x86_64-linux-gnu.2.28",
    system: "Linux",
    processor: "x86_64",
    libc: "glibc",
  },
  {
    name: "darwin-arm64",
    triple: "aarch64-macos.11.0",
    system: "Darwin",
    processor: "arm64",
  },
  {
    name: "darwin-x64",
    triple: "x86_64-macos.11.0",
    system: "Darwin",
    processor: "x86_64",
  },
  {
    name: "linux-arm64-gnu",
    triple: "aarch64-linux-gnu.2.28",
    system: "Linux",
    processor: "aarch64",
    libc: "glibc",
  },
  {
    name: "linux-x64-musl",
    triple: "x86_64-linux-musl",
    system: "Linux",
    processor: "x86_64",
    libc: "musl",
  },
  {
    name: "linux-arm64-musl",
    triple: "aarch64-linux-musl",
    system: "Linux",
    processor: "aarch64",
    libc: "musl",
  },
];
