// concat is one synced commit: the disk stops at each of its steps in turn and power is lost, and the next start finds
// all of it or nothing.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/namenode/core/ops/namespace_fixture.h"
#include "tests/unit/namenode/storage/powered_machine.h"

namespace dolmen::namenode {
namespace {

// The namespace in memory decides; its batches go to the store on the machine.
class ConcatMachine {
 public:
  explicit ConcatMachine(uint64_t seed) : machine_(seed) {
    names_.keep_batch_open = true;
    Start();
    // Begins with the namespace in memory, under this store's own identity.
    std::vector<MetaWrite> writes;
    for (const auto& [key, value] : names_.store.entries()) {
      if (key.first != Family::kMeta) writes.push_back({key.first, key.second, value});
    }
    EXPECT_TRUE(Commit(std::move(writes)).ok());
  }
  ~ConcatMachine() { machine_.LosePower(std::move(running_)); }

  // A target and two sources of `blocks` blocks each.
  void WriteFiles(int blocks) {
    for (const char* path : {"/d/target", "/d/a", "/d/b"}) {
      if (names_.Exists(path)) {
        EXPECT_TRUE(names_.Delete(path)->deleted);
      }
      std::vector<uint64_t> lengths(blocks, kTestBlockBytes);
      lengths.back() = 7;
      names_.WriteFile(path, lengths);
    }
    ASSERT_TRUE(CommitBatchOfNames().ok());
  }

  // Concat while the disk fails from call number `skip` of this kind on; then power is lost. False: the commit does not
  // make so many calls.
  bool ConcatUnder(FileOperation operation, FileFault fault, uint64_t skip) {
    const MapReader::Entries before = Files(names_.store);
    const Counters counters_before = names_.counters;
    EXPECT_TRUE(names_.Run(names_.super, protocol::ConcatRequest{"/d/target", {"/d/a", "/d/b"}}).ok());
    const int rule =
        machine_.faults().AddRule({.operation = operation, .fault = fault, .skip = skip, .times = UINT64_MAX});
    const bool acknowledged = CommitBatchOfNames().ok();
    const bool cut = machine_.faults().fired(rule) > 0;
    machine_.LosePower(std::move(running_));
    Start();
    if (::testing::Test::HasFailure()) return false;

    const MapReader::Entries found = Files(*running_->store()->View());
    const bool is_whole = found == Files(names_.store);
    EXPECT_TRUE(is_whole || found == before) << "half a concat";
    EXPECT_TRUE(is_whole || !acknowledged) << "an acknowledged concat is lost";
    const absl::Status sound = CheckConsistency(*running_->store()->View());
    EXPECT_TRUE(sound.ok()) << sound;
    ++(is_whole ? whole : absent);
    if (!is_whole) {
      names_.store.entries() = before;
      names_.counters = counters_before;
      names_.counters.epoch = running_->counters().epoch;
      names_.counters.next_stamp = running_->counters().next_stamp;
    }
    return cut;
  }

  int whole = 0;
  int absent = 0;

 private:
  void Start() {
    auto started = machine_.Start();
    ASSERT_TRUE(started.ok()) << started.status();
    running_ = *std::move(started);
    names_.counters.epoch = running_->counters().epoch;
    names_.counters.next_stamp = std::max(names_.counters.next_stamp, running_->counters().next_stamp);
  }
  absl::Status CommitBatchOfNames() {
    std::vector<MetaWrite> writes = names_.batch->TakeWrites();
    names_.batch.reset();
    names_.store.Apply(writes);
    return Commit(std::move(writes));
  }
  absl::Status Commit(std::vector<MetaWrite> writes) {
    MetaStore& store = *running_->store();
    writes.insert(writes.begin(), {Family::kMeta, std::string(keys::kCounters), EncodeCounters(names_.counters)});
    return store.Commit({.number = store.View()->commit_number().Next(),
                         .epoch = running_->counters().epoch,
                         .time = PoweredMachine::kNow,
                         .writes = std::move(writes)});
  }
  // Everything but identity, counters and commit header.
  static MapReader::Entries Files(const MetaReader& reader) {
    MapReader::Entries entries = Dump(reader);
    std::erase_if(entries, [](const auto& entry) { return entry.first.first == Family::kMeta; });
    return entries;
  }

  PoweredMachine machine_;
  TestNamespace names_;
  std::unique_ptr<MetadataDirectory> running_;
};

TEST(ConcatPowerLossTest, CutAtEachStepOfTheDiskItIsWholeOrAbsent) {
  struct Cut {
    FileOperation operation;
    FileFault fault;
  };
  constexpr Cut kCuts[] = {
      {FileOperation::kWrite, FileFault::kIoError},         {FileOperation::kWrite, FileFault::kShortWrite},
      {FileOperation::kSync, FileFault::kIoError},          {FileOperation::kOpen, FileFault::kIoError},
      {FileOperation::kSyncDirectory, FileFault::kIoError}, {FileOperation::kRename, FileFault::kIoError},
      {FileOperation::kRemove, FileFault::kIoError}};
  // Few blocks: one record of the log. Many: a log that is switched, and tables that are written meanwhile.
  int whole = 0;
  int absent = 0;
  int steps = 0;
  for (const int blocks : {2, 400}) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      ConcatMachine machine(seed);
      for (const Cut& cut : kCuts) {
        constexpr uint64_t kMostSteps = 40;
        uint64_t step = 0;
        for (bool more = true; more && step < kMostSteps; ++step) {
          SCOPED_TRACE(absl::StrCat("seed ", seed, ", ", blocks, " blocks, operation ", static_cast<int>(cut.operation),
                                    " number ", step));
          machine.WriteFiles(blocks);
          more = machine.ConcatUnder(cut.operation, cut.fault, step);
          if (::testing::Test::HasFailure()) return;
        }
        steps += static_cast<int>(step);
      }
      whole += machine.whole;
      absent += machine.absent;
    }
  }
  EXPECT_GT(whole, 20) << "of " << steps;
  EXPECT_GT(absent, 10) << "of " << steps;
}

}  // namespace
}  // namespace dolmen::namenode
