// Waiting in tests: for a condition, with a deadline, never for a fixed time.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

namespace dolmen {

// Asks until `condition` holds or the deadline has passed, with pauses from 1 to 20 ms. Returns whether it held.
inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  for (std::chrono::milliseconds pause(1);; pause = std::min(pause * 2, std::chrono::milliseconds(20))) {
    if (condition()) return true;
    if (std::chrono::steady_clock::now() >= end) return condition();
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace dolmen
