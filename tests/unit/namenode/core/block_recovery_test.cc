#include "namenode/core/block_recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/random.h"

namespace dolmen::namenode {
namespace {

using protocol::ReplicaState;
using protocol::ReportedReplica;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr BlockId kBlock{64};
constexpr GenerationStamp kBefore{1001};  // an append
constexpr GenerationStamp kStamp{1002};
constexpr GenerationStamp kRecovery{1010};
constexpr MonotonicTime kStart{std::chrono::hours(1)};

DatanodeUuid Datanode(int i) { return DatanodeUuid("dn" + std::to_string(i)); }
StorageId Storage(int i) { return StorageId("disk" + std::to_string(i)); }

RecoveryPlan Plan(int targets, uint64_t length_before = 0) {
  RecoveryPlan plan{.block = kBlock,
                    .stamp = kStamp,
                    .oldest_stamp = length_before > 0 ? kBefore : kStamp,
                    .length_before = length_before,
                    .max_length = 1000,
                    .recovery = kRecovery};
  for (int i = 0; i < targets; ++i) plan.targets.push_back({Datanode(i), Storage(i)});
  return plan;
}

ReportedReplica Running(uint64_t length, GenerationStamp by = kRecovery) {
  return {{kBlock, kStamp, length}, ReplicaState::kBeingWritten, by};
}
ReportedReplica Restarted(uint64_t length, GenerationStamp by = kRecovery) {
  return {{kBlock, kStamp, length}, ReplicaState::kBeingWritten, by, /*after_restart=*/true};
}
ReportedReplica Finalized(uint64_t length, GenerationStamp stamp = kStamp, GenerationStamp by = kRecovery) {
  return {{kBlock, stamp, length}, ReplicaState::kFinalized, by};
}
ReportedReplica Missing(GenerationStamp by = kRecovery) { return {{kBlock, by, 0}, ReplicaState::kDeleted, by}; }

class BlockRecoveryTest : public ::testing::Test {
 protected:
  void Begin(RecoveryPlan plan) { recovery_.emplace(std::move(plan), now_); }
  void Answer(int i, const ReportedReplica& replica) { recovery_->OnAnswer(Datanode(i), Storage(i), replica, now_); }
  void Finish(int i) { recovery_->OnFinished(Datanode(i), now_); }
  // "dn0 freeze", "dn1 finish 30".
  std::vector<std::string> Step() {
    std::vector<std::string> texts;
    for (const auto& [uuid, command] : recovery_->Step(now_)) {
      if (const auto* freeze = std::get_if<protocol::FreezeReplicaCommand>(&command)) {
        EXPECT_EQ(freeze->block, kBlock);
        EXPECT_EQ(freeze->recovery, recovery_->plan().recovery);
        texts.push_back(uuid.value() + " freeze");
      } else {
        const auto& finish = std::get<protocol::FinishRecoveryCommand>(command);
        EXPECT_EQ(finish.block.stamp, recovery_->plan().recovery);
        texts.push_back(uuid.value() + " finish " + std::to_string(finish.block.length));
      }
    }
    return texts;
  }
  std::optional<uint64_t> Decided() {
    recovery_->Step(now_);
    return recovery_->decided().has_value() ? std::optional(recovery_->decided()->length) : std::nullopt;
  }

  MonotonicTime now_ = kStart;
  std::optional<BlockRecovery> recovery_;
};

TEST_F(BlockRecoveryTest, AsksAllDecidesTheMinimumAndEndsWhenAllFinished) {
  Begin(Plan(3));
  EXPECT_THAT(Step(), ElementsAre("dn0 freeze", "dn1 freeze", "dn2 freeze"));
  Answer(0, Running(50));
  Answer(1, Running(30));
  EXPECT_THAT(Step(), IsEmpty());
  Answer(2, Running(40));
  EXPECT_THAT(Step(), ElementsAre("dn0 finish 30", "dn1 finish 30", "dn2 finish 30"));
  Finish(0);
  Finish(1);
  EXPECT_THAT(Step(), IsEmpty());
  EXPECT_FALSE(recovery_->outcome().has_value()) << "a little patience for the third";
  Finish(2);
  EXPECT_THAT(Step(), IsEmpty());
  EXPECT_EQ(recovery_->outcome(), Recovered(30));
}

TEST_F(BlockRecoveryTest, OrdersAreRepeatedUntilTheyAreCarriedOut) {
  Begin(Plan(2));
  EXPECT_THAT(Step(), ElementsAre("dn0 freeze", "dn1 freeze"));
  now_ += BlockRecovery::kRepeat - std::chrono::milliseconds(1);
  EXPECT_THAT(Step(), IsEmpty());
  Answer(0, Running(5));
  now_ += std::chrono::milliseconds(1);
  EXPECT_THAT(Step(), ElementsAre("dn1 freeze"));
  Answer(1, Running(5));
  EXPECT_THAT(Step(), ElementsAre("dn0 finish 5", "dn1 finish 5"));
  Finish(1);
  now_ += BlockRecovery::kRepeat;
  EXPECT_THAT(Step(), ElementsAre("dn0 finish 5"));
}

TEST_F(BlockRecoveryTest, DeadDatanodesAreNotWaitedForOnceTheLengthIsKnown) {
  Begin(Plan(3));
  now_ += seconds(29);
  EXPECT_EQ(Decided(), std::nullopt) << "all are silent: no guessing";
  Answer(1, Running(70));
  now_ += BlockRecovery::kPatience - seconds(1);
  EXPECT_EQ(Decided(), std::nullopt);
  now_ += seconds(1);
  EXPECT_EQ(Decided(), 70u);
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(1)));
  Answer(0, Running(80));  // late, and welcome
  Answer(2, Running(60));  // has less than was decided
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(0), Datanode(1)));
  now_ += BlockRecovery::kRepeat;
  EXPECT_THAT(Step(), ElementsAre("dn0 finish 70", "dn1 finish 70"));
  Finish(1);
  Step();
  now_ += BlockRecovery::kFinishPatience;
  Step();
  EXPECT_EQ(recovery_->outcome(), Recovered(70));
}

TEST_F(BlockRecoveryTest, WhatWasFinalizedCountsAlone) {
  Begin(Plan(3));
  Answer(0, Running(80));
  Answer(1, Finalized(80));
  Answer(2, Restarted(10));
  EXPECT_EQ(Decided(), 80u);
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(0), Datanode(1)));
}

TEST_F(BlockRecoveryTest, AnEarlierAttemptsReplicaCounts) {
  Begin(Plan(2));
  Answer(0, Finalized(60, GenerationStamp(1005)));
  Answer(1, Running(40));
  EXPECT_EQ(Decided(), 60u);
  // That attempt may have known only restarted datanodes.
  Begin(Plan(2));
  Answer(0, Finalized(40, GenerationStamp(1005)));
  Answer(1, Running(60));
  EXPECT_EQ(Decided(), 60u);
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(1)));
}

TEST_F(BlockRecoveryTest, ARestartedDatanodeDoesNotShortenWhatOthersKept) {
  Begin(Plan(3));
  Answer(0, Restarted(10));
  Answer(1, Running(50));
  Answer(2, Running(60));
  EXPECT_EQ(Decided(), 50u);
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(1), Datanode(2)));
}

TEST_F(BlockRecoveryTest, RestartedDatanodesAloneGiveTheMostAndWaitLongForOthers) {
  Begin(Plan(3));
  Answer(0, Restarted(10));
  Answer(1, Restarted(30));
  now_ += BlockRecovery::kLongPatience - seconds(1);
  EXPECT_EQ(Decided(), std::nullopt);
  EXPECT_FALSE(recovery_->failed(now_)) << "it waits on purpose";
  now_ += seconds(1);
  EXPECT_EQ(Decided(), 30u);
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(1)));
  Begin(Plan(2));
  Answer(0, Restarted(10));
  Answer(1, Restarted(30));
  EXPECT_EQ(Decided(), 30u) << "nobody else may have more";
}

TEST_F(BlockRecoveryTest, AnAppendThatOneDatanodeDidNotHearOfHasFlushedNothing) {
  Begin(Plan(3, /*length_before=*/100));
  Answer(0, Running(150));
  Answer(1, Finalized(100, kBefore));
  Answer(2, Finalized(100));  // was about to be opened again
  EXPECT_EQ(Decided(), 100u);
  EXPECT_EQ(recovery_->participants().size(), 3u);
}

TEST_F(BlockRecoveryTest, NothingBelowTheLengthBeforeAnAppendTakesPart) {
  Begin(Plan(3, /*length_before=*/100));
  Answer(0, Running(99));
  Answer(1, Finalized(99, kBefore));
  Answer(2, Missing());
  EXPECT_EQ(Decided(), std::nullopt);
  EXPECT_EQ(recovery_->outcome(), RecoveryOutcome{.kind = RecoveryOutcome::Kind::kNothingUsable})
      << "bytes of a closed file are never dropped: other datanodes may have them";
  Begin(Plan(2, /*length_before=*/100));
  Answer(0, Missing());
  now_ += std::chrono::minutes(10);
  Step();
  EXPECT_FALSE(recovery_->outcome().has_value()) << "the other one may have what was appended";
}

TEST_F(BlockRecoveryTest, WhatReadersSawStays) {
  Begin(Plan(3));
  ReportedReplica shown = Running(50);
  shown.visible_length = 45;
  Answer(0, shown);
  Answer(1, Running(40));  // its disk was slow: the packet had gone on to the next datanodes
  Answer(2, Running(60));
  EXPECT_EQ(Decided(), 45u);
  EXPECT_THAT(recovery_->participants(), ElementsAre(Datanode(0), Datanode(2)));
}

TEST_F(BlockRecoveryTest, AGuessGivesWayToOneWhoKnows) {
  Begin(Plan(2));
  Answer(0, Restarted(10));
  EXPECT_TRUE(recovery_->waits());
  now_ += BlockRecovery::kLongPatience;
  EXPECT_EQ(Decided(), 10u);
  EXPECT_FALSE(recovery_->waits());
  Answer(1, Running(30));
  EXPECT_TRUE(recovery_->failed(now_));
  EXPECT_THAT(Step(), IsEmpty()) << "nobody else is cut";
  // One that has no more than was guessed changes nothing.
  Begin(Plan(2));
  Answer(0, Restarted(10));
  now_ += BlockRecovery::kLongPatience;
  EXPECT_EQ(Decided(), 10u);
  Answer(1, Running(10));
  EXPECT_FALSE(recovery_->failed(now_));
  EXPECT_EQ(recovery_->participants().size(), 2u);
}

TEST_F(BlockRecoveryTest, ADamagedReplicaKeepsTheBlockFromBeingDropped) {
  Begin(Plan(2));
  Answer(0, Restarted(0));
  Answer(1, {{kBlock, kStamp, 500}, ReplicaState::kCorrupt, kRecovery});
  now_ += std::chrono::minutes(10);
  Step();
  EXPECT_FALSE(recovery_->outcome().has_value());
  EXPECT_FALSE(recovery_->waits()) << "all have answered: nobody is left to wait for";
  EXPECT_TRUE(recovery_->failed(now_)) << "they are asked anew, one may have been mended";
}

TEST_F(BlockRecoveryTest, WhoAnswersLateIsToldAtOnce) {
  Begin(Plan(2));
  Step();
  Answer(0, Restarted(10));
  while (!Decided().has_value()) now_ += seconds(1);
  Answer(1, Restarted(10));
  EXPECT_THAT(Step(), ElementsAre("dn1 finish 10"));
}

TEST_F(BlockRecoveryTest, ASilentDatanodeIsAskedLessAndLessOften) {
  Begin(Plan(1));
  int asked = 0;
  for (int second = 0; second < 120; ++second, now_ += seconds(1)) asked += static_cast<int>(Step().size());
  EXPECT_GE(asked, 6);
  EXPECT_LE(asked, 8);
}

TEST_F(BlockRecoveryTest, ABlockThatNobodyHasIsDropped) {
  Begin(Plan(2));
  Answer(0, Missing());
  now_ += std::chrono::minutes(10);
  Step();
  EXPECT_FALSE(recovery_->outcome().has_value()) << "the other one may have it";
  Answer(1, Missing());
  Step();
  EXPECT_EQ(recovery_->outcome(), RecoveryOutcome{.kind = RecoveryOutcome::Kind::kNothingThere});
}

TEST_F(BlockRecoveryTest, ABlockWithoutAByteIsDropped) {
  Begin(Plan(2));
  Answer(0, Running(0));
  Answer(1, Missing());
  Step();
  EXPECT_EQ(recovery_->outcome(), RecoveryOutcome{.kind = RecoveryOutcome::Kind::kNothingThere});
}

TEST_F(BlockRecoveryTest, OtherAnswersMeanNothing) {
  Begin(Plan(1));
  Answer(0, Running(7, GenerationStamp(1009)));
  ReportedReplica other_block = Running(7);
  other_block.block.id = BlockId(80);
  Answer(0, other_block);
  recovery_->OnAnswer(Datanode(5), Storage(0), Running(7), now_);
  Finish(0);
  EXPECT_EQ(Decided(), std::nullopt);
  for (const ReportedReplica& useless :
       {ReportedReplica{{kBlock, kBefore, 7}, ReplicaState::kBeingWritten, kRecovery}, Finalized(1001),
        Finalized(7, kRecovery.Next()), ReportedReplica{{kBlock, kStamp, 7}, ReplicaState::kCorrupt, kRecovery}}) {
    Begin(Plan(1));
    Answer(0, useless);
    EXPECT_EQ(Decided(), std::nullopt);
    EXPECT_FALSE(recovery_->outcome().has_value());
  }
}

TEST_F(BlockRecoveryTest, OrdersGoWhereTheReplicaIs) {
  Begin(Plan(1));
  recovery_->OnAnswer(Datanode(0), Storage(5), Running(7), now_);
  const std::vector<CommandFor> orders = recovery_->Step(now_);
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(std::get<protocol::FinishRecoveryCommand>(orders[0].second).storage, Storage(5));
}

TEST_F(BlockRecoveryTest, WithoutProgressItFails) {
  Begin(Plan(2));
  now_ += BlockRecovery::kNoProgress - seconds(1);
  EXPECT_FALSE(recovery_->failed(now_));
  now_ += seconds(1);
  EXPECT_TRUE(recovery_->failed(now_));
  Answer(0, Running(3));
  Answer(1, Running(3));
  EXPECT_EQ(Decided(), 3u);
  EXPECT_FALSE(recovery_->failed(now_));
  now_ += BlockRecovery::kNoProgress;
  EXPECT_TRUE(recovery_->failed(now_)) << "nobody finishes";
}

TEST_F(BlockRecoveryTest, WaitsForTheMinimumOfReplicas) {
  RecoveryPlan plan = Plan(3);
  plan.min_replication = 2;
  Begin(plan);
  for (int i = 0; i < 3; ++i) Answer(i, Running(9));
  EXPECT_EQ(Decided(), 9u);
  Finish(0);
  Step();
  now_ += seconds(20);
  Step();
  EXPECT_FALSE(recovery_->outcome().has_value());
  Finish(1);
  Step();
  now_ += BlockRecovery::kFinishPatience;
  Step();
  EXPECT_TRUE(recovery_->outcome().has_value());
  // Bounded by those that can.
  Begin(plan);
  Answer(0, Running(9));
  Answer(1, Missing());
  Answer(2, Missing());
  EXPECT_EQ(Decided(), 9u);
  Finish(0);
  Step();
  EXPECT_TRUE(recovery_->outcome().has_value());
}

// Every combination of what three datanodes may have, and of those that do not answer, after a writer that sent up to 3
// bytes of which some were acknowledged by all.
TEST(BlockRecoveryExhaustive, KeepsWhatWasAcknowledgedAndNeverInvents) {
  constexpr int kTargets = 3;
  constexpr uint64_t kSent = 3;
  uint64_t cases = 0;
  for (uint64_t before = 0; before <= 1; ++before) {
    for (uint64_t acknowledged = before; acknowledged <= kSent; ++acknowledged) {
      // What one datanode may say.
      struct Option {
        std::optional<ReportedReplica> answer;  // nothing: silent
        bool keeps = false;                     // all that was acknowledged
      };
      std::vector<Option> options = {{std::nullopt, false}};
      for (uint64_t length = acknowledged; length <= kSent; ++length) {
        options.push_back({Running(length), true});
        options.push_back({Restarted(length), true});  // the process died, the machine did not
      }
      for (uint64_t length = before; length < acknowledged; ++length) options.push_back({Restarted(length), false});
      // The writer sent its last packet: all have, or will have, all of it.
      options.push_back({Finalized(kSent), true});
      if (acknowledged == before) {
        options.push_back(before == 0 ? Option{Missing(), true} : Option{Finalized(before, kBefore), true});
        if (before > 0) options.push_back({Finalized(before), true});
      }
      std::vector<size_t> choice(kTargets, 0);
      while (true) {
        BlockRecovery recovery(Plan(kTargets, before), kStart);
        recovery.Step(kStart);
        bool somebody_keeps = false;
        std::string described = "before " + std::to_string(before) + " acknowledged " + std::to_string(acknowledged);
        for (int i = 0; i < kTargets; ++i) {
          const Option& option = options[choice[static_cast<size_t>(i)]];
          described += option.answer.has_value() ? " (" + std::to_string(static_cast<int>(option.answer->state)) + " " +
                                                       std::to_string(option.answer->block.length) +
                                                       (option.answer->after_restart ? " restarted)" : ")")
                                                 : " silent";
          if (!option.answer.has_value()) continue;
          somebody_keeps |= option.keeps;
          recovery.OnAnswer(Datanode(i), Storage(i), *option.answer, kStart);
        }
        recovery.Step(kStart + std::chrono::minutes(10));
        if (recovery.decided().has_value()) {
          const uint64_t length = recovery.decided()->length;
          EXPECT_GE(length, before) << described;
          EXPECT_LE(length, kSent) << described;
          EXPECT_GT(length, 0u) << described;
          EXPECT_FALSE(recovery.participants().empty()) << described;
          for (int i = 0; i < kTargets; ++i) {
            const std::vector<DatanodeUuid> part = recovery.participants();
            if (std::find(part.begin(), part.end(), Datanode(i)) == part.end()) continue;
            EXPECT_GE(options[choice[static_cast<size_t>(i)]].answer->block.length, length) << described;
          }
          if (somebody_keeps) {
            EXPECT_GE(length, acknowledged) << described;
          }
        } else if (recovery.outcome().has_value()) {
          EXPECT_EQ(recovery.outcome()->kind, RecoveryOutcome::Kind::kNothingThere) << described;
          EXPECT_TRUE(acknowledged == 0 || !somebody_keeps) << described;
          EXPECT_EQ(before, 0u) << described;
        }
        ++cases;
        size_t digit = 0;
        while (digit < choice.size() && ++choice[digit] == options.size()) choice[digit++] = 0;
        if (digit == choice.size()) break;
      }
    }
  }
  EXPECT_GT(cases, 4000u);
}

// Datanodes that do what they are told, or not; messages lost and repeated; restarts with and without power; attempts
// that fail and are followed by others. In the end all kept replicas agree, and nothing acknowledged is lost while one
// machine that held it kept its memory.
class Walk {
 public:
  explicit Walk(uint64_t seed) : random_(seed) {
    before_ = random_.OneIn(2) ? random_.Between(1, 100) : 0;
    sent_ = before_ + random_.Uniform(200);
    acknowledged_ = before_ + random_.Uniform(sent_ - before_ + 1);
    const bool set_up = acknowledged_ > before_ || random_.OneIn(2);
    for (int i = 0; i < kTargets; ++i) {
      Replica& replica = replicas_[i];
      if (!set_up && random_.OneIn(2)) {
        replica.exists = before_ > 0;
        replica.finalized = true;
        replica.stamp = kBefore;
        replica.length = before_;
        replica.synced = before_;
        continue;
      }
      replica.exists = true;
      replica.stamp = kStamp;
      replica.length = random_.Between(acknowledged_, sent_);
      replica.synced = random_.Between(before_, replica.length);
    }
  }

  void Run() {
    GenerationStamp stamp = kRecovery;
    for (int attempt = 0; attempt < 200; ++attempt, stamp = stamp.Next()) {
      RecoveryPlan plan = Plan(kTargets, before_);
      plan.recovery = stamp;
      BlockRecovery recovery(plan, now_);
      while (!recovery.failed(now_)) {
        for (auto& [uuid, command] : recovery.Step(now_)) {
          if (!random_.OneIn(4)) Deliver(uuid, command, &recovery);
          if (random_.OneIn(8)) Deliver(uuid, command, &recovery);
        }
        if (recovery.decided().has_value()) {
          CheckDecided(recovery);
          for (int i = 0; i < kTargets; ++i)
            if (HasFinished(replicas_[i], *recovery.decided())) recovery.OnFinished(Datanode(i), now_);
        }
        if (recovery.outcome().has_value()) return CheckOutcome(recovery);
        if (random_.OneIn(15)) Restart(&replicas_[static_cast<int>(random_.Uniform(kTargets))]);
        now_ += std::chrono::milliseconds(random_.Between(100, 3000));
      }
    }
    ADD_FAILURE() << "it comes to no end";
  }

 private:
  static constexpr int kTargets = 3;
  struct Replica {
    bool exists = false;
    bool finalized = false;
    GenerationStamp stamp;
    uint64_t length = 0;
    uint64_t synced = 0;
    bool after_restart = false;
    std::optional<GenerationStamp> frozen_by;
  };

  static bool HasFinished(const Replica& replica, const protocol::Block& decided) {
    return replica.exists && replica.finalized && replica.stamp == decided.stamp && replica.length == decided.length;
  }
  void Restart(Replica* replica) {
    replica->frozen_by.reset();
    if (!replica->exists || replica->finalized) return;
    replica->after_restart = true;
    if (random_.OneIn(2)) return;  // kill -9: what was written stays
    replica->length = random_.Between(replica->synced, replica->length);
  }
  void Deliver(const DatanodeUuid& uuid, const protocol::DatanodeCommand& command, BlockRecovery* recovery) {
    const int index = uuid.value().back() - '0';
    Replica& replica = replicas_[index];
    if (const auto* freeze = std::get_if<protocol::FreezeReplicaCommand>(&command)) {
      if (replica.frozen_by.has_value() && *replica.frozen_by > freeze->recovery) return;
      replica.frozen_by = freeze->recovery;
      ReportedReplica answer = Missing(freeze->recovery);
      if (replica.exists) {
        replica.synced = replica.length;
        answer = {{kBlock, replica.stamp, replica.length},
                  replica.finalized ? ReplicaState::kFinalized : ReplicaState::kBeingWritten,
                  freeze->recovery,
                  replica.after_restart};
      }
      if (!random_.OneIn(5)) recovery->OnAnswer(uuid, Storage(index), answer, now_);
      return;
    }
    const auto& finish = std::get<protocol::FinishRecoveryCommand>(command);
    if (replica.frozen_by != finish.block.stamp || !replica.exists || replica.length < finish.block.length) return;
    if (replica.finalized && replica.length != finish.block.length) return;
    replica.stamp = finish.block.stamp;
    replica.length = replica.synced = finish.block.length;
    replica.finalized = !random_.OneIn(10) || replica.finalized;  // it may die in the middle
    if (!replica.finalized) Restart(&replica);
  }
  bool SomebodyKept() const {
    return std::any_of(replicas_.begin(), replicas_.end(),
                       [&](const auto& r) { return r.second.exists && r.second.length >= acknowledged_; });
  }
  void CheckDecided(const BlockRecovery& recovery) {
    const uint64_t length = recovery.decided()->length;
    EXPECT_GE(length, before_);
    EXPECT_LE(length, sent_);
  }
  void CheckOutcome(const BlockRecovery& recovery) {
    EXPECT_NE(recovery.outcome()->kind, RecoveryOutcome::Kind::kNothingUsable);
    if (recovery.outcome()->kind == RecoveryOutcome::Kind::kNothingThere) {
      EXPECT_EQ(before_, 0u);
      EXPECT_TRUE(acknowledged_ == 0 || !SomebodyKept());
      return;
    }
    EXPECT_GE(recovery.outcome()->length, before_);
    int finished = 0;
    for (const auto& [index, replica] : replicas_) finished += HasFinished(replica, *recovery.decided()) ? 1 : 0;
    EXPECT_GE(finished, 1);
    // A running or merely killed machine never loses a byte, and its answer decides.
    if (SomebodyKept()) {
      EXPECT_GE(recovery.outcome()->length, acknowledged_);
    }
  }

  Random random_;
  MonotonicTime now_ = kStart;
  uint64_t before_ = 0;
  uint64_t sent_ = 0;
  uint64_t acknowledged_ = 0;
  std::map<int, Replica> replicas_;
};

TEST(BlockRecoveryWalk, EveryAttemptThatEndsKeepsThePromises) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk(seed).Run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace dolmen::namenode
