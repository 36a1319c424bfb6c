// A commit queue on a metadata store in memory that survives restarts, with datanodes and leases that say what the test
// tells them to.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "namenode/core/commit_queue.h"
#include "namenode/storage/memory_meta_store.h"
#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {

// Calls of one client object: ids rise, and answered calls move the watermark unless the test holds it.
struct TestClient {
  explicit TestClient(char name) : client_id(16, name) {}

  protocol::CallId NextCall() {
    return {.client_id = client_id, .call_id = ++last_call, .first_unanswered = watermark};
  }
  static protocol::CallId Again(protocol::CallId id, std::chrono::milliseconds age = std::chrono::milliseconds(100)) {
    ++id.attempt;
    id.age_ms = age.count();
    return id;
  }

  std::string client_id;
  uint64_t last_call = 0;
  uint64_t watermark = 0;
};

class QueueFixture : public ::testing::Test {
 protected:
  QueueFixture() {
    settings.min_block_bytes = 512;
    auto opened = MemoryMetaStore::Open(disk);
    EXPECT_TRUE(opened.ok());
    Random random(3);
    info = MintNamespace(&random, "super", "supergroup", wall);
    EXPECT_TRUE((*opened)->Commit(FormatBatch(info)).ok());
    opened->reset();
    Restart();
  }

  // A new process on the same disk; nobody who waited is answered.
  void Restart() {
    queue.reset();
    store.reset();
    auto opened = MemoryMetaStore::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store = *std::move(opened);
    auto start = PlanStart(*store->View(), wall);
    ASSERT_TRUE(start.ok()) << start.status();
    ASSERT_TRUE(store->Commit(start->batch).ok());
    queue = std::make_unique<CommitQueue>(&settings, &info, &replicas, &leases, start->counters, start->batch.number,
                                          /*seed=*/11);
  }

  uint64_t Submit(const protocol::CallId& id, protocol::Mutation request) {
    const uint64_t ticket = ++last_ticket;
    const absl::Status queued = queue->Enqueue(ticket, {super, id, std::move(request)}, now);
    EXPECT_TRUE(queued.ok()) << queued;
    return ticket;
  }
  uint64_t Submit(protocol::Mutation request) { return Submit(client.NextCall(), std::move(request)); }

  std::optional<CommitBatch> Begin() { return queue->Begin(*store->View(), now, wall, safe_mode_tip); }
  // One batch from beginning to end.
  CommitQueue::Outcome RunBatch() {
    std::optional<CommitBatch> batch = Begin();
    if (!batch.has_value()) return {};
    last_batch = *batch;
    return queue->Finish(store->Commit(*batch));
  }
  // Batches until nothing is left; the answers by ticket.
  std::map<uint64_t, Answer> RunAll() {
    std::map<uint64_t, Answer> answers;
    while (std::optional<CommitBatch> batch = Begin()) {
      for (Finished& one : queue->Finish(store->Commit(*batch)).answers) {
        EXPECT_EQ(one.commit, batch->number);
        EXPECT_TRUE(answers.emplace(one.ticket, std::move(one.answer)).second) << "answered twice: " << one.ticket;
      }
    }
    return answers;
  }
  Answer RunOne(const protocol::CallId& id, protocol::Mutation request) {
    const uint64_t ticket = Submit(id, std::move(request));
    std::map<uint64_t, Answer> answers = RunAll();
    EXPECT_TRUE(answers.contains(ticket)) << "not answered";
    return answers.contains(ticket) ? answers.at(ticket) : MakeError(ErrorReason::kIo, "not answered");
  }
  Answer RunOne(protocol::Mutation request) { return RunOne(client.NextCall(), std::move(request)); }
  void MustRunOne(const protocol::CallId& id, protocol::Mutation request) {
    const Answer answer = RunOne(id, std::move(request));
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  void MustRunOne(protocol::Mutation request) { MustRunOne(client.NextCall(), std::move(request)); }
  template <typename Reply>
  static Reply Get(const Answer& answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? std::get<Reply>(*answer) : Reply();
  }

  static protocol::MkdirsRequest Mkdirs(const std::string& path) { return {.path = path}; }
  static protocol::CreateRequest Create(const std::string& path, const std::string& holder = "writer") {
    return {.path = path, .create_parents = false, .block_bytes = 1024, .holder = holder};
  }
  static protocol::DeleteRequest Delete(const std::string& path) { return {.path = path, .recursive = true}; }
  static protocol::RenameRequest Rename(const std::string& from, const std::string& to) {
    return {.source = from, .destination = to};
  }
  InodeId MustCreate(const std::string& path) { return Get<protocol::CreateReply>(RunOne(Create(path))).status.inode; }
  protocol::Block MustAddBlock(InodeId file, std::optional<protocol::Block> previous = std::nullopt) {
    return Get<protocol::AddBlockReply>(
               RunOne(protocol::AddBlockRequest{.path = "/f", .inode = file, .holder = "writer", .previous = previous}))
        .block.block;
  }
  // The same block at its final length.
  static protocol::Block Full(protocol::Block block, uint64_t length = 700) {
    block.length = length;
    return block;
  }

  std::optional<protocol::FileStatus> Info(const std::string& path) {
    auto reply = GetFileInfo(*store->View(), settings, super, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->status : std::nullopt;
  }
  bool Exists(const std::string& path) { return Info(path).has_value(); }
  std::optional<SessionRecord> SessionOf(const TestClient& of) {
    auto bytes = store->View()->Get(Family::kRetries, keys::Session(of.client_id));
    EXPECT_TRUE(bytes.ok());
    if (!bytes.ok() || !bytes->has_value()) return std::nullopt;
    return DecodeSession(**bytes).value();
  }
  // Entries of the namespace proper: what a refusal must leave alone.
  MapReader::Entries NamespaceEntries() {
    MapReader::Entries entries = Dump(*store->View());
    std::erase_if(entries, [](const auto& entry) {
      return entry.first.first == Family::kMeta || entry.first.first == Family::kRetries;
    });
    return entries;
  }
  void Pass(std::chrono::milliseconds time) {
    now += time;
    wall.ms += time.count();
  }

  CoreSettings settings;
  NamespaceInfo info;
  std::shared_ptr<MemoryMetaDisk> disk = std::make_shared<MemoryMetaDisk>();
  std::unique_ptr<MemoryMetaStore> store;
  FakeReplicas replicas;
  FakeLeases leases;
  std::unique_ptr<CommitQueue> queue;
  MonotonicTime now{std::chrono::hours(5)};
  WallTime wall{1'700'000'000'000};
  std::optional<std::string> safe_mode_tip;
  CommitBatch last_batch;
  Caller super{.user = "super", .groups = {"supergroup"}, .is_superuser = true, .host = "10.0.0.9"};
  TestClient client{'c'};
  TestClient other{'o'};
  uint64_t last_ticket = 0;
};

}  // namespace dolmen::namenode
