#include "client/core/file_appender.h"

#include "common/error.h"
#include "fake_write_cluster.h"

namespace dolmen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kBlock = 4096;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

// One file, the namenode that has it, and datanodes whose setups fail as told. Virtual time.
class World {
 public:
  explicit World(uint64_t length, bool new_block = false)
      : length_(length), appender_("/f", "me", new_block, /*sync_on_close=*/true, settings_, Random(1)) {}

  absl::StatusOr<AppendedFile> Run() {
    AppendAction action = appender_.Step(append_event::Start{}, now_);
    for (int steps = 0; steps < 2000; ++steps) {
      if (auto* done = std::get_if<append_action::Done>(&action)) return std::move(done->result);
      action = appender_.Step(std::visit([this](auto& one) { return Do(one); }, action), now_);
    }
    return absl::InternalError("it never ends");
  }

  std::vector<std::string> calls_;
  std::vector<std::vector<DatanodeUuid>> excluded_;  // in each Append
  // Answer to the setup number n = 1, 2, ...
  std::function<append_event::SetUpDone(int number, const AppendedFile& file)> setup = [](int, const AppendedFile&) {
    return append_event::SetUpDone{absl::OkStatus(), std::nullopt};
  };
  // Instead of the namenode: by name and how many of that name came before.
  std::function<absl::Status(const std::string& call, int before)> refuse = [](const std::string&, int) {
    return absl::OkStatus();
  };
  absl::StatusOr<std::string> partial_ = absl::UnknownError("unset");  // instead of the true bytes
  Duration recovery_takes_ = std::chrono::milliseconds(300);
  bool open_ = false;
  bool gone_ = false;
  int replicas_ = 6;
  InodeId inode_{20000};
  MonotonicTime now_{std::chrono::hours(1)};

 private:
  absl::Status Call(const std::string& name) {
    const auto before = std::count(calls_.begin(), calls_.end(), name);
    calls_.push_back(name);
    return refuse(name, static_cast<int>(before));
  }
  AppendEvent Do(append_action::Append& action) {
    excluded_.push_back(action.request.excluded);
    EXPECT_EQ(action.request.path, "/f");
    EXPECT_EQ(action.request.holder, "me");
    if (absl::Status status = Call("append"); !status.ok()) return append_event::AppendAnswer{status};
    EXPECT_FALSE(open_) << "append to a file that is open";
    open_ = true;
    stamp_before_ = stamp_;
    stamp_ = GenerationStamp(stamp_.value() + 1);
    protocol::AppendReply reply{
        .status = {.inode = inode_, .length = kBlock + length_, .block_bytes = kBlock, .under_construction = true}};
    if (length_ < kBlock && !action.request.new_block) {
      reply.last = {.block = {.id = BlockId(16), .stamp = stamp_, .length = length_}, .offset = kBlock, .token = "t"};
      for (int i = 1; i <= replicas_; ++i) {
        const protocol::ReplicaLocation location = TestLocation(i);
        const auto& without = action.request.excluded;
        if (std::find(without.begin(), without.end(), location.datanode.uuid) == without.end()) {
          reply.last->locations.push_back(location);
        }
      }
      reply.last_stamp = stamp_before_;
      if (reply.last->locations.empty()) {
        open_ = false;
        stamp_ = stamp_before_;
        return append_event::AppendAnswer{MakeError(ErrorReason::kNotReplicatedYet, "no replica is left")};
      }
    }
    return append_event::AppendAnswer{reply};
  }
  AppendEvent Do(append_action::ReadPartialChunk& action) {
    calls_.push_back("read");
    EXPECT_EQ(action.bytes, length_ % 512);
    EXPECT_EQ(action.file.length, kBlock + length_);
    EXPECT_EQ(action.file.blocks.size(), 1U);
    EXPECT_EQ(action.file.blocks.front().offset, kBlock);
    EXPECT_EQ(action.file.blocks.front().token, "t");
    EXPECT_EQ(action.file.blocks.front().block.stamp, stamp_before_) << "the replicas were not reopened yet";
    if (partial_.ok() || partial_.status().message() != "unset") return append_event::PartialChunk{partial_};
    return append_event::PartialChunk{std::string(action.bytes, 'p')};
  }
  AppendEvent Do(append_action::SetUp& action) {
    calls_.push_back("setup");
    EXPECT_TRUE(action.file.file.last.has_value());
    EXPECT_EQ(action.file.file.last->stamp_before, stamp_before_);
    EXPECT_EQ(action.file.start.partial_chunk, std::string(length_ % 512, 'p'));
    return setup(++setups_, action.file);
  }
  AppendEvent Do(append_action::GetFileInfo&) {
    if (absl::Status status = Call("info"); !status.ok()) return append_event::FileInfoAnswer{status};
    if (recovered_at_.has_value() && now_ >= *recovered_at_) {
      open_ = false;
      recovered_at_.reset();
    }
    protocol::GetFileInfoReply reply;
    if (!gone_) reply.status = protocol::FileStatus{.inode = inode_, .under_construction = open_};
    return append_event::FileInfoAnswer{reply};
  }
  AppendEvent Do(append_action::RecoverLease&) {
    if (absl::Status status = Call("recover"); !status.ok()) return append_event::RecoverLeaseAnswer{status};
    stamp_ = GenerationStamp(stamp_.value() + 1);
    if (recovery_takes_ == Duration::zero()) open_ = false;
    if (open_) recovered_at_ = now_ + recovery_takes_;
    return append_event::RecoverLeaseAnswer{protocol::RecoverLeaseReply{.closed = !open_}};
  }
  AppendEvent Do(append_action::WaitUntil& action) {
    EXPECT_GT(action.at, now_);
    now_ = action.at;
    return append_event::TimeCame{};
  }
  AppendEvent Do(append_action::Done&) { return append_event::TimeCame{}; }

  const uint64_t length_;  // of the last block
  const AppenderSettings settings_;
  FileAppender appender_;
  GenerationStamp stamp_{1001};
  GenerationStamp stamp_before_;
  std::optional<MonotonicTime> recovered_at_;
  int setups_ = 0;
};

append_event::SetUpDone Refused(const AppendedFile& file, size_t hop,
                                ErrorReason reason = ErrorReason::kPipelineFailed) {
  const protocol::ReplicaLocation& culprit = file.file.last->block.locations.at(hop);
  return {MakeError(reason, absl::StrCat("blk_16: datanode ", culprit.datanode.host_name, ": it says no")),
          culprit.datanode.uuid};
}

int Count(const std::vector<std::string>& calls, const std::string& name) {
  return static_cast<int>(std::count(calls.begin(), calls.end(), name));
}

TEST(FileAppenderTest, ALastBlockWithRoomIsReopenedAtEveryLength) {
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{512}, uint64_t{513}, kBlock - 1}) {
    SCOPED_TRACE(length);
    World world(length);
    const absl::StatusOr<AppendedFile> file = world.Run();
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(Count(world.calls_, "read"), length % 512 == 0 ? 0 : 1) << "whole chunks need not come again";
    EXPECT_EQ(file->file.length, kBlock + length);
    EXPECT_EQ(file->file.block_bytes, kBlock);
    EXPECT_EQ(file->start.block_offset, kBlock);
    EXPECT_EQ(file->start.bytes_in_block, length);
    HeapPacketMemory memory;
    EXPECT_EQ(PacketBuilder(kBlock, 1024, &memory, file->start).position(), kBlock + length);
  }
}

TEST(FileAppenderTest, AFullLastBlockOrANewOneNeedsNoPipelineYet) {
  for (const bool new_block : {false, true}) {
    World world(new_block ? 100 : kBlock, new_block);
    const absl::StatusOr<AppendedFile> file = world.Run();
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(world.calls_, std::vector<std::string>{"append"});
    EXPECT_FALSE(file->file.last.has_value());
    EXPECT_EQ(file->start.block_offset, file->file.length);
    EXPECT_FALSE(file->start.bytes_in_block.has_value());
  }
}

TEST(FileAppenderTest, AFailedSetupGivesTheFileBackAndTriesWithoutTheCulprit) {
  World world(100);
  world.setup = [](int number, const AppendedFile& file) {
    return number <= 2 ? Refused(file, 1) : append_event::SetUpDone{absl::OkStatus(), std::nullopt};
  };
  const absl::StatusOr<AppendedFile> file = world.Run();
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Count(world.calls_, "append"), 3);
  EXPECT_EQ(Count(world.calls_, "recover"), 2) << "asked once per attempt, then its end is waited for";
  EXPECT_EQ(Count(world.calls_, "read"), 3);
  const std::vector<DatanodeUuid> both = {DatanodeUuid("uuid-2"), DatanodeUuid("uuid-3")};
  EXPECT_EQ(world.excluded_.back(), both);
}

TEST(FileAppenderTest, ARecoveryThatIsDoneAtOnceIsNotWaitedFor) {
  World world(100);
  world.recovery_takes_ = Duration::zero();
  world.setup = [](int number, const AppendedFile& file) {
    return number == 1 ? Refused(file, 0) : append_event::SetUpDone{absl::OkStatus(), std::nullopt};
  };
  const MonotonicTime before = world.now_;
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(world.now_, before);
}

TEST(FileAppenderTest, FourFailedSetupsAreTheEndAndEachIsTold) {
  World world(100);
  world.setup = [](int, const AppendedFile& file) { return Refused(file, 0); };
  const absl::Status status = world.Run().status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kPipelineFailed);
  EXPECT_THAT(Text(status),
              AllOf(HasSubstr("Unable to append to /f: attempt 1: blk_16: datanode dn1: it says no; attempt 2: "),
                    HasSubstr("datanode dn2"), HasSubstr("datanode dn3"), HasSubstr("attempt 4: blk_16: datanode dn4"),
                    Not(HasSubstr("attempt 5"))));
  EXPECT_EQ(Count(world.calls_, "append"), 4);
  EXPECT_EQ(world.calls_.back(), "recover") << "nothing stays taken";
}

TEST(FileAppenderTest, ABusyDatanodeIsNotLeftOut) {
  World world(100);
  world.setup = [](int number, const AppendedFile& file) {
    return number <= 3 ? Refused(file, 0, ErrorReason::kBusy) : append_event::SetUpDone{absl::OkStatus(), std::nullopt};
  };
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(world.excluded_.back().empty());
}

TEST(FileAppenderTest, WhenEveryReplicaFailedOnceTheyAreTriedAgain) {
  World world(100);
  world.replicas_ = 2;
  world.setup = [](int number, const AppendedFile& file) {
    return number <= 2 ? Refused(file, 0) : append_event::SetUpDone{absl::OkStatus(), std::nullopt};
  };
  const absl::StatusOr<AppendedFile> file = world.Run();
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(world.excluded_.back().empty());
  EXPECT_EQ(file->file.last->block.locations.size(), 2U);
}

TEST(FileAppenderTest, ARecoveryThatNeverEndsIsGivenUp) {
  World world(100);
  world.recovery_takes_ = std::chrono::hours(5);
  world.setup = [](int, const AppendedFile& file) { return Refused(file, 0); };
  const MonotonicTime before = world.now_;
  const absl::Status status = world.Run().status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kPipelineFailed);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("attempt 1: "), HasSubstr("not recovered within 90.0 s")));
  EXPECT_GE(world.now_ - before, std::chrono::seconds(90));
  EXPECT_LE(world.now_ - before, std::chrono::seconds(95));
  EXPECT_LE(Count(world.calls_, "info"), 100) << "with pauses";
}

TEST(FileAppenderTest, ALostAnswerToRecoverLeaseIsAskedForAgain) {
  World world(100);
  world.setup = [](int number, const AppendedFile& file) {
    return number == 1 ? Refused(file, 0) : append_event::SetUpDone{absl::OkStatus(), std::nullopt};
  };
  world.refuse = [](const std::string& call, int before) {
    return call == "recover" && before == 0 ? MakeError(ErrorReason::kOutcomeUnknown, "no answer") : absl::OkStatus();
  };
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(Count(world.calls_, "recover"), 2);
}

TEST(FileAppenderTest, NotReplicatedYetIsAskedAgainAndOtherRefusalsAreFinal) {
  World soon(100);
  soon.refuse = [](const std::string& call, int before) {
    return call == "append" && before < 4 ? MakeError(ErrorReason::kNotReplicatedYet, "not yet") : absl::OkStatus();
  };
  EXPECT_TRUE(soon.Run().ok());
  EXPECT_EQ(Count(soon.calls_, "append"), 5);

  World never(100);
  never.refuse = [](const std::string&, int) { return MakeError(ErrorReason::kNotReplicatedYet, "not yet"); };
  EXPECT_EQ(never.Run().status(), MakeError(ErrorReason::kNotReplicatedYet, "not yet"));
  EXPECT_EQ(Count(never.calls_, "append"), 11);

  for (const ErrorReason reason :
       {ErrorReason::kFileNotFound, ErrorReason::kAlreadyBeingCreated, ErrorReason::kRecoveryInProgress,
        ErrorReason::kAccessControl, ErrorReason::kSafeMode, ErrorReason::kOutcomeUnknown}) {
    World world(100);
    world.refuse = [&](const std::string&, int) { return MakeError(reason, "no"); };
    EXPECT_EQ(world.Run().status(), MakeError(reason, "no")) << "the namenode's own words";
    EXPECT_EQ(world.calls_, std::vector<std::string>{"append"});
  }
}

TEST(FileAppenderTest, ARefusalAfterAnAttemptTellsTheAttempt) {
  World world(100);
  world.setup = [](int, const AppendedFile& file) { return Refused(file, 0); };
  world.refuse = [](const std::string& call, int before) {
    return call == "append" && before == 1 ? MakeError(ErrorReason::kNoDatanodes, "all are excluded")
                                           : absl::OkStatus();
  };
  const absl::Status status = world.Run().status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNoDatanodes);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("datanode dn1: it says no"), HasSubstr("then: all are excluded")));
}

TEST(FileAppenderTest, APartialChunkThatCannotBeReadGivesTheFileBack) {
  World unreadable(100);
  unreadable.partial_ = MakeError(ErrorReason::kBlockMissing, "Could not obtain block");
  const absl::Status status = unreadable.Run().status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBlockMissing);
  EXPECT_THAT(Text(status), HasSubstr("Unable to append to /f: Could not obtain block"));
  EXPECT_EQ(unreadable.calls_.back(), "recover");
  EXPECT_EQ(Count(unreadable.calls_, "setup"), 0);

  World short_read(100);
  short_read.partial_ = std::string(99, 'p');
  EXPECT_THAT(Text(short_read.Run().status()), HasSubstr("99 of the last 100 bytes"));
  EXPECT_EQ(short_read.calls_.back(), "recover");
}

TEST(FileAppenderTest, AnotherFileOfThatNameIsLeftAlone) {
  for (const bool replaced : {false, true}) {
    World world(100);
    world.setup = [&](int, const AppendedFile& file) {
      if (replaced) {
        world.inode_ = InodeId(20001);
      } else {
        world.gone_ = true;
      }
      return Refused(file, 0);
    };
    const absl::Status status = world.Run().status();
    EXPECT_EQ(ReasonOf(status), ErrorReason::kFileNotFound);
    EXPECT_THAT(Text(status), AllOf(HasSubstr("dn1: it says no"), HasSubstr("File does not exist")));
    EXPECT_EQ(Count(world.calls_, "recover"), 0) << "its writer keeps it";
  }
}

TEST(FileAppenderTest, ALostLeaseIsFinal) {
  World world(100);
  world.setup = [](int, const AppendedFile&) {
    return append_event::SetUpDone{MakeError(ErrorReason::kLeaseExpired, "it is over"), std::nullopt};
  };
  EXPECT_EQ(world.Run().status(), MakeError(ErrorReason::kLeaseExpired, "it is over"));
  EXPECT_EQ(Count(world.calls_, "append"), 1);
}

}  // namespace
}  // namespace dolmen::client
