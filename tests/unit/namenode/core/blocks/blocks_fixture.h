// Datanodes, blocks and time for tests of block management: a namespace that holds block records only, replica hints in
// memory, and datanodes that say what the test tells them to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/error.h"
#include "namenode/core/block_manager.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {

using protocol::Block;
using protocol::DatanodeLiveness;
using protocol::ReplicaState;

inline constexpr uint64_t kGiB = uint64_t{1} << 30;

class FakeReplicaStore final : public ReplicaStore {
 public:
  absl::Status Write(const std::vector<ReplicaWrite>& writes) override {
    if (broken) return MakeError(ErrorReason::kIo, "the test broke the store");
    for (const ReplicaWrite& write : writes) {
      auto& family = families[static_cast<size_t>(write.family)];
      if (write.value.has_value()) {
        family[write.key] = *write.value;
      } else {
        family.erase(write.key);
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<std::string>> Get(ReplicaFamily family, std::string_view key) const override {
    const auto& entries = families[static_cast<size_t>(family)];
    const auto found = entries.find(std::string(key));
    return found == entries.end() ? std::optional<std::string>() : std::optional<std::string>(found->second);
  }
  absl::Status Scan(ReplicaFamily family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override {
    const auto& entries = families[static_cast<size_t>(family)];
    for (auto at = entries.lower_bound(std::string(start)); at != entries.end(); ++at) {
      if (!end.empty() && at->first >= end) break;
      if (!visit(at->first, at->second)) break;
    }
    return absl::OkStatus();
  }

  std::array<std::map<std::string, std::string>, kReplicaFamilyCount> families;
  bool broken = false;
};

// The published namespace: counters and block records.
class FakeNamespace final : public MetaReader {
 public:
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    if (family == Family::kMeta) {
      if (key == keys::kCounters) return EncodeCounters(counters);
      const auto found = meta.find(key);
      return found == meta.end() ? std::optional<std::string>() : std::optional<std::string>(found->second);
    }
    DOLMEN_ASSIGN_OR_RETURN(BlockId id, keys::ParseBlock(key));
    const auto found = blocks.find(id);
    return found == blocks.end() ? std::optional<std::string>()
                                 : std::optional<std::string>(EncodeBlock(found->second));
  }
  absl::Status Scan(Family family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const override {
    if (family == Family::kMeta) {
      for (auto at = meta.lower_bound(start); at != meta.end() && at->first < end; ++at) {
        if (!visit(at->first, at->second)) break;
      }
      return absl::OkStatus();
    }
    for (const auto& [id, record] : blocks) {
      if (keys::Block(id) >= start && !visit(keys::Block(id), EncodeBlock(record))) break;
    }
    return absl::OkStatus();
  }

  // What the commit does that raises the counters.
  void Raise(const Registration& registration) {
    counters.next_block = registration.raise_next_block.value_or(counters.next_block);
    counters.next_stamp = registration.raise_next_stamp.value_or(counters.next_stamp);
    for (const MetaWrite& write : registration.quarantined) {
      if (write.value.has_value()) {
        meta[write.key] = *write.value;
      } else {
        meta.erase(write.key);
      }
    }
  }

  std::map<BlockId, BlockRecord> blocks;
  std::map<std::string, std::string, std::less<>> meta;  // but the counters
  Counters counters{.next_block = BlockId(10'000), .next_stamp = GenerationStamp(5'000)};
};

inline protocol::DatanodeInfo Info(const std::string& name, const std::string& rack = "/a") {
  return {.uuid = DatanodeUuid("uuid-" + name),
          .host_name = name,
          .addresses = {{.network = "default", .host = "10.0.0." + name, .port = 7066}},
          .rack = rack,
          .http_port = 9864};
}
inline protocol::StorageReport Disk(const std::string& id, uint64_t remaining = 100 * kGiB) {
  return {.id = StorageId(id), .capacity_bytes = 200 * kGiB, .remaining_bytes = remaining};
}
inline protocol::RegisterRequest Registering(const std::string& name, const std::string& rack = "/a",
                                             uint64_t remaining = 100 * kGiB) {
  return {.info = Info(name, rack), .storages = {Disk("disk-" + name, remaining)}};
}

// A block manager with datanodes named "1", "2", ... that have one disk each.
class BlocksFixture : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }

  // A new namenode process; the replica store stays.
  void Restart() {
    ++epoch_;
    manager_ = std::make_unique<BlockManager>(&settings_, ClusterId("CID-test"), Epoch(epoch_), &store_, 17);
    ASSERT_TRUE(manager_->Recover(namespace_, now_).ok());
    datanodes_.clear();
  }
  void LeaveSafeMode() {
    manager_->safe_mode().Leave();
    Tick();
  }

  struct FakeDatanode {
    uint64_t session = 0;
    uint64_t round = 0;
    std::string rack;
    std::map<BlockId, protocol::ReportedReplica> replicas;  // what its disk has
  };

  // Registers (again) and reports nothing yet.
  FakeDatanode& Register(const std::string& name, const std::string& rack = "/a") {
    absl::StatusOr<Registration> registration = manager_->Register(Registering(name, rack), namespace_.counters, now_);
    EXPECT_TRUE(registration.ok()) << registration.status();
    FakeDatanode& datanode = datanodes_[name];
    datanode.rack = rack;
    if (registration.ok()) datanode.session = registration->reply.session;
    return datanode;
  }
  // Registers and reports an empty or unchanged disk.
  void Join(const std::string& name, const std::string& rack = "/a") {
    Register(name, rack);
    FullReport(name);
  }

  ReportOutcome FullReport(const std::string& name) {
    FakeDatanode& datanode = datanodes_.at(name);
    ++datanode.round;
    return Send(SliceOf(name));
  }
  protocol::FullReportSlice SliceOf(const std::string& name) {
    FakeDatanode& datanode = datanodes_.at(name);
    protocol::FullReportSlice slice{.datanode = DatanodeUuid("uuid-" + name),
                                    .session = datanode.session,
                                    .storage = StorageId("disk-" + name),
                                    .round = datanode.round,
                                    .is_last = true,
                                    .first_id = BlockId(0),
                                    .last_id = BlockId(FullReportProgress::kLastId)};
    for (const auto& [id, replica] : datanode.replicas) slice.replicas.push_back(replica);
    return slice;
  }
  ReportOutcome Send(const protocol::FullReportSlice& slice) {
    absl::StatusOr<ReportOutcome> outcome = manager_->OnFullReportSlice(slice, namespace_, now_);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? *outcome : ReportOutcome();
  }
  // The replica on the disk changes and the datanode says so at once.
  ReportOutcome Report(const std::string& name, const Block& block, ReplicaState state = ReplicaState::kFinalized) {
    FakeDatanode& datanode = datanodes_.at(name);
    if (state == ReplicaState::kDeleted) {
      datanode.replicas.erase(block.id);
    } else {
      datanode.replicas[block.id] = {block, state};
    }
    return Say(name, block, state);
  }
  // Only says so.
  ReportOutcome Say(const std::string& name, const Block& block, ReplicaState state) {
    absl::StatusOr<ReportOutcome> outcome =
        manager_->OnIncrementalReport({.datanode = DatanodeUuid("uuid-" + name),
                                       .session = datanodes_.at(name).session,
                                       .entries = {{StorageId("disk-" + name), {block, state}}}},
                                      namespace_, now_);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.ok() ? *outcome : ReportOutcome();
  }
  void Heartbeat(const std::string& name) {
    manager_->OnHeartbeat({.datanode = DatanodeUuid("uuid-" + name),
                           .session = datanodes_.at(name).session,
                           .at = now_,
                           .storages = {Disk("disk-" + name)}});
  }

  // A committed block of the namespace; says nothing to the manager.
  Block AddBlock(uint64_t id, uint32_t wanted, uint64_t length = 100) {
    namespace_.blocks[BlockId(id)] = {.inode = InodeId(20'000),
                                      .stamp = GenerationStamp(1001),
                                      .length = length,
                                      .state = BlockState::kCommitted,
                                      .replicas_wanted = wanted};
    ++namespace_.counters.committed_block_count;
    return {BlockId(id), GenerationStamp(1001), length};
  }
  // A committed block with good replicas there.
  Block Stored(uint64_t id, uint32_t wanted, const std::vector<std::string>& names) {
    const Block block = AddBlock(id, wanted);
    for (const std::string& name : names) Report(name, block);
    return block;
  }

  // All named datanodes beat while time passes in steps of a second.
  std::vector<CommandFor> Pass(std::chrono::milliseconds time, const std::vector<std::string>& alive) {
    std::vector<CommandFor> commands;
    for (std::chrono::milliseconds passed{0}; passed < time; passed += std::chrono::seconds(1)) {
      now_ += std::chrono::seconds(1);
      for (const std::string& name : alive) Heartbeat(name);
      for (CommandFor& command : Tick()) commands.push_back(std::move(command));
    }
    return commands;
  }
  std::vector<CommandFor> Tick() {
    const absl::Status ticked = manager_->Tick(now_, namespace_, true);
    EXPECT_TRUE(ticked.ok()) << ticked;
    return manager_->TakeCommands();
  }

  // "name: delete id", "name: copy id -> name name", "name: verify id", "name: report", sorted.
  static std::vector<std::string> Texts(const std::vector<CommandFor>& commands) {
    std::vector<std::string> texts;
    for (const auto& [uuid, command] : commands) {
      const std::string name = uuid.value().substr(5);
      if (const auto* deletion = std::get_if<protocol::DeleteReplicasCommand>(&command); deletion != nullptr) {
        for (const Block& block : deletion->blocks) texts.push_back(name + ": delete " + Number(block.id));
      } else if (const auto* copy = std::get_if<protocol::CopyReplicaCommand>(&command); copy != nullptr) {
        std::string text = name + ": copy " + Number(copy->block.id) + " ->";
        for (const protocol::ReplicaLocation& target : copy->targets) text += " " + target.datanode.host_name;
        texts.push_back(text);
      } else if (const auto* verify = std::get_if<protocol::VerifyReplicaCommand>(&command); verify != nullptr) {
        texts.push_back(name + ": verify " + Number(verify->block.id));
      } else {
        texts.push_back(name + ": report");
      }
    }
    std::sort(texts.begin(), texts.end());
    return texts;
  }
  static std::string Number(BlockId id) { return absl::StrCat(id.value()); }

  protocol::GetFsStatsReply Stats() const {
    protocol::GetFsStatsReply stats;
    manager_->FillFsStats(&stats, now_);
    return stats;
  }
  std::vector<std::string> Located(const Block& block) {
    std::vector<std::string> names;
    for (const protocol::ReplicaLocation& location : LocateReplicas(store_, *manager_->View(), block)) {
      names.push_back(location.datanode.host_name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  CoreSettings settings_;
  FakeNamespace namespace_;
  FakeReplicaStore store_;
  MonotonicTime now_{std::chrono::hours(1)};
  uint64_t epoch_ = 0;
  std::unique_ptr<BlockManager> manager_;
  std::map<std::string, FakeDatanode> datanodes_;
};

}  // namespace dolmen::namenode
