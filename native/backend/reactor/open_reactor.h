// Sets up a reactor with its poller, for the candidates of both pollers.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/backend.h"
#include "backend/unavailable.h"
#include "backend/reactor/reactor.h"

namespace io {

// Sets a reactor up, or says why not.
template <Poller P>
Opened open_reactor(const BackendOptions& options) {
  auto reactor = std::make_unique<Reactor<P>>();
  const int error = reactor->open();
  if (error != 0) return refuse(reactor->failed_call(), error);
  Opened opened;
  opened.reason = std::string(P::name) + " works here";
  opened.in_flight_limit = options.in_flight_limit;
  opened.backend = std::move(reactor);
  return opened;
}

}  // namespace io
