// Imported before tests that leave the backend to `IO.open()`: they, and the processes that they
// start, run on epoll. Only Linux has it; elsewhere they run on what there is.

if (process.platform === "linux") process.env["IO_BACKEND"] = "epoll";
