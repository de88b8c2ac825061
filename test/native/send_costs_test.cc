// The lessons from the costs of sends, with a processor whose costs the tests make up.
#include "engine/send_costs.h"

#include <algorithm>
#include <functional>
#include <vector>

#include "testing.h"

namespace native_tests {

using io::SendCosts;

namespace {

struct Way {
  double plain_ns;
  double spared_ns;
  double of(bool spared) const { return spared ? spared_ns : plain_ns; }
  bool spares() const { return spared_ns < plain_ns; }
};

// A program that sends: `together` in each round of the engine. A zero-copy send is released `late`
// rounds afterwards, and a part of its cost comes only then.
struct Program {
  static constexpr double released_part = 0.3;
  SendCosts costs;
  Random random;
  uint32_t number;
  Way way;
  uint32_t together = 64;
  uint32_t late = 1;
  double noise = 0;
  bool copies = false;  // its socket copies anyway
  std::vector<std::vector<uint8_t>> unreleased;
  double used_ns = 0;
  double best_ns = 0;
  uint64_t sends = 0;
  uint64_t measured = 0;

  Program(uint32_t seed, size_t length, Way costs_of)
      : random(seed), number(SendCosts::class_of(length, true, false, false)), way(costs_of) {}

  double noisy(double cost_ns) {
    // Sometimes other work takes much longer.
    if (noise > 0 && random.one_in(40)) return cost_ns + 300'000;
    return cost_ns * (1 + noise * (random.below(2000) / 1000.0 - 1));
  }

  void round() {
    if (costs.is_measuring()) costs.tick(static_cast<int64_t>(used_ns));
    if (unreleased.size() > late) {
      for (const uint8_t trial : unreleased.front()) costs.ended(trial);
      used_ns += static_cast<double>(unreleased.front().size()) * released_part * way.spared_ns;
      unreleased.erase(unreleased.begin());
    }
    unreleased.emplace_back();
    double sum_ns = 0;
    for (uint32_t count = 0; count < together; count++) {
      if (!copies) costs.begin_if_due(number);
      const bool spared = costs.spares(number) && !copies;
      const uint8_t trial = costs.handed_over(number, spared);
      if (trial != 0) measured++;
      if (spared) unreleased.back().push_back(trial);
      sum_ns += spared ? (1 - released_part) * way.spared_ns : way.plain_ns;
    }
    sends += together;
    best_ns += together * std::min(way.plain_ns, way.spared_ns);
    used_ns += noisy(sum_ns);
  }

  void run(uint64_t count) {
    for (const uint64_t end = sends + count; sends < end;) round();
  }

  // Until the trial that goes on has ended, if one does.
  void finish() {
    for (int count = 0; costs.is_measuring(); count++) {
      REQUIRE(count < 100'000);
      round();
    }
  }
};

const Way ways[] = {{1000, 1100}, {1100, 1000},  {1000, 3000},
                    {3000, 1000}, {900, 20'000}, {20'000, 900}};

}  // namespace

NATIVE_TEST(send_costs_classes) {
  REQUIRE_EQUAL(SendCosts::class_of(SendCosts::shortest_bytes - 1, true, true, false),
                SendCosts::no_class);
  SendCosts costs;
  REQUIRE(!costs.spares(SendCosts::no_class));
  REQUIRE(!costs.is_due(SendCosts::no_class));
  REQUIRE_EQUAL(costs.handed_over(SendCosts::no_class, true), 0);
  uint32_t before = SendCosts::class_of(SendCosts::shortest_bytes, false, false, false);
  for (size_t length = SendCosts::shortest_bytes; length < size_t{1} << 31; length += length / 64) {
    const uint32_t number = SendCosts::class_of(length, false, false, false);
    REQUIRE(number == before || number == before + 1);
    before = number;
    for (const bool datagram : {false, true}) {
      for (const bool registered : {false, true}) {
        const uint32_t other = SendCosts::class_of(length, datagram, registered, true);
        REQUIRE(other != number);
        // There is such a class.
        REQUIRE(costs.is_due(other));
      }
    }
    REQUIRE_EQUAL(costs.spares(number), length >= SendCosts::first_guess_bytes);
  }
}

NATIVE_TEST(send_costs_finds_the_better_way) {
  for (size_t length = 1024; length <= 256 * 1024; length += length / 4) {
    for (const Way& way : ways) {
      for (const uint32_t together : {1U, 8U, 64U, 500U}) {
        for (const uint32_t late : {0U, 1U, 5U}) {
          Program program(seed(), length, way);
          program.together = together;
          program.late = late;
          program.run(1);
          program.finish();
          REQUIRE_EQUAL(program.costs.spares(program.number), way.spares());
        }
      }
    }
  }
}

NATIVE_TEST(send_costs_bears_noise) {
  for (const Way& way : {Way{1000, 1500}, Way{1500, 1000}}) {
    for (uint32_t run = 0; run < 20; run++) {
      Program program(seed() + run, 30'000, way);
      program.noise = 0.1;
      // Of the way that is worse there are the trials, and a wrong answer is put right by the next.
      program.run(2'000'000);
      program.finish();
      REQUIRE_EQUAL(program.costs.spares(program.number), way.spares());
    }
  }
}

NATIVE_TEST(send_costs_does_not_flap_between_equals) {
  Program program(seed(), 30'000, {1000, 1000});
  program.noise = 0.02;
  uint32_t changes = 0;
  bool before = program.costs.spares(program.number);
  for (uint32_t count = 0; count < 40'000; count++) {
    program.round();
    if (program.costs.is_measuring()) continue;
    const bool now = program.costs.spares(program.number);
    changes += now == before ? 0 : 1;
    before = now;
  }
  REQUIRE(changes <= 2);
}

// The cost of looking is bounded, the first trials included.
NATIVE_TEST(send_costs_looks_seldom) {
  for (const Way& way : ways) {
    for (const uint32_t together : {1U, 64U}) {
      Program program(seed(), 5000, way);
      program.together = together;
      program.run(1);
      program.finish();
      const double first_ns = program.used_ns - program.best_ns;
      program.run(4'000'000);
      REQUIRE(program.measured * 100 < program.sends);
      REQUIRE(program.used_ns - program.best_ns - first_ns < 0.01 * program.best_ns);
    }
  }
}

NATIVE_TEST(send_costs_learns_again) {
  Program program(seed(), 20'000, {1000, 2000});
  for (uint32_t change = 0; change < 6; change++) {
    program.run(4'000'000);
    program.finish();
    REQUIRE_EQUAL(program.costs.spares(program.number), program.way.spares());
    // Afterwards it asks again, within the longest gap.
    std::swap(program.way.plain_ns, program.way.spared_ns);
    uint64_t asked = 0;
    while (program.costs.spares(program.number) != program.way.spares() ||
           program.costs.is_measuring()) {
      program.round();
      asked += program.together;
      REQUIRE(asked < 2 * SendCosts::longest_gap_sends);
    }
  }
}

// Each class has an answer of its own, whatever the others' are.
NATIVE_TEST(send_costs_of_classes_are_their_own) {
  SendCosts costs;
  double used_ns = 0;
  struct Class {
    uint32_t number;
    Way way;
  };
  std::vector<Class> classes;
  for (uint32_t size = 1024; size <= 65'536; size *= 2) {
    for (const bool registered : {false, true}) {
      const bool spares = (classes.size() * 7 / 3) % 2 == 0;
      classes.push_back({SendCosts::class_of(size, false, registered, false),
                         spares ? Way{2000, 1500} : Way{1500, 2000}});
    }
  }
  for (uint32_t round = 0; round < 4000; round++) {
    const Class& turn = classes[round / 40 % classes.size()];
    std::vector<uint8_t> sent;
    if (costs.is_measuring()) costs.tick(static_cast<int64_t>(used_ns));
    for (uint32_t count = 0; count < 64; count++) {
      costs.begin_if_due(turn.number);
      const bool spared = costs.spares(turn.number);
      const uint8_t trial = costs.handed_over(turn.number, spared);
      if (costs.is_measuring() && trial == 0) costs.count_others(1);
      if (spared) sent.push_back(trial);
      used_ns += turn.way.of(spared);
    }
    for (const uint8_t trial : sent) costs.ended(trial);
  }
  for (const Class& one : classes) REQUIRE_EQUAL(costs.spares(one.number), one.way.spares());
}

// A trial whose sends stop is given up, so that the others have theirs, and nothing is measured.
NATIVE_TEST(send_costs_gives_up_what_stops) {
  Program program(seed(), 20'000, {1000, 2000});
  program.run(128);
  REQUIRE(program.costs.is_measuring());
  for (uint32_t count = 0; program.costs.is_measuring(); count++) {
    REQUIRE(count < 1000);
    program.costs.count_others(10);
    program.costs.tick(static_cast<int64_t>(program.used_ns += 1e6));
  }
  // Its later ends count for nothing.
  for (uint32_t trial = 0; trial < 256; trial++) program.costs.ended(static_cast<uint8_t>(trial));
  program.run(1'000'000);
  program.finish();
  REQUIRE(!program.costs.spares(program.number));
}

// Where the kernel copies anyway there is no trial; the socket's own rules hold there.
NATIVE_TEST(send_costs_learns_nothing_from_copies) {
  Program program(seed(), 20'000, {1000, 900});
  program.copies = true;
  program.run(100'000);
  REQUIRE(!program.costs.is_measuring());
  REQUIRE(program.costs.is_due(program.number));
  program.copies = false;
  program.run(1);
  REQUIRE(program.costs.is_measuring());
  // It becomes one that copies in the middle: the trial ends without an answer.
  program.copies = true;
  program.run(200'000);
  REQUIRE(!program.costs.is_measuring());
}

}  // namespace native_tests
