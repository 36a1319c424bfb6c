// What the namenode core may be told; defaults are HDFS's unless noted. Values come from the settings table of
// namenode_settings.cc; the simulation draws small and odd ones.
#pragma once

#include <chrono>
#include <cstdint>

namespace dolmen::namenode {

struct CoreSettings {
  // Namespace limits.
  uint32_t max_component_bytes = 255;
  uint32_t max_path_bytes = 8000;
  uint32_t max_path_depth = 1000;
  uint64_t max_directory_items = 1'048'576;
  uint64_t min_block_bytes = 1 << 20;
  uint64_t max_block_bytes = uint64_t{2} << 30;
  uint64_t max_blocks_per_file = 1'000'000;     // HDFS: 10,000
  uint64_t max_concat_blocks = 10'000;          // moved by one call; HDFS has no limit
  uint64_t max_truncate_blocks = 10'000;        // freed by one call; HDFS has no limit
  uint32_t replication_blocks_per_step = 1000;  // that one commit gives another number of replicas
  uint32_t min_replication = 1;
  uint32_t max_replication = 512;
  uint32_t default_replication = 3;
  uint64_t default_block_bytes = 128 << 20;
  uint32_t listing_limit = 1000;
  bool permissions_enabled = true;

  // Leases.
  std::chrono::milliseconds lease_soft_limit{60'000};
  std::chrono::milliseconds lease_hard_limit{20 * 60'000};
  uint32_t lease_expiries_per_tick = 100;

  // Retries (contract C-9).
  std::chrono::milliseconds retry_retention{10 * 60'000};
  uint32_t max_open_answers_per_session = 1024;

  // Waiting of complete, addBlock and append for reports, of recoverLease for the file's close, at most.
  std::chrono::milliseconds replica_wait{4'000};
  uint32_t max_waiting_operations = 10'000;

  // Datanodes. Dead: HDFS waits 630 s; we re-replicate after 30 s without a heartbeat.
  std::chrono::milliseconds heartbeat_interval{1'000};
  std::chrono::milliseconds stale_after{5'000};
  std::chrono::milliseconds dead_after{30'000};
  std::chrono::milliseconds full_report_interval{6 * 3600'000};
  uint32_t max_datanodes = 10'000;

  // Safe mode.
  double safe_mode_threshold = 0.999;
  uint32_t safe_mode_min_datanodes = 0;
  std::chrono::milliseconds safe_mode_extension{3'000};  // HDFS: 30 s; only when there are blocks

  // Redundancy.
  std::chrono::milliseconds redundancy_interval{1'000};  // HDFS: 3 s
  // What a source is given at a time, waiting and under way, for small blocks and large ones; one block in any case,
  // and twice as much of blocks that have one replica left. HDFS: 2 blocks.
  uint32_t copies_per_datanode = 64;
  uint64_t copy_bytes_per_datanode = 512 << 20;
  uint32_t copies_per_plan = 1000;                         // of the whole cluster
  std::chrono::milliseconds pending_copy_timeout{60'000};  // HDFS: 300 s
  uint32_t max_deletes_per_command = 1000;
  uint32_t max_queued_blocks = 100'000;  // each of: wanted copies, deletions; beyond: found again by the scan
  uint32_t scan_blocks_per_tick = 1000;

  // Reaper of deleted trees and retry records, per step (one step per batch at most).
  uint32_t reap_entries_per_step = 1000;

  // Commit.
  uint32_t max_batch_operations = 256;
  uint64_t max_batch_bytes = 8 << 20;
  uint32_t max_queued_operations = 20'000;
  uint64_t free_space_floor_bytes = 100 << 20;
};

}  // namespace dolmen::namenode
