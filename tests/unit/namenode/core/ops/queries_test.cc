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

class ContentSummaryTest : public QueriesTest {
 protected:
  absl::StatusOr<protocol::GetContentSummaryReply> Summary(const Caller& caller, const std::string& path) {
    return GetContentSummary(store, settings, caller, {.path = path});
  }
  using Reply = protocol::GetContentSummaryReply;
};

TEST_F(ContentSummaryTest, CountsWhatIsBelowAndThePathItself) {
  WriteFile("/d/e/f", {kTestBlockBytes, 10});
  WriteFile("/d/g", {5});
  ASSERT_TRUE(Mkdirs("/d/empty").ok());
  const uint64_t bytes = kTestBlockBytes + 15;
  EXPECT_EQ(*Summary(super, "/d"), (Reply{bytes, 2, 3, 3 * bytes}));
  EXPECT_EQ(*Summary(super, "/"), (Reply{bytes, 2, 4, 3 * bytes}));
  EXPECT_EQ(*Summary(super, "/d/empty"), (Reply{0, 0, 1, 0}));
  EXPECT_EQ(*Summary(super, "/d/g"), (Reply{5, 1, 0, 15}));
  EXPECT_REFUSED(Summary(super, "/none"), kFileNotFound, "File does not exist: /none");
}

TEST_F(ContentSummaryTest, NeedsReadAndExecuteOnEveryDirectoryBelow) {
  WriteFile("/d/e/f", {1});
  ASSERT_TRUE(Mkdirs("/d/e/empty", 0700).ok());
  EXPECT_REFUSED(Summary(alice, "/d"), kAccessControl,
                 "Permission denied: user=alice, access=READ_EXECUTE, "
                 "inode=\"/d/e/empty\":super:supergroup:drwx------");
  EXPECT_REFUSED(Summary(alice, "/"), kAccessControl,
                 "Permission denied: user=alice, access=READ_EXECUTE, "
                 "inode=\"/d/e/empty\":super:supergroup:drwx------");
  EXPECT_TRUE(Summary(super, "/").ok());
  EXPECT_TRUE(Summary(alice, "/d/e/f").ok()) << "files need nothing";
  ASSERT_TRUE(Delete("/d/e/empty").ok());
  EXPECT_TRUE(Summary(alice, "/").ok());
  ASSERT_TRUE(SetOwner("/d", "super", "supergroup", 0711).ok());
  EXPECT_REFUSED(Summary(alice, "/d"), kAccessControl,
                 "Permission denied: user=alice, access=READ_EXECUTE, inode=\"/d\":super:supergroup:drwx--x--x");
}

TEST_F(QueriesTest, WhetherAFileIsClosed) {
  const auto closed = [&](const std::string& path) { return IsFileClosed(store, settings, super, {.path = path}); };
  WriteFile("/d/f", {1});
  ASSERT_TRUE(Create("/d/open").ok());
  EXPECT_TRUE(closed("/d/f")->closed);
  EXPECT_FALSE(closed("/d/open")->closed);
  EXPECT_REFUSED(closed("/none"), kFileNotFound, "File does not exist: /none");
  EXPECT_REFUSED(closed("/d"), kFileNotFound, "Path is not a file: /d");
}

class OpenFilesTest : public QueriesTest {
 protected:
  absl::StatusOr<protocol::ListOpenFilesReply> OpenFiles(const std::string& path, InodeId after = InodeId(),
                                                         uint32_t limit = 1000) {
    return ListOpenFiles(store, settings, super, {.path = path, .after = after, .limit = limit});
  }
  std::vector<std::string> Paths(const protocol::ListOpenFilesReply& reply) {
    std::vector<std::string> paths;
    for (const protocol::OpenFileEntry& file : reply.files) paths.push_back(file.path);
    return paths;
  }
  using Names = std::vector<std::string>;
};

TEST_F(OpenFilesTest, AreListedByInodeAtAndBelowAPath) {
  WriteFile("/closed", {1});
  for (const char* path : {"/d/b", "/a", "/d/a", "/dd"}) ASSERT_TRUE(Create(path).ok());
  EXPECT_EQ(Paths(*OpenFiles("/")), (Names{"/d/b", "/a", "/d/a", "/dd"}));
  EXPECT_EQ(Paths(*OpenFiles("/d")), (Names{"/d/b", "/d/a"}));
  EXPECT_EQ(Paths(*OpenFiles("/a")), Names{"/a"});
  EXPECT_EQ(Paths(*OpenFiles("/none")), Names{});
  const protocol::OpenFileEntry first = OpenFiles("/")->files.at(0);
  EXPECT_EQ(first, (protocol::OpenFileEntry{Info("/d/b")->inode, "/d/b", "writer", "client1"}));
}

TEST_F(OpenFilesTest, ComeInPagesThatMayBeEmpty) {
  for (const char* path : {"/d/a", "/x/a", "/x/b", "/d/b"}) ASSERT_TRUE(Create(path).ok());
  auto page = OpenFiles("/d", InodeId(), 2);
  EXPECT_EQ(Paths(*page), Names{"/d/a"});
  EXPECT_TRUE(page->has_more);
  EXPECT_EQ(page->last, Info("/x/a")->inode);
  page = OpenFiles("/d", page->last, 1);
  EXPECT_EQ(Paths(*page), Names{});
  EXPECT_TRUE(page->has_more);
  page = OpenFiles("/d", page->last, 1);
  EXPECT_EQ(Paths(*page), Names{"/d/b"});
  EXPECT_FALSE(page->has_more);
}

TEST_F(OpenFilesTest, OfADeletedDirectoryAreNotListed) {
  ASSERT_TRUE(Create("/d/a").ok());
  ASSERT_TRUE(Create("/b").ok());
  ASSERT_TRUE(Delete("/d").ok());
  EXPECT_EQ(Paths(*OpenFiles("/")), Names{"/b"});
}

TEST_F(OpenFilesTest, AreForSuperusers) {
  EXPECT_REFUSED(ListOpenFiles(store, settings, alice, {}), kAccessControl,
                 "Access denied for user alice. Superuser privilege is required for operation listOpenFiles");
}

}  // namespace
}  // namespace dolmen::namenode
