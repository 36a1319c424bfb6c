#include "namenode/core/queries.h"

#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class QueriesTest : public NamespaceTest {
 protected:
  absl::StatusOr<protocol::GetListingReply> Page(const std::string& path, const std::string& after, uint32_t limit) {
    return GetListing(store, settings, super, {.path = path, .start_after = after, .limit = limit});
  }
  absl::StatusOr<protocol::GetBlockLocationsReply> Blocks(const std::string& path, uint64_t offset, uint64_t length) {
    return GetBlockLocations(store, settings, super, {.path = path, .offset = offset, .length = length});
  }
  std::vector<uint64_t> Offsets(const std::string& path, uint64_t offset, uint64_t length) {
    std::vector<uint64_t> offsets;
    const absl::StatusOr<protocol::GetBlockLocationsReply> reply = Blocks(path, offset, length);
    for (const protocol::LocatedBlock& block : reply->blocks) offsets.push_back(block.offset);
    return offsets;
  }
  using Numbers = std::vector<uint64_t>;
};

TEST_F(QueriesTest, FileInfoOfAMissingPathIsNothing) {
  EXPECT_FALSE(Info("/none").has_value());
  EXPECT_FALSE(Info("/none/below").has_value());
  EXPECT_TRUE(Info("/")->is_directory);
  EXPECT_EQ(Info("/")->replication, 0);
}

TEST_F(QueriesTest, AListingIsPagedInByteOrder) {
  for (const char* name : {"b", "a", "B", "a0", "\xc3\xa9"}) WriteFile(std::string("/d/") + name, {});
  auto first = Page("/d", "", 3);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->entries.size(), 3u);
  EXPECT_EQ(first->entries[0].name, "B");
  EXPECT_EQ(first->entries[2].name, "a0");
  EXPECT_TRUE(first->has_more);
  ASSERT_TRUE(Delete("/d/a0").ok()) << "the cursor may be gone";
  auto second = Page("/d", "a0", 3);
  ASSERT_EQ(second->entries.size(), 2u);
  EXPECT_EQ(second->entries[0].name, "b");
  EXPECT_FALSE(second->has_more);
  EXPECT_FALSE(Page("/d", "", 4)->has_more) << "exactly full";
}

TEST_F(QueriesTest, AFileListsItselfAndAMissingPathDoesNotExist) {
  WriteFile("/f", {5});
  auto listing = Page("/f", "", 10);
  ASSERT_EQ(listing->entries.size(), 1u);
  EXPECT_EQ(listing->entries[0].name, "");
  EXPECT_EQ(listing->entries[0].length, 5u);
  EXPECT_FALSE(Page("/none", "", 10)->exists);
  ASSERT_TRUE(Mkdirs("/empty").ok());
  EXPECT_TRUE(Page("/empty", "", 10)->exists);
}

TEST_F(QueriesTest, ListingNeedsReadAndExecute) {
  ASSERT_TRUE(Mkdirs("/d", 0711).ok());
  auto denied = GetListing(store, settings, alice, {.path = "/d"});
  EXPECT_REFUSED(denied, kAccessControl,
                 "Permission denied: user=alice, access=READ_EXECUTE, inode=\"/d\":super:supergroup:drwx--x--x");
}

TEST_F(QueriesTest, BlocksThatOverlapTheRange) {
  const uint64_t size = kTestBlockBytes;
  WriteFile("/f", {size, size, size, 10});
  EXPECT_EQ(Offsets("/f", 0, UINT64_MAX), (Numbers{0, size, 2 * size, 3 * size}));
  EXPECT_EQ(Offsets("/f", 0, 1), Numbers{0});
  EXPECT_EQ(Offsets("/f", size - 1, 2), (Numbers{0, size}));
  EXPECT_EQ(Offsets("/f", size, size), Numbers{size});
  EXPECT_EQ(Offsets("/f", 3 * size + 9, 100), Numbers{3 * size});
  EXPECT_EQ(Offsets("/f", 3 * size + 10, 100), Numbers{});
  EXPECT_EQ(Offsets("/f", UINT64_MAX, UINT64_MAX), Numbers{});
  EXPECT_EQ(Offsets("/f", 5, 0), Numbers{});
  auto all = Blocks("/f", 0, UINT64_MAX);
  EXPECT_EQ(all->status, *Info("/f"));
  EXPECT_FALSE(all->last_is_open);
  EXPECT_EQ(all->blocks[3].block.length, 10u);
}

TEST_F(QueriesTest, OffsetsOfAnIrregularFileAreSumsOfLengths) {
  WriteFile("/f", {100, kTestBlockBytes, 7, 50});
  const uint64_t third = 100 + kTestBlockBytes;
  EXPECT_EQ(Offsets("/f", 0, UINT64_MAX), (Numbers{0, 100, third, third + 7}));
  EXPECT_EQ(Offsets("/f", 99, 2), (Numbers{0, 100}));
  EXPECT_EQ(Offsets("/f", third, 7), Numbers{third});
  EXPECT_EQ(Offsets("/f", third + 56, 100), Numbers{third + 7});
}

TEST_F(QueriesTest, TheLastBlockOfAnOpenFileHasAnUnknownLength) {
  ASSERT_TRUE(Create("/f").ok());
  EXPECT_FALSE(Blocks("/f", 0, 10)->last_is_open);
  protocol::Block first = AddBlock("/f", std::nullopt)->block;
  first.length = kTestBlockBytes;
  ASSERT_TRUE(AddBlock("/f", first).ok());
  auto reply = Blocks("/f", kTestBlockBytes + 500, 10);
  ASSERT_TRUE(reply.ok());
  EXPECT_TRUE(reply->last_is_open);
  ASSERT_EQ(reply->blocks.size(), 1u);
  EXPECT_EQ(reply->blocks[0].offset, kTestBlockBytes);
  EXPECT_EQ(reply->blocks[0].block.length, 0u);
  EXPECT_EQ(reply->status.length, kTestBlockBytes);
}

TEST_F(QueriesTest, ReadingNeedsAFileAndReadPermission) {
  WriteFile("/d/f", {1});
  EXPECT_REFUSED(Blocks("/none", 0, 1), kFileNotFound, "File does not exist: /none");
  EXPECT_REFUSED(Blocks("/d", 0, 1), kFileNotFound, "Path is not a file: /d");
  ASSERT_TRUE(SetOwner("/d/f", "alice", "staff", 0600).ok());
  EXPECT_REFUSED(GetBlockLocations(store, settings, bob, {.path = "/d/f"}), kAccessControl,
                 "Permission denied: user=bob, access=READ, inode=\"/d/f\":alice:staff:-rw-------");
}

TEST_F(QueriesTest, AReaderFollowsItsFileThroughARename) {
  WriteFile("/d/f", {9});
  const InodeId file = Info("/d/f")->inode;
  ASSERT_TRUE(Rename("/d/f", "/g").ok());
  WriteFile("/d/f", {1});
  const auto read = [&] { return GetBlockLocations(store, settings, super, {.path = "/d/f", .inode = file}); };
  EXPECT_EQ(read()->status.length, 9u);
  ASSERT_TRUE(Delete("/g").ok());
  EXPECT_REFUSED(read(), kFileNotFound, "File does not exist: /d/f");
}

}  // namespace
}  // namespace dolmen::namenode
