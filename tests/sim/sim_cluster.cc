#include "tests/sim/sim_cluster.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/consistency.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/records.h"
#include "namenode/core/tables.h"

namespace dolmen::sim {
namespace {

constexpr NodeId kNamenodeNode = 0;
constexpr NodeId kFirstDatanodeNode = 1;
constexpr NodeId kFirstClientNode = 100;
constexpr size_t kKeptEvents = 60;
// Checking the whole store costs more than the rest of the run: every so many commits, and at every start and end.
constexpr uint64_t kCommitsPerCheck = 8;
constexpr std::chrono::seconds kHealBound{300};

namenode::CoreSettings SimSettings(Random& random) {
  using std::chrono::milliseconds;
  namenode::CoreSettings settings;
  settings.min_block_bytes = 512;
  settings.lease_soft_limit = milliseconds(10'000);
  settings.lease_hard_limit = milliseconds(30'000);
  settings.replica_wait = milliseconds(random.Between(0, 3000));
  settings.heartbeat_interval = milliseconds(1000);
  settings.stale_after = milliseconds(4000);
  settings.dead_after = milliseconds(12'000);
  settings.full_report_interval = milliseconds(random.Between(20'000, 200'000));
  settings.safe_mode_extension = milliseconds(random.Between(0, 2000));
  settings.redundancy_interval = milliseconds(1000);
  settings.pending_copy_timeout = milliseconds(10'000);
  settings.max_batch_operations = static_cast<uint32_t>(random.Between(1, 16));
  settings.reap_entries_per_step = static_cast<uint32_t>(random.Between(1, 20));
  settings.replication_blocks_per_step = static_cast<uint32_t>(random.Between(1, 3));
  settings.scan_blocks_per_tick = static_cast<uint32_t>(random.Between(1, 50));
  settings.listing_limit = static_cast<uint32_t>(random.Between(2, 1000));
  return settings;
}

uint64_t Mix(uint64_t hash, std::string_view text) {
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace

RunReport RunSeed(uint64_t seed, const RunGoals& goals) { return SimCluster(seed, goals).Run(); }

SimCluster::SimCluster(uint64_t seed, const RunGoals& goals)
    : seed_(seed), goals_(goals), random_(seed), network_(&events_, seed + 1) {
  report_.seed = seed;
  report_.trace_hash = 0xCBF29CE484222325ull;
  namenode_ =
      std::make_unique<SimNamenode>(&events_, &network_, kNamenodeNode, SimSettings(random_), random_.Next(), this);
  const int datanodes = static_cast<int>(random_.Between(3, 5));
  const int racks = static_cast<int>(random_.Between(1, 2));
  for (int i = 0; i < datanodes; ++i) {
    auto datanode = std::make_unique<SimDatanode>(&events_, &network_, kFirstDatanodeNode + i, kNamenodeNode,
                                                  namenode_.get(), &directory_, absl::StrCat("/rack", i % racks),
                                                  static_cast<int>(random_.Between(1, 2)), random_.Next());
    directory_[datanode->host()] = datanode.get();
    datanodes_.push_back(std::move(datanode));
  }
  WorkloadSettings workload;
  workload.block_bytes = 512 * random_.Between(2, 20);
  workload.packet_bytes = 512 * static_cast<uint32_t>(random_.Between(1, 6));
  workload.window_packets = static_cast<uint32_t>(random_.Between(1, 8));
  workload.max_file_bytes = workload.block_bytes * 4;
  const int clients = static_cast<int>(random_.Between(1, 4));
  workload.think_time = std::chrono::milliseconds(goals.virtual_time / std::chrono::milliseconds(1) * clients /
                                                  static_cast<int64_t>(goals.operations * 2));
  for (int i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<SimClient>(&events_, &network_, kFirstClientNode + i, namenode_.get(),
                                                   &directory_, workload, random_.Next(), this));
  }
}

SimCluster::~SimCluster() = default;

// ---- what is observed --------------------------------------------------------------------------------------------

void SimCluster::Trace(const std::string& line) {
  const std::string text = absl::StrCat(events_.now().time_since_epoch().count() / 1000, "us ", line);
  report_.trace_hash = Mix(report_.trace_hash, text);
  report_.last_events.push_back(text);
  if (report_.last_events.size() > kKeptEvents) report_.last_events.erase(report_.last_events.begin());
}

void SimCluster::Violation(const std::string& what) {
  if (!report_.violation.empty()) return;
  report_.violation = what;
  Trace("VIOLATION " + what);
}

void SimCluster::Executed(const namenode::ClientMutation& operation, const namenode::Answer& answer,
                          CommitNumber commit) {
  Trace(absl::StrCat("executed ", operation.request.index(), " call ", operation.id.call_id, " attempt ",
                     operation.id.attempt, " commit ", commit.value(), " ",
                     answer.ok() ? "ok" : answer.status().ToString()));
  if (std::string wrong = model_.Execute(operation, answer); !wrong.empty()) Violation(wrong);
  if (const auto* truncation = std::get_if<protocol::TruncateRequest>(&operation.request);
      truncation != nullptr && answer.ok()) {
    Truncated(*truncation);
  }
  if (const auto* append = std::get_if<protocol::AppendRequest>(&operation.request); append != nullptr && answer.ok()) {
    Appended(*append);
  }
}

void SimCluster::Truncated(const protocol::TruncateRequest& request) {
  const ModelNode* node = model_.Find(request.path);
  if (node == nullptr || node->is_directory) return;
  acknowledged_[node->file.inode] = {.at = events_.now(),
                                     .length = request.length,
                                     .closed = true,
                                     .committed_at = events_.now(),
                                     .committed = request.length,
                                     .exact = true};
}

void SimCluster::Appended(const protocol::AppendRequest& request) {
  const ModelNode* node = model_.Find(request.path);
  if (node == nullptr || node->is_directory) return;
  if (const auto ack = acknowledged_.find(node->file.inode); ack != acknowledged_.end()) ack->second.exact = false;
}

bool SimCluster::MayExpire(const ModelFile& file) const {
  if (given_up_.contains(file.inode)) return true;
  for (const auto& client : clients_) {
    if (client->running() && client->holder() == file.holder)
      return last_checked_ - last_disturbance_ < std::chrono::seconds(90);
  }
  return true;
}

void SimCluster::CheckStored(const namenode::MetaView& view, const std::string& when) {
  if (!report_.violation.empty()) return;
  if (absl::Status sound = namenode::CheckConsistency(view); !sound.ok())
    return Violation(when + ": " + sound.ToString());
  if (std::string wrong = model_.Compare(view); !wrong.empty()) Violation(when + ": " + wrong);
  last_checked_ = events_.now();
}

void SimCluster::TakeOverClosed(const namenode::MetaView& view, const std::string& when) {
  if (!report_.violation.empty()) return;
  std::string wrong = model_.TakeOverClosed(view, [this](const ModelFile& file) { return MayExpire(file); });
  if (!wrong.empty()) Violation(when + ": " + wrong);
}

void SimCluster::Published(const namenode::MetaView& view) {
  TakeOverClosed(view, "after a commit");
  if (++commits_checked_ % kCommitsPerCheck == 0) CheckStored(view, "after a commit");
}

void SimCluster::Started(const namenode::MetaView& view) {
  Trace(absl::StrCat("namenode started at commit ", view.commit_number().value()));
  TakeOverClosed(view, "after a restart");
  CheckStored(view, "after a restart");
}

void SimCluster::Acknowledged(uint64_t inode, const std::string& holder, uint64_t length, bool closed) {
  Trace(absl::StrCat("acknowledged inode ", inode, " length ", length, closed ? " closed" : ""));
  // An answer may come so late that the file is somebody else's already, who may have cut it.
  const ModelNode* node = model_.FindInode(inode);
  const bool is_late = node == nullptr || (closed ? node->file.open || node->file.length != length
                                                  : !node->file.open || node->file.holder != holder);
  if (is_late) {
    ++report_.probes["acknowledgements overtaken by others"];
    return;
  }
  Ack& ack = acknowledged_[inode];
  // What was only flushed may be gone with the power before the next writer came.
  const bool may_be_less = !ack.closed && last_power_loss_ >= ack.at;
  if (length < (may_be_less ? ack.committed : ack.length))
    Violation(absl::StrCat("inode ", inode, " was acknowledged at ", ack.length, ", then at ", length));
  ack.at = events_.now();
  ack.length = length;
  ack.closed = closed;
  if (!closed) return;
  ack.committed_at = ack.at;
  ack.committed = length;
  ack.exact = true;
}

void SimCluster::ReadDone(uint64_t inode, const std::string& path, uint64_t length, MonotonicTime started,
                          const absl::Status& status, const std::string& problem) {
  Trace(absl::StrCat("read ", path, " inode ", inode, " length ", length, " ", status.ok() ? "ok" : status.ToString(),
                     " ", problem));
  if (!problem.empty() && (at_rest_ || !model_.WasConcatenatedAndCut(inode)))
    Violation(absl::StrCat("reading ", path, ": ", problem));
  if (at_rest_) {
    if (!status.ok()) Violation(absl::StrCat("at rest ", path, " can't be read: ", status.ToString()));
    ++reads_at_rest_;
  }
  // What was acknowledged before the reader came must be visible to it, unless a machine that held it failed since.
  auto found = acknowledged_.find(inode);
  if (!status.ok() || found == acknowledged_.end()) return;
  if (found->second.committed_at <= started && length < found->second.committed) {
    Violation(absl::StrCat("a reader of ", path, " saw ", length, " bytes of ", found->second.committed, " committed"));
  }
  if (found->second.at > started) return;
  if (!found->second.closed && (last_datanode_fault_ >= found->second.at - std::chrono::seconds(60) || healing_))
    return;
  if (length < found->second.length) {
    Violation(absl::StrCat("a reader of ", path, " saw ", length, " bytes of ", found->second.length, " acknowledged"));
  }
}

void SimCluster::OperationDone(const std::string& kind, const absl::Status& status) {
  ++report_.operations_by_outcome[kind + (status.ok() ? " ok" : " failed")];
}

uint64_t SimCluster::Operations() const {
  uint64_t sum = 0;
  for (const auto& client : clients_) sum += client->operations();
  return sum;
}

// ---- faults ------------------------------------------------------------------------------------------------------

void SimCluster::Fired(const std::string& kind) {
  ++report_.faults[kind];
  last_disturbance_ = events_.now();
  Trace("fault " + kind);
}

void SimCluster::ScheduleFault() {
  events_.After(Between(5'000, 60'000), [this] {
    if (healing_) return;
    OneFault();
    ScheduleFault();
  });
}

void SimCluster::OneFault() {
  const auto restart_later = [this](auto* process, int64_t low_ms, int64_t high_ms) {
    events_.After(Between(low_ms, high_ms), [this, process] {
      if (!process->running()) process->Start();
      last_disturbance_ = events_.now();
    });
  };
  SimDatanode* datanode = datanodes_[random_.Uniform(datanodes_.size())].get();
  SimClient* client = clients_[random_.Uniform(clients_.size())].get();
  switch (random_.Uniform(10)) {
    case 0:
    case 1: {
      if (!namenode_->running()) return;
      const bool power = random_.OneIn(2);
      const auto fired = [this, power, restart_later] {
        Fired(power ? "namenode power loss" : "namenode kill -9");
        restart_later(namenode_.get(), 100, 15'000);
      };
      if (random_.OneIn(2)) return namenode_->CrashInNextBatch(/*lose_hints=*/power, fired);
      namenode_->Crash(/*lose_hints=*/power);
      return fired();
    }
    case 2: {
      if (!namenode_->running()) return;
      namenode_->FailNextCommit(/*applied=*/random_.OneIn(2));
      Fired("namenode commit failure");
      // Whoever watches the process restarts it.
      events_.After(Between(2'000, 8'000), [this] {
        if (!namenode_->running() || !namenode_->core().stopped()) return;
        namenode_->Crash(false);
        namenode_->Start();
      });
      return;
    }
    case 3: {
      if (!datanode->running()) return;
      datanode->Crash();
      last_datanode_fault_ = events_.now();
      Fired("datanode kill -9");
      return restart_later(datanode, 100, 30'000);
    }
    case 4: {
      if (!datanode->running()) return;
      datanode->PowerLoss();
      last_datanode_fault_ = last_power_loss_ = events_.now();
      Fired("datanode power loss");
      return restart_later(datanode, 100, 30'000);
    }
    case 5: {
      // All machines lose power together.
      if (!random_.OneIn(3)) return;
      for (const auto& one : datanodes_)
        if (one->running()) one->PowerLoss();
      if (namenode_->running()) namenode_->Crash(true);
      last_datanode_fault_ = last_power_loss_ = events_.now();
      Fired("power loss of all servers");
      for (const auto& one : datanodes_) restart_later(one.get(), 100, 10'000);
      return restart_later(namenode_.get(), 100, 10'000);
    }
    case 6: {
      if (!client->running()) return;
      client->Kill();
      Fired("client kill -9");
      return restart_later(client, 100, 20'000);
    }
    case 7: {
      // One direction of one link, or both.
      const NodeId a = random_.OneIn(2) ? kNamenodeNode : datanode->node();
      const NodeId b = random_.OneIn(2) ? kFirstClientNode + static_cast<NodeId>(random_.Uniform(clients_.size()))
                                        : kFirstDatanodeNode + static_cast<NodeId>(random_.Uniform(datanodes_.size()));
      if (a == b) return;
      const bool both = random_.OneIn(2);
      network_.Cut(a, b);
      if (both) network_.Cut(b, a);
      last_datanode_fault_ = events_.now();
      Fired(both ? "link cut" : "link cut one way");
      events_.After(Between(500, 20'000), [this, a, b] {
        network_.Heal(a, b);
        network_.Heal(b, a);
        last_disturbance_ = events_.now();
      });
      return;
    }
    case 8: {
      NetworkOptions bad;
      bad.lose_one_in = random_.Between(20, 300);
      bad.repeat_one_in = random_.Between(5, 50);
      bad.delay_one_in = random_.Between(5, 50);
      network_.SetOptions(bad);
      Fired("lossy network");
      events_.After(Between(2'000, 30'000), [this] {
        network_.SetOptions({});
        last_disturbance_ = events_.now();
      });
      return;
    }
    default: {
      namenode_->JumpWallClock(static_cast<int64_t>(random_.Between(0, 60'000)) - 30'000);
      Fired("namenode wall clock jump");
      return;
    }
  }
}

// ---- the run -----------------------------------------------------------------------------------------------------

void SimCluster::RunUntil(MonotonicTime until) {
  while (report_.violation.empty() && !events_.empty() && events_.NextAt() <= until) events_.RunOne();
}

void SimCluster::Heal() {
  healing_ = true;
  namenode_->DisarmFaults();
  network_.SetOptions({});
  network_.HealAll();
  if (namenode_->running() && namenode_->core().stopped()) namenode_->Crash(false);
  if (!namenode_->running()) namenode_->Start();
  for (const auto& datanode : datanodes_)
    if (!datanode->running()) datanode->Start();
  for (const auto& client : clients_) {
    client->StopWorkload();
    if (!client->running()) client->Start();
  }
  last_disturbance_ = events_.now();
  Trace("healed");
}

bool SimCluster::AtRest(std::string* why_not) {
  for (const auto& client : clients_) {
    if (!client->idle()) {
      *why_not = "client " + client->holder() + " is still " + client->UnderWay();
      return false;
    }
  }
  if (namenode_->core().blocks().safe_mode().on()) {
    *why_not = "safe mode is on: " + namenode_->core().blocks().safe_mode().Tip(events_.now());
    return false;
  }
  const auto view = namenode_->core().published().meta;
  bool quiet = true;
  const auto none_of = [&](namenode::Family family, const std::string& text) {
    const absl::Status scanned = view->Scan(family, "", "", [&](std::string_view, std::string_view) {
      quiet = false;
      *why_not = text;
      return false;
    });
    if (!scanned.ok()) Violation(scanned.ToString());
  };
  none_of(namenode::Family::kOpen, "a file is still open without a writer");
  none_of(namenode::Family::kDetached, "a deleted tree is not freed yet");
  if (const auto change = namenode::FirstReplicationChange(*view); change.ok() && change->has_value()) {
    quiet = false;
    *why_not = "a change of replication is under way";
  }
  if (!quiet) return false;
  // Every block has its replicas, confirmed.
  const int wanted_at_most = static_cast<int>(datanodes_.size());
  const absl::Status scanned =
      view->Scan(namenode::Family::kBlocks, "", "", [&](std::string_view key, std::string_view value) {
        auto id = namenode::keys::ParseBlock(key);
        auto record = namenode::DecodeBlock(value);
        if (!id.ok() || !record.ok()) {
          Violation("a stored block can't be read");
          return false;
        }
        const int have = namenode_->core().blocks().ConfirmedReplicas({*id, record->stamp, record->length});
        const int want = std::min(static_cast<int>(record->replicas_wanted), wanted_at_most);
        if (have != want) {
          quiet = false;
          *why_not = absl::StrCat(id->ToString(), " has ", have, " replicas instead of ", want);
        }
        return quiet;
      });
  if (!scanned.ok()) Violation(scanned.ToString());
  for (const auto& datanode : datanodes_) {
    if (std::string left = datanode->LeftOpen(); quiet && !left.empty()) {
      quiet = false;
      *why_not = datanode->host() + ": " + left;
    }
    // Replicas of deleted files, and those that an append or a recovery left behind, are found by the next full report
    // at the latest.
    for (const protocol::Block& block : datanode->Finalized()) {
      const auto record = namenode::GetBlock(*view, block.id);
      if (!record.ok()) Violation(record.status().ToString());
      if (!quiet || !record.ok()) continue;
      if (record->has_value() && (*record)->stamp == block.stamp && (*record)->length == block.length) continue;
      quiet = false;
      *why_not = absl::StrCat(datanode->host(), " still has ", block.id.ToString(), " with ", block.stamp.ToString(),
                              " and ", block.length, " bytes, ",
                              record->has_value() ? absl::StrCat("in its file it has ", (*record)->stamp.ToString(),
                                                                 " and ", (*record)->length)
                                                  : "which belongs to no file");
    }
  }
  return quiet;
}

void SimCluster::CheckReplicas() {
  // Every finalized replica is intact, belongs to a block of the namespace, and equals its file's content there (I-6).
  const auto view = namenode_->core().published().meta;
  for (const auto& datanode : datanodes_) {
    for (const auto& [block, verified] : datanode->VerifyFinalized()) {
      const std::string what = absl::StrCat(datanode->host(), " ", block.id.ToString());
      if (!verified.ok()) return Violation(what + " is damaged: " + verified.ToString());
      auto bytes = view->Get(namenode::Family::kBlocks, namenode::keys::Block(block.id));
      if (!bytes.ok() || !bytes->has_value()) return Violation(what + " belongs to no file");
      auto record = namenode::DecodeBlock(**bytes);
      if (!record.ok()) return Violation(what + ": " + record.status().ToString());
      if (record->stamp != block.stamp || record->length != block.length) {
        return Violation(absl::StrCat(what, " has ", block.stamp.ToString(), " and ", block.length,
                                      " bytes, its record ", record->stamp.ToString(), " and ", record->length));
      }
      uint64_t offset = 0;
      for (uint64_t index = 0; index < record->index; ++index) {
        auto id = view->Get(namenode::Family::kFileBlocks, namenode::keys::FileBlock(record->inode, index));
        if (!id.ok() || !id->has_value()) return Violation("a file lacks a block");
        auto earlier =
            view->Get(namenode::Family::kBlocks, namenode::keys::Block(*namenode::keys::ParseFileBlockValue(**id)));
        if (!earlier.ok() || !earlier->has_value()) return Violation("a file names a block that does not exist");
        offset += namenode::DecodeBlock(**earlier)->length;
      }
      auto content = datanode->ReadFinalized(block);
      if (!content.ok()) return Violation(what + " can't be read: " + content.status().ToString());
      if (*content != model_.ExpectedContent(record->inode.value(), offset, block.length))
        return Violation(what + " holds wrong bytes");
    }
  }
}

void SimCluster::CheckAtRest() {
  CheckStored(*namenode_->core().published().meta, "at rest");
  CheckReplicas();
  at_rest_ = true;
  uint64_t asked = 0;
  for (const auto& [path, node] : model_.nodes()) {
    if (node.is_directory || !report_.violation.empty()) continue;
    if (node.file.open) Violation(path + " is still open at rest");
    auto ack = acknowledged_.find(node.file.inode);
    const bool as_written = !model_.IsConcatenated(node.file.inode);
    if (as_written && ack != acknowledged_.end() && ack->second.exact && node.file.length != ack->second.committed)
      Violation(absl::StrCat(path, " was closed at ", ack->second.length, " bytes and has ", node.file.length));
    if (ack != acknowledged_.end() && node.file.length < ack->second.committed)
      Violation(absl::StrCat(path, " was closed at ", ack->second.committed, " bytes and lost some, it has ",
                             node.file.length));
    // Flushed bytes are in memory only: a machine that lost power may have lost them, a process that died has not
    // (C-7).
    if (ack != acknowledged_.end() && !ack->second.closed && node.file.length < ack->second.length) {
      if (ack->second.at > last_power_loss_) {
        Violation(absl::StrCat(path, " was flushed at ", ack->second.length, " bytes and has ", node.file.length));
      } else {
        ++report_.probes["flushed bytes lost with the power"];
      }
    }
    if (ack != acknowledged_.end() && !ack->second.closed) ++report_.probes["flushed files recovered"];
    clients_[asked % clients_.size()]->ReadFile(path);
    ++asked;
  }
  RunUntil(events_.now() + std::chrono::seconds(60));
  if (reads_at_rest_ != asked) Violation(absl::StrCat("only ", reads_at_rest_, " of ", asked, " reads at rest ended"));
}

RunReport SimCluster::Run() {
  namenode_->Start();
  for (const auto& datanode : datanodes_) datanode->Start();
  for (const auto& client : clients_) client->Start();
  ScheduleFault();
  // Safety.
  const MonotonicTime latest = MonotonicTime{} + goals_.virtual_time * 4;
  MonotonicTime until = MonotonicTime{} + goals_.virtual_time;
  RunUntil(until);
  while (report_.violation.empty() && until < latest &&
         (Operations() < goals_.operations || report_.fault_count() < goals_.faults)) {
    until += std::chrono::seconds(30);
    RunUntil(until);
  }
  // Liveness.
  if (report_.violation.empty()) {
    Heal();
    const MonotonicTime bound = events_.now() + kHealBound;
    std::string why_not;
    while (report_.violation.empty() && !AtRest(&why_not)) {
      if (events_.now() >= bound) {
        Violation("the cluster does not come to rest: " + why_not);
        break;
      }
      RunUntil(events_.now() + std::chrono::seconds(1));
      // Virtual time goes on even when nothing is scheduled.
      events_.At(events_.now() + std::chrono::milliseconds(1), [] {});
    }
    report_.probes["virtual seconds to heal"] +=
        static_cast<uint64_t>((events_.now() - (bound - kHealBound)) / std::chrono::seconds(1));
  }
  if (report_.violation.empty()) CheckAtRest();

  report_.operations = Operations();
  report_.virtual_time = events_.now().time_since_epoch();
  report_.events = events_.events_run();
  const SimNamenodeCounts& counts = namenode_->counts();
  report_.probes["namenode starts"] += counts.starts;
  report_.probes["commits"] += counts.commits;
  report_.probes["crash with a batch not on disk"] += counts.crashes_before_commit;
  report_.probes["crash with a batch on disk, nobody answered"] += counts.crashes_after_commit;
  report_.probes["failed commits"] += counts.failed_commits;
  report_.probes["operations executed"] += model_.executed();
  report_.probes["retries answered from the record"] += model_.answered_again();
  report_.probes["messages lost"] += network_.counts().lost;
  report_.probes["messages repeated"] += network_.counts().repeated;
  report_.probes["messages delayed"] += network_.counts().delayed;
  report_.probes["messages cut off"] += network_.counts().cut;
  for (const auto& datanode : datanodes_) {
    report_.probes["replicas finalized"] += datanode->counts().replicas_finalized;
    report_.probes["replicas copied"] += datanode->counts().copies_done;
    report_.probes["replicas frozen"] += datanode->counts().replicas_frozen;
    report_.probes["replica recoveries finished"] += datanode->counts().recoveries_finished;
    report_.probes["prefixes copied"] += datanode->counts().prefixes_copied;
  }
  return std::move(report_);
}

}  // namespace dolmen::sim
