// Cuts the power, or kills the process, at every disk operation of a scenario, and again in the start that follows.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/random.h"

namespace dolmen::datanode {

enum class Fault { kCrash, kPowerLoss };

// A Scenario, made with a seed, does its Work on a block store in memory until power() stops it; it has disk(), Close,
// Open (a start), PromiseWhatIsReported, and Check of all it was promised, after a start with the power on.
template <typename Scenario>
class PowerCuts {
 public:
  PowerCuts() {
    Scenario scenario(1);
    const absl::Status worked = scenario.Work();
    EXPECT_TRUE(worked.ok()) << worked;
    operations_ = scenario.power().done();
    std::string kinds;
    for (const auto& [kind, n] : scenario.power().counts()) kinds += " " + kind + ":" + std::to_string(n);
    std::printf("%llu disk operations:%s\n", static_cast<unsigned long long>(operations_), kinds.c_str());
    scenario.Close();
  }

  void PowerLossEverywhere() const {
    for (uint64_t limit = 0; limit <= operations_; ++limit) {
      for (uint64_t seed = 1; seed <= 8; ++seed)
        ASSERT_NO_FATAL_FAILURE(RunAt(limit, Fault::kPowerLoss, seed, std::nullopt));
      if (::testing::Test::HasFailure()) return;
    }
  }
  void PowerLossEverywhereAndInTheNextStart() const {
    Random random(99);
    for (uint64_t limit = 0; limit <= operations_; ++limit) {
      for (uint64_t seed = 1; seed <= 6; ++seed)
        ASSERT_NO_FATAL_FAILURE(RunAt(limit, Fault::kPowerLoss, seed, random.Uniform(40)));
      if (::testing::Test::HasFailure()) return;
    }
  }
  void CrashEverywhereAndInTheNextStart() const {
    for (uint64_t limit = 0; limit <= operations_; ++limit) {
      ASSERT_NO_FATAL_FAILURE(RunAt(limit, Fault::kCrash, 1, std::nullopt));
      for (uint64_t next = 0; next < 40; next += 3) ASSERT_NO_FATAL_FAILURE(RunAt(limit, Fault::kCrash, 1, next));
      if (::testing::Test::HasFailure()) return;
    }
  }
  // What a start after a crash reports is a promise too.
  void PowerLossAfterTheStartThatFollowsACrash() const {
    for (uint64_t limit = 0; limit <= operations_; ++limit) {
      for (uint64_t seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE(::testing::Message() << "operation " << limit << " seed " << seed);
        Random random(seed);
        Scenario scenario(seed);
        scenario.power().SetLimit(limit);
        (void)scenario.Work().ok();  // the power was cut
        Interrupt(scenario, Fault::kCrash, random);
        scenario.power().SetLimit(UINT64_MAX - 1);
        ASSERT_TRUE(scenario.Open().ok());
        scenario.PromiseWhatIsReported();
        Interrupt(scenario, Fault::kPowerLoss, random);
        ASSERT_NO_FATAL_FAILURE(scenario.Check(/*power_lost=*/true));
      }
      if (::testing::Test::HasFailure()) return;
    }
  }

 private:
  static void Interrupt(Scenario& scenario, Fault fault, Random& random) {
    scenario.Close();
    if (fault == Fault::kCrash) {
      scenario.disk().Crash();
    } else {
      scenario.disk().PowerLoss(random);
    }
  }
  static void RunAt(uint64_t limit, Fault fault, uint64_t seed, std::optional<uint64_t> limit_of_next_start) {
    SCOPED_TRACE(::testing::Message() << "operation " << limit << " seed " << seed << " then "
                                      << limit_of_next_start.value_or(0));
    Random random(seed);
    Scenario scenario(seed);
    scenario.power().SetLimit(limit);
    (void)scenario.Work().ok();  // the power was cut
    Interrupt(scenario, fault, random);
    if (limit_of_next_start.has_value()) {
      scenario.power().SetLimit(*limit_of_next_start);
      (void)scenario.Open().ok();  // may fail or not: it is cut off in the middle, F-031
      Interrupt(scenario, fault, random);
    }
    scenario.power().SetLimit(UINT64_MAX - 1);
    ASSERT_NO_FATAL_FAILURE(scenario.Check(fault == Fault::kPowerLoss));
  }

  uint64_t operations_ = 0;
};

}  // namespace dolmen::datanode
