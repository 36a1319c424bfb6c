// When the namenode may change things: HDFS's rule. Three reasons, any of which keeps safe mode on:
//   start     until floor(threshold x total) blocks have a confirmed replica and min_datanodes are live, then an
//             extension, at whose end both must hold; a threshold above 1 waits for the command
//   manual    until the command to leave
//   resources while the metadata volume is short of space; ends by itself, and the command does not end it
// Replicas of ids or stamps from the future never keep it on, unlike in HDFS: they are quarantined, not deleted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// One thread only.
class SafeMode {
 public:
  explicit SafeMode(const CoreSettings* settings) : settings_(*settings) {}

  // Blocks that count: committed ones. Call once, before the first Tick.
  void SetTotalBlocks(uint64_t total) { total_blocks_ = total; }
  // Distinct committed blocks with a confirmed replica. Counted only while starting_up().
  void AddSafeBlocks(int64_t delta) { safe_blocks_ += delta; }
  void SetLiveDatanodes(uint64_t live) { live_datanodes_ = live; }
  void SetResourcesLow(bool low) { resources_low_ = low; }

  void Enter() { manual_ = true; }
  // Ends the start and manual safe mode.
  void Leave() {
    starting_up_ = false;
    manual_ = false;
  }

  // `counts_settled` false: the counts may still fall for reasons known already, so don't leave on them.
  void Tick(MonotonicTime now, bool counts_settled);

  bool on() const { return starting_up_ || manual_ || resources_low_; }
  bool starting_up() const { return starting_up_; }
  uint64_t safe_blocks() const { return safe_blocks_ < 0 ? 0 : static_cast<uint64_t>(safe_blocks_); }
  uint64_t total_blocks() const { return total_blocks_; }
  // Why it is on and when it ends, in HDFS's words; empty when off.
  std::string Tip(MonotonicTime now) const;

 private:
  uint64_t BlockThreshold() const;
  bool ThresholdsReached() const;

  const CoreSettings& settings_;
  uint64_t total_blocks_ = 0;
  int64_t safe_blocks_ = 0;
  uint64_t live_datanodes_ = 0;
  bool starting_up_ = true;
  bool manual_ = false;
  bool resources_low_ = false;
  std::optional<MonotonicTime> extension_ends_;
};

}  // namespace dolmen::namenode
