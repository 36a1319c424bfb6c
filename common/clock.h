// Time as the rest of the code sees it. Core code is handed times; only shells own a Clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace dolmen {

using Duration = std::chrono::nanoseconds;

// Time that never goes back; only differences mean anything. Durations and deadlines use it (contract C-23).
struct MonotonicClockTag {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClockTag>;
  static constexpr bool is_steady = true;
};
using MonotonicTime = MonotonicClockTag::time_point;

// Milliseconds since 1970 UTC: mtime, atime, display. Never used to measure a duration.
struct WallTime {
  int64_t ms = 0;
  friend constexpr auto operator<=>(const WallTime&, const WallTime&) = default;
};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The machine's clocks (CLOCK_BOOTTIME, so that a suspended machine sees the time pass; CLOCK_REALTIME).
class SystemClock final : public Clock {
 public:
  MonotonicTime Now() const override;
  WallTime WallNow() const override;
};

// Set by hand; for tests and the simulation. One thread only.
class ManualClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now_; }
  WallTime WallNow() const override { return wall_; }
  void Advance(Duration by) {
    now_ += by;
    wall_.ms += std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count() - last_ms_;
    last_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  }
  // Jumps the wall clock only (fault F-110).
  void SetWall(WallTime wall) { wall_ = wall; }

 private:
  MonotonicTime now_{};
  WallTime wall_{1'700'000'000'000};
  int64_t last_ms_ = 0;
};

}  // namespace dolmen
