#include "common/fault_point.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/error.h"

namespace dolmen {
namespace {

absl::Status Step() {
  DOLMEN_FAULT_POINT("test.step");
  return absl::OkStatus();
}

absl::StatusOr<int> ValueStep() {
  DOLMEN_FAULT_POINT("test.value");
  return 1;
}

class FaultPoint : public ::testing::Test {
 protected:
  ~FaultPoint() override { fault::DisarmAll(); }
};

TEST_F(FaultPoint, DoesNothingUntilArmed) {
  EXPECT_TRUE(Step().ok());
  EXPECT_FALSE(fault::any_armed.load());
}

TEST_F(FaultPoint, FailsEveryHitAndNamesItself) {
  ASSERT_TRUE(fault::Arm("test.step=fail").ok());
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = Step();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kIo);
    EXPECT_NE(MessageOf(status).find("test.step"), std::string_view::npos);
  }
  EXPECT_TRUE(ValueStep().ok());
  fault::DisarmAll();
  EXPECT_TRUE(Step().ok());
}

TEST_F(FaultPoint, FailsOnlyTheNamedHit) {
  ASSERT_TRUE(fault::Arm("test.step=fail@3;test.value=fail@1").ok());
  EXPECT_TRUE(Step().ok());
  EXPECT_TRUE(Step().ok());
  EXPECT_FALSE(Step().ok());
  EXPECT_TRUE(Step().ok());
  EXPECT_FALSE(ValueStep().ok());
  EXPECT_TRUE(ValueStep().ok());
}

TEST_F(FaultPoint, CountsHitsAlsoOfPointsThatAreNotArmed) {
  ASSERT_TRUE(fault::Arm("test.step=fail@1000").ok());
  const uint64_t before = fault::Hits()["test.value"];
  (void)ValueStep();
  (void)ValueStep();
  EXPECT_EQ(fault::Hits()["test.value"], before + 2);
}

TEST_F(FaultPoint, Delays) {
  ASSERT_TRUE(fault::Arm("test.step=delay:30@1").ok());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Step().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(30));
}

TEST_F(FaultPoint, ExitsWithTheInjectedCode) {
  EXPECT_EXIT(
      {
        if (!fault::Arm("test.step=exit@2").ok()) _exit(1);
        (void)Step();
        (void)Step();
        _exit(0);
      },
      ::testing::ExitedWithCode(kInjectedExitCode), "");
}

TEST_F(FaultPoint, IsArmedFromTheEnvironment) {
  setenv("DOLMEN_FAULT_POINTS", "test.step=fail@1", 1);
  ASSERT_TRUE(fault::ArmFromEnvironment().ok());
  EXPECT_FALSE(Step().ok());
  setenv("DOLMEN_FAULT_POINTS", "test.step=explode", 1);
  EXPECT_NE(MessageOf(fault::ArmFromEnvironment()).find("DOLMEN_FAULT_POINTS"), std::string_view::npos);
  unsetenv("DOLMEN_FAULT_POINTS");
  EXPECT_TRUE(fault::ArmFromEnvironment().ok());
}

TEST_F(FaultPoint, BadSpecificationsNameTheBadPartAndArmNothing) {
  for (const char* bad : {"x=fail;y", "x=fail;=fail", "x=fail;y=explode", "x=fail;y=fail@0", "x=fail;y=fail@z",
                          "x=fail;y=delay:", "x=fail;y=delay:-1", "x=fail;y=delay:99999999"}) {
    const absl::Status status = fault::Arm(bad);
    EXPECT_EQ(ReasonOf(status), ErrorReason::kIllegalArgument) << bad;
    EXPECT_NE(MessageOf(status).find(std::string_view(bad).substr(7)), std::string_view::npos) << status;
  }
  EXPECT_FALSE(fault::any_armed.load());
}

TEST_F(FaultPoint, CountsEachHitOnceFromManyThreads) {
  ASSERT_TRUE(fault::Arm("test.step=fail@500").ok());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 250; ++i) failures += Step().ok() ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 1);
}

}  // namespace
}  // namespace dolmen
