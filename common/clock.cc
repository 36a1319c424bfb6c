#include "common/clock.h"

#include <time.h>

#include "common/check.h"

namespace dolmen {
namespace {

timespec ReadClock(clockid_t clock) {
  timespec now{};
  DOLMEN_CHECK(clock_gettime(clock, &now) == 0, "clock_gettime");
  return now;
}

}  // namespace

MonotonicTime SystemClock::Now() const {
  const timespec now = ReadClock(CLOCK_BOOTTIME);
  return MonotonicTime(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

WallTime SystemClock::WallNow() const {
  const timespec now = ReadClock(CLOCK_REALTIME);
  return WallTime{static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000};
}

}  // namespace dolmen
