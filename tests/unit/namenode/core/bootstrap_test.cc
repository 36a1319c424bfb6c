#include "namenode/core/bootstrap.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/coding.h"
#include "common/error.h"
#include "gtest/gtest.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {
namespace {

constexpr WallTime kNow{1'700'000'000'000};

// A store of one state: commits are applied to a map.
class MapStore final : public MetaReader {
 public:
  void Commit(const CommitBatch& batch) {
    const absl::StatusOr<CommitHeader> last = ReadCommitHeader(*this);
    ASSERT_TRUE(last.ok());
    ASSERT_TRUE(CheckFollows(*last, batch).ok());
    for (const MetaWrite& write : batch.writes) {
      entries[{write.family, write.key}] = write.value.value_or("");
    }
    entries[{Family::kMeta, std::string(keys::kCommitHeader)}] = EncodeCommitHeader(HeaderOf(batch));
  }
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    const auto found = entries.find({family, std::string(key)});
    if (found == entries.end()) return std::nullopt;
    return found->second;
  }
  absl::Status Scan(Family, std::string_view, std::string_view,
                    absl::FunctionRef<bool(std::string_view, std::string_view)>) const override {
    return absl::UnimplementedError("not read here");
  }
  std::map<std::pair<Family, std::string>, std::string> entries;
};

NamespaceInfo Mint(uint64_t seed) {
  Random random(seed);
  return MintNamespace(&random, "alice", "supergroup", kNow);
}

TEST(BootstrapTest, TwoNamespacesNeverShareAnIdentity) {
  const NamespaceInfo a = Mint(1), b = Mint(2);
  EXPECT_EQ(a.cluster.value().substr(0, 4), "CID-");
  EXPECT_EQ(a.cluster.value().size(), 40u);
  EXPECT_EQ(a.block_pool.substr(0, 3), "BP-");
  EXPECT_NE(a.namespace_id, 0u);
  EXPECT_NE(a.cluster, b.cluster);
  EXPECT_NE(a.namespace_id, b.namespace_id);
  EXPECT_NE(a.block_pool, b.block_pool);
}

TEST(BootstrapTest, AFormattedStoreHoldsTheRootAndFirstIds) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  const InodeRecord root = *DecodeInode(store.entries.at({Family::kInodes, keys::Inode(InodeId(), "")}));
  EXPECT_EQ(root.id, kRootInode);
  EXPECT_TRUE(root.is_directory);
  EXPECT_EQ(root.permission, 0755);
  EXPECT_EQ(root.owner, "alice");
  EXPECT_EQ(root.group, "supergroup");
  EXPECT_EQ(root.changed_at, CommitNumber(1));
  EXPECT_EQ(*DecodeParentLink(store.entries.at({Family::kIds, keys::Id(kRootInode)})), ParentLink{});
  EXPECT_EQ(*DecodeTotals(store.entries.at({Family::kTotals, keys::Id(kRootInode)})), TotalsRecord{});
  const Counters counters = *DecodeCounters(store.entries.at({Family::kMeta, std::string(keys::kCounters)}));
  EXPECT_EQ(counters.next_inode, InodeId(16386));
  EXPECT_EQ(counters.next_block, kFirstBlockId);
  EXPECT_EQ(counters.next_stamp, kFirstGenerationStamp);
  EXPECT_EQ(*ReadNamespace(store), Mint(1));
}

TEST(BootstrapTest, EachStartRaisesTheEpochByOne) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    const absl::StatusOr<Start> start = PlanStart(store, WallTime{kNow.ms + 1000});
    ASSERT_TRUE(start.ok()) << start.status();
    EXPECT_EQ(start->counters.epoch, Epoch(epoch));
    EXPECT_EQ(start->batch.epoch, Epoch(epoch));
    EXPECT_EQ(start->batch.number, CommitNumber(epoch + 1));
    EXPECT_EQ(start->info, Mint(1));
    store.Commit(start->batch);
    EXPECT_EQ(*DecodeCounters(store.entries.at({Family::kMeta, std::string(keys::kCounters)})), start->counters);
  }
}

// A restored namenode is obeyed only in an epoch that no datanode has seen.
TEST(BootstrapTest, StampsOfANamespaceThatWasRestoredWereNeverHandedOutBefore) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  const MapStore backup = store;
  GenerationStamp newest;
  for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
    const absl::StatusOr<Start> start = PlanStart(store, kNow);
    ASSERT_TRUE(start.ok()) << start.status();
    EXPECT_GT(start->counters.next_stamp, newest);
    store.Commit(start->batch);
    // Then a billion blocks are made.
    Counters counters = start->counters;
    counters.next_stamp = GenerationStamp(counters.next_stamp.value() + 1'000'000'000);
    newest = counters.next_stamp;
    store.entries[{Family::kMeta, std::string(keys::kCounters)}] = EncodeCounters(counters);
  }
  MapStore restored = backup;
  GenerationStamp first;
  for (uint64_t epoch = 1; epoch <= 4; ++epoch) {
    const absl::StatusOr<Start> start = PlanStart(restored, kNow);
    ASSERT_TRUE(start.ok()) << start.status();
    restored.Commit(start->batch);
    first = start->counters.next_stamp;
  }
  EXPECT_GT(first, newest);
}

TEST(BootstrapTest, StampsNeverFallAtAStart) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  const GenerationStamp high(uint64_t{1} << 60);  // a datanode said so
  Counters counters = *DecodeCounters(store.entries.at({Family::kMeta, std::string(keys::kCounters)}));
  counters.next_stamp = high;
  store.entries[{Family::kMeta, std::string(keys::kCounters)}] = EncodeCounters(counters);
  EXPECT_EQ(PlanStart(store, kNow)->counters.next_stamp, high);
}

TEST(BootstrapTest, AStartsTimeDoesNotGoBackForASmallClockLag) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  EXPECT_EQ(PlanStart(store, WallTime{kNow.ms - 9'999})->counters.last_commit_time, kNow);
  EXPECT_EQ(PlanStart(store, WallTime{kNow.ms - 10'000})->counters.last_commit_time, WallTime{kNow.ms - 10'000});
}

TEST(BootstrapTest, AnEmptyStoreIsNotFormatted) {
  const MapStore store;
  EXPECT_EQ(ReasonOf(PlanStart(store, kNow).status()), ErrorReason::kFileNotFound);
}

TEST(BootstrapTest, ANewerLayoutIsRefusedWhateverFollowsInTheRecord) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  std::string newer(1, '\x07');  // a record version this program does not know
  AppendVarint(&newer, kLayoutVersion + 1);
  newer += "something else entirely";
  store.entries[{Family::kMeta, std::string(keys::kNamespaceInfo)}] = newer;
  const absl::Status refused = PlanStart(store, kNow).status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kIllegalArgument);
  EXPECT_NE(MessageOf(refused).find("layout version 2"), std::string_view::npos) << refused;
}

TEST(BootstrapTest, MissingOrContradictingRecordsAreDamage) {
  MapStore store;
  store.Commit(FormatBatch(Mint(1)));
  MapStore without_counters = store;
  without_counters.entries.erase({Family::kMeta, std::string(keys::kCounters)});
  EXPECT_EQ(ReasonOf(PlanStart(without_counters, kNow).status()), ErrorReason::kDamaged);
  MapStore without_header = store;
  without_header.entries.erase({Family::kMeta, std::string(keys::kCommitHeader)});
  EXPECT_EQ(ReasonOf(PlanStart(without_header, kNow).status()), ErrorReason::kDamaged);
  MapStore other_epoch = store;
  other_epoch.entries[{Family::kMeta, std::string(keys::kCounters)}] = EncodeCounters({.epoch = Epoch(9)});
  EXPECT_EQ(ReasonOf(PlanStart(other_epoch, kNow).status()), ErrorReason::kDamaged);
}

TEST(CommitHeaderTest, ACommitMustFollowTheLastOne) {
  const CommitHeader last{.number = CommitNumber(7), .epoch = Epoch(3)};
  const CommitBatch good{
      .number = CommitNumber(8), .epoch = Epoch(3), .time = kNow, .writes = {{Family::kInodes, "a", "1"}}};
  EXPECT_TRUE(CheckFollows(last, good).ok());
  CommitBatch bad = good;
  bad.number = CommitNumber(9);
  EXPECT_FALSE(CheckFollows(last, bad).ok());
  bad = good;
  bad.epoch = Epoch(2);
  EXPECT_FALSE(CheckFollows(last, bad).ok());
  bad = good;
  bad.writes.push_back({Family::kInodes, "a", "2"});
  EXPECT_FALSE(CheckFollows(last, bad).ok());
  bad = good;
  bad.writes[0] = {Family::kMeta, std::string(keys::kCommitHeader), "mine"};
  EXPECT_FALSE(CheckFollows(last, bad).ok());
}

TEST(CommitHeaderTest, TheDigestDependsOnEveryWrite) {
  const auto digest = [](std::vector<MetaWrite> writes) {
    return HeaderOf({.number = CommitNumber(1), .writes = std::move(writes)}).digest;
  };
  const uint64_t one = digest({{Family::kInodes, "a", "1"}});
  EXPECT_NE(one, digest({{Family::kInodes, "a", "2"}}));
  EXPECT_NE(one, digest({{Family::kInodes, "a1", ""}}));
  EXPECT_NE(one, digest({{Family::kIds, "a", "1"}}));
  EXPECT_NE(one, digest({{Family::kInodes, "a", std::nullopt}}));
  EXPECT_NE(one, digest({}));
}

}  // namespace
}  // namespace dolmen::namenode
