// Operations that wait in the commit queue for replicas, and what becomes of them when a commit fails.
#include "namenode/core/commit_queue.h"
#include "tests/unit/namenode/core/queue_fixture.h"

namespace dolmen::namenode {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WaitingTest : public QueueFixture {
 protected:
  WaitingTest() {
    file = MustCreate("/f");
    block = MustAddBlock(file);
    replicas.confirmed = 0;
  }
  protocol::CompleteRequest Complete() const {
    return {.path = "/f", .inode = file, .holder = "writer", .last = Full(block)};
  }
  InodeId file;
  protocol::Block block;
};

TEST_F(WaitingTest, CompleteWaitsUntilItsReplicasAreReported) {
  const uint64_t ticket = Submit(Complete());
  EXPECT_THAT(RunAll(), IsEmpty());
  EXPECT_EQ(queue->parked(), 1u);
  EXPECT_TRUE(Info("/f")->under_construction) << "a waiting operation leaves no trace";
  EXPECT_EQ(Info("/f")->length, 0u);

  EXPECT_TRUE(RunOne(other.NextCall(), Mkdirs("/passes")).ok()) << "others do not wait behind it";
  queue->ReplicasConfirmed(InodeId(999));
  EXPECT_EQ(queue->parked(), 1u) << "another file's replicas";

  replicas.confirmed = 1;
  queue->ReplicasConfirmed(file);
  EXPECT_EQ(queue->parked(), 0u);
  std::map<uint64_t, Answer> answers = RunAll();
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_TRUE(Get<protocol::CompleteReply>(answers.at(ticket)).closed);
  EXPECT_EQ(Info("/f")->length, 700u);
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(WaitingTest, WokenTooEarlyItWaitsOn) {
  Submit(Complete());
  RunAll();
  queue->ReplicasConfirmed(file);
  EXPECT_THAT(RunAll(), IsEmpty());
  EXPECT_EQ(queue->parked(), 1u);
}

TEST_F(WaitingTest, OneNamedByItsPathAloneIsWokenByAnyReport) {
  protocol::CompleteRequest request = Complete();
  request.inode = InodeId();
  const uint64_t ticket = Submit(request);
  RunAll();
  replicas.confirmed = 1;
  queue->ReplicasConfirmed(InodeId(999));
  EXPECT_TRUE(RunAll().contains(ticket));
}

TEST_F(WaitingTest, CompleteThatWaitedInVainSaysNotClosedYetAndCanBeAskedAgain) {
  const protocol::CallId id = client.NextCall();
  const uint64_t ticket = Submit(id, Complete());
  RunAll();
  Pass(settings.replica_wait - std::chrono::milliseconds(1));
  EXPECT_THAT(queue->ExpireParked(now), IsEmpty());
  Pass(std::chrono::milliseconds(1));
  std::vector<Finished> expired = queue->ExpireParked(now);
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].ticket, ticket);
  EXPECT_EQ(expired[0].commit, queue->last_commit());
  EXPECT_FALSE(Get<protocol::CompleteReply>(expired[0].answer).closed);
  EXPECT_EQ(queue->parked(), 0u);

  // The answer was not stored: this is decided.
  replicas.confirmed = 1;
  EXPECT_TRUE(Get<protocol::CompleteReply>(RunOne(TestClient::Again(id), Complete())).closed);
}

TEST_F(WaitingTest, AddBlockThatWaitedInVainSaysNotReplicatedYet) {
  replicas.confirmed = 3;
  const protocol::Block second = MustAddBlock(file, Full(block, 1024));
  replicas.confirmed = 0;
  const protocol::AddBlockRequest request{
      .path = "/f", .inode = file, .holder = "writer", .previous = Full(second, 1024)};
  const protocol::CallId id = client.NextCall();
  Submit(id, request);
  EXPECT_THAT(RunAll(), IsEmpty());
  Pass(settings.replica_wait);
  std::vector<Finished> expired = queue->ExpireParked(now);
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(ReasonOf(expired[0].answer.status()), ErrorReason::kNotReplicatedYet);
  EXPECT_EQ(AdviceFor(expired[0].answer.status()), RetryAdvice::kRetry);
  replicas.confirmed = 1;
  EXPECT_TRUE(RunOne(TestClient::Again(id), request).ok());
}

TEST_F(WaitingTest, ARetryWaitsBesideTheFirstAndBothGetOneAnswer) {
  const protocol::CallId id = client.NextCall();
  const uint64_t first = Submit(id, Complete());
  RunAll();
  const uint64_t second = Submit(TestClient::Again(id), Complete());
  RunAll();
  EXPECT_EQ(queue->parked(), 2u);
  replicas.confirmed = 1;
  queue->ReplicasConfirmed(file);
  std::map<uint64_t, Answer> answers = RunAll();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(Get<protocol::CompleteReply>(answers.at(first)), Get<protocol::CompleteReply>(answers.at(second)));
}

TEST_F(WaitingTest, MoreThanMayWaitAreSentAway) {
  settings.max_waiting_operations = 1;
  Submit(Complete());
  const uint64_t ticket = Submit(Complete());
  std::map<uint64_t, Answer> answers = RunAll();
  EXPECT_EQ(queue->parked(), 1u);
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_FALSE(Get<protocol::CompleteReply>(answers.at(ticket)).closed) << "as one that waited in vain";
}

TEST_F(WaitingTest, WaitingOperationsCountAgainstTheQueuesBound) {
  settings.max_queued_operations = 1;
  Submit(Complete());
  RunAll();
  EXPECT_EQ(ReasonOf(queue->Enqueue(99, {super, other.NextCall(), Mkdirs("/d")}, now)), ErrorReason::kBusy);
}

TEST_F(WaitingTest, AFileDeletedMeanwhileEndsTheWaitWithAClearError) {
  const uint64_t ticket = Submit(Complete());
  RunAll();
  EXPECT_TRUE(RunOne(other.NextCall(), Delete("/f")).ok());
  queue->ReplicasConfirmed(file);
  std::map<uint64_t, Answer> answers = RunAll();
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_EQ(ReasonOf(answers.at(ticket).status()), ErrorReason::kFileNotFound);
}

// ---- failure (contract C-18) ----------------------------------------------------------------------------------------

class FailedCommitTest : public WaitingTest, public ::testing::WithParamInterface<bool> {};

TEST_P(FailedCommitTest, StopsEverythingAndARestartAnswersRetriesExactly) {
  const bool applied = GetParam();
  const CommitNumber last_good = queue->last_commit();
  Submit(Complete());
  RunAll();
  ASSERT_EQ(queue->parked(), 1u);
  const protocol::CallId mkdir_id = other.NextCall();
  const protocol::CallId create_id = other.NextCall();
  const protocol::CallId delete_id = other.NextCall();
  Submit(mkdir_id, Mkdirs("/new"));
  Submit(create_id, Create("/new/g", "holder"));
  Submit(delete_id, Delete("/f"));
  std::optional<CommitBatch> batch = Begin();
  ASSERT_TRUE(batch.has_value());
  Submit(other.NextCall(), Mkdirs("/queued"));
  queue->Enqueue(ReapStep{});

  disk->FailNextCommit(applied);
  const CommitQueue::Outcome outcome = queue->Finish(store->Commit(*batch));
  EXPECT_EQ(outcome.answers.size(), 5u) << "three in the batch, one queued, one parked";
  for (const Finished& one : outcome.answers) {
    EXPECT_EQ(ReasonOf(one.answer.status()), ErrorReason::kStopped) << "ticket " << one.ticket;
    EXPECT_EQ(AdviceFor(one.answer.status()), RetryAdvice::kRetry);
    EXPECT_EQ(one.commit, last_good) << "nothing later is known to be durable";
  }
  EXPECT_THAT(outcome.effects, IsEmpty());
  EXPECT_FALSE(outcome.deleted_something);
  EXPECT_TRUE(queue->stopped());
  EXPECT_EQ(queue->queued(), 0u);
  EXPECT_EQ(queue->parked(), 0u);
  EXPECT_EQ(queue->last_commit(), last_good);
  EXPECT_EQ(ReasonOf(queue->Enqueue(98, {super, other.NextCall(), Mkdirs("/late")}, now)), ErrorReason::kStopped);
  queue->Enqueue(ReapStep{});
  EXPECT_FALSE(Begin().has_value());

  // A new process knows what is on disk: each retry is answered from it, or executed now, never both.
  Restart();
  EXPECT_EQ(Exists("/new/g"), applied);
  const InodeId existing = applied ? Info("/new/g")->inode : InodeId();
  EXPECT_TRUE(RunOne(TestClient::Again(mkdir_id), Mkdirs("/new")).ok());
  const Answer created = RunOne(TestClient::Again(create_id), Create("/new/g", "holder"));
  const InodeId answered = Get<protocol::CreateReply>(created).status.inode;
  if (applied) {
    EXPECT_EQ(answered, existing);
  }
  EXPECT_TRUE(Get<protocol::DeleteReply>(RunOne(TestClient::Again(delete_id), Delete("/f"))).deleted);
  EXPECT_EQ(Get<protocol::CreateReply>(RunOne(TestClient::Again(create_id), Create("/new/g", "holder"))).status.inode,
            answered);
  EXPECT_TRUE(CheckConsistency(*store->View()).ok());
}

INSTANTIATE_TEST_SUITE_P(OnDiskOrNot, FailedCommitTest, ::testing::Bool());

TEST_F(WaitingTest, StopRefusesAllWhoWaitAndLeavesTheBatchInFlightToBeFinished) {
  Submit(Complete());
  RunAll();
  const uint64_t in_batch = Submit(other.NextCall(), Mkdirs("/in-flight"));
  std::optional<CommitBatch> batch = Begin();
  ASSERT_TRUE(batch.has_value());
  Submit(other.NextCall(), Mkdirs("/queued"));
  std::vector<Finished> refused = queue->Stop(MakeError(ErrorReason::kStopped, "another one serves"));
  ASSERT_EQ(refused.size(), 2u);
  for (const Finished& one : refused) EXPECT_THAT(TextOf(one.answer.status()), HasSubstr("another one serves"));
  const CommitQueue::Outcome outcome = queue->Finish(store->Commit(*batch));
  ASSERT_EQ(outcome.answers.size(), 1u);
  EXPECT_EQ(outcome.answers[0].ticket, in_batch);
  EXPECT_TRUE(outcome.answers[0].answer.ok());
  EXPECT_THAT(TextOf(queue->Enqueue(97, {super, other.NextCall(), Mkdirs("/late")}, now)),
              HasSubstr("another one serves"));
}

TEST_F(WaitingTest, AWaitingOperationWokenInSafeModeIsRefused) {
  const uint64_t ticket = Submit(Complete());
  RunAll();
  safe_mode_tip = "The tip.";
  queue->ReplicasConfirmed(file);
  std::map<uint64_t, Answer> answers = RunAll();
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_EQ(ReasonOf(answers.at(ticket).status()), ErrorReason::kSafeMode);
}

}  // namespace
}  // namespace dolmen::namenode
