#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

constexpr uint64_t kFull = kTestBlockBytes;

class ConcatTest : public NamespaceTest {
 protected:
  auto Concat(const Caller& caller, const std::string& target, const std::vector<std::string>& sources) {
    return Run(caller, protocol::ConcatRequest{.target = target, .sources = sources});
  }
  auto Concat(const std::string& target, const std::vector<std::string>& sources) {
    return Concat(super, target, sources);
  }
  std::vector<protocol::LocatedBlock> Blocks(const std::string& path) {
    auto reply = GetBlockLocations(View(), settings, super, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->blocks : std::vector<protocol::LocatedBlock>();
  }
  bool IsIrregular(const std::string& path) {
    return GetInodeById(View(), Info(path)->inode).value()->extensions.Find(kIrregularBlocksTag) != nullptr;
  }
  // As WriteFile, with other replicas and another block size.
  void WriteOther(const std::string& path, uint32_t replication, uint64_t block_bytes, uint64_t length) {
    protocol::CreateRequest request = CreateOf(path);
    request.replication = replication;
    request.block_bytes = block_bytes;
    ASSERT_TRUE(Run(super, request).ok());
    protocol::Block block = AddBlock(path, std::nullopt)->block;
    block.length = length;
    ASSERT_TRUE(Complete(path, block).ok());
  }
};

TEST_F(ConcatTest, BlocksMoveInOrderAndTheSourcesAreGone) {
  WriteFile("/d/target", {kFull, 5});
  WriteFile("/d/b", {kFull, 7});
  WriteFile("/d/a", {9});
  WriteFile("/d/other", {1});
  std::vector<protocol::Block> expected;
  for (const char* path : {"/d/target", "/d/b", "/d/a"})
    for (const protocol::LocatedBlock& block : Blocks(path)) expected.push_back(block.block);
  const protocol::FileStatus before = *Info("/d/target");
  now = WallTime{50'000};
  ASSERT_TRUE(Concat("/d/target", {"/d/b", "/d/a"}).ok());

  EXPECT_EQ(List("/d"), (std::vector<std::string>{"other", "target"}));
  protocol::FileStatus after = before;
  after.length = 2 * kFull + 5 + 7 + 9;
  after.modified = now;
  EXPECT_EQ(*Info("/d/target"), after);
  EXPECT_EQ(Info("/d")->modified, now);
  EXPECT_EQ(Info("/d")->child_count, 2u);
  const std::vector<protocol::LocatedBlock> blocks = Blocks("/d/target");
  ASSERT_EQ(blocks.size(), 5u);
  const uint64_t offsets[] = {0, kFull, kFull + 5, 2 * kFull + 5, 2 * kFull + 12};
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i].block, expected[i]);
    EXPECT_EQ(blocks[i].offset, offsets[i]);
  }
  EXPECT_EQ(Totals("/").files, 2u);
  EXPECT_EQ(Totals("/").bytes, 2 * kFull + 5 + 7 + 9 + 1);
  EXPECT_TRUE(EffectsOf<BlockFreed>().empty());
  EXPECT_EQ(counters.block_count, 6u);
  EXPECT_EQ(CountOf(Family::kDetached), 0u) << "nothing is left to be freed";
}

TEST_F(ConcatTest, AFileOfFullBlocksStaysRegular) {
  WriteFile("/t", {kFull});
  WriteFile("/a", {kFull, kFull});
  WriteFile("/b", {3});
  ASSERT_TRUE(Concat("/t", {"/a", "/b"}).ok());
  EXPECT_FALSE(IsIrregular("/t"));
  WriteFile("/c", {kFull});
  ASSERT_TRUE(Concat("/t", {"/c"}).ok());
  EXPECT_TRUE(IsIrregular("/t"));
}

TEST_F(ConcatTest, AnEmptyTargetTakesBlocks) {
  WriteFile("/t", {});
  WriteFile("/a", {kFull, 2});
  ASSERT_TRUE(Concat("/t", {"/a"}).ok());
  EXPECT_EQ(Info("/t")->length, kFull + 2);
  EXPECT_FALSE(IsIrregular("/t"));
}

TEST_F(ConcatTest, BlocksOfASmallerSizeMakeTheTargetIrregular) {
  WriteFile("/t", {});
  WriteOther("/a", 3, kFull / 2, kFull / 2);
  WriteOther("/b", 3, kFull / 2, kFull / 2);
  ASSERT_TRUE(Concat("/t", {"/a", "/b"}).ok());
  EXPECT_TRUE(IsIrregular("/t"));
  WriteOther("/c", 3, 2 * kFull, 1);
  EXPECT_REFUSED(Concat("/t", {"/c"}), kIllegalArgument,
                 "concat: source file /c has preferred block size 2048 which is greater than the target file's "
                 "preferred block size 1024");
}

TEST_F(ConcatTest, MovedBlocksWantTheTargetsReplicas) {
  WriteFile("/d/t", {kFull});  // 3 replicas
  WriteOther("/d/a", 1, kFull, 10);
  WriteOther("/d/b", 3, kFull, 20);
  effects.clear();
  const BlockId moved = Blocks("/d/a")[0].block.id;
  ASSERT_TRUE(Concat("/d/t", {"/d/a", "/d/b"}).ok());
  EXPECT_EQ(GetBlock(store, moved).value()->replicas_wanted, 3u);
  ASSERT_EQ(EffectsOf<BlockReplicasChanged>().size(), 1u);
  EXPECT_EQ(EffectsOf<BlockReplicasChanged>()[0].block, moved);
  EXPECT_EQ(Totals("/d").replicated_bytes[protocol::StorageType::kDisk], 3 * (kFull + 30));
}

TEST_F(ConcatTest, SourcesAreRefusedInTheWordsOfHdfs) {
  WriteFile("/d/t", {1});
  WriteFile("/d/a", {1});
  WriteFile("/d/empty", {});
  WriteFile("/e/a", {1});
  ASSERT_TRUE(Mkdirs("/d/dir").ok());
  ASSERT_TRUE(Create("/d/open").ok());
  EXPECT_REFUSED(Concat("/d/t", {}), kIllegalArgument, "No sources given");
  EXPECT_REFUSED(Concat("", {"/d/a"}), kIllegalArgument, "Target file name is empty");
  EXPECT_REFUSED(Concat("/d/t", {"/d/none"}), kFileNotFound, "File does not exist: /d/none");
  EXPECT_REFUSED(Concat("/d/t", {"/d/dir"}), kFileNotFound, "Path is not a file: /d/dir");
  EXPECT_REFUSED(Concat("/d/t", {"/d/a", "/e/a"}), kIllegalArgument,
                 "Source file /e/a is not in the same directory with the target /d/t");
  EXPECT_REFUSED(Concat("/d/t", {"/d/a", "/d/t"}), kIllegalArgument,
                 "concat: the src file /d/t is the same with the target file /d/t");
  EXPECT_REFUSED(Concat("/d/t", {"/d/a", "/d/a"}), kIllegalArgument,
                 "concat: at least two of the source files are the same");
  EXPECT_REFUSED(Concat("/d/t", {"/d/empty"}), kIllegalArgument,
                 "concat: source file /d/empty is invalid or empty or underConstruction");
  EXPECT_REFUSED(Concat("/d/t", {"/d/open"}), kIllegalArgument,
                 "concat: source file /d/open is invalid or empty or underConstruction");
  EXPECT_REFUSED(Concat("/d/t", {"/.reserved/raw/a"}), kIo,
                 "Concat operation doesn't support .reserved relative path : /.reserved/raw/a");
  EXPECT_REFUSED(Concat("/d/t", {"/"}), kFileNotFound, "Path is not a file: /");
}

TEST_F(ConcatTest, ARefusalLeavesNoTrace) {
  WriteFile("/d/t", {1});
  WriteFile("/d/a", {1});
  WriteFile("/d/empty", {});
  const MapReader::Entries before = Dump(store);
  EXPECT_FALSE(Concat("/d/t", {"/d/a", "/d/empty"}).ok());
  MapReader::Entries after = Dump(store);
  EXPECT_EQ(after, before);
}

TEST_F(ConcatTest, TheTargetMustBeAClosedFile) {
  WriteFile("/d/a", {1});
  ASSERT_TRUE(Create("/d/open").ok());
  EXPECT_REFUSED(Concat("/d/none", {"/d/a"}), kFileNotFound, "File does not exist: /d/none");
  EXPECT_REFUSED(Concat("/d", {"/d/a"}), kFileNotFound, "Path is not a file: /d");
  EXPECT_REFUSED(Concat("/", {"/d/a"}), kFileNotFound, "Path is not a file: /");
  EXPECT_REFUSED(Concat("/d/open", {"/d/a"}), kIllegalArgument, "concat: target file /d/open is under construction");
  EXPECT_REFUSED(Concat("/.reserved/raw/t", {"/d/a"}), kIo,
                 "Concat operation doesn't support .reserved relative path : /.reserved/raw/t");
}

TEST_F(ConcatTest, NeedsWriteOnTheTargetReadOnTheSourcesAndWriteOnTheirParent) {
  WriteFile("/d/t", {1});
  WriteFile("/d/a", {1});
  ASSERT_TRUE(SetOwner("/d", "alice", "staff", 0755).ok());
  ASSERT_TRUE(SetOwner("/d/t", "alice", "staff", 0664).ok());
  ASSERT_TRUE(SetOwner("/d/a", "alice", "staff", 0600).ok());
  EXPECT_REFUSED(Concat(bob, "/d/t", {"/d/a"}), kAccessControl,
                 "Permission denied: user=bob, access=READ, inode=\"/d/a\":alice:staff:-rw-------");
  ASSERT_TRUE(SetOwner("/d/a", "alice", "staff", 0640).ok());
  EXPECT_REFUSED(Concat(bob, "/d/t", {"/d/a"}), kAccessControl,
                 "Permission denied: user=bob, access=WRITE, inode=\"/d\":alice:staff:drwxr-xr-x");
  ASSERT_TRUE(SetOwner("/d", "alice", "staff", 01775).ok());
  EXPECT_REFUSED(Concat(bob, "/d/t", {"/d/a"}), kAccessControl,
                 "Permission denied by sticky bit: user=bob, path=\"/d/a\":alice:staff:-rw-r-----, "
                 "parent=\"/d\":alice:staff:drwxrwxr-t");
  ASSERT_TRUE(SetOwner("/d", "alice", "staff", 0775).ok());
  ASSERT_TRUE(SetOwner("/d/t", "alice", "staff", 0644).ok());
  EXPECT_REFUSED(Concat(bob, "/d/t", {"/d/a"}), kAccessControl,
                 "Permission denied: user=bob, access=WRITE, inode=\"/d/t\":alice:staff:-rw-r--r--");
  ASSERT_TRUE(SetOwner("/d/t", "alice", "staff", 0664).ok());
  EXPECT_TRUE(Concat(bob, "/d/t", {"/d/a"}).ok());
  EXPECT_EQ(Info("/d/t")->owner, "alice");
}

TEST_F(ConcatTest, OneCallMovesABoundedNumberOfBlocks) {
  settings.max_concat_blocks = 3;
  WriteFile("/t", {1});
  WriteFile("/a", {kFull, 1});
  WriteFile("/b", {kFull, 1});
  EXPECT_REFUSED(Concat("/t", {"/a", "/b"}), kIllegalArgument,
                 "concat: the source files have 4 blocks; one call moves at most 3: concatenate them in several calls");
  ASSERT_TRUE(Concat("/t", {"/a"}).ok());
  settings.max_blocks_per_file = 4;
  EXPECT_REFUSED(Concat("/t", {"/b"}), kIo,
                 "concat: the target file /t would have 5 blocks, more than the limit "
                 "(dfs.namenode.fs-limits.max-blocks-per-file): 4");
}

TEST_F(ConcatTest, SeesEarlierOperationsOfItsBatch) {
  WriteFile("/t", {1});
  WriteFile("/a", {2});
  WriteFile("/b", {3});
  keep_batch_open = true;
  ASSERT_TRUE(Concat("/a", {"/b"}).ok());
  ASSERT_TRUE(Concat("/t", {"/a"}).ok());
  EXPECT_REFUSED(Concat("/t", {"/b"}), kFileNotFound, "File does not exist: /b");
  ASSERT_TRUE(Rename("/t", "/u").ok());
  Commit();
  keep_batch_open = false;
  EXPECT_EQ(Info("/u")->length, 6u);
  EXPECT_EQ(List("/"), std::vector<std::string>{"u"});
}

TEST_F(ConcatTest, TheNameOfASourceIsFree) {
  WriteFile("/t", {1});
  WriteFile("/a", {2});
  ASSERT_TRUE(Concat("/t", {"/a"}).ok());
  WriteFile("/a", {4});
  ASSERT_TRUE(Delete("/t").ok());
  ReapAll();
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 2u);
  EXPECT_EQ(Info("/a")->length, 4u);
}

}  // namespace
}  // namespace dolmen::namenode
