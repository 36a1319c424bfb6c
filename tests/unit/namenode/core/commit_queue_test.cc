// Group commit: order, visibility, bounds, safe mode, own work, time.
#include "namenode/core/commit_queue.h"

#include "tests/unit/namenode/core/queue_fixture.h"

namespace dolmen::namenode {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Pair;

using CommitQueueTest = QueueFixture;

// ---- batches --------------------------------------------------------------------------------------------------------

TEST_F(CommitQueueTest, OneCommitTakesAllThatWaitsAndLaterOperationsSeeEarlierOnes) {
  const CommitNumber before = queue->last_commit();
  Submit(Mkdirs("/a"));
  Submit(Create("/a/f"));  // without parents: needs the directory made just before
  Submit(Rename("/a", "/b"));
  Submit(Create("/a/g"));  // its parent has just moved
  Submit(Delete("/b/f"));
  Submit(Delete("/b/f"));
  const CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 6u);
  for (size_t i = 0; i < outcome.answers.size(); ++i) {
    EXPECT_EQ(outcome.answers[i].ticket, i + 1) << "in the order they came";
    EXPECT_EQ(outcome.answers[i].commit, before.Next());
  }
  EXPECT_TRUE(outcome.answers[1].answer.ok());
  EXPECT_TRUE(Get<protocol::RenameReply>(outcome.answers[2].answer).renamed);
  EXPECT_EQ(ReasonOf(outcome.answers[3].answer.status()), ErrorReason::kFileNotFound);
  EXPECT_TRUE(Get<protocol::DeleteReply>(outcome.answers[4].answer).deleted);
  EXPECT_FALSE(Get<protocol::DeleteReply>(outcome.answers[5].answer).deleted);
  EXPECT_EQ(queue->last_commit(), before.Next());
  EXPECT_TRUE(outcome.deleted_something);
  EXPECT_TRUE(CheckConsistency(*store->View()).ok());
}

TEST_F(CommitQueueTest, NothingIsPublishedOrAnsweredBeforeFinish) {
  const CommitNumber before = queue->last_commit();
  const Counters counters_before = queue->counters();
  Submit(Mkdirs("/a"));
  std::optional<CommitBatch> batch = Begin();
  ASSERT_TRUE(batch.has_value());
  EXPECT_TRUE(queue->in_flight());
  EXPECT_EQ(queue->last_commit(), before);
  EXPECT_EQ(queue->counters(), counters_before);
  EXPECT_FALSE(Exists("/a"));

  Submit(Mkdirs("/b"));
  EXPECT_FALSE(Begin().has_value()) << "one batch in flight";
  const CommitQueue::Outcome outcome = queue->Finish(store->Commit(*batch));
  EXPECT_EQ(outcome.answers.size(), 1u) << "/b waits undecided for the next batch";
  EXPECT_TRUE(Exists("/a"));
  EXPECT_EQ(RunAll().size(), 1u);
  EXPECT_TRUE(Exists("/b"));
}

TEST_F(CommitQueueTest, EveryBatchCarriesCountersEpochNumberAndTime) {
  Submit(Create("/f"));
  std::optional<CommitBatch> batch = Begin();
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->number, queue->last_commit().Next());
  EXPECT_EQ(batch->epoch, queue->counters().epoch);
  EXPECT_EQ(batch->time, wall);
  (void)queue->Finish(store->Commit(*batch));
  auto stored = store->View()->Get(Family::kMeta, keys::kCounters);
  ASSERT_TRUE(stored.ok() && stored->has_value());
  EXPECT_EQ(DecodeCounters(**stored).value(), queue->counters());
}

TEST_F(CommitQueueTest, ARefusalLeavesNoTraceButItsStoredAnswer) {
  MustCreate("/file");
  const Counters counters_before = queue->counters();
  const MapReader::Entries before = NamespaceEntries();
  protocol::CreateRequest refused = Create("/x/y/z/" + std::string(256, 'n'));
  refused.create_parents = true;
  Submit(refused);
  Submit(Create("/file/below"));
  Submit(Create("/file"));
  const CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 3u);
  EXPECT_EQ(ReasonOf(outcome.answers[0].answer.status()), ErrorReason::kNameTooLong);
  EXPECT_EQ(ReasonOf(outcome.answers[1].answer.status()), ErrorReason::kParentNotDirectory);
  EXPECT_EQ(ReasonOf(outcome.answers[2].answer.status()), ErrorReason::kAlreadyBeingCreated);
  EXPECT_THAT(outcome.effects, IsEmpty());
  EXPECT_EQ(NamespaceEntries(), before);
  Counters counters = queue->counters();
  EXPECT_EQ(counters.next_inode, counters_before.next_inode) << "no id is burnt";
  EXPECT_EQ(SessionOf(client)->answers.size(), 4u);
}

TEST_F(CommitQueueTest, ARefusedOperationDoesNotDisturbItsNeighboursInTheBatch) {
  Submit(Create("/first"));
  Submit(Create("/first"));
  Submit(Create("/second"));
  const CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 3u);
  EXPECT_FALSE(outcome.answers[1].answer.ok());
  const InodeId first = Get<protocol::CreateReply>(outcome.answers[0].answer).status.inode;
  const InodeId second = Get<protocol::CreateReply>(outcome.answers[2].answer).status.inode;
  EXPECT_EQ(second, first.Next());
  EXPECT_EQ(outcome.effects.size(), 2u);
  EXPECT_TRUE(CheckConsistency(*store->View()).ok());
}

TEST_F(CommitQueueTest, BatchesAreBoundedInOperationsAndCountedInTheHistogram) {
  settings.max_batch_operations = 3;
  for (int i = 0; i < 7; ++i) Submit(Mkdirs(absl::StrCat("/d", i)));
  std::vector<size_t> sizes;
  while (true) {
    const size_t answered = RunBatch().answers.size();
    if (answered == 0) break;
    sizes.push_back(answered);
  }
  EXPECT_THAT(sizes, ElementsAre(3, 3, 1));
  EXPECT_THAT(queue->batch_size_histogram(), ElementsAre(Pair(1, 1), Pair(2, 2)));
}

TEST_F(CommitQueueTest, BatchesAreBoundedInBytes) {
  settings.max_batch_bytes = 1;
  for (int i = 0; i < 3; ++i) Submit(Mkdirs(absl::StrCat("/d", i)));
  EXPECT_EQ(RunBatch().answers.size(), 1u);
  EXPECT_EQ(RunAll().size(), 2u);
}

TEST_F(CommitQueueTest, AFullQueueAnswersBusyAndTakesMoreOnceItHasRoom) {
  settings.max_queued_operations = 2;
  Submit(Mkdirs("/a"));
  Submit(Mkdirs("/b"));
  const absl::Status refused = queue->Enqueue(99, {super, client.NextCall(), Mkdirs("/c")}, now);
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kBusy);
  EXPECT_EQ(RunAll().size(), 2u);
  EXPECT_FALSE(Exists("/c"));
  EXPECT_TRUE(RunOne(Mkdirs("/c")).ok());
}

TEST_F(CommitQueueTest, WithoutWorkThereIsNoBatch) {
  EXPECT_FALSE(Begin().has_value());
  queue->Enqueue(ReapStep{});
  EXPECT_FALSE(Begin().has_value()) << "nothing to reap, nothing to commit";
  EXPECT_FALSE(queue->reap_left());
  EXPECT_EQ(queue->queued(), 0u);
}

// ---- safe mode ------------------------------------------------------------------------------------------------------

TEST_F(CommitQueueTest, InSafeModeMutationsAreRefusedInTheWordsOfHdfs) {
  safe_mode_tip = "The tip.";
  const protocol::Block block{BlockId(1073741824), GenerationStamp(1001), 0};
  const std::vector<std::pair<protocol::Mutation, std::string>> cases = {
      {Mkdirs("/d"), "Cannot create directory /d"},
      {Create("/f"), "Cannot create file/f"},
      {protocol::AddBlockRequest{.path = "/f"}, "Cannot add block to /f"},
      {protocol::AbandonBlockRequest{.path = "/f", .block = block}, "Cannot abandon block blk_1073741824 for file/f"},
      {protocol::CompleteRequest{.path = "/f"}, "Cannot complete file /f"},
      {Rename("/a", "/b"), "Cannot rename /a"},
      {Delete("/d"), "Cannot delete /d"},
      {protocol::SetAttributesRequest{.path = "/f", .permission = 0600}, "Cannot set permission for /f"},
      {protocol::SetAttributesRequest{.path = "/f", .owner = "bob"}, "Cannot set owner for /f"},
      {protocol::SetAttributesRequest{.path = "/f", .modified = WallTime{5}}, "Cannot set times /f"},
      {protocol::FsyncRequest{.path = "/f"}, "Cannot fsync file /f"},
      {protocol::ConcatRequest{.target = "/f", .sources = {"/g"}}, "Cannot concat /f"},
      {protocol::SetReplicationRequest{.path = "/f", .replication = 2}, "Cannot set replication for /f"},
      {protocol::AppendRequest{.path = "/f"}, "Cannot append to file/f"},
      {protocol::TruncateRequest{.path = "/f"}, "Cannot truncate for /f"},
      {protocol::RecoverLeaseRequest{.path = "/f"}, "Cannot recover the lease of /f"},
  };
  for (const auto& [request, prefix] : cases) {
    const Answer answer = RunOne(request);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(ReasonOf(answer.status()), ErrorReason::kSafeMode);
    EXPECT_EQ(TextOf(answer.status()), prefix + ". Name node is in safe mode.\nThe tip.");
  }
  EXPECT_FALSE(SessionOf(client).has_value()) << "while space is low nothing may be written";
}

TEST_F(CommitQueueTest, StoredAnswersAreGivenAgainInSafeMode) {
  const protocol::CallId id = client.NextCall();
  const InodeId file = Get<protocol::CreateReply>(RunOne(id, Create("/f"))).status.inode;
  safe_mode_tip = "The tip.";
  EXPECT_EQ(Get<protocol::CreateReply>(RunOne(TestClient::Again(id), Create("/f"))).status.inode, file);
}

TEST_F(CommitQueueTest, WhatSafeModeRefusedIsDecidedWhenAskedAgain) {
  safe_mode_tip = "The tip.";
  const protocol::CallId id = client.NextCall();
  EXPECT_FALSE(RunOne(id, Mkdirs("/d")).ok());
  safe_mode_tip.reset();
  EXPECT_TRUE(RunOne(TestClient::Again(id), Mkdirs("/d")).ok());
  EXPECT_TRUE(Exists("/d"));
}

// ---- own work -------------------------------------------------------------------------------------------------------

TEST_F(CommitQueueTest, TheFileOfAWriterBeyondTheSoftLimitIsTakenAndTheNextAttemptMeetsItClosed) {
  const InodeId old_file = MustCreate("/f");
  (void)MustAddBlock(old_file);
  leases.silent = {"writer"};
  const protocol::CallId id = other.NextCall();
  protocol::CreateRequest create = Create("/f", "second writer");
  const Answer refused = RunOne(id, create);
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kRecoveryInProgress);
  const std::optional<OpenRecord> taken = GetOpen(*store->View(), old_file).value();
  EXPECT_EQ(taken->holder, kNamenodeHolder) << "in the same batch";
  queue->Enqueue(EndRecovery{old_file, *taken->recovery, Recovered(300)});
  RunBatch();
  EXPECT_FALSE(Info("/f")->under_construction);
  create.overwrite = true;
  EXPECT_EQ(ReasonOf(RunOne(TestClient::Again(id), Create("/f", "second writer")).status()),
            ErrorReason::kFileAlreadyExists)
      << "the same call is decided anew";
  const InodeId new_file = Get<protocol::CreateReply>(RunOne(other.NextCall(), create)).status.inode;
  EXPECT_NE(new_file, old_file);
}

TEST_F(CommitQueueTest, ALeaseWithoutAnOpenFileIsForgottenEvenIfNothingElseChanges) {
  const InodeId file = MustCreate("/f");
  EXPECT_TRUE(RunOne(Delete("/f")).ok());
  queue->Enqueue(CloseExpiredLease{"writer", file});
  const CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.effects.size(), 1u) << "otherwise the lease would expire again at every tick";
  const auto* closed = std::get_if<LeaseClosed>(&outcome.effects[0]);
  ASSERT_NE(closed, nullptr);
  EXPECT_EQ(closed->inode, file);
}

TEST_F(CommitQueueTest, ADeadWritersFileIsTakenRecoveredAndClosed) {
  const InodeId file = MustCreate("/f");
  (void)MustAddBlock(file);
  queue->Enqueue(CloseExpiredLease{"writer", file});
  CommitQueue::Outcome outcome = RunBatch();
  EXPECT_THAT(outcome.answers, IsEmpty());
  ASSERT_EQ(outcome.effects.size(), 3u);
  EXPECT_NE(std::get_if<RecoveryStarted>(&outcome.effects[2]), nullptr);
  const GenerationStamp first = *GetOpen(*store->View(), file).value()->recovery;
  Restart();
  queue->Enqueue(RecoverFile{file});
  RunBatch();
  const GenerationStamp second = *GetOpen(*store->View(), file).value()->recovery;
  EXPECT_GT(second, first);
  queue->Enqueue(EndRecovery{file, first, Recovered(200)});
  RunBatch();
  EXPECT_TRUE(Info("/f")->under_construction) << "of an attempt that is over";
  queue->Enqueue(EndRecovery{file, second, Recovered(300)});
  RunBatch();
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 300u);
}

TEST_F(CommitQueueTest, AppendWaitsForReplicasAndRecoverLeaseForTheEndOfARecovery) {
  const InodeId file = MustCreate("/f");
  (void)MustAddBlock(file);
  EXPECT_FALSE(Get<protocol::RecoverLeaseReply>(RunOne(protocol::RecoverLeaseRequest{.path = "/f"})).closed);
  const uint64_t waits = Submit(protocol::RecoverLeaseRequest{.path = "/f"});
  EXPECT_THAT(RunBatch().answers, IsEmpty());
  EXPECT_EQ(queue->parked(), 1u);
  queue->Enqueue(EndRecovery{file, *GetOpen(*store->View(), file).value()->recovery, Recovered(300)});
  RunBatch();
  queue->FileClosed(file);
  CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 1u);
  EXPECT_EQ(outcome.answers[0].ticket, waits);
  EXPECT_TRUE(Get<protocol::RecoverLeaseReply>(outcome.answers[0].answer).closed);

  replicas.confirmed = 0;
  Submit(protocol::AppendRequest{.path = "/f", .holder = "appender"});
  EXPECT_THAT(RunBatch().answers, IsEmpty());
  EXPECT_EQ(queue->parked(), 1u);
  replicas.confirmed = 3;
  queue->ReplicasConfirmed(file);
  outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 1u);
  EXPECT_TRUE(outcome.answers[0].answer.ok()) << outcome.answers[0].answer.status();
}

TEST_F(CommitQueueTest, OwnWorkAdvancesHoweverMuchClientsWrite) {
  MustRunOne(Mkdirs("/d"));
  MustRunOne(Delete("/d"));
  EXPECT_TRUE(queue->reap_left());
  settings.max_batch_bytes = 1;
  Submit(Mkdirs("/a"));
  Submit(Mkdirs("/b"));
  queue->Enqueue(ReapStep{});
  RunBatch();
  EXPECT_EQ(queue->own_work_queued(), 0u);
  EXPECT_EQ(queue->queued(), 1u);
}

TEST_F(CommitQueueTest, TheReaperWorksUntilNothingIsLeft) {
  for (int i = 0; i < 5; ++i) MustCreate(absl::StrCat("/f", i));
  for (int i = 0; i < 5; ++i) MustRunOne(Delete(absl::StrCat("/f", i)));
  settings.reap_entries_per_step = 2;
  int steps = 0;
  for (; queue->reap_left() && steps < 100; ++steps) {
    queue->Enqueue(ReapStep{});
    RunBatch();
  }
  EXPECT_GT(steps, 1);
  EXPECT_FALSE(queue->reap_left());
  MapReader::Entries entries = Dump(*store->View());
  EXPECT_TRUE(std::none_of(entries.begin(), entries.end(),
                           [](const auto& entry) { return entry.first.first == Family::kDetached; }));
  MustRunOne(Mkdirs("/d"));
  EXPECT_FALSE(queue->reap_left());
  MustRunOne(Delete("/d"));
  EXPECT_TRUE(queue->reap_left()) << "a deletion makes new work";
}

TEST_F(CommitQueueTest, AChangeOfReplicationGoesOnUntilNothingIsLeft) {
  queue->Enqueue(ReplicationStep{});
  RunBatch();
  EXPECT_FALSE(queue->replication_left()) << "one look after the start";
  const InodeId file = MustCreate("/f");
  protocol::Block block = MustAddBlock(file);
  block.length = 512;
  const protocol::AddBlockRequest more{.path = "/f", .inode = file, .holder = "writer", .previous = block};
  ASSERT_TRUE(RunOne(more).ok());
  settings.replication_blocks_per_step = 1;
  EXPECT_TRUE(
      Get<protocol::SetReplicationReply>(RunOne(protocol::SetReplicationRequest{.path = "/f", .replication = 1})).done);
  EXPECT_TRUE(queue->replication_left());
  queue->Enqueue(ReplicationStep{});
  RunBatch();
  EXPECT_FALSE(queue->replication_left());
  EXPECT_EQ(GetBlock(*store->View(), block.id).value()->replicas_wanted, 1u);
  EXPECT_FALSE(FirstReplicationChange(*store->View())->has_value());
}

constexpr uint64_t kHighStamp = uint64_t{1} << 50;  // above those of the first epochs

TEST_F(CommitQueueTest, CountersAreRaisedBeforeTheNextIdIsTaken) {
  const InodeId file = MustCreate("/f");
  Submit(protocol::AddBlockRequest{.path = "/f", .inode = file, .holder = "writer"});
  const BlockId next_block(kFirstBlockId.value() + 1000 * kBlockIdStep);
  queue->Enqueue(RaiseCounters{next_block, GenerationStamp(kHighStamp), {}});
  const CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 1u);
  const protocol::Block block = Get<protocol::AddBlockReply>(outcome.answers[0].answer).block.block;
  EXPECT_GE(block.id, next_block);
  EXPECT_GE(block.stamp, GenerationStamp(kHighStamp));
}

TEST_F(CommitQueueTest, RaisedCountersAreDurableAndNeverGoBack) {
  const BlockId high(kFirstBlockId.value() + 5000 * kBlockIdStep);
  safe_mode_tip = "Also in safe mode.";
  queue->Enqueue(RaiseCounters{high, GenerationStamp(kHighStamp), {{Family::kMeta, "q1", "range"}}});
  RunBatch();
  EXPECT_THAT(last_batch.writes, Contains(AllOf(Field(&MetaWrite::key, "q1"), Field(&MetaWrite::value, "range"))))
      << "what is jumped over is known from the same commit on";
  EXPECT_EQ(queue->counters().next_block, high);
  Restart();
  EXPECT_EQ(queue->counters().next_block, high);
  EXPECT_EQ(queue->counters().next_stamp, GenerationStamp(kHighStamp));
  queue->Enqueue(RaiseCounters{kFirstBlockId, kFirstGenerationStamp, {}});
  EXPECT_FALSE(Begin().has_value()) << "nothing to raise";
  EXPECT_EQ(queue->counters().next_block, high);
}

// ---- time (F-110) ---------------------------------------------------------------------------------------------------

TEST_F(CommitQueueTest, CommitTimesDoNotGoBackWithASmallStepOfTheWallClock) {
  MustRunOne(Mkdirs("/a"));
  const WallTime first = queue->counters().last_commit_time;
  wall.ms -= 9'999;
  MustRunOne(Mkdirs("/b"));
  EXPECT_EQ(queue->counters().last_commit_time, first);
  EXPECT_EQ(Info("/b")->modified, first);
  EXPECT_FALSE(queue->TakeClockJumped());
}

TEST_F(CommitQueueTest, CommitTimesFollowALargeStepBackAndItIsNoticedOnce) {
  MustRunOne(Mkdirs("/a"));
  wall = WallTime{0};  // 1970
  MustRunOne(Mkdirs("/b"));
  EXPECT_EQ(Info("/b")->modified, WallTime{0});
  EXPECT_TRUE(queue->TakeClockJumped());
  EXPECT_FALSE(queue->TakeClockJumped());
  MustRunOne(Mkdirs("/c"));
  EXPECT_FALSE(queue->TakeClockJumped());
}

TEST_F(CommitQueueTest, IdsAndEpochsNeverGoBackWhateverTheClockDoes) {
  InodeId last = MustCreate("/f0");
  Epoch epoch = queue->counters().epoch;
  int number = 0;
  for (int64_t jump : {int64_t{86'400'000}, int64_t{-2 * 86'400'000}, int64_t{-1'700'000'000'000}}) {
    wall.ms += jump;
    Restart();
    EXPECT_GT(queue->counters().epoch, epoch);
    epoch = queue->counters().epoch;
    const InodeId next = MustCreate(absl::StrCat("/f", ++number));
    EXPECT_GT(next, last);
    last = next;
  }
}

}  // namespace
}  // namespace dolmen::namenode
