// The small pure choices: which volume, how many streams, which pieces of a read, which token keys.
#include <gtest/gtest.h>

#include <map>

#include "common/error.h"
#include "datanode/core/copy_backlog.h"
#include "datanode/core/read_plan.h"
#include "datanode/core/stream_limits.h"
#include "datanode/core/token_keys.h"
#include "datanode/core/volume_chooser.h"

namespace dolmen::datanode {
namespace {

TEST(VolumeChooserTest, TakesTheWishedVolumeWhenItHasRoom) {
  VolumeChooser chooser{Random(1)};
  std::vector<VolumeCandidate> volumes{{.storage = StorageId("a"), .remaining_bytes = 100},
                                       {.storage = StorageId("b"), .remaining_bytes = 100}};
  EXPECT_EQ(*chooser.Choose(volumes, StorageId("b"), 100), StorageId("b"));
  volumes[1].remaining_bytes = 99;
  EXPECT_EQ(*chooser.Choose(volumes, StorageId("b"), 100), StorageId("a"));
  volumes[0].online = false;
  const auto none = chooser.Choose(volumes, StorageId("b"), 100);
  EXPECT_EQ(ReasonOf(none.status()), ErrorReason::kNoSpace);
  EXPECT_NE(std::string(none.status().message()).find("a: offline; b: 99 bytes left"), std::string::npos);
}

TEST(VolumeChooserTest, SpreadsOverEqualVolumesAndPrefersEmptierOnes) {
  VolumeChooser chooser{Random(1)};
  constexpr uint64_t kGb = 1 << 30;
  std::vector<VolumeCandidate> equal{{.storage = StorageId("a"), .remaining_bytes = 50 * kGb},
                                     {.storage = StorageId("b"), .remaining_bytes = 55 * kGb}};
  std::map<StorageId, int> chosen;
  for (int i = 0; i < 100; ++i) ++chosen[*chooser.Choose(equal, {}, kGb)];
  EXPECT_EQ(chosen[StorageId("a")], 50);
  equal[0].writers = 3;
  EXPECT_EQ(*chooser.Choose(equal, {}, kGb), StorageId("b"));
  std::vector<VolumeCandidate> apart{{.storage = StorageId("a"), .remaining_bytes = 50 * kGb},
                                     {.storage = StorageId("b"), .remaining_bytes = 500 * kGb}};
  chosen.clear();
  for (int i = 0; i < 1000; ++i) ++chosen[*chooser.Choose(apart, {}, kGb)];
  EXPECT_GT(chosen[StorageId("b")], 700);
  EXPECT_GT(chosen[StorageId("a")], 200);
}

TEST(StreamLimitsTest, BeyondALimitIsBusyAndReleasedRoomIsGivenAgain) {
  StreamLimits limits({.writers_per_volume = 2, .readers_per_volume = 1, .transfers = 1, .streams_in_all = 4});
  const StorageId a("a"), b("b");
  EXPECT_TRUE(limits.Acquire(StreamKind::kWrite, a).ok());
  EXPECT_TRUE(limits.Acquire(StreamKind::kWrite, a).ok());
  EXPECT_EQ(ReasonOf(limits.Acquire(StreamKind::kWrite, a)), ErrorReason::kBusy);
  EXPECT_TRUE(limits.Acquire(StreamKind::kRead, a).ok());
  EXPECT_EQ(ReasonOf(limits.Acquire(StreamKind::kRead, a)), ErrorReason::kBusy);
  EXPECT_TRUE(limits.Acquire(StreamKind::kTransfer, b).ok());
  EXPECT_EQ(ReasonOf(limits.Acquire(StreamKind::kWrite, b)), ErrorReason::kBusy);  // of the node
  limits.Release(StreamKind::kWrite, a);
  EXPECT_TRUE(limits.Acquire(StreamKind::kWrite, b).ok());
  EXPECT_EQ(limits.streams(), 4u);
  EXPECT_EQ(limits.transfers(), 1u);
  EXPECT_EQ(limits.writers(b), 1u);
}

protocol::CopyReplicaCommand CopyOf(uint64_t id, uint64_t length = 10) {
  return {.block = {.id = BlockId(id), .length = length}};
}

TEST(CopyBacklogTest, OldestComesFirstAndANewerOrderReplacesAnOlderOne) {
  CopyBacklog backlog;
  const MonotonicTime now{};
  EXPECT_TRUE(backlog.Put(CopyOf(1, 10), now));
  EXPECT_TRUE(backlog.Put(CopyOf(2), now));
  EXPECT_TRUE(backlog.Put(CopyOf(1, 20), now));
  EXPECT_EQ(backlog.size(), 2u);
  EXPECT_EQ(backlog.Take(now)->block.id, BlockId(2));
  EXPECT_EQ(backlog.Take(now)->block.length, 20u);
  EXPECT_FALSE(backlog.Take(now).has_value());
}

TEST(CopyBacklogTest, ForgetsWhatWaitedTooLongAndTakesNoMoreThanItMay) {
  CopyBacklog backlog;
  const MonotonicTime now{};
  for (uint64_t id = 1; id <= CopyBacklog::kMost; ++id) EXPECT_TRUE(backlog.Put(CopyOf(id), now));
  EXPECT_FALSE(backlog.Put(CopyOf(1000), now));
  EXPECT_TRUE(backlog.Put(CopyOf(5), now + CopyBacklog::kLongestWait)) << "takes an older one's place";
  EXPECT_EQ(backlog.Take(now + CopyBacklog::kLongestWait)->block.id, BlockId(5));
  EXPECT_EQ(backlog.size(), 0u);
  EXPECT_TRUE(backlog.Put(CopyOf(1), now));
  backlog.Clear();
  EXPECT_FALSE(backlog.Take(now).has_value());
}

std::vector<std::pair<uint64_t, uint64_t>> Pieces(uint64_t offset, uint64_t length, uint64_t replica) {
  auto plan = ReadPlan::Make({.block = {.id = BlockId(1)}, .offset = offset, .length = length}, replica, false);
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::vector<std::pair<uint64_t, uint64_t>> pieces;
  while (auto piece = plan->Next()) pieces.emplace_back(piece->offset, piece->length);
  return pieces;
}

TEST(ReadPlanTest, CoversWholeChunksAroundTheRange) {
  using P = std::vector<std::pair<uint64_t, uint64_t>>;
  EXPECT_EQ(Pieces(0, 100, 1000), (P{{0, 512}}));
  EXPECT_EQ(Pieces(600, 10, 1000), (P{{512, 488}}));
  EXPECT_EQ(Pieces(500, 100, 2000), (P{{0, 1024}}));
  EXPECT_EQ(Pieces(0, 3 << 20, (2 << 20) + 5), (P{{0, 1 << 20}, {1 << 20, 1 << 20}, {2 << 20, 5}}));
  EXPECT_EQ(Pieces(1000, 10, 1000), (P{{512, 0}}));  // the end: one empty piece
  EXPECT_EQ(Pieces(0, 10, 0), (P{{0, 0}}));
  EXPECT_EQ(Pieces(700, 0, 1000), (P{{512, 0}}));
}

TEST(ReadPlanTest, ImpossibleRangesAreRefused) {  // F-182
  const auto reason = [](protocol::ReadRequest request, uint64_t replica, bool finalized) {
    return ReasonOf(ReadPlan::Make(request, replica, finalized).status());
  };
  EXPECT_EQ(reason({.offset = 1001, .length = 1}, 1000, true), ErrorReason::kIllegalArgument);
  EXPECT_EQ(reason({.offset = UINT64_MAX, .length = 1}, 1000, true), ErrorReason::kIllegalArgument);
  EXPECT_EQ(reason({.offset = 1, .length = UINT64_MAX}, 1000, true), ErrorReason::kIllegalArgument);
  EXPECT_EQ(reason({.block = {.length = 1001}, .length = 1}, 1000, true), ErrorReason::kReplicaNotFound);
  EXPECT_EQ(reason({.block = {.length = 1001}, .length = 1}, 1000, false), ErrorReason::kNone);
}

TEST(TokenKeysTest, TheLastTwoKeysAreGood) {
  const BlockId block(1 << 30);
  std::vector<TokenKey> keys;
  std::vector<std::string> tokens;
  for (uint64_t i = 0; i < 3; ++i) {
    keys.push_back({.id = i + 1, .secret = std::string(32, static_cast<char>('a' + i))});
    tokens.push_back(
        MintToken(keys[i], {.block = block, .accesses = static_cast<uint8_t>(BlockAccess::kRead), .expires = {1000}}));
  }
  TokenKeys known;
  EXPECT_EQ(ReasonOf(known.Verify(tokens[0], block, BlockAccess::kRead, {0})), ErrorReason::kBadToken);
  for (const TokenKey& key : keys) known.Add(key);
  EXPECT_FALSE(known.Verify(tokens[0], block, BlockAccess::kRead, {0}).ok());
  EXPECT_TRUE(known.Verify(tokens[1], block, BlockAccess::kRead, {0}).ok());
  EXPECT_TRUE(known.Verify(tokens[2], block, BlockAccess::kRead, {0}).ok());
  EXPECT_FALSE(known.Verify(tokens[2], block, BlockAccess::kWrite, {0}).ok());
  EXPECT_FALSE(known.Verify(tokens[2], BlockId(5), BlockAccess::kRead, {0}).ok());
}

}  // namespace
}  // namespace dolmen::datanode
