// RocksDB on a disk that forgets what was not synced: after a power loss at any moment, also within a start, the next
// start succeeds and finds every acknowledged commit, whole, and nothing else but perhaps the one that was under way.
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/error.h"
#include "tests/unit/namenode/storage/powered_machine.h"

namespace dolmen::namenode {
namespace {

constexpr int kKeys = 40;

// What commit `number` writes is a function of it, so that any prefix can be told from the number alone.
CommitBatch BatchOf(CommitNumber number, Epoch epoch) {
  Random random(number.value());
  std::map<std::string, std::optional<std::string>> changes;
  for (uint64_t i = random.Between(1, 5); i > 0; --i) {
    const std::string key = absl::StrCat("key", random.Uniform(kKeys));
    if (random.OneIn(4)) {
      changes[key] = std::nullopt;
    } else {
      changes[key] = absl::StrCat(number.value(), " ") + random.Bytes(random.OneIn(10) ? 70'000 : 2'000);
    }
  }
  CommitBatch batch{.number = number, .epoch = epoch, .time = PoweredMachine::kNow};
  for (auto& [key, value] : changes) batch.writes.push_back({Family::kBlocks, key, value});
  return batch;
}

class Machine {
 public:
  explicit Machine(uint64_t seed) : machine_(seed) {}

  // Starts, commits some, loses power at some moment.
  void Cycle() {
    const bool doomed = random_.OneIn(2);
    if (doomed) {  // the disk stops taking one kind of call for good
      constexpr FileOperation kKinds[] = {FileOperation::kWrite,         FileOperation::kSync,   FileOperation::kRename,
                                          FileOperation::kSyncDirectory, FileOperation::kRemove, FileOperation::kOpen};
      const FileOperation kind = kKinds[random_.Uniform(std::size(kKinds))];
      const bool short_write = kind == FileOperation::kWrite && random_.OneIn(2);
      machine_.faults().AddRule({.operation = kind,
                                 .fault = short_write ? FileFault::kShortWrite : FileFault::kIoError,
                                 .skip = random_.Uniform(random_.OneIn(2) ? 30 : 300),
                                 .times = UINT64_MAX});
    }
    auto opened = machine_.Start();
    if (!opened.ok()) {
      EXPECT_TRUE(doomed) << opened.status();
      EXPECT_NE(ReasonOf(opened.status()), ErrorReason::kFileNotFound) << opened.status();
    } else {
      Check(**opened);
      MetaStore* store = (*opened)->store();
      number_ = store->View()->commit_number();
      for (uint64_t i = random_.Uniform(60); i > 0; --i) {
        const CommitBatch batch = BatchOf(number_.Next(), (*opened)->counters().epoch);
        if (!store->Commit(batch).ok()) {
          EXPECT_TRUE(doomed);
          break;
        }
        number_ = batch.number;
        content_commits_[batch.number] = batch;
        acknowledged_ = batch.number;
      }
      // An unsynced hint may vanish, but never stands in the way of a start.
      LogIfError((*opened)->replicas()->Write({{ReplicaFamily::kMeta, "x", random_.Bytes(100)}}),
                 "the disk may be gone");
    }
    machine_.LosePower(opened.ok() ? std::move(*opened) : nullptr);
  }

 private:
  // The state found is that of its commit number, which is not before the last acknowledged one.
  void Check(MetadataDirectory& opened) {
    const std::shared_ptr<const MetaView> view = opened.store()->View();
    const CommitNumber found = view->commit_number();  // this start's epoch commit
    EXPECT_GT(found, acknowledged_);
    // Commits that were not acknowledged but are there: epoch commits of failed starts, or the one under way.
    if (const CommitNumber next = number_.Next(); next < found && !content_commits_.contains(next)) {
      const auto bytes = view->Get(Family::kBlocks, BatchOf(next, Epoch()).writes.back().key);
      ASSERT_TRUE(bytes.ok());
      if (*bytes == BatchOf(next, Epoch()).writes.back().value) pending_.emplace(next, BatchOf(next, Epoch()));
    }
    std::map<std::string, std::string> with_pending = Replay(true), without = Replay(false), stored;
    ASSERT_TRUE(view->Scan(Family::kBlocks, "", "",
                           [&](std::string_view key, std::string_view value) {
                             stored.emplace(key, value);
                             return true;
                           })
                    .ok());
    EXPECT_TRUE(stored == with_pending || stored == without) << "after " << found;
    if (stored == with_pending) content_commits_.merge(pending_);
    pending_.clear();
    EXPECT_GE(opened.counters().epoch.value(), ++starts_);
  }

  std::map<std::string, std::string> Replay(bool with_pending) const {
    std::map<std::string, std::string> state;
    const auto apply = [&](const CommitBatch& batch) {
      for (const MetaWrite& write : batch.writes) {
        state.erase(write.key);
        if (write.value.has_value()) state[write.key] = *write.value;
      }
    };
    for (const auto& [number, batch] : content_commits_) apply(batch);
    if (with_pending)
      for (const auto& [number, batch] : pending_) apply(batch);
    return state;
  }

  PoweredMachine machine_;
  Random& random_ = machine_.random();

  CommitNumber number_;  // the newest the running store is known to hold
  CommitNumber acknowledged_;
  std::map<CommitNumber, CommitBatch> content_commits_;  // known to be in the store
  std::map<CommitNumber, CommitBatch> pending_;          // found, though never acknowledged
  uint64_t starts_ = 0;
};

TEST(MetaStorePowerLossTest, AcknowledgedCommitsSurviveAndEveryStartSucceeds) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    SCOPED_TRACE(seed);
    Machine machine(seed);
    for (int cycle = 0; cycle < 8 && !HasFailure(); ++cycle) machine.Cycle();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace dolmen::namenode
