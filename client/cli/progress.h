// How a long copy goes on, as one line of text.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace dolmen::cli {

struct ProgressState {
  uint64_t files_found = 0;
  uint64_t files_done = 0;  // also those that failed
  uint64_t bytes_found = 0;
  uint64_t bytes_done = 0;
  bool length_known = true;  // off: bytes_found says nothing (standard input)
  bool all_found = false;    // off: the walk may still find more
};

// At most `columns` - 1 characters, so that a terminal does not wrap it:
//   " 45% [====>     ]  12/571 files  460.5 MB / 1 GB  103.2 MB/s  0:05 left"
// Percentage, bar and time need all files to be found; the count is left out for a single file; the bar takes what room
// there is, and none below ten columns. `bytes_per_second` 0: no rate and no time.
std::string FormatProgress(const ProgressState& state, uint64_t bytes_per_second, size_t columns);

// "0:05", "12:34", "1:02:03", "99:59:59" and no more.
std::string FormatDuration(std::chrono::seconds time);

// The rate of the last seconds, from samples of a count that grows.
class RateMeter {
 public:
  // `now` from any steady clock, not before the sample before it.
  void Add(std::chrono::milliseconds now, uint64_t bytes);
  // 0 until two samples are at least kLeast apart.
  uint64_t BytesPerSecond() const;

  static constexpr std::chrono::milliseconds kWindow{5000};
  static constexpr std::chrono::milliseconds kLeast{200};

 private:
  std::deque<std::pair<std::chrono::milliseconds, uint64_t>> samples_;
};

}  // namespace dolmen::cli
