// The functions of the C++ runtime that a packaged engine needs, without exceptions.
//
// LLVM's own operators new return a null pointer when they are built without exceptions and memory
// is exhausted. The engine, which has no exceptions either, ends the process there with a reason.
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <new>

namespace {

void* given(void* memory) {
  if (memory == nullptr) {
    std::fputs("@io/core: there is no memory left\n", stderr);
    std::abort();
  }
  return memory;
}

void* allocate(std::size_t size) {
  return given(std::malloc(size == 0 ? 1 : size));
}

void* allocate(std::size_t size, std::align_val_t alignment) {
  void* memory = nullptr;
  // posix_memalign() refuses an alignment below a pointer's.
  const std::size_t min = sizeof(void*);
  const std::size_t asked = static_cast<std::size_t>(alignment);
  if (posix_memalign(&memory, asked < min ? min : asked, size == 0 ? 1 : size) != 0) {
    memory = nullptr;
  }
  return given(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, alignment);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

void std::terminate() noexcept {
  std::abort();
}

// thread.cpp names it, for promises that are kept at the end of a thread. The engine has none, and
// a Mach-O linker wants the name although it drops the code that calls it.
void std::__assoc_sub_state::__make_ready() {
  std::abort();
}
