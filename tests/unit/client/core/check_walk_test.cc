#include "client/core/check_walk.h"

#include <gtest/gtest.h>

#include "common/error.h"

namespace dolmen::client {
namespace {

class CheckWalkTest : public ::testing::Test {
 protected:
  static protocol::CheckedEntry Entry(const std::string& path, uint64_t inode, uint64_t first_block = 0,
                                      uint64_t blocks = 0, bool more = false) {
    protocol::CheckedEntry entry{
        .path = path, .status = {.inode = InodeId(inode)}, .first_block = first_block, .has_more_blocks = more};
    for (uint64_t i = first_block; i < first_block + blocks; ++i) {
      entry.blocks.push_back({.block = {BlockId(100 + i), GenerationStamp(1001), 10}});
    }
    return entry;
  }
  static protocol::CheckFilesReply Page(std::vector<protocol::CheckedEntry> entries, bool more) {
    return {.exists = true, .block_pool = "BP-1", .entries = std::move(entries), .has_more = more};
  }
  // "path:blocks" of what was visited.
  absl::Status Take(const protocol::CheckFilesReply& reply) {
    return walk_.Take(reply, [this](const CheckedEntry& entry) {
      seen_.push_back(absl::StrCat(entry.path, ":", entry.blocks.size()));
      last_ = entry;
      return seen_.size() != stop_after_;
    });
  }

  CheckWalk walk_{"/d"};
  std::vector<std::string> seen_;
  CheckedEntry last_;
  size_t stop_after_ = 1000;
  using Seen = std::vector<std::string>;
};

TEST_F(CheckWalkTest, EachPageBeginsBehindTheOneBefore) {
  EXPECT_EQ(walk_.Next()->path, "/d");
  EXPECT_EQ(walk_.Next()->after, "");
  ASSERT_TRUE(Take(Page({Entry("/d", 1), Entry("/d/a", 2, 0, 2)}, true)).ok());
  EXPECT_EQ(walk_.Next()->after, "/d/a");
  EXPECT_TRUE(walk_.Next()->partial_inode.is_none());
  ASSERT_TRUE(Take(Page({Entry("/d/b", 3)}, false)).ok());
  EXPECT_FALSE(walk_.Next().has_value());
  EXPECT_EQ(seen_, (Seen{"/d:0", "/d/a:2", "/d/b:0"}));
}

TEST_F(CheckWalkTest, AFileWhoseBlocksAreOnSeveralPagesIsOneEntry) {
  ASSERT_TRUE(Take(Page({Entry("/d/a", 2, 0, 3, true)}, true)).ok());
  EXPECT_TRUE(seen_.empty());
  EXPECT_EQ(walk_.Next()->partial_inode, InodeId(2));
  EXPECT_EQ(walk_.Next()->first_block, 3u);
  ASSERT_TRUE(Take(Page({Entry("/d/a", 2, 3, 2, true)}, true)).ok());
  EXPECT_EQ(walk_.Next()->first_block, 5u);
  ASSERT_TRUE(Take(Page({Entry("/d/a", 2, 5, 1), Entry("/d/b", 3)}, false)).ok());
  EXPECT_EQ(seen_, (Seen{"/d/a:6", "/d/b:0"}));
}

TEST_F(CheckWalkTest, WhatIsKnownOfAFileThatWentAwayIsStillVisited) {
  ASSERT_TRUE(Take(Page({Entry("/d/a", 2, 0, 3, true)}, true)).ok());
  ASSERT_TRUE(Take(Page({Entry("/d/b", 3)}, true)).ok());
  EXPECT_EQ(seen_, (Seen{"/d/a:3", "/d/b:0"}));
  ASSERT_TRUE(Take(Page({Entry("/d/c", 4, 0, 1, true)}, true)).ok());
  ASSERT_TRUE(Take(Page({}, false)).ok());
  EXPECT_EQ(seen_.back(), "/d/c:1");
  EXPECT_FALSE(walk_.Next().has_value());
}

TEST_F(CheckWalkTest, TheVisitorEndsTheWalk) {
  stop_after_ = 1;
  ASSERT_TRUE(Take(Page({Entry("/d", 1), Entry("/d/a", 2)}, true)).ok());
  EXPECT_EQ(seen_, (Seen{"/d:0"}));
  EXPECT_FALSE(walk_.Next().has_value());
}

TEST_F(CheckWalkTest, AMissingPathIsAnErrorOnlyAtTheBeginning) {
  EXPECT_EQ(ReasonOf(Take({})), ErrorReason::kFileNotFound);
  EXPECT_FALSE(walk_.Next().has_value());
  walk_ = CheckWalk("/d");
  ASSERT_TRUE(Take(Page({Entry("/d", 1)}, true)).ok());
  EXPECT_TRUE(Take({}).ok()) << "it was removed in the middle";
  EXPECT_FALSE(walk_.Next().has_value());
}

TEST_F(CheckWalkTest, ANamenodeThatDoesNotGetOnIsAnError) {
  EXPECT_EQ(ReasonOf(Take(Page({}, true))), ErrorReason::kIo);
  EXPECT_FALSE(walk_.Next().has_value());
}

TEST_F(CheckWalkTest, ReplicasAreTakenFromThePagesTable) {
  protocol::CheckFilesReply page = Page({Entry("/d/a", 2, 0, 1)}, false);
  page.storages = {{.datanode = {.uuid = DatanodeUuid("u0"), .addresses = {{"default", "h0", 1}}, .rack = "/r0"},
                    .storage = StorageId("s0")},
                   {.datanode = {.uuid = DatanodeUuid("u1"), .addresses = {{"default", "h1", 2}}},
                    .storage = StorageId("s1"),
                    .type = protocol::StorageType::kSsd}};
  protocol::CheckedBlock& block = page.entries[0].blocks[0];
  block.replicas_wanted = 3;
  block.racks = 1;
  block.racks_wanted = 2;
  block.replicas = {{1, protocol::ReplicaCondition::kStale}, {0, protocol::ReplicaCondition::kCorrupt}};
  ASSERT_TRUE(Take(page).ok());
  EXPECT_EQ(last_.block_pool, "BP-1");
  ASSERT_EQ(last_.blocks.size(), 1u);
  const CheckedBlock& seen = last_.blocks[0];
  EXPECT_EQ(seen.block_id, 100u);
  EXPECT_EQ(seen.generation_stamp, 1001u);
  EXPECT_EQ(seen.length, 10u);
  EXPECT_EQ(seen.replicas_wanted, 3u);
  EXPECT_EQ(seen.racks, 1u);
  EXPECT_EQ(seen.racks_wanted, 2u);
  ASSERT_EQ(seen.replicas.size(), 2u);
  EXPECT_EQ(seen.replicas[0].address, "h1:2");
  EXPECT_EQ(seen.replicas[0].rack, "/default-rack");
  EXPECT_EQ(seen.replicas[0].storage_type, "SSD");
  EXPECT_EQ(seen.replicas[0].condition, ReplicaCondition::kStale);
  EXPECT_EQ(seen.replicas[1].datanode, "u0");
  EXPECT_EQ(seen.replicas[1].storage, "s0");
  EXPECT_EQ(seen.replicas[1].rack, "/r0");
  EXPECT_EQ(seen.replicas[1].condition, ReplicaCondition::kCorrupt);
}

}  // namespace
}  // namespace dolmen::client
