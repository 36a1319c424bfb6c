#include "namenode/core/consistency.h"

#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

// Each test plants one fault in a sound namespace and sees it found.
class ConsistencyTest : public ::testing::Test, public TestNamespace {
 protected:
  void SetUp() override {
    WriteFile("/a/b/f", {kTestBlockBytes, 7});
    ASSERT_TRUE(Create("/open").ok());
    ASSERT_TRUE(AddBlock("/open", std::nullopt).ok());
    WriteFile("/gone/x/y", {3});
    ASSERT_TRUE(Delete("/gone").ok());
    ASSERT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store);
    file_ = Info("/a/b/f")->inode;
    directory_ = Info("/a/b")->inode;
  }
  void ExpectFound(const std::string& what) {
    const absl::Status found = CheckConsistency(store);
    EXPECT_EQ(ReasonOf(found), ErrorReason::kDamaged);
    EXPECT_NE(TextOf(found).find(what), std::string::npos) << found;
  }
  void Set(Family family, const std::string& key, const std::string& value) { store.entries()[{family, key}] = value; }
  void Erase(Family family, const std::string& key) { ASSERT_EQ(store.entries().erase({family, key}), 1u); }
  template <typename Change>
  void ChangeInode(InodeId parent, const std::string& name, const Change& change) {
    InodeRecord record = *GetInode(store, parent, name).value();
    change(&record);
    Set(Family::kInodes, keys::Inode(parent, name), EncodeInode(record));
  }
  InodeId file_, directory_;
};

TEST_F(ConsistencyTest, FindsAMissingRoot) {
  Erase(Family::kInodes, keys::Inode(InodeId(), ""));
  ExpectFound("there is no root directory");
}

TEST_F(ConsistencyTest, FindsAnInodeWithTwoPlaces) {
  Set(Family::kInodes, keys::Inode(kRootInode, "again"),
      *store.Get(Family::kInodes, keys::Inode(directory_, "f")).value());
  ExpectFound("has two places");
}

TEST_F(ConsistencyTest, FindsAnIdThatPointsElsewhere) {
  Set(Family::kIds, keys::Id(file_), EncodeParentLink({kRootInode, "f"}));
  ExpectFound("is elsewhere or missing");
}

TEST_F(ConsistencyTest, FindsAnIdOfNothing) {
  Set(Family::kIds, keys::Id(InodeId(99)), EncodeParentLink({kRootInode, "g"}));
  ExpectFound("ids: inode_99 does not exist");
}

TEST_F(ConsistencyTest, FindsABlockThatWantsOtherReplicasUnlessAChangeIsOnItsWay) {
  ChangeInode(directory_, "f", [](InodeRecord* record) { record->redundancy.replicas = 2; });
  ExpectFound("wants another number of replicas");
  const TotalsRecord totals{.files = 1,
                            .bytes = kTestBlockBytes + 7,
                            .replicated_bytes = {{protocol::StorageType::kDisk, 2 * (kTestBlockBytes + 7)}}};
  Set(Family::kTotals, keys::Id(directory_), EncodeTotals(totals));
  for (const char* above : {"/", "/a"}) {
    TotalsRecord record = Totals(above);
    record.replicated_bytes[protocol::StorageType::kDisk] -= kTestBlockBytes + 7;
    Set(Family::kTotals, keys::Id(Info(above)->inode), EncodeTotals(record));
  }
  Set(Family::kMeta, keys::Replication(file_), keys::ReplicationValue(0));
  EXPECT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store);
  Set(Family::kMeta, keys::Replication(file_), keys::ReplicationValue(1));
  ExpectFound("1 violations");
  Set(Family::kMeta, "r1", keys::ReplicationValue(1));
  ExpectFound("key of a change of replication of 2 bytes");
}

TEST_F(ConsistencyTest, FindsAnOrphan) {
  Erase(Family::kDetached, Dump(store).lower_bound({Family::kDetached, ""})->first.second);
  ExpectFound("has no parent directory");
}

TEST_F(ConsistencyTest, FindsADeletedRootThatStillHasAPlace) {
  const std::string key = Dump(store).lower_bound({Family::kDetached, ""})->first.second;
  Set(Family::kIds, key, EncodeParentLink({kRootInode, "gone"}));
  ExpectFound("still has a place");
}

TEST_F(ConsistencyTest, FindsACycle) {
  ChangeInode(kRootInode, "a", [](InodeRecord* record) { record->child_count = 0; });
  const InodeId a = Info("/a")->inode;
  const std::string record = *store.Get(Family::kInodes, keys::Inode(kRootInode, "a")).value();
  Erase(Family::kInodes, keys::Inode(kRootInode, "a"));
  Set(Family::kInodes, keys::Inode(directory_, "a"), record);
  Set(Family::kIds, keys::Id(a), EncodeParentLink({directory_, "a"}));
  ExpectFound("hangs below nothing");
}

TEST_F(ConsistencyTest, FindsAWrongChildCount) {
  ChangeInode(kRootInode, "a", [](InodeRecord* record) { record->child_count = 2; });
  ExpectFound("counts 2 children and has 1");
}

TEST_F(ConsistencyTest, FindsWrongTotals) {
  TotalsRecord totals = Totals("/a");
  totals.bytes += 1;
  Set(Family::kTotals, keys::Id(Info("/a")->inode), EncodeTotals(totals));
  ExpectFound("differ from a recount");
}

TEST_F(ConsistencyTest, FindsABlockThatNoFileHas) {
  Erase(Family::kFileBlocks, keys::FileBlock(file_, 1));
  ExpectFound("belongs to no file");
}

TEST_F(ConsistencyTest, FindsABlockWithoutRecord) {
  Erase(Family::kBlocks, keys::Block(kFirstBlockId));
  ExpectFound("has an unknown block");
}

TEST_F(ConsistencyTest, FindsABlockOfTwoFiles) {
  Set(Family::kFileBlocks, keys::FileBlock(file_, 2), keys::FileBlockValue(kFirstBlockId));
  ExpectFound("belongs to two files");
}

TEST_F(ConsistencyTest, FindsAWrongLength) {
  ChangeInode(directory_, "f", [](InodeRecord* record) { record->length += 1; });
  ExpectFound("its blocks 1031");
}

TEST_F(ConsistencyTest, FindsAnOpenFileWithoutLease) {
  Erase(Family::kOpen, keys::Id(Info("/open")->inode));
  ExpectFound("without a lease");
}

TEST_F(ConsistencyTest, FindsALeaseOnAClosedFile) {
  Set(Family::kOpen, keys::Id(file_), EncodeOpen({.holder = "writer"}));
  ExpectFound("is not under construction");
}

TEST_F(ConsistencyTest, FindsCountersThatDisagree) {
  Counters wrong = counters;
  wrong.committed_block_count += 1;
  Set(Family::kMeta, std::string(keys::kCounters), EncodeCounters(wrong));
  ExpectFound("counters say");
  wrong = counters;
  wrong.next_inode = file_;
  Set(Family::kMeta, std::string(keys::kCounters), EncodeCounters(wrong));
  ExpectFound("an inode id is above its counter");
}

TEST_F(ConsistencyTest, AcceptsQuarantinedRangesApartFromEachOtherBelowTheCounter) {
  const auto id = [](uint64_t number) { return BlockId(kFirstBlockId.value() + number * kBlockIdStep); };
  counters.next_block = id(100);
  Set(Family::kMeta, std::string(keys::kCounters), EncodeCounters(counters));
  Set(Family::kMeta, keys::Quarantined(id(10)), keys::QuarantinedValue(id(20)));
  Set(Family::kMeta, keys::Quarantined(id(30)), keys::QuarantinedValue(id(100)));
  EXPECT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store);
  Set(Family::kMeta, keys::Quarantined(id(30)), keys::QuarantinedValue(id(101)));
  ExpectFound("quarantined range");
  Set(Family::kMeta, keys::Quarantined(id(30)), keys::QuarantinedValue(id(100)));
  Set(Family::kMeta, keys::Quarantined(id(10)), keys::QuarantinedValue(id(31)));
  ExpectFound("quarantined range");
  Set(Family::kMeta, keys::Quarantined(id(10)), "");
  ExpectFound("end of a quarantined range");
}

TEST_F(ConsistencyTest, FindsARecordThatDoesNotDecode) {
  Set(Family::kBlocks, keys::Block(kFirstBlockId), "?");
  ExpectFound("family 4");
}

// ---- files that are appended to, recovered or truncated -----------------------------------------------------------

class HeldFileConsistencyTest : public ConsistencyTest {
 protected:
  OpenRecord Open(InodeId inode) { return *GetOpen(store, inode).value(); }
  void SetOpen(InodeId inode, const OpenRecord& open) { Set(Family::kOpen, keys::Id(inode), EncodeOpen(open)); }
  BlockId LastBlock(InodeId inode) {
    const InodeRecord file = *GetInodeById(store, inode).value();
    return GetBlockFromEnd(store, file, 1).value()->id;
  }
  template <typename Change>
  void ChangeBlock(BlockId block, const Change& change) {
    BlockRecord record = *GetBlock(store, block).value();
    change(&record);
    Set(Family::kBlocks, keys::Block(block), EncodeBlock(record));
  }
  void ExpectSound() { ASSERT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store); }
};

TEST_F(HeldFileConsistencyTest, FindsALengthWithoutAnAppend) {
  ASSERT_TRUE(TestNamespace::Run(super, protocol::AppendRequest{.path = "/a/b/f", .holder = "a"}).ok());
  ExpectSound();
  OpenRecord open = Open(file_);
  open.stamp_before_append.reset();
  SetOpen(file_, open);
  ExpectFound("is under construction and has a length");
}

TEST_F(HeldFileConsistencyTest, FindsAnAppendWithoutANewStamp) {
  ASSERT_TRUE(TestNamespace::Run(super, protocol::AppendRequest{.path = "/a/b/f", .holder = "a"}).ok());
  OpenRecord open = Open(file_);
  open.stamp_before_append = GetBlock(store, LastBlock(file_)).value()->stamp;
  SetOpen(file_, open);
  ExpectFound("was opened again without a new stamp");
}

TEST_F(HeldFileConsistencyTest, FindsARecoveryOfNothingOrUnderAWriter) {
  const InodeId open_file = Info("/open")->inode;
  ASSERT_FALSE(TestNamespace::Run(super, protocol::RecoverLeaseRequest{.path = "/open"})->closed);
  ExpectSound();
  OpenRecord open = Open(open_file);
  open.holder = "writer";
  SetOpen(open_file, open);
  ExpectFound("is recovered or truncated under the writer writer");
  open.holder = kNamenodeHolder;
  open.recovery = GenerationStamp(1);
  SetOpen(open_file, open);
  ExpectFound("is recovered with an old stamp");
  ASSERT_TRUE(Create("/empty").ok());
  OpenRecord empty = Open(Info("/empty")->inode);
  empty.holder = kNamenodeHolder;
  empty.recovery = GenerationStamp(5);
  SetOpen(Info("/empty")->inode, empty);
  ExpectFound("has no last block to append to, recover or truncate");
}

TEST_F(HeldFileConsistencyTest, FindsATruncationWithoutItsCopy) {
  ASSERT_FALSE(
      TestNamespace::Run(super, protocol::TruncateRequest{.path = "/a/b/f", .length = kTestBlockBytes + 3})->done);
  ExpectSound();
  const OpenRecord open = Open(file_);
  OpenRecord wrong = open;
  wrong.truncation->length = 7;
  SetOpen(file_, wrong);
  ExpectFound("can't be cut to 7 bytes of its last 7");
  SetOpen(file_, open);
  ChangeBlock(open.truncation->copy, [](BlockRecord* record) { ++record->index; });
  ExpectFound("has no copy of its last block to be cut, or something else is that copy");
  ChangeBlock(open.truncation->copy, [](BlockRecord* record) { --record->index; });
  ExpectSound();
  wrong = open;
  wrong.truncation.reset();
  SetOpen(file_, wrong);
  ExpectFound("belongs to no file");
  wrong.truncation = OpenRecord::Truncation{.copy = LastBlock(file_), .length = 3};
  SetOpen(file_, wrong);
  ExpectFound("has no copy of its last block to be cut, or something else is that copy");
}

}  // namespace
}  // namespace dolmen::namenode
