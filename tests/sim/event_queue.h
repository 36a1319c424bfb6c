// Virtual time: one queue of events ordered by (time, sequence). Nothing happens between events, so a run is a function
// of its seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "common/clock.h"

namespace dolmen::sim {

class EventQueue {
 public:
  using Handler = std::function<void()>;
  // For cancelling; never reused.
  struct Key {
    MonotonicTime at;
    uint64_t sequence = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  MonotonicTime now() const { return now_; }
  uint64_t events_run() const { return events_run_; }

  Key At(MonotonicTime at, Handler handler) {
    const Key key{std::max(at, now_), ++sequence_};
    events_.emplace(key, std::move(handler));
    return key;
  }
  Key After(Duration delay, Handler handler) { return At(now_ + delay, std::move(handler)); }
  void Cancel(const Key& key) { events_.erase(key); }

  // Runs the next event; false when there is none.
  bool RunOne() {
    if (events_.empty()) return false;
    auto first = events_.begin();
    now_ = first->first.at;
    Handler handler = std::move(first->second);
    events_.erase(first);
    ++events_run_;
    handler();
    return true;
  }
  // The time of the next event; now() when there is none.
  MonotonicTime NextAt() const { return events_.empty() ? now_ : events_.begin()->first.at; }
  bool empty() const { return events_.empty(); }

 private:
  MonotonicTime now_{};
  uint64_t sequence_ = 0;
  uint64_t events_run_ = 0;
  std::map<Key, Handler> events_;
};

}  // namespace dolmen::sim
