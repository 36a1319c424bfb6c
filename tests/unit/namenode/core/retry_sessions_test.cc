// At most once (contract C-9): retries before and after restarts, whatever others did in between.
#include "namenode/core/retry_sessions.h"

#include "tests/unit/namenode/core/queue_fixture.h"

namespace dolmen::namenode {
namespace {

using RetryTest = QueueFixture;

// The reply got lost; perhaps the namenode died, too.
class LostReplyTest : public QueueFixture, public ::testing::WithParamInterface<bool> {
 protected:
  void LoseTheReply() {
    if (GetParam()) Restart();
  }
};
INSTANTIATE_TEST_SUITE_P(RestartOrNot, LostReplyTest, ::testing::Bool());

TEST_P(LostReplyTest, CompleteIsTrueAgainAndTheFileClosedOnce) {  // F-006
  const InodeId file = MustCreate("/f");
  const protocol::Block block = Full(MustAddBlock(file));
  const protocol::CompleteRequest complete{.path = "/f", .inode = file, .holder = "writer", .last = block};
  const protocol::CallId id = client.NextCall();
  const auto first = Get<protocol::CompleteReply>(RunOne(id, complete));
  ASSERT_TRUE(first.closed);
  LoseTheReply();
  Pass(std::chrono::seconds(5));
  EXPECT_EQ(Get<protocol::CompleteReply>(RunOne(TestClient::Again(id), complete)), first) << "mtime and all";
}

TEST_P(LostReplyTest, AddBlockGivesOneBlockToBothAttempts) {  // F-007
  const InodeId file = MustCreate("/f");
  const protocol::AddBlockRequest add{.path = "/f", .inode = file, .holder = "writer"};
  const protocol::CallId id = client.NextCall();
  const auto first = Get<protocol::AddBlockReply>(RunOne(id, add));
  const BlockId next = queue->counters().next_block;
  LoseTheReply();
  EXPECT_EQ(Get<protocol::AddBlockReply>(RunOne(TestClient::Again(id), add)), first);
  EXPECT_EQ(queue->counters().next_block, next);
}

TEST_P(LostReplyTest, DeleteAnswersAgainAndSparesTheNewerFile) {  // F-008
  MustCreate("/f");
  const protocol::CallId id = client.NextCall();
  ASSERT_TRUE(Get<protocol::DeleteReply>(RunOne(id, Delete("/f"))).deleted);
  LoseTheReply();
  const InodeId newer = Get<protocol::CreateReply>(RunOne(other.NextCall(), Create("/f", "other"))).status.inode;
  EXPECT_TRUE(Get<protocol::DeleteReply>(RunOne(TestClient::Again(id), Delete("/f"))).deleted);
  ASSERT_TRUE(Exists("/f"));
  EXPECT_EQ(Info("/f")->inode, newer);
}

TEST_P(LostReplyTest, RenameAnswersAgainAndMovesNothingElse) {  // F-008
  MustCreate("/a");
  const protocol::CallId id = client.NextCall();
  ASSERT_TRUE(Get<protocol::RenameReply>(RunOne(id, Rename("/a", "/b"))).renamed);
  LoseTheReply();
  MustRunOne(other.NextCall(), Create("/a", "other"));
  MustRunOne(other.NextCall(), Delete("/b"));
  EXPECT_TRUE(Get<protocol::RenameReply>(RunOne(TestClient::Again(id), Rename("/a", "/b"))).renamed);
  EXPECT_TRUE(Exists("/a"));
  EXPECT_FALSE(Exists("/b"));
}

TEST_P(LostReplyTest, CreateAnswersWithItsOwnFileThoughAnotherHasTheNameNow) {  // F-008
  const protocol::CallId id = client.NextCall();
  const InodeId mine = Get<protocol::CreateReply>(RunOne(id, Create("/f"))).status.inode;
  LoseTheReply();
  MustRunOne(other.NextCall(), Delete("/f"));
  const InodeId newer = Get<protocol::CreateReply>(RunOne(other.NextCall(), Create("/f", "other"))).status.inode;
  EXPECT_EQ(Get<protocol::CreateReply>(RunOne(TestClient::Again(id), Create("/f"))).status.inode, mine);
  EXPECT_EQ(Info("/f")->inode, newer);
}

TEST_P(LostReplyTest, ARefusalStaysARefusal) {
  const protocol::CallId id = client.NextCall();
  const Answer refused = RunOne(id, Create("/missing/f"));
  ASSERT_EQ(ReasonOf(refused.status()), ErrorReason::kFileNotFound);
  LoseTheReply();
  MustRunOne(other.NextCall(), Mkdirs("/missing"));
  const Answer again = RunOne(TestClient::Again(id), Create("/missing/f"));
  EXPECT_EQ(again.status(), refused.status());
  EXPECT_FALSE(Exists("/missing/f"));
}

TEST_F(RetryTest, ARetryThatArrivesWhileTheFirstIsQueuedGetsTheSameAnswerFromOneBatch) {
  const protocol::CallId id = client.NextCall();
  const uint64_t first = Submit(id, Create("/f"));
  const uint64_t second = Submit(TestClient::Again(id), Create("/f"));
  const CommitQueue::Outcome outcome = RunBatch();
  ASSERT_EQ(outcome.answers.size(), 2u);
  EXPECT_EQ(outcome.answers[0].ticket, first);
  EXPECT_EQ(outcome.answers[1].ticket, second);
  EXPECT_EQ(Get<protocol::CreateReply>(outcome.answers[0].answer),
            Get<protocol::CreateReply>(outcome.answers[1].answer));
  EXPECT_EQ(outcome.effects.size(), 1u) << "one lease";
}

TEST_F(RetryTest, ARetryThatOvertookTheFirstIsExecutedAndTheFirstGetsItsAnswer) {
  const protocol::CallId id = client.NextCall();
  const auto retried = Get<protocol::CreateReply>(RunOne(TestClient::Again(id), Create("/f")));
  EXPECT_EQ(Get<protocol::CreateReply>(RunOne(id, Create("/f"))), retried);
}

TEST_F(RetryTest, TheSameIdWithAnotherRequestIsAnErrorAndChangesNothing) {
  const protocol::CallId id = client.NextCall();
  MustRunOne(id, Mkdirs("/a"));
  for (const protocol::Mutation& request : std::vector<protocol::Mutation>{Mkdirs("/b"), Delete("/a")}) {
    const Answer answer = RunOne(id, request);
    EXPECT_EQ(ReasonOf(answer.status()), ErrorReason::kIllegalArgument);
    EXPECT_EQ(TextOf(answer.status()), "call id 1 was already used by this client for another request");
  }
  EXPECT_TRUE(Exists("/a"));
  EXPECT_FALSE(Exists("/b"));
  EXPECT_TRUE(RunOne(TestClient::Again(id), Mkdirs("/a")).ok()) << "the answer is still there";
}

TEST_F(RetryTest, TwoClientsUseTheSameCallIds) {
  EXPECT_TRUE(RunOne(client.NextCall(), Mkdirs("/a")).ok());
  EXPECT_TRUE(RunOne(other.NextCall(), Mkdirs("/b")).ok());
  EXPECT_TRUE(Exists("/b"));
}

TEST_F(RetryTest, BelowTheWatermarkTheOutcomeIsUnknownAndNothingIsExecuted) {
  const protocol::CallId first = client.NextCall();
  MustRunOne(first, Mkdirs("/a"));
  const protocol::CallId lost = client.NextCall();  // never arrived, and the client gave it up
  client.watermark = 3;
  MustRunOne(client.NextCall(), Mkdirs("/c"));
  ASSERT_EQ(SessionOf(client)->answers.size(), 1u) << "answered calls are forgotten";
  for (const protocol::CallId& id : {TestClient::Again(first), TestClient::Again(lost), lost}) {
    EXPECT_EQ(ReasonOf(RunOne(id, Mkdirs("/late")).status()), ErrorReason::kOutcomeUnknown);
  }
  EXPECT_FALSE(Exists("/late"));
  Restart();
  EXPECT_EQ(ReasonOf(RunOne(TestClient::Again(first), Mkdirs("/a")).status()), ErrorReason::kOutcomeUnknown);
}

TEST_F(RetryTest, TheWatermarkNeverGoesBack) {
  client.last_call = 9;
  client.watermark = 10;
  MustRunOne(client.NextCall(), Mkdirs("/a"));
  client.watermark = 2;  // an older call that was on its way
  MustRunOne(client.NextCall(), Mkdirs("/b"));
  EXPECT_EQ(SessionOf(client)->forgotten_below, 10u);
}

TEST_F(RetryTest, AWatermarkAboveTheCallItselfForgetsNothingThatIsOpen) {
  protocol::CallId id = client.NextCall();
  id.first_unanswered = 1'000'000;
  MustRunOne(id, Mkdirs("/a"));
  EXPECT_TRUE(RunOne(TestClient::Again(id), Mkdirs("/a")).ok());
}

TEST_F(RetryTest, ARetryOlderThanTheRecordsIsNotExecuted) {
  protocol::CallId id = TestClient::Again(client.NextCall(), settings.retry_retention);
  EXPECT_EQ(ReasonOf(RunOne(id, Mkdirs("/a")).status()), ErrorReason::kOutcomeUnknown);
  EXPECT_FALSE(Exists("/a"));
  id.age_ms -= 1;
  EXPECT_TRUE(RunOne(id, Mkdirs("/a")).ok());
  id.age_ms += 1;
  EXPECT_TRUE(RunOne(id, Mkdirs("/a")).ok()) << "while the record is there, age does not matter";
}

TEST_F(RetryTest, OpenAnswersAreBoundedAndTheWatermarkMakesRoom) {
  settings.max_open_answers_per_session = 3;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(RunOne(Mkdirs(absl::StrCat("/d", i))).ok());
  const protocol::CallId id = client.NextCall();
  EXPECT_EQ(ReasonOf(RunOne(id, Mkdirs("/more")).status()), ErrorReason::kBusy);
  EXPECT_FALSE(Exists("/more"));
  EXPECT_TRUE(RunOne(other.NextCall(), Mkdirs("/others")).ok());
  client.watermark = 2;
  EXPECT_TRUE(RunOne(client.NextCall(), Mkdirs("/d5")).ok());
  EXPECT_EQ(SessionOf(client)->answers.size(), 3u);
}

TEST_F(RetryTest, TheBoundHoldsWithinOneBatchToo) {
  settings.max_open_answers_per_session = 3;
  for (int i = 0; i < 5; ++i) Submit(Mkdirs(absl::StrCat("/d", i)));
  size_t busy = 0;
  for (const Finished& one : RunBatch().answers) busy += ReasonOf(one.answer.status()) == ErrorReason::kBusy ? 1 : 0;
  EXPECT_EQ(busy, 2u);
  EXPECT_EQ(SessionOf(client)->answers.size(), 3u);
}

TEST_F(RetryTest, ABatchWritesOneRecordPerClientWithAnswersInOrder) {
  const protocol::CallId first = client.NextCall();
  const protocol::CallId second = client.NextCall();
  Submit(second, Mkdirs("/b"));
  Submit(other.NextCall(), Mkdirs("/c"));
  Submit(first, Mkdirs("/a"));
  RunBatch();
  size_t records = 0;
  for (const MetaWrite& write : last_batch.writes) records += write.family == Family::kRetries ? 1 : 0;
  EXPECT_EQ(records, 2u);
  const std::optional<SessionRecord> session = SessionOf(client);
  ASSERT_TRUE(session.has_value());
  ASSERT_EQ(session->answers.size(), 2u);
  EXPECT_EQ(session->answers[0].call_id, first.call_id);
  EXPECT_EQ(session->answers[1].call_id, second.call_id);
  EXPECT_EQ(session->last_used, wall);
}

TEST_F(RetryTest, CallsWithoutAClientIdLeaveNoRecord) {
  EXPECT_TRUE(RunOne(protocol::CallId{}, Mkdirs("/a")).ok());
  for (const MetaWrite& write : last_batch.writes) EXPECT_NE(write.family, Family::kRetries);
}

TEST_F(RetryTest, ADamagedSessionRefusesItsClientAndNobodyElse) {
  const CommitBatch damage{.number = queue->last_commit().Next(),
                           .epoch = queue->counters().epoch,
                           .time = wall,
                           .writes = {{Family::kRetries, keys::Session(client.client_id), "\xff nonsense"}}};
  ASSERT_TRUE(store->Commit(damage).ok());
  Restart();
  EXPECT_EQ(ReasonOf(RunOne(Mkdirs("/a")).status()), ErrorReason::kDamaged);
  EXPECT_FALSE(Exists("/a"));
  EXPECT_TRUE(RunOne(other.NextCall(), Mkdirs("/b")).ok());
}

// ---- forgetting silent clients ------------------------------------------------------------------------------------

class ForgettingTest : public QueueFixture {
 protected:
  // Time passes as it does in a server: looked at every second.
  void Live(std::chrono::milliseconds time) {
    for (std::chrono::milliseconds passed{0}; passed < time; passed += std::chrono::seconds(1)) {
      Pass(std::chrono::seconds(1));
      queue->Enqueue(ExpireSessionsStep{});
      RunBatch();
    }
  }
};

TEST_F(ForgettingTest, ASilentClientIsForgottenAfterTheRetentionTimeNotBefore) {
  MustRunOne(Mkdirs("/a"));
  Live(settings.retry_retention);
  EXPECT_TRUE(SessionOf(client).has_value());
  Live(settings.retry_retention + std::chrono::seconds(2));
  EXPECT_FALSE(SessionOf(client).has_value());
}

TEST_F(ForgettingTest, AnActiveClientIsNot) {
  const protocol::CallId first = client.NextCall();
  MustRunOne(first, Mkdirs("/a"));
  for (int i = 0; i < 10; ++i) {
    Live(settings.retry_retention / 2);
    MustRunOne(client.NextCall(), Mkdirs(absl::StrCat("/d", i)));
  }
  EXPECT_TRUE(RunOne(TestClient::Again(first), Mkdirs("/a")).ok());
  EXPECT_EQ(SessionOf(client)->answers.size(), 11u);
}

TEST_F(ForgettingTest, AWallClockThatJumpsADayForwardMakesNobodyForgotten) {  // F-110
  Live(2 * settings.retry_retention);
  const protocol::CallId id = client.NextCall();
  MustRunOne(id, Delete("/nothing"));
  wall.ms += 86'400'000;
  Live(settings.retry_retention - std::chrono::seconds(2));
  MustRunOne(other.NextCall(), Mkdirs("/nothing"));
  const auto again =
      RunOne(TestClient::Again(id, settings.retry_retention - std::chrono::seconds(1)), Delete("/nothing"));
  EXPECT_FALSE(Get<protocol::DeleteReply>(again).deleted) << "the stored answer";
  EXPECT_TRUE(Exists("/nothing"));
  Live(2 * settings.retry_retention);
  EXPECT_FALSE(SessionOf(client).has_value()) << "forgotten in the end";
}

TEST_F(ForgettingTest, AWallClockThatJumpsBackMakesNobodyForgotten) {  // F-110
  Live(2 * settings.retry_retention);
  const protocol::CallId id = client.NextCall();
  MustRunOne(id, Mkdirs("/a"));
  wall.ms -= 86'400'000;
  Live(settings.retry_retention - std::chrono::seconds(1));
  EXPECT_TRUE(RunOne(TestClient::Again(id), Mkdirs("/a")).ok());
  MustRunOne(other.NextCall(), Mkdirs("/b"));
  wall.ms += 86'400'000;
  Live(settings.retry_retention - std::chrono::seconds(1));
  EXPECT_TRUE(SessionOf(other).has_value());
}

TEST_F(ForgettingTest, AStartForgetsNobodyForTheRetentionTimeHoweverLongItWasDown) {
  MustRunOne(Mkdirs("/a"));
  Pass(std::chrono::hours(100));
  Restart();
  Live(settings.retry_retention - std::chrono::seconds(1));
  EXPECT_TRUE(SessionOf(client).has_value());
  Live(std::chrono::seconds(3));
  EXPECT_FALSE(SessionOf(client).has_value());
}

}  // namespace
}  // namespace dolmen::namenode
