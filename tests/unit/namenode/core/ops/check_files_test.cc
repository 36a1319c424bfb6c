#include "namenode/core/check_files.h"

#include "namenode/core/replica_map.h"
#include "namenode/storage/memory_replica_store.h"
#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

using protocol::ReplicaCondition;
using protocol::ReplicaState;

class CheckFilesTest : public NamespaceTest {
 protected:
  void SetUp() override {
    for (uint32_t number : {1, 2, 3, 4}) {
      cluster_.storages[number] = {
          .location = {.datanode = {.uuid = DatanodeUuid(absl::StrCat("dn", number)),
                                    .addresses = {{"default", absl::StrCat("dn", number), 7066}},
                                    .rack = number == 4 ? "/r2" : "/r1"},
                       .storage = StorageId(absl::StrCat("storage-dn", number))},
          .session = 5};
    }
  }
  absl::StatusOr<protocol::CheckFilesReply> Check(const Caller& caller, const protocol::CheckFilesRequest& request) {
    return CheckFiles(View(), {store_, cluster_, pool_}, settings, caller, request);
  }
  // The whole walk in pages of these limits: "path" of each entry, "path[first,count]" of files with blocks.
  std::vector<std::string> Walk(const std::string& path, uint32_t entries, uint32_t blocks,
                                const std::function<void(const std::string& after)>& between = {}) {
    std::vector<std::string> seen;
    protocol::CheckFilesRequest request{.path = path, .entry_limit = entries, .block_limit = blocks};
    for (int page = 0; page < 1000; ++page) {
      const auto reply = Check(super, request);
      EXPECT_TRUE(reply.ok()) << reply.status();
      if (!reply.ok() || !reply->exists) return seen;
      EXPECT_LE(reply->entries.size(), entries);
      uint32_t total = 0;
      for (const protocol::CheckedEntry& entry : reply->entries) {
        total += static_cast<uint32_t>(entry.blocks.size());
        seen.push_back(entry.blocks.empty()
                           ? entry.path
                           : absl::StrCat(entry.path, "[", entry.first_block, ",", entry.blocks.size(), "]"));
      }
      EXPECT_LE(total, blocks);
      if (!reply->has_more) return seen;
      EXPECT_FALSE(reply->entries.empty());
      if (reply->entries.empty()) return seen;
      const protocol::CheckedEntry& last = reply->entries.back();
      request.after = last.path;
      request.partial_inode = last.has_more_blocks ? last.status.inode : InodeId();
      request.first_block = last.has_more_blocks ? last.first_block + last.blocks.size() : 0;
      if (between) between(last.path);
    }
    ADD_FAILURE() << "the walk does not end";
    return seen;
  }
  void Store(BlockId block, uint32_t storage, ReplicaRecord record) {
    ReplicaMap map(&store_);
    ASSERT_TRUE(map.Replace(block, storage, std::nullopt, record).ok());
    ASSERT_TRUE(map.Flush().ok());
  }
  ReplicaRecord Exact(const protocol::Block& block) const {
    return {.stamp = block.stamp, .length = block.length, .session = 5};
  }
  // The only block of the only file.
  protocol::CheckedBlock OneBlock(const std::string& path) {
    auto reply = Check(super, {.path = path});
    EXPECT_TRUE(reply.ok() && reply->entries.size() == 1 && reply->entries[0].blocks.size() == 1);
    last_ = *reply;
    return reply->entries[0].blocks[0];
  }

  MemoryReplicaStore store_;
  ClusterView cluster_;
  std::string pool_ = "BP-1";
  protocol::CheckFilesReply last_;
  using Seen = std::vector<std::string>;
};

TEST_F(CheckFilesTest, WalksDepthFirstInByteOrderWhateverThePageSize) {
  WriteFile("/d/b/f", {kTestBlockBytes, 5});
  WriteFile("/d/b.x", {});
  WriteFile("/d/a", {1});
  ASSERT_TRUE(Mkdirs("/d/b/empty/below").ok());
  WriteFile("/d/c/1", {kTestBlockBytes, kTestBlockBytes, 3});
  WriteFile("/e", {});
  const Seen expected = {"/d",          "/d/a[0,1]", "/d/b", "/d/b/empty", "/d/b/empty/below",
                         "/d/b/f[0,2]", "/d/b.x",    "/d/c", "/d/c/1[0,3]"};
  for (uint32_t entries = 1; entries < 12; ++entries) EXPECT_EQ(Walk("/d", entries, 100), expected) << entries;
  EXPECT_EQ(Walk("/", 3, 100).size(), 11u);
  EXPECT_EQ(Walk("/", 3, 100).front(), "/");
  EXPECT_EQ(Walk("/d/a", 1, 1), (Seen{"/d/a[0,1]"}));
}

TEST_F(CheckFilesTest, BlocksAreSpreadOverPages) {
  WriteFile("/d/f", {kTestBlockBytes, kTestBlockBytes, kTestBlockBytes, kTestBlockBytes, 1});
  WriteFile("/d/g", {1});
  EXPECT_EQ(Walk("/d", 100, 2), (Seen{"/d", "/d/f[0,2]", "/d/f[2,2]", "/d/f[4,1]", "/d/g[0,1]"}));
  EXPECT_EQ(Walk("/d", 100, 5), (Seen{"/d", "/d/f[0,5]", "/d/g[0,1]"}));
  EXPECT_EQ(Walk("/d/f", 100, 3), (Seen{"/d/f[0,3]", "/d/f[3,2]"}));
}

TEST_F(CheckFilesTest, GoesOnWhateverHappensBetweenPages) {
  for (const char* path : {"/d/a/1", "/d/a/2", "/d/b/1", "/d/c"}) WriteFile(path, {1});
  // Everything visited is removed at once.
  EXPECT_EQ(Walk("/d", 1, 1,
                 [&](const std::string& after) {
                   if (after != "/d") {
                     ASSERT_TRUE(Delete(after).ok());
                   }
                 }),
            (Seen{"/d", "/d/a", "/d/b", "/d/c[0,1]"}));
  // A directory becomes a file, a file a directory.
  WriteFile("/x/a/1", {1});
  WriteFile("/x/b", {1});
  EXPECT_EQ(Walk("/x", 3, 3,
                 [&](const std::string&) {
                   ASSERT_TRUE(Delete("/x/a").ok());
                   WriteFile("/x/a", {1});
                   ASSERT_TRUE(Delete("/x/b").ok());
                   WriteFile("/x/b/c", {1});
                 }),
            (Seen{"/x", "/x/a", "/x/a/1[0,1]", "/x/b", "/x/b/c[0,1]"}));
  // A cut file is another one now: its blocks are not shown as the rest of the first.
  WriteFile("/y/a", {kTestBlockBytes, 1});
  WriteFile("/y/b", {1});
  EXPECT_EQ(Walk("/y", 10, 1,
                 [&](const std::string& after) {
                   if (after != "/y/a") return;
                   ASSERT_TRUE(Delete("/y/a").ok());
                   WriteFile("/y/a", {kTestBlockBytes, 1});
                 }),
            (Seen{"/y", "/y/a[0,1]", "/y/b[0,1]"}));
  EXPECT_EQ(Walk("/y", 1, 1, [&](const std::string&) { (void)Delete("/y"); }), (Seen{"/y"}));
}

TEST_F(CheckFilesTest, AMissingPathDoesNotExistAndACursorMustBeInside) {
  auto reply = Check(super, {.path = "/none"});
  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE(reply->exists);
  ASSERT_TRUE(Mkdirs("/d").ok());
  EXPECT_EQ(ReasonOf(Check(super, {.path = "/d", .after = "/e"}).status()), ErrorReason::kIllegalArgument);
}

TEST_F(CheckFilesTest, NeedsToReadWhatIsVisited) {
  WriteFile("/d/f", {1});
  ASSERT_TRUE(Mkdirs("/d/closed").ok());
  ASSERT_TRUE(SetOwner("/d/closed", "bob", "guests", 0700).ok());
  EXPECT_REFUSED(Check(alice, {.path = "/d"}), kAccessControl,
                 "Permission denied: user=alice, access=READ_EXECUTE, inode=\"/d/closed\":bob:guests:drwx------");
  EXPECT_TRUE(Check(bob, {.path = "/d"}).ok());
  ASSERT_TRUE(SetOwner("/d/f", "alice", "staff", 0600).ok());
  EXPECT_TRUE(Check(alice, {.path = "/d/f"}).ok());
  EXPECT_REFUSED(Check(bob, {.path = "/d"}), kAccessControl,
                 "Permission denied: user=bob, access=READ, inode=\"/d/f\":alice:staff:-rw-------");
  EXPECT_REFUSED(Check(bob, {.path = "/d/f"}), kAccessControl,
                 "Permission denied: user=bob, access=READ, inode=\"/d/f\":alice:staff:-rw-------");
}

TEST_F(CheckFilesTest, TellsHowReplicasAre) {
  WriteFile("/f", {7});
  const protocol::CheckedBlock before = OneBlock("/f");
  EXPECT_EQ(before.block.length, 7u);
  EXPECT_EQ(before.replicas_wanted, 3u);
  EXPECT_EQ(before.racks_wanted, 2u);
  EXPECT_TRUE(before.replicas.empty());
  EXPECT_EQ(before.racks, 0u);
  EXPECT_EQ(last_.block_pool, "BP-1");

  const protocol::Block block = before.block;
  cluster_.storages[2].liveness = protocol::DatanodeLiveness::kStale;
  Store(block.id, 1, Exact(block));
  Store(block.id, 2, Exact(block));
  ReplicaRecord corrupt = Exact(block);
  corrupt.state = ReplicaState::kCorrupt;
  Store(block.id, 4, corrupt);
  const protocol::CheckedBlock after = OneBlock("/f");
  EXPECT_EQ(after.replicas,
            (std::vector<protocol::CheckedReplica>{
                {0, ReplicaCondition::kLive}, {1, ReplicaCondition::kStale}, {2, ReplicaCondition::kCorrupt}}));
  ASSERT_EQ(last_.storages.size(), 3u);
  EXPECT_EQ(last_.storages[2].storage, StorageId("storage-dn4"));
  EXPECT_EQ(after.racks, 1u) << "a corrupt replica is on no rack";
}

TEST_F(CheckFilesTest, CountsOnlyWhatAUsableDatanodeConfirmed) {
  WriteFile("/f", {7});
  const protocol::Block block = OneBlock("/f").block;
  ReplicaRecord hint = Exact(block);
  hint.session = 4;
  Store(block.id, 1, hint);
  Store(block.id, 2, Exact(block));
  cluster_.storages[2].liveness = protocol::DatanodeLiveness::kDead;
  Store(block.id, 9, Exact(block));  // of nobody
  for (const ReplicaState state : {ReplicaState::kBeingWritten, ReplicaState::kTemporary, ReplicaState::kDeleted}) {
    ReplicaRecord other = Exact(block);
    other.state = state;
    Store(block.id, 3, other);
    EXPECT_TRUE(OneBlock("/f").replicas.empty());
  }
  ReplicaRecord newer = Exact(block);
  newer.stamp = block.stamp.Next();
  Store(block.id, 3, newer);
  EXPECT_TRUE(OneBlock("/f").replicas.empty());
  ReplicaRecord shorter = Exact(block);
  shorter.length = 6;
  Store(block.id, 3, shorter);
  ASSERT_EQ(OneBlock("/f").replicas.size(), 1u);
  EXPECT_EQ(OneBlock("/f").replicas[0].condition, ReplicaCondition::kCorrupt);
}

TEST_F(CheckFilesTest, TwoReplicasOnOneDatanodeAreOne) {
  WriteFile("/f", {7});
  const protocol::Block block = OneBlock("/f").block;
  cluster_.storages[2].location.datanode = cluster_.storages[1].location.datanode;
  ReplicaRecord corrupt = Exact(block);
  corrupt.state = ReplicaState::kCorrupt;
  Store(block.id, 1, corrupt);
  Store(block.id, 2, Exact(block));
  EXPECT_EQ(OneBlock("/f").replicas, (std::vector<protocol::CheckedReplica>{{0, ReplicaCondition::kLive}}));
}

TEST_F(CheckFilesTest, InOneRackOneIsEnough) {
  cluster_.storages.erase(4);
  WriteFile("/f", {7});
  EXPECT_EQ(OneBlock("/f").racks_wanted, 1u);
}

TEST_F(CheckFilesTest, ABlockBeingWrittenHasItsPipeline) {
  ASSERT_TRUE(Create("/f").ok());
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  const protocol::CheckedBlock block = OneBlock("/f");
  EXPECT_TRUE(block.under_construction);
  EXPECT_EQ(block.replicas.size(), 3u);
  EXPECT_TRUE(last_.entries[0].status.under_construction);
}

}  // namespace
}  // namespace dolmen::namenode
