// Chains: see engine.h.
//
// The backend gets the operations of a chain together that it can start one after the other by
// itself. A close, a cancel, a bind, a listen and a multishot operation are begun by the engine,
// and so is what uses the descriptor of the chain, because its number is not known before. So a
// chain is cut into parts. The engine holds all but the first, and starts each when the last
// operation of the part before it has ended.
//
// A held operation is not in flight on its descriptors: a close does not wait for it, and it finds
// out when it starts whether they are still there. Its memory is in use all the time.
#include <cerrno>

#include "engine/chains.h"
#include "engine/engine.h"

namespace io {

namespace {

// The engine begins it, and what follows it.
bool is_apart(const Operation& operation) {
  return !is(operation.opcode, trait::linkable);
}

bool is_on_chain(const Operation& operation) {
  return (operation.links & link_on_chain) != 0;
}

// Whether the descriptor that its chain yields is the second one that it uses.
bool has_source_on_chain(const Operation& operation) {
  return is_on_chain(operation) && is(operation.opcode, trait::from_file | trait::resolves) &&
         operation.extra->source == no_descriptor && operation.extra->source_value != no_descriptor;
}

void clear(Operation& operation, uint8_t links) {
  operation.links &= static_cast<uint8_t>(~links);
}

}  // namespace

// Linked entries start together or not at all: when one is refused, none of them starts. An entry
// that is linked to nothing was to be followed by others, so none of its chain starts either.
void Engine::take_group(const std::vector<abi::Entry>& group) {
  const uint32_t sequence = sequence_;
  sequence_ += static_cast<uint32_t>(group.size());
  size_t begun = 0;
  int error = group.size() > abi::chain_limit ? -EINVAL : 0;
  context_.in_chain = true;
  while (error == 0 && begun < group.size()) {
    error = begin(group[begun]);
    if (error == 0) begun++;
  }
  context_.in_chain = false;
  size_t refused = begun;
  const bool is_torn = (group.back().operation & abi::entry_flag_linked) != 0;
  if (error == 0 && !is_torn) error = mark_links(group, refused);
  if (error != 0 || is_torn) return refuse_group(group, sequence, begun, refused, error);
  bool held = false;
  for (size_t index = 0; index < group.size(); index++) {
    Operation& operation = operations_[group[index].slot];
    in_flight_++;
    // The one behind it, and the first one behind the last.
    operation.chain = group[(index + 1) % group.size()].slot + 1;
    if (held) {
      hold(operation);
    } else {
      if (!is_apart(operation)) hand_over(operation);
      held = (operation.links & link_by_engine) != 0;
    }
  }
  Operation& first = operations_[group.front().slot];
  if (is_apart(first)) start_apart(first);
}

void Engine::refuse_group(const std::vector<abi::Entry>& group, uint32_t sequence, size_t begun,
                          size_t refused, int error) {
  for (size_t index = 0; index < group.size(); index++) {
    if (index < begun) {
      Operation& operation = operations_[group[index].slot];
      let_go(context_, operation);
      operation.phase = Phase::free;
    }
    const int result = index == refused ? error : -ECANCELED;
    refused_.push_back({sequence + static_cast<uint32_t>(index), result});
    count(abi::Counter::refused)++;
  }
}

// Where the chain is cut, and which operation yields the descriptor of the chain: the first one
// that yields any, if others use it. One of them must close it, and the last of them.
int Engine::mark_links(const std::vector<abi::Entry>& group, size_t& refused) {
  Operation* yielder = nullptr;
  size_t yielded_at = 0;
  bool is_used = false;
  bool is_closed = false;
  for (size_t index = 0; index < group.size(); index++) {
    Operation& operation = operations_[group[index].slot];
    if (is_on_chain(operation)) {
      refused = index;
      if (yielder == nullptr || is_closed) return -EBADF;
      if (operation.opcode == abi::Opcode::detach) return -EINVAL;
      is_used = true;
      is_closed = operation.opcode == abi::Opcode::close;
    } else if (yielder == nullptr && is(operation.opcode, trait::yields_descriptor) &&
               operation.opcode != abi::Opcode::watch && !is(operation.opcode, trait::multishot)) {
      yielder = &operation;
      yielded_at = index;
    }
  }
  if (is_used) {
    refused = yielded_at;
    if (!is_closed) return -EINVAL;
    yielder->links |= link_yields;
  }
  for (size_t index = 0; index + 1 < group.size(); index++) {
    Operation& operation = operations_[group[index].slot];
    const Operation& next = operations_[group[index + 1].slot];
    const bool yields = (operation.links & link_yields) != 0;
    if (yields || is_apart(operation) || is_apart(next)) operation.links |= link_by_engine;
  }
  return 0;
}

// Its turn has not come.
void Engine::hold(Operation& operation) {
  const auto value_of = [this](int number) {
    return number == no_descriptor ? no_descriptor : descriptors_.value(number);
  };
  if (!is_on_chain(operation) || operation.number != no_descriptor)
    operation.descriptor_value = value_of(operation.number);
  if ((operation.uses & uses_source) != 0)
    operation.extra->source_value = value_of(operation.source());
  else if (operation.extra && !has_source_on_chain(operation))
    operation.extra->source_value = no_descriptor;
  leave_descriptors(context_, operation);
  operation.links |= link_held;
}

// It starts now; -EBADF when a descriptor of it was closed meanwhile, and then it stays held.
int Engine::release_held(Operation& operation) {
  const auto is_there = [this](int32_t value) {
    const Descriptor* found = descriptors_.find(value);
    return value == no_descriptor || (found != nullptr && !found->closing);
  };
  if (!is_there(operation.descriptor_value)) return -EBADF;
  if (operation.extra && !is_there(operation.extra->source_value)) return -EBADF;
  if (has_source_on_chain(operation))
    operation.extra->source = Descriptors::number(operation.extra->source_value);
  if (operation.number == no_descriptor && operation.descriptor_value != no_descriptor) {
    operation.number = Descriptors::number(operation.descriptor_value);
    operation.unix_datagram = descriptors_.at(operation.number).unix_datagram;
  }
  clear(operation, link_held);
  join_descriptors(context_, operation);
  return 0;
}

void Engine::start_due() {
  while (!due_.empty()) start_held(*due_.pop());
}

// Starts a part of a chain. What the chain has opened is closed, whatever has failed.
void Engine::start_held(Operation& first) {
  const auto may_start = [](const Operation& operation) {
    const bool closes = is_on_chain(operation) && operation.opcode == abi::Opcode::close &&
                        operation.descriptor_value != of_chain;
    return (operation.links & link_broken) == 0 || closes;
  };
  if (!may_start(first)) return end_held(first);
  Operation* before = nullptr;
  for (Operation* operation = &first;; operation = &next_in_chain(*operation)) {
    const int error = may_start(*operation) ? release_held(*operation) : -ECANCELED;
    if (error != 0) {
      // It is the beginning of a part of its own, which ends at once.
      if (before != nullptr) {
        before->links |= link_by_engine;
        return;
      }
      if ((operation->links & link_next) != 0) operation->links |= link_by_engine;
      clear(*operation, link_held);
      operation->number = no_descriptor;
      operation->ended_count = 0;
      return local_.push({operation, error});
    }
    if (is_apart(*operation)) return start_apart(*operation);
    hand_over(*operation);
    if (!operation->is_linked()) return;
    before = operation;
  }
}

void Engine::start_apart(Operation& operation) {
  if (is(operation.opcode, trait::routed)) return route(operation);
  batch_.push_back(&operation);
}

// The part ends without having started.
void Engine::end_held(Operation& first) {
  for (Operation* operation = &first;; operation = &next_in_chain(*operation)) {
    clear(*operation, link_held);
    operation->number = no_descriptor;
    operation->ended_count = 0;
    local_.push({operation, -ECANCELED});
    if (!operation->is_linked()) return;
  }
}

// The descriptor that the operation has yielded is known to its chain, and to no one else.
int32_t Engine::give_to_chain(Operation& yielder, int32_t descriptor) {
  if (descriptor < 0) return descriptor;
  for (Operation* one = &next_in_chain(yielder); one != &yielder; one = &next_in_chain(*one)) {
    if (!is_on_chain(*one)) continue;
    if (one->descriptor_value == of_chain) one->descriptor_value = descriptor;
    if (has_source_on_chain(*one) && one->extra->source_value == of_chain)
      one->extra->source_value = descriptor;
  }
  return 0;
}

// The operation has ended, so the backend may have started the next one of its chain. A close of
// that one's descriptor has ended what was in flight on it, but could not find what had not
// started. So it looks once more.
void Engine::leave_chain(Operation& operation, int32_t result) {
  Operation* before = &operation;
  while (&next_in_chain(*before) != &operation) {
    before = &next_in_chain(*before);
    if ((before->links & link_held) != 0) continue;
    if (is_closing(before->number)) end_again(before->number);
    if (is_closing(before->source())) end_again(before->source());
  }
  Operation& next = next_in_chain(operation);
  before->chain = operation.chain;
  operation.chain = 0;
  if ((operation.links & link_next) == 0 || &next == &operation) return;
  const bool is_broken = (operation.links & link_broken) != 0;
  if (is_broken || !lets_next_start(operation, result)) next.links |= link_broken;
  if ((operation.links & link_by_engine) != 0) due_.push(&next);
}

}  // namespace io
