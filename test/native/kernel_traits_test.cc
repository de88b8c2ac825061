// The gaps and faults of kernels, as far as a version shows them, and their consequences.
#if IO_HAVE_LIBURING

#include "backend/io_uring/kernel_traits.h"

#include <string>

#include "abi/abi.h"
#include "support.h"

namespace native_tests {

using io::kernel_version;
using io::uring::find_by_version;
using io::uring::KernelTraits;

namespace {

KernelTraits of(std::optional<io::KernelVersion> version) {
  KernelTraits traits;
  find_by_version(version, traits);
  return traits;
}

}  // namespace

NATIVE_TEST(kernel_traits_of_a_version) {
  REQUIRE(of(kernel_version(6, 15, 9)).buffers_filled_once);
  REQUIRE(!of(kernel_version(6, 16, 0)).buffers_filled_once);
  REQUIRE(of(kernel_version(6, 17, 200)).no_bundles);
  REQUIRE(!of(kernel_version(6, 18, 0)).no_bundles);
  REQUIRE(!of(kernel_version(7, 0, 0)).no_bundles);
  // A kernel that does not say which it is.
  REQUIRE(of(std::nullopt).buffers_filled_once);
  REQUIRE(of(std::nullopt).no_bundles);
}

NATIVE_TEST(kernel_traits_are_features) {
  KernelTraits traits;
  const uint32_t all = io::uring::features_of(traits);
  REQUIRE_EQUAL(all & io::abi::feature_send_zero_copy, io::abi::feature_send_zero_copy);
  traits.sends_copy = true;
  traits.vectored_sends_copy = true;
  traits.vectors_are_not_registered = true;
  traits.copies_are_not_reported = true;
  REQUIRE_EQUAL(io::uring::features_of(traits), 0);
}

// The traits of every kernel are not named.
NATIVE_TEST(kernel_traits_that_are_active_have_names) {
  KernelTraits traits;
  traits.readlink_by_thread = true;
  REQUIRE(io::uring::active_traits(traits).empty());
  traits.no_bundles = true;
  traits.truncate_by_thread = true;
  REQUIRE(io::uring::active_traits(traits) == "truncate_by_thread, no_bundles");
}

// The backend of the oldest kernel says so.
NATIVE_TEST(kernel_traits_are_listed) {
  io::BackendOptions options;
  options.oldest_kernel = true;
  const io::Opened opened = io::open_backend("io_uring", options);
  if (opened.backend == nullptr) return;
  REQUIRE(opened.reason.find("truncate_by_thread") != std::string::npos);
  REQUIRE(!opened.backend->facts().has(Opcode::truncate));
  REQUIRE(!opened.backend->facts().has(Opcode::readlink));
}

}  // namespace native_tests

#endif
