#include "client/core/file_opener.h"

#include "common/error.h"
#include "fake_write_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dolmen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kBlock = 4096;

class FileOpenerTest : public testing::Test {
 protected:
  protocol::LocatedBlock Block(int index, uint64_t length, int replicas = 3) {
    protocol::LocatedBlock block;
    block.offset = index * kBlock;
    block.block = {.id = BlockId(16 * (index + 1)), .stamp = GenerationStamp(1001), .length = length};
    for (int i = 1; i <= replicas; ++i) block.locations.push_back(TestLocation(i));
    return block;
  }
  void Started() { Take(opener_.Start(now_)); }
  void Take(std::vector<ReadAction> actions) {
    locate_.reset();
    ask_.reset();
    wake_.reset();
    for (ReadAction& action : actions) {
      if (auto* call = std::get_if<read_action::CallNamenode>(&action)) locate_ = *call;
      if (auto* ask = std::get_if<read_action::AskVisibleLength>(&action)) ask_ = *ask;
      if (auto* wake = std::get_if<read_action::WakeAt>(&action)) wake_ = wake->at;
    }
  }
  const protocol::GetBlockLocationsRequest& Located() {
    return std::get<protocol::GetBlockLocationsRequest>(locate_->request);
  }
  void Answer(uint64_t length, std::vector<protocol::LocatedBlock> blocks, bool open) {
    ASSERT_TRUE(locate_.has_value());
    AnswerAppended(length, std::move(blocks), open, open ? length : 0);
  }
  void AnswerAppended(uint64_t length, std::vector<protocol::LocatedBlock> blocks, bool open, uint64_t open_offset) {
    protocol::GetBlockLocationsReply reply{.status = {.inode = InodeId(5), .length = length},
                                           .blocks = std::move(blocks),
                                           .last_is_open = open,
                                           .open_offset = open_offset};
    Take(opener_.OnNamenodeAnswer({locate_->tag, protocol::QueryReply(reply)}, now_));
  }
  void AnswerLength(absl::StatusOr<uint64_t> length) {
    ASSERT_TRUE(ask_.has_value());
    read_event::VisibleLengthAnswer event{ask_->tag, absl::UnknownError("unset")};
    if (length.ok()) {
      event.answer = protocol::VisibleLengthReply{.length = *length};
    } else {
      event.answer = length.status();
    }
    Take(opener_.OnVisibleLength(event, now_));
  }
  const OpenedFile& Opened() {
    EXPECT_TRUE(opener_.result().has_value() && opener_.result()->ok());
    return **opener_.result();
  }

  MonotonicTime now_{std::chrono::hours(1)};
  FileOpener opener_{"/f", {}, Random(1)};
  std::optional<read_action::CallNamenode> locate_;
  std::optional<read_action::AskVisibleLength> ask_;
  std::optional<MonotonicTime> wake_;
};

TEST_F(FileOpenerTest, AClosedFileIsOneQuestion) {
  Started();
  EXPECT_EQ(Located().path, "/f");
  EXPECT_FALSE(Located().inode.has_value());
  Answer(kBlock + 10, {Block(0, kBlock), Block(1, 10)}, false);
  EXPECT_EQ(Opened().length, kBlock + 10);
  EXPECT_EQ(Opened().blocks.size(), 2U);
}

TEST_F(FileOpenerTest, AnEmptyFileOpens) {
  Started();
  Answer(0, {}, false);
  EXPECT_EQ(Opened().length, 0U);
}

TEST_F(FileOpenerTest, AFailureOfTheNamenodeIsPassedOn) {
  Started();
  Take(
      opener_.OnNamenodeAnswer({locate_->tag, MakeError(ErrorReason::kFileNotFound, "File does not exist: /f")}, now_));
  ASSERT_TRUE(opener_.result().has_value());
  EXPECT_EQ(ReasonOf(opener_.result()->status()), ErrorReason::kFileNotFound);
}

TEST_F(FileOpenerTest, TheFirstDatanodeThatAnswersTellsTheVisibleLength) {
  Started();
  Answer(kBlock, {Block(0, kBlock), Block(1, 0)}, true);
  EXPECT_EQ(ask_->target.datanode.host_name, "dn1");
  AnswerLength(MakeError(ErrorReason::kUnreachable, "connection refused"));
  EXPECT_EQ(ask_->target.datanode.host_name, "dn2");
  AnswerLength(300);
  EXPECT_EQ(Opened().length, kBlock + 300);
  ASSERT_EQ(Opened().blocks.size(), 2U);
  EXPECT_EQ(Opened().blocks[1].block.length, 300U);
  EXPECT_TRUE(Opened().last_is_open);
}

TEST_F(FileOpenerTest, WhoKnowsOnlyOfCommittedBytesDoesNotHideTheOthers) {
  Started();
  AnswerAppended(kBlock + 200, {Block(0, kBlock), Block(1, 200)}, true, kBlock);
  AnswerLength(200);  // started anew, or not part of the append
  ASSERT_TRUE(ask_.has_value());
  EXPECT_EQ(ask_->target.datanode.host_name, "dn2");
  AnswerLength(300);
  EXPECT_EQ(Opened().length, kBlock + 300);
}

TEST_F(FileOpenerTest, NothingAppendedYetIsNothingToWaitFor) {
  Started();
  AnswerAppended(kBlock + 200, {Block(0, kBlock), Block(1, 200)}, true, kBlock);
  for (int i = 0; i < 3; ++i) AnswerLength(200);
  EXPECT_EQ(Opened().length, kBlock + 200);
  EXPECT_EQ(Opened().blocks[1].block.length, 200U);
}

// C-5: the earlier blocks, and what was committed of the last one, can be read though nobody can be asked about the
// rest.
TEST_F(FileOpenerTest, CommittedBytesCanBeReadThoughNobodyAnswers) {
  Started();
  for (int round = 0; !opener_.result().has_value(); ++round) {
    ASSERT_LT(round, 20);
    if (locate_.has_value()) AnswerAppended(kBlock + 200, {Block(0, kBlock), Block(1, 200)}, true, kBlock);
    while (ask_.has_value()) AnswerLength(MakeError(ErrorReason::kUnreachable, "connection refused"));
    if (!wake_.has_value()) continue;
    now_ = *wake_;
    Take(opener_.OnTick(now_));
  }
  EXPECT_EQ(Opened().length, kBlock + 200);
}

// A block that had 200 bytes when its file was opened to append.
TEST_F(FileOpenerTest, AnAppendedBlockHasNoLessThanBefore) {
  Started();
  AnswerAppended(kBlock + 200, {Block(0, kBlock), Block(1, 200, 2)}, true, kBlock);
  ASSERT_TRUE(ask_.has_value());
  AnswerLength(300);
  EXPECT_EQ(Opened().length, kBlock + 300);
  ASSERT_EQ(Opened().blocks.size(), 2U);
  EXPECT_EQ(Opened().blocks[1].block.length, 300U);
}

TEST_F(FileOpenerTest, AnAppendedBlockThatNoDatanodeKnowsYetHasWhatItHad) {
  Started();
  AnswerAppended(kBlock + 200, {Block(0, kBlock), Block(1, 200, 2)}, true, kBlock);
  AnswerLength(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
  AnswerLength(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
  EXPECT_EQ(Opened().length, kBlock + 200);
  ASSERT_EQ(Opened().blocks.size(), 2U);
  EXPECT_EQ(Opened().blocks[1].block.length, 200U);
}

TEST_F(FileOpenerTest, AnAppendedBlockBeyondTheFirstAnswerIsAskedFor) {
  Started();
  AnswerAppended(kBlock + 200, {Block(0, kBlock)}, true, kBlock);
  EXPECT_EQ(Located().offset, kBlock);
  AnswerAppended(kBlock + 200, {Block(1, 200, 2)}, true, kBlock);
  AnswerLength(201);
  EXPECT_EQ(Opened().length, kBlock + 201);
}

TEST_F(FileOpenerTest, ABlockNobodyHasYetIsEmpty) {
  Started();
  Answer(kBlock, {Block(0, kBlock), Block(1, 0, 2)}, true);
  AnswerLength(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
  AnswerLength(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
  EXPECT_EQ(Opened().length, kBlock);
  EXPECT_EQ(Opened().blocks.size(), 1U);
}

TEST_F(FileOpenerTest, AnOpenFileWithoutAnyBlockIsEmpty) {
  Started();
  Answer(0, {}, true);
  EXPECT_EQ(Located().inode, InodeId(5));
  Answer(0, {}, true);
  EXPECT_EQ(Opened().length, 0U);
}

TEST_F(FileOpenerTest, TheLastBlockOfALongFileIsAskedForApart) {
  Started();
  Answer(100 * kBlock, {Block(0, kBlock), Block(1, kBlock)}, true);
  ASSERT_TRUE(locate_.has_value());
  EXPECT_EQ(Located().offset, 100 * kBlock);
  Answer(100 * kBlock, {Block(100, 0)}, true);
  AnswerLength(7);
  EXPECT_EQ(Opened().length, 100 * kBlock + 7);
  EXPECT_EQ(Opened().blocks.size(), 3U);
}

TEST_F(FileOpenerTest, WhenNobodyAnswersItWaitsAndAsksAnew) {
  Started();
  Answer(0, {Block(0, 0, 1)}, true);
  for (int round = 0; round < 3; ++round) {
    AnswerLength(MakeError(ErrorReason::kUnreachable, "connection refused"));
    ASSERT_TRUE(wake_.has_value());
    EXPECT_GE(*wake_ - now_, std::chrono::seconds(2));
    EXPECT_LE(*wake_ - now_, std::chrono::seconds(4));
    EXPECT_TRUE(opener_.OnTick(now_).empty()) << "too early";
    now_ = *wake_;
    Take(opener_.OnTick(now_));
    Answer(0, {Block(0, 0, 1)}, true);
  }
  AnswerLength(MakeError(ErrorReason::kUnreachable, "connection refused"));
  ASSERT_TRUE(opener_.result().has_value());
  EXPECT_EQ(ReasonOf(opener_.result()->status()), ErrorReason::kBlockMissing);
  EXPECT_THAT(std::string(opener_.result()->status().message()),
              AllOf(HasSubstr("Could not obtain the last block locations."), HasSubstr("/f"),
                    HasSubstr("dn1:7066: connection refused")));
}

TEST_F(FileOpenerTest, AFileClosedInTheMeantimeHasTheNamenodesLength) {
  Started();
  Answer(kBlock, {Block(0, kBlock), Block(1, 0, 1)}, true);
  AnswerLength(MakeError(ErrorReason::kUnreachable, "connection refused"));
  now_ = *wake_;
  Take(opener_.OnTick(now_));
  Answer(kBlock + 77, {Block(1, 77)}, false);
  EXPECT_EQ(Opened().length, kBlock + 77);
}

TEST_F(FileOpenerTest, LateAnswersAreIgnored) {
  Started();
  const uint64_t old = locate_->tag;
  Answer(kBlock, {Block(0, kBlock), Block(1, 0)}, true);
  EXPECT_TRUE(opener_.OnNamenodeAnswer({old, absl::InternalError("late")}, now_).empty());
  const uint64_t first_ask = ask_->tag;
  AnswerLength(MakeError(ErrorReason::kUnreachable, "refused"));
  EXPECT_TRUE(opener_.OnVisibleLength({first_ask, protocol::VisibleLengthReply{.length = 9}}, now_).empty());
  EXPECT_FALSE(opener_.result().has_value());
}

}  // namespace
}  // namespace dolmen::client
