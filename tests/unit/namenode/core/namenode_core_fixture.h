// The namenode's core on stores in memory, and what its driver does with it: clients, datanodes, time and commits.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/full_report_progress.h"
#include "namenode/core/namenode_core.h"
#include "namenode/core/queries.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"

namespace dolmen::namenode {

inline constexpr uint64_t kGiB = uint64_t{1} << 30;
inline constexpr uint64_t kBlockBytes = 1024;

class NamenodeCoreFixture : public ::testing::Test {
 protected:
  NamenodeCoreFixture() {
    settings.min_block_bytes = 512;
    auto opened = MemoryMetaStore::Open(disk);
    EXPECT_TRUE(opened.ok());
    Random random(3);
    EXPECT_TRUE((*opened)->Commit(FormatBatch(MintNamespace(&random, "super", "supergroup", wall))).ok());
    opened->reset();
    Restart();
  }

  // A new process on the same disk. Nothing ticks yet.
  void Restart() {
    core.reset();
    board.reset();
    store.reset();
    auto opened = MemoryMetaStore::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store = *std::move(opened);
    auto start = PlanStart(*store->View(), wall);
    ASSERT_TRUE(start.ok()) << start.status();
    ASSERT_TRUE(store->Commit(start->batch).ok());
    const protocol::NamenodeIdentity identity{start->info.cluster, start->counters.epoch,
                                              absl::StrCat("incarnation-", ++incarnations)};
    core = std::make_unique<NamenodeCore>(
        NamenodeCoreOptions{settings, start->info, start->counters, identity, key, /*seed=*/5}, store->View(),
        &*replicas);
    ASSERT_TRUE(core->Recover(now).ok());
    board = std::make_unique<HeartbeatBoard>(identity);
    sessions.clear();
  }
  // Out of the safe mode of the start.
  void Settle() {
    Tick();
    ASSERT_FALSE(Stats().safe_mode) << Stats().safe_mode_tip;
  }

  // ---- the driver's turns
  void Collect(std::vector<Finished> finished) {
    for (Finished& one : finished)
      EXPECT_TRUE(answers.emplace(one.ticket, std::move(one.answer)).second) << "answered twice";
  }
  void RunBatches() {
    while (std::optional<CommitBatch> batch = core->BeginBatch(now, wall)) {
      const absl::Status committed = store->Commit(*batch);
      Collect(core->FinishBatch(committed, committed.ok() ? store->View() : nullptr, now));
    }
  }
  void Tick() {
    Collect(core->Tick(now));
    core->Exchange(board.get(), now);
    RunBatches();
  }
  void Pass(std::chrono::milliseconds time) {
    now += time;
    wall.ms += time.count();
  }
  // Time passes with ticks and, if wanted, heartbeats of all datanodes.
  void Live(std::chrono::milliseconds time, bool with_heartbeats = true) {
    for (std::chrono::milliseconds passed{0}; passed < time; passed += std::chrono::milliseconds(500)) {
      Pass(std::chrono::milliseconds(500));
      if (with_heartbeats)
        for (const auto& [name, session] : sessions) Heartbeat(name);
      Tick();
    }
  }

  // ---- clients
  protocol::CallId NextCall() {
    return {.client_id = std::string(16, 'c'), .call_id = ++last_call, .first_unanswered = last_call};
  }
  uint64_t Submit(protocol::Mutation request) {
    const uint64_t ticket = ++last_ticket;
    const absl::Status queued = core->Submit(ticket, {super, NextCall(), std::move(request)}, now);
    if (!queued.ok()) answers.emplace(ticket, queued);
    return ticket;
  }
  Answer Run(protocol::Mutation request) {
    const uint64_t ticket = Submit(std::move(request));
    RunBatches();
    EXPECT_TRUE(answers.contains(ticket)) << "not answered";
    return answers.contains(ticket) ? answers.at(ticket) : MakeError(ErrorReason::kIo, "not answered");
  }
  void MustRun(protocol::Mutation request) {
    const Answer answer = Run(std::move(request));
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  template <typename Reply>
  static Reply Get(const Answer& answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? std::get<Reply>(*answer) : Reply();
  }
  static protocol::CreateRequest Create(const std::string& path, const std::string& holder = "writer",
                                        uint32_t replication = 1) {
    return {.path = path, .replication = replication, .block_bytes = kBlockBytes, .holder = holder};
  }
  InodeId MustCreate(const std::string& path, const std::string& holder = "writer", uint32_t replication = 1) {
    return Get<protocol::CreateReply>(Run(Create(path, holder, replication))).status.inode;
  }
  protocol::LocatedBlock MustAddBlock(InodeId file, const std::string& holder = "writer") {
    return Get<protocol::AddBlockReply>(Run(protocol::AddBlockRequest{.path = "/", .inode = file, .holder = holder}))
        .block;
  }
  std::optional<protocol::FileStatus> Info(const std::string& path) {
    auto reply = GetFileInfo(*core->published().meta, settings, super, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->status : std::nullopt;
  }
  protocol::GetFsStatsReply Stats() {
    auto stats = core->GetFsStats(now);
    EXPECT_TRUE(stats.ok()) << stats.status();
    return stats.value_or(protocol::GetFsStatsReply());
  }

  // ---- datanodes, each with one disk
  static protocol::StorageReport Disk(const std::string& name) {
    return {.id = StorageId("disk-" + name), .capacity_bytes = 200 * kGiB, .remaining_bytes = 100 * kGiB};
  }
  static protocol::RegisterRequest Registering(const std::string& name) {
    return {.info = {.uuid = DatanodeUuid(name),
                     .host_name = name,
                     .addresses = {{.network = "default", .host = name, .port = 7066}},
                     .rack = "/default-rack"},
            .storages = {Disk(name)}};
  }
  absl::StatusOr<protocol::RegisterReply> Register(const protocol::RegisterRequest& request) {
    absl::StatusOr<protocol::RegisterReply> reply = core->Register(request, now);
    core->Exchange(board.get(), now);
    if (reply.ok()) sessions[request.info.uuid.value()] = reply->session;
    return reply;
  }
  // Registers and reports all it has.
  void Join(const std::string& name, const std::vector<protocol::Block>& blocks = {}) {
    const auto reply = Register(Registering(name));
    ASSERT_TRUE(reply.ok()) << reply.status();
    protocol::FullReportSlice slice{.datanode = DatanodeUuid(name),
                                    .session = sessions.at(name),
                                    .storage = StorageId("disk-" + name),
                                    .round = ++rounds,
                                    .is_last = true,
                                    .first_id = BlockId(0),
                                    .last_id = BlockId(FullReportProgress::kLastId)};
    for (const protocol::Block& block : blocks) slice.replicas.push_back({block, protocol::ReplicaState::kFinalized});
    EXPECT_FALSE(core->OnFullReport(slice, now).must_register);
  }
  void Report(const std::string& name, const protocol::Block& block) {
    const protocol::ReportReply reply = core->OnIncrementalReport(
        {.datanode = DatanodeUuid(name),
         .session = sessions.at(name),
         .entries = {{StorageId("disk-" + name), {block, protocol::ReplicaState::kFinalized}}}},
        now);
    EXPECT_FALSE(reply.must_register);
  }
  std::vector<protocol::DatanodeCommand> Heartbeat(const std::string& name) {
    return board
        ->OnHeartbeat({.datanode = DatanodeUuid(name), .session = sessions.at(name), .storages = {Disk(name)}}, now)
        .commands;
  }
  // A closed file of one block of 700 bytes with replicas on these datanodes.
  protocol::Block MustWrite(const std::string& path, const std::vector<std::string>& names) {
    const InodeId file = MustCreate(path, "writer", names.size());
    protocol::Block block = MustAddBlock(file).block;
    block.length = 700;
    for (const std::string& name : names) Report(name, block);
    const Answer closed =
        Run(protocol::CompleteRequest{.path = path, .inode = file, .holder = "writer", .last = block});
    EXPECT_TRUE(Get<protocol::CompleteReply>(closed).closed);
    return block;
  }

  CoreSettings settings;
  TokenKey key{1, std::string(32, 'k')};
  std::shared_ptr<MemoryMetaDisk> disk = std::make_shared<MemoryMetaDisk>();
  std::optional<MemoryReplicaStore> replicas{std::in_place};
  std::unique_ptr<MemoryMetaStore> store;
  std::unique_ptr<NamenodeCore> core;
  std::unique_ptr<HeartbeatBoard> board;
  MonotonicTime now{std::chrono::hours(5)};
  WallTime wall{1'700'000'000'000};
  int incarnations = 0;
  uint64_t rounds = 0;
  std::map<std::string, uint64_t> sessions;
  std::map<uint64_t, Answer> answers;
  uint64_t last_ticket = 0;
  uint64_t last_call = 0;
  Caller super{.user = "super", .groups = {"supergroup"}, .is_superuser = true, .host = "10.0.0.9"};
};

}  // namespace dolmen::namenode
