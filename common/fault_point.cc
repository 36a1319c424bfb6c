#include "common/fault_point.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "common/error.h"
#include "common/mutex.h"

namespace dolmen::fault {
namespace {

enum class Action { kFail, kExit, kDelay };

struct Armed {
  Action action = Action::kFail;
  int64_t delay_ms = 0;
  uint64_t only_hit = 0;  // 0: every hit
  uint64_t hits = 0;      // since this was armed
};

constexpr int64_t kMaxDelayMs = 3'600'000;  // chosen: an hour is longer than any test

struct Registry {
  Mutex mutex;
  std::map<std::string, std::vector<Armed>, std::less<>> armed ABSL_GUARDED_BY(mutex);
  std::map<std::string, uint64_t, std::less<>> hits ABSL_GUARDED_BY(mutex);
};

Registry& TheRegistry() {
  static Registry& registry = *new Registry;  // never destroyed: hits may come from threads that outlive main
  return registry;
}

absl::Status BadPart(std::string_view part, std::string_view why) {
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat("fault point \"", ToAbsl(part), "\": ", ToAbsl(why),
                                "; the form is name=fail|exit|delay:<ms>, then optionally @<n>"));
}

absl::StatusOr<std::pair<std::string, Armed>> ParseOne(std::string_view part) {
  const size_t equals = part.find('=');
  if (equals == std::string_view::npos || equals == 0) return BadPart(part, "name or '=' is missing");
  std::string name(part.substr(0, equals));
  std::string_view action = part.substr(equals + 1);
  Armed armed;
  if (const size_t at = action.find('@'); at != std::string_view::npos) {
    if (!absl::SimpleAtoi(ToAbsl(action.substr(at + 1)), &armed.only_hit) || armed.only_hit == 0) {
      return BadPart(part, "what follows '@' must be a number from 1 up");
    }
    action = action.substr(0, at);
  }
  constexpr std::string_view kDelay = "delay:";
  if (action == "fail") {
    armed.action = Action::kFail;
  } else if (action == "exit") {
    armed.action = Action::kExit;
  } else if (action.substr(0, kDelay.size()) == kDelay) {
    armed.action = Action::kDelay;
    if (!absl::SimpleAtoi(ToAbsl(action.substr(kDelay.size())), &armed.delay_ms) || armed.delay_ms < 0 ||
        armed.delay_ms > kMaxDelayMs) {
      return BadPart(part, absl::StrCat("the delay must be 0 to ", kMaxDelayMs, " ms"));
    }
  } else {
    return BadPart(part, absl::StrCat("unknown action \"", ToAbsl(action), "\""));
  }
  return std::make_pair(std::move(name), armed);
}

}  // namespace

std::atomic<bool> any_armed{false};

absl::Status Arm(std::string_view specification) {
  std::vector<std::pair<std::string, Armed>> parsed;
  while (!specification.empty()) {
    const size_t end = specification.find(';');
    const std::string_view part = specification.substr(0, end);
    specification = end == std::string_view::npos ? std::string_view{} : specification.substr(end + 1);
    if (part.empty()) continue;
    DOLMEN_ASSIGN_OR_RETURN(auto one, ParseOne(part));
    parsed.push_back(std::move(one));
  }
  if (parsed.empty()) return absl::OkStatus();
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  for (auto& [name, armed] : parsed) registry.armed[name].push_back(armed);
  any_armed.store(true, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status ArmFromEnvironment() {
  const char* specification = std::getenv("DOLMEN_FAULT_POINTS");
  if (specification == nullptr) return absl::OkStatus();
  return Annotate(Arm(specification), "DOLMEN_FAULT_POINTS");
}

void DisarmAll() {
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  registry.armed.clear();
  any_armed.store(false, std::memory_order_relaxed);
}

std::map<std::string, uint64_t> Hits() {
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  return {registry.hits.begin(), registry.hits.end()};
}

absl::Status Hit(std::string_view name) {
  bool fail = false;
  bool exit_now = false;
  int64_t delay_ms = 0;
  {
    Registry& registry = TheRegistry();
    MutexLock lock(&registry.mutex);
    if (registry.armed.empty()) return absl::OkStatus();  // disarmed since the caller looked
    auto counted = registry.hits.find(name);
    if (counted == registry.hits.end()) counted = registry.hits.emplace(std::string(name), 0).first;
    ++counted->second;
    const auto found = registry.armed.find(name);
    if (found == registry.armed.end()) return absl::OkStatus();
    for (Armed& armed : found->second) {
      ++armed.hits;
      if (armed.only_hit != 0 && armed.hits != armed.only_hit) continue;
      fail |= armed.action == Action::kFail;
      exit_now |= armed.action == Action::kExit;
      delay_ms += armed.delay_ms;
    }
  }
  if (delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
  if (exit_now) _exit(kInjectedExitCode);
  if (fail) return MakeError(ErrorReason::kIo, absl::StrCat("injected failure at ", ToAbsl(name)));
  return absl::OkStatus();
}

}  // namespace dolmen::fault
