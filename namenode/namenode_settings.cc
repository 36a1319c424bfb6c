#include "namenode/namenode_settings.h"

#include "common/error.h"

namespace dolmen::namenode {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kDayMs = 24 * 3600 * 1000;

}  // namespace

std::vector<Setting> NamenodeSettingsTable() {
  const CoreSettings defaults;
  const auto integer = [](std::string name, int64_t value, int64_t low, int64_t high, std::string text,
                          bool unsafe = false) {
    return Setting{std::move(name), value, std::move(text), low, high, unsafe};
  };
  return {
      Setting{"namenode_metadata_dir", std::string(), "Directory of the namespace's metadata; made by --format."},
      Setting{"namenode_bind_host", std::string("127.0.0.1"),
              "Address the namenode listens on; anything but loopback needs namenode_allow_remote, because callers are "
              "not authenticated yet."},
      Setting{"namenode_allow_remote", false,
              "Listen beyond loopback although identities are only claimed (\"simple\" security)."},
      integer("namenode_port", 7020, 0, 65535, "gRPC port for clients and datanodes; 0 picks a free one."),
      integer("namenode_query_threads", 2, 1, 64, "Threads that answer read-only calls."),
      integer("namenode_block_cache_bytes", 256 * kMiB, kMiB, 1024 * kGiB,
              "Memory for cached metadata blocks; the rest of the namespace stays on disk."),
      integer("namenode_free_space_floor_bytes", 100 * kMiB, 0, 1024 * kGiB,
              "Below so much free space on the metadata volume mutations are refused until space is back."),
      Setting{"namenode_permissions_enabled", true, "Check permissions of users other than the superuser."},
      Setting{"namenode_supergroup", std::string("supergroup"), "Members are superusers; set when formatting."},
      Setting{"namenode_group_mapping_file", std::string(),
              "File of lines user=group1,group2; a user it names has these groups and no others, whatever the OS says. "
              "Read again when it changes."},
      Setting{"namenode_create_home_directories", false,
              "Make /user/NAME, mode 0700, for a user whose home is missing when he is first met."},
      integer("namenode_default_block_bytes", defaults.default_block_bytes, 512, 2 * kGiB,
              "Block size of files whose creator did not choose; a multiple of 512."),
      integer("namenode_min_block_bytes", defaults.min_block_bytes, 512, 2 * kGiB, "Smallest block size accepted."),
      integer("namenode_default_replication", defaults.default_replication, 1, 512,
              "Replicas of files whose creator did not choose."),
      integer("namenode_min_replication", defaults.min_replication, 1, 512,
              "Replicas that must be durable before a file can be closed."),
      integer("namenode_max_directory_items", static_cast<int64_t>(defaults.max_directory_items), 1, 100'000'000,
              "Most entries of one directory."),
      integer("namenode_lease_soft_limit_ms", defaults.lease_soft_limit.count(), 100, kDayMs,
              "A writer silent for so long may lose its file to another client."),
      integer("namenode_lease_hard_limit_ms", defaults.lease_hard_limit.count(), 200, 30 * kDayMs,
              "A writer silent for so long loses its file: it is closed by the namenode."),
      integer("namenode_heartbeat_interval_ms", defaults.heartbeat_interval.count(), 10, 600'000,
              "How often datanodes report that they are alive."),
      integer("namenode_stale_after_ms", defaults.stale_after.count(), 50, kDayMs,
              "A datanode silent for so long gets new blocks only if few others can take them, and is read from last."),
      integer("namenode_dead_after_ms", defaults.dead_after.count(), 100, kDayMs,
              "A datanode silent for so long counts as lost: its blocks are copied elsewhere."),
      integer("namenode_full_report_interval_ms", defaults.full_report_interval.count(), 1000, 30 * kDayMs,
              "How often datanodes report all their replicas."),
      integer("namenode_redundancy_interval_ms", defaults.redundancy_interval.count(), 10, 600'000,
              "How often missing and excess replicas are dealt with."),
      integer("namenode_pending_copy_timeout_ms", defaults.pending_copy_timeout.count(), 100, kDayMs,
              "A copy not reported by then is ordered again."),
      integer("namenode_safe_mode_extension_ms", defaults.safe_mode_extension.count(), 0, 3600'000,
              "Safe mode lasts so much longer once its thresholds are reached."),
      Setting{"namenode_safe_mode_threshold", defaults.safe_mode_threshold,
              "Share of blocks with a reported replica that ends start-up safe mode; above 1: never by itself."},
      integer("namenode_safe_mode_min_datanodes", 0, 0, 10'000, "Live datanodes that start-up safe mode waits for."),
      integer("namenode_retry_retention_ms", defaults.retry_retention.count(), 1000, 7 * kDayMs,
              "How long a retried call is answered from its record."),
      integer("namenode_replica_wait_ms", defaults.replica_wait.count(), 0, 60'000,
              "How long close, append, recoverLease and the next block wait for replicas or a recovery."),
      integer("namenode_max_batch_operations", defaults.max_batch_operations, 1, 4096, "Most operations per commit."),
      integer("namenode_reap_entries_per_step", defaults.reap_entries_per_step, 1, 10'000,
              "Records of deleted trees freed per step; steps are 20 ms apart."),
      Setting{"log_level", std::string("info"), "trace, debug, info, warn or error."},
  };
}

absl::StatusOr<CoreSettings> ToCoreSettings(const Settings& settings) {
  using std::chrono::milliseconds;
  const auto ms = [&](std::string_view name) { return milliseconds(settings.Int(name)); };
  CoreSettings core;
  core.permissions_enabled = settings.Bool("namenode_permissions_enabled");
  core.free_space_floor_bytes = settings.Int("namenode_free_space_floor_bytes");
  core.default_block_bytes = settings.Int("namenode_default_block_bytes");
  core.min_block_bytes = settings.Int("namenode_min_block_bytes");
  core.default_replication = settings.Int("namenode_default_replication");
  core.min_replication = settings.Int("namenode_min_replication");
  core.max_directory_items = settings.Int("namenode_max_directory_items");
  core.lease_soft_limit = ms("namenode_lease_soft_limit_ms");
  core.lease_hard_limit = ms("namenode_lease_hard_limit_ms");
  core.heartbeat_interval = ms("namenode_heartbeat_interval_ms");
  core.stale_after = ms("namenode_stale_after_ms");
  core.dead_after = ms("namenode_dead_after_ms");
  core.full_report_interval = ms("namenode_full_report_interval_ms");
  core.redundancy_interval = ms("namenode_redundancy_interval_ms");
  core.pending_copy_timeout = ms("namenode_pending_copy_timeout_ms");
  core.safe_mode_extension = ms("namenode_safe_mode_extension_ms");
  core.safe_mode_threshold = settings.Double("namenode_safe_mode_threshold");
  core.safe_mode_min_datanodes = settings.Int("namenode_safe_mode_min_datanodes");
  core.retry_retention = ms("namenode_retry_retention_ms");
  core.replica_wait = ms("namenode_replica_wait_ms");
  core.max_batch_operations = settings.Int("namenode_max_batch_operations");
  core.reap_entries_per_step = settings.Int("namenode_reap_entries_per_step");

  const auto refuse = [](std::string text) { return MakeError(ErrorReason::kIllegalArgument, text); };
  if (core.default_block_bytes % 512 != 0)
    return refuse(
        absl::StrCat("namenode_default_block_bytes (", core.default_block_bytes, ") must be a multiple of 512"));
  if (core.default_block_bytes < core.min_block_bytes) {
    return refuse(absl::StrCat("namenode_default_block_bytes (", core.default_block_bytes,
                               ") is below namenode_min_block_bytes (", core.min_block_bytes, ")"));
  }
  if (core.min_replication > core.default_replication) {
    return refuse(absl::StrCat("namenode_min_replication (", core.min_replication,
                               ") is above namenode_default_replication (", core.default_replication, ")"));
  }
  if (core.lease_soft_limit >= core.lease_hard_limit) {
    return refuse(absl::StrCat("namenode_lease_soft_limit_ms (", core.lease_soft_limit.count(),
                               ") must be below namenode_lease_hard_limit_ms (", core.lease_hard_limit.count(), ")"));
  }
  if (core.heartbeat_interval * 2 > core.stale_after || core.stale_after > core.dead_after) {
    return refuse(absl::StrCat("these must rise: 2 x namenode_heartbeat_interval_ms (", core.heartbeat_interval.count(),
                               "), namenode_stale_after_ms (", core.stale_after.count(), "), namenode_dead_after_ms (",
                               core.dead_after.count(), ")"));
  }
  return core;
}

}  // namespace dolmen::namenode
