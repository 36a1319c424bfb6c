// How much a sequential reader fetches at once. A reader that jumps about (a file format's footer, then its columns)
// gets little more than it asks for; one that goes on where it was gets four times as much each time, and soon one
// stream to the end of the file.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dolmen::client {

// One thread only.
class ReadAheadPlanner {
 public:
  static constexpr uint64_t kFirstFetchBytes = 256 << 10;  // chosen: two round trips' worth at 1 GB/s
  static constexpr uint64_t kStreamFromBytes = 8 << 20;    // chosen: beyond, fetch to the end of the file
  static constexpr uint64_t kGrowth = 4;

  // `enabled`: false: exactly what is asked for.
  explicit ReadAheadPlanner(bool enabled) : enabled_(enabled) {}

  // The application wants `wanted` (>= 1) bytes at `position`, and they are not under way. Returns how many to fetch,
  // >= wanted; UINT64_MAX: to the end of the file.
  uint64_t NextFetch(uint64_t position, uint64_t wanted) {
    if (!enabled_) return wanted;
    const bool goes_on = position == fetched_to_ && position > 0;
    fetch_bytes_ = goes_on ? fetch_bytes_ * kGrowth : kFirstFetchBytes;
    if (fetch_bytes_ >= kStreamFromBytes) fetch_bytes_ = kStreamFromBytes;
    uint64_t bytes = std::max(wanted, fetch_bytes_);
    if (goes_on && fetch_bytes_ >= kStreamFromBytes) bytes = UINT64_MAX;
    fetched_to_ = bytes > UINT64_MAX - position ? UINT64_MAX : position + bytes;
    return bytes;
  }

 private:
  const bool enabled_;
  uint64_t fetched_to_ = 0;
  uint64_t fetch_bytes_ = 0;
};

}  // namespace dolmen::client
