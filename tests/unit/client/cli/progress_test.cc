#include "client/cli/progress.h"

#include <gtest/gtest.h>

namespace dolmen::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kMiB = 1 << 20;

TEST(ProgressTest, OneFileOfKnownLength) {
  ProgressState state{.files_found = 1, .bytes_found = 1024 * kMiB, .bytes_done = 461 * kMiB, .all_found = true};
  EXPECT_EQ(FormatProgress(state, 103 * kMiB, 80),
            " 45% [=============>                ]  461 MB / 1 GB  103 MB/s  0:06 left");
  state.bytes_done = state.bytes_found;
  EXPECT_EQ(FormatProgress(state, 103 * kMiB, 80),
            "100% [==============================]  1 GB / 1 GB  103 MB/s  0:00 left");
  state.bytes_done = 0;
  EXPECT_EQ(FormatProgress(state, 0, 80), "  0% [>                             ]  0 B / 1 GB");
}

TEST(ProgressTest, ManyFilesHaveACount) {
  ProgressState state{.files_found = 571, .files_done = 12, .bytes_found = 10 * kMiB, .bytes_done = 1536 * 1024};
  EXPECT_EQ(FormatProgress(state, 512 * 1024, 80), "12/571+ files  1.5 MB  512 KB/s") << "the walk goes on";
  state.all_found = true;
  EXPECT_EQ(FormatProgress(state, 512 * 1024, 80),
            " 15% [===>                 ]  12/571 files  1.5 MB / 10 MB  512 KB/s  0:17 left");
}

TEST(ProgressTest, EmptyFilesGoByTheirNumber) {
  const ProgressState state{.files_found = 4, .files_done = 1, .all_found = true};
  EXPECT_EQ(FormatProgress(state, 0, 80), " 25% [=======>                      ]  1/4 files  0 B / 0 B");
  EXPECT_EQ(FormatProgress({.all_found = true}, 0, 60), "100% [==============================]  0 B / 0 B");
}

TEST(ProgressTest, AStreamHasNoEndInSight) {
  const ProgressState state{.files_found = 1, .bytes_done = 5 * kMiB, .length_known = false, .all_found = true};
  EXPECT_EQ(FormatProgress(state, kMiB, 80), "5 MB  1 MB/s");
}

TEST(ProgressTest, AFileThatGrewIsNotMoreThanDone) {
  const ProgressState state{.files_found = 1, .bytes_found = 100, .bytes_done = 200, .all_found = true};
  EXPECT_EQ(FormatProgress(state, 50, 45), "100%  200 B / 100 B  50 B/s  0:00 left")
      << "and there is no room for a bar";
}

TEST(ProgressTest, NoLineIsTooLongForItsTerminal) {
  const ProgressState state{.files_found = 123'456,
                            .files_done = 99'999,
                            .bytes_found = 1'234'567'890'123,
                            .bytes_done = 987'654'321'012,
                            .all_found = true};
  for (size_t columns = 0; columns < 200; ++columns) {
    const std::string line = FormatProgress(state, 123'456'789, columns);
    EXPECT_LE(line.size(), columns == 0 ? 0 : columns - 1);
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(ProgressTest, Durations) {
  EXPECT_EQ(FormatDuration(seconds(-1)), "0:00");
  EXPECT_EQ(FormatDuration(seconds(5)), "0:05");
  EXPECT_EQ(FormatDuration(seconds(754)), "12:34");
  EXPECT_EQ(FormatDuration(seconds(3723)), "1:02:03");
  EXPECT_EQ(FormatDuration(seconds(int64_t{1} << 40)), "99:59:59");
}

TEST(RateMeterTest, IsTheRateOfTheLastSeconds) {
  RateMeter rate;
  EXPECT_EQ(rate.BytesPerSecond(), 0u);
  rate.Add(milliseconds(0), 0);
  rate.Add(milliseconds(100), 1000);
  EXPECT_EQ(rate.BytesPerSecond(), 0u) << "too early to say";
  rate.Add(milliseconds(1000), 10'000);
  EXPECT_EQ(rate.BytesPerSecond(), 10'000u);
  for (int second = 2; second <= 20; ++second) rate.Add(seconds(second), 10'000 + 1000 * (second - 1));
  EXPECT_EQ(rate.BytesPerSecond(), 1000u) << "the fast begin is forgotten";
  for (int second = 21; second <= 30; ++second) rate.Add(seconds(second), 29'000);
  EXPECT_EQ(rate.BytesPerSecond(), 0u) << "stalled";
}

TEST(RateMeterTest, LargeCountsDoNotOverflow) {
  RateMeter rate;
  rate.Add(milliseconds(0), 0);
  rate.Add(milliseconds(1000), uint64_t{1} << 62);
  EXPECT_EQ(rate.BytesPerSecond(), uint64_t{1} << 62);
}

}  // namespace
}  // namespace dolmen::cli
