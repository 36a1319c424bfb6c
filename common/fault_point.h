// Named fault points: places where a test can make the process fail, wait or die. Off by default and then one relaxed
// atomic load. Named for the gap they open, e.g. DOLMEN_FAULT_POINT("datanode.finalize.after_rename").
//
// Armed by code (tests in process) or by the variable DOLMEN_FAULT_POINTS (real processes), e.g.
//   DOLMEN_FAULT_POINTS='namenode.commit.after_sync=exit@3;datanode.finalize.after_rename=fail'
// action: fail | exit | delay:<ms>; "@n" = only the n-th hit (1 = the first; default every hit).
// `exit` ends the process at once with kInjectedExitCode, as a kill -9 would.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dolmen {

inline constexpr int kInjectedExitCode = 86;

namespace fault {

// Parses and arms a specification as above, adding to what is armed. Errors name the bad part.
absl::Status Arm(std::string_view specification);
// Reads DOLMEN_FAULT_POINTS; called once by each main.
absl::Status ArmFromEnvironment();
void DisarmAll();
// Hits per point since start (counted only while anything is armed).
std::map<std::string, uint64_t> Hits();
// Only through the macro.
absl::Status Hit(std::string_view name);
extern std::atomic<bool> any_armed;

}  // namespace fault
}  // namespace dolmen

// In a function returning absl::Status or StatusOr: returns the injected failure.
#define DOLMEN_FAULT_POINT(name)                                                                              \
  do {                                                                                                        \
    if (::dolmen::fault::any_armed.load(std::memory_order_relaxed)) [[unlikely]]                              \
      if (absl::Status dolmen_fault_ = ::dolmen::fault::Hit(name); !dolmen_fault_.ok()) return dolmen_fault_; \
  } while (false)
