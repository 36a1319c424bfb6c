// Commands of the namenode, without gRPC.
#include "datanode/service/node.h"

#include <gtest/gtest.h>

#include <atomic>

#include "common/memory_file_system.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback_port.h"
#include "tests/unit/datanode/storage/replica_builder.h"

namespace dolmen::datanode {
namespace {

using protocol::ReplicaState;

class NodeTest : public ::testing::Test {
 protected:
  void Start(NodeOptions options) {
    node_ = std::make_unique<Node>(store_.get(), std::move(options), &clock_, 1);
    node_->SetReporter([this](const StorageId&, const protocol::ReportedReplica& replica) {
      MutexLock lock(&mutex_);
      reported_.push_back(replica);
    });
  }
  // A finalized replica of 10 bytes.
  void Put(uint64_t n) {
    auto writer = store_->CreateReplica({.block = MakeBlock(n), .storage = storage_, .expected_bytes = 10});
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Write(BlockPacket(MakeBlock(n).id, 0, 10)).ok());
    ReplicaWriter* const one = writer->get();
    ASSERT_TRUE(store_->FinalizeGroup({&one, 1}, true)[0].ok());
  }
  std::vector<protocol::ReportedReplica> Listed() { return node_->ListRange(storage_, BlockId(0), 100); }
  std::vector<protocol::ReportedReplica> reported() {
    MutexLock lock(&mutex_);
    return reported_;
  }

  SystemClock clock_;
  MemoryFileSystem fs_;
  Random random_{1};
  std::unique_ptr<BlockStore> store_ = *BlockStore::Open(&fs_, {.directories = {{"/data"}}}, &random_, clock_.Now());
  const StorageId storage_ = store_->StorageReports()[0].id;
  Mutex mutex_;
  std::vector<protocol::ReportedReplica> reported_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Node> node_;
};

TEST_F(NodeTest, AReplicaIsNotListedFromTheMomentItsDeletionIsOrdered) {
  Start({});
  Put(1);
  Put(2);
  std::atomic<bool> go{false};
  node_->WorkersOf(storage_)->background().Post([&] { go.wait(false); });
  node_->Delete({.storage = storage_, .blocks = {MakeBlock(1)}});
  const auto listed = Listed();
  go = true;
  go.notify_all();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].block.id, MakeBlock(2).id);
  ASSERT_TRUE(Eventually([&] { return reported().size() == 1; }));
  EXPECT_EQ(reported()[0].state, ReplicaState::kDeleted);
  EXPECT_EQ(store_->trash_size(), 1u);
}

TEST_F(NodeTest, ADeletionThatIsRefusedLeavesTheReplicaListed) {
  Start({.workers = {.max_queued = 0}});
  Put(1);
  node_->Delete({.storage = storage_, .blocks = {MakeBlock(1)}});
  ASSERT_EQ(Listed().size(), 1u);
  EXPECT_EQ(Listed()[0].state, ReplicaState::kFinalized);
  EXPECT_TRUE(reported().empty());
  EXPECT_TRUE(store_->OpenReader(MakeBlock(1)).ok());
}

TEST_F(NodeTest, VerificationReportsTheReplicaAsItIs) {
  Start({});
  Put(1);
  node_->Verify(MakeBlock(1, 5));
  ASSERT_TRUE(Eventually([&] { return reported().size() == 1; }));
  EXPECT_EQ(reported()[0].state, ReplicaState::kFinalized);
  EXPECT_EQ(reported()[0].block.length, 10u);
}

TEST_F(NodeTest, AReplicaBeingWrittenIsNotVerified) {
  Start({});
  auto writer = *store_->CreateReplica({.block = MakeBlock(1), .storage = storage_, .expected_bytes = 10});
  node_->Verify(MakeBlock(1));
  node_->StopWorkers();
  EXPECT_TRUE(reported().empty());
  writer->Discard();
}

TEST_F(NodeTest, CopiesWaitForAPlaceAndEndWithTheNode) {
  Start({.limits = {.transfers = 2}, .workers = {.read_threads = 1}});
  WorkQueue& reads = node_->WorkersOf(storage_)->reads();
  std::atomic<bool> begun{false};
  std::atomic<bool> over{false};
  const LoopbackPort far(LoopbackPort::Kind::kSilent);
  const auto copy = [&](uint64_t n) {
    node_->Copy({.block = MakeBlock(n, 10),
                 .targets = {{.datanode = {.uuid = DatanodeUuid("far"),
                                           .addresses = {{"default", "127.0.0.1", far.number()}}}}}});
  };
  copy(4);  // not here: no reason to stop
  for (const uint64_t n : {1, 2, 3}) {
    Put(n);
    copy(n);
  }
  EXPECT_EQ(node_->ActiveTransfers(), 0u);
  reads.Post([&] { begun.wait(false); });  // the disk hangs: they stay where they are
  node_->Tick();
  EXPECT_EQ(node_->ActiveTransfers(), 2u);
  node_->Tick();
  EXPECT_EQ(node_->ActiveTransfers(), 2u);
  reads.Post([&] { over.wait(false); });  // so would the third
  node_->CancelAll();
  begun = true;
  begun.notify_all();
  EXPECT_TRUE(Eventually([&] {
    node_->Tick();
    return node_->ActiveTransfers() == 0;
  })) << "the third was dropped with them";
  EXPECT_FALSE(far.WasConnected()) << "they were given up before they had read anything";
  over = true;
  over.notify_all();
  node_->StopWorkers();
}

TEST_F(NodeTest, ARecoveryIsAnsweredByReports) {
  Start({});
  auto writer = *store_->CreateReplica({.block = MakeBlock(1), .storage = storage_, .expected_bytes = 10'000});
  ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 1000)).ok());
  const GenerationStamp recovery(2000);
  node_->Freeze({.storage = storage_, .block = MakeBlock(1).id, .recovery = recovery});
  ASSERT_TRUE(Eventually([&] { return reported().size() == 1; }));
  EXPECT_EQ(reported()[0], (protocol::ReportedReplica{MakeBlock(1, 1000), ReplicaState::kBeingWritten, recovery}));
  EXPECT_EQ(ReasonOf(writer->Write(BlockPacket(MakeBlock(1).id, 1000, 1100))), ErrorReason::kRecoveryInProgress);
  node_->FinishRecovery({.storage = storage_, .block = MakeBlock(1, 900, 2001)});  // of another one: nothing
  node_->FinishRecovery({.storage = storage_, .block = MakeBlock(1, 900, 2000)});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Eventually([&] {
      node_->FinishRecovery({.storage = storage_, .block = MakeBlock(1, 900, 2000)});  // repeated until reported
      return reported().size() >= 2u + i;
    }));
    EXPECT_EQ(reported()[1 + i], (protocol::ReportedReplica{MakeBlock(1, 900, 2000), ReplicaState::kFinalized, {}}));
  }
  node_->StopWorkers();
  writer.reset();
}

TEST_F(NodeTest, AReplicaThatIsNotHereIsAnsweredUnderTheStorageThatWasAsked) {
  Start({.workers = {.max_queued = 0}});  // from memory
  node_->Freeze({.storage = storage_, .block = MakeBlock(1).id, .recovery = GenerationStamp(2000)});
  ASSERT_EQ(reported().size(), 1u);
  EXPECT_EQ(reported()[0],
            (protocol::ReportedReplica{MakeBlock(1, 0, 2000), ReplicaState::kDeleted, GenerationStamp(2000)}));
}

TEST_F(NodeTest, ARecoveryThatADiskHoldsUpIsQueuedOnceAndHasItsEffectAtOnce) {
  Start({});
  auto writer = *store_->CreateReplica({.block = MakeBlock(1), .storage = storage_, .expected_bytes = 10'000});
  ASSERT_TRUE(writer->Write(BlockPacket(MakeBlock(1).id, 0, 1000)).ok());
  std::atomic<bool> go{false};
  node_->WorkersOf(storage_)->background().Post([&] { go.wait(false); });
  for (uint64_t recovery = 2000; recovery < 2010; ++recovery)
    node_->Freeze({.storage = storage_, .block = MakeBlock(1).id, .recovery = GenerationStamp(recovery)});
  EXPECT_EQ(ReasonOf(writer->Write(BlockPacket(MakeBlock(1).id, 1000, 1100))), ErrorReason::kRecoveryInProgress);
  EXPECT_TRUE(reported().empty());
  go = true;
  go.notify_all();
  node_->StopWorkers();
  ASSERT_EQ(reported().size(), 1u);
  EXPECT_EQ(reported()[0].frozen_by, GenerationStamp(2009));
  writer.reset();
}

TEST_F(NodeTest, APrefixIsReportedAsAReplicaOfItsOwn) {
  Start({});
  Put(1);
  node_->CopyPrefix({.storage = storage_, .source = MakeBlock(1, 10), .target = MakeBlock(2, 4, 2000)});
  node_->CopyPrefix({.storage = storage_, .source = MakeBlock(7, 10), .target = MakeBlock(8, 4, 2000)});
  ASSERT_TRUE(Eventually([&] { return reported().size() == 1; }));
  EXPECT_EQ(reported()[0], (protocol::ReportedReplica{MakeBlock(2, 4, 2000), ReplicaState::kFinalized, {}}));
  node_->StopWorkers();
}

}  // namespace
}  // namespace dolmen::datanode
