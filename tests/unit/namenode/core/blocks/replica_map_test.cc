#include "namenode/core/replica_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks_fixture.h"

namespace dolmen::namenode {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kSession = 77;
const GenerationStamp kStamp(1001);

ReplicaRecord Finalized(uint64_t length = 100, uint64_t session = kSession) {
  return {.stamp = kStamp, .length = length, .session = session};
}

class ReplicaMapTest : public ::testing::Test {
 protected:
  void Put(uint64_t block, uint32_t storage, const ReplicaRecord& record) {
    const auto before = map_.Find(BlockId(block), storage);
    ASSERT_TRUE(before.ok());
    ASSERT_TRUE(map_.Replace(BlockId(block), storage, *before, record).ok());
  }
  void Erase(uint64_t block, uint32_t storage) {
    const auto before = map_.Find(BlockId(block), storage);
    ASSERT_TRUE(map_.Replace(BlockId(block), storage, *before, std::nullopt).ok());
  }
  std::vector<uint32_t> StoragesOf(uint64_t block) {
    std::vector<uint32_t> storages;
    const std::vector<StoredReplica> replicas = map_.OfBlock(BlockId(block)).value();
    for (const StoredReplica& replica : replicas) storages.push_back(replica.storage);
    return storages;
  }
  void Show(uint32_t number, DatanodeLiveness liveness, uint64_t session = kSession, const std::string& name = "") {
    const std::string named = name.empty() ? absl::StrCat(number) : name;
    cluster_.storages[number] = {{Info(named), StorageId("disk-" + named), {}}, liveness, session};
  }
  std::vector<std::string> Located(const Block& block) {
    EXPECT_TRUE(map_.Flush().ok());
    std::vector<std::string> names;
    for (const auto& location : LocateReplicas(store_, cluster_, block, &only_corrupt_)) {
      names.push_back(location.datanode.host_name);
    }
    return names;
  }

  FakeReplicaStore store_;
  ReplicaMap map_{&store_};
  ClusterView cluster_;
  bool only_corrupt_ = false;
  const Block block_{BlockId(5), kStamp, 100};
};

TEST_F(ReplicaMapTest, RecordsAreCanonical) {
  for (ReplicaState state :
       {ReplicaState::kFinalized, ReplicaState::kBeingWritten, ReplicaState::kCorrupt, ReplicaState::kDeleted}) {
    const ReplicaRecord record{GenerationStamp(1u << 20), 1u << 27, state, uint64_t{9} << 24, 3};
    const std::string bytes = EncodeReplica(record);
    ASSERT_EQ(*DecodeReplica(bytes), record);
    EXPECT_FALSE(DecodeReplica(bytes + "x").ok());
    EXPECT_FALSE(DecodeReplica(bytes.substr(0, bytes.size() - 1)).ok());
  }
  EXPECT_FALSE(DecodeReplica("").ok());
  EXPECT_FALSE(DecodeReplica(std::string("\x01\x00\x01\x01\x01\x01", 6)).ok()) << "no such state";
}

TEST_F(ReplicaMapTest, BothOrdersAgree) {
  Put(1, 10, Finalized());
  Put(1, 11, Finalized());
  Put(2, 10, Finalized());
  Put(uint64_t{1} << 40, 10, Finalized());
  EXPECT_THAT(StoragesOf(1), ElementsAre(10, 11));
  EXPECT_THAT(*map_.OfStorage(10, BlockId(0), BlockId(100), 10), ElementsAre(BlockId(1), BlockId(2)));
  EXPECT_THAT(*map_.OfStorage(10, BlockId(2), BlockId(UINT64_MAX), 10),
              ElementsAre(BlockId(2), BlockId(uint64_t{1} << 40)));
  EXPECT_THAT(*map_.OfStorage(10, BlockId(0), BlockId(100), 1), ElementsAre(BlockId(1)));
  Erase(1, 10);
  EXPECT_THAT(StoragesOf(1), ElementsAre(11));
  EXPECT_THAT(*map_.OfStorage(10, BlockId(0), BlockId(100), 10), ElementsAre(BlockId(2)));
}

TEST_F(ReplicaMapTest, ReadingSeesChangesThatAreNotFlushed) {
  Put(1, 10, Finalized(5));
  EXPECT_EQ(map_.Find(BlockId(1), 10)->value().length, 5u);
  Put(1, 10, Finalized(6));
  EXPECT_EQ(map_.Find(BlockId(1), 10)->value().length, 6u);
  Erase(1, 10);
  EXPECT_FALSE(map_.Find(BlockId(1), 10)->has_value());
  ASSERT_TRUE(map_.Flush().ok());
  for (const auto& family : store_.families) EXPECT_THAT(family, IsEmpty());
}

TEST_F(ReplicaMapTest, StoreErrorsAreReported) {
  Put(1, 10, Finalized());
  store_.broken = true;
  EXPECT_FALSE(map_.Find(BlockId(1), 10).ok());
}

TEST_F(ReplicaMapTest, DamagedRecordIsNamed) {
  store_.families[1][replica_keys::ByBlock(BlockId(1), 10)] = "rubbish";
  const auto found = map_.Find(BlockId(1), 10);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(ReasonOf(found.status()), ErrorReason::kDamaged);
}

TEST_F(ReplicaMapTest, LiveComesBeforeStaleAndConfirmedBeforeHints) {
  Show(1, DatanodeLiveness::kStale);
  Show(2, DatanodeLiveness::kLive, kSession + 1);
  Show(3, DatanodeLiveness::kLive);
  Show(4, DatanodeLiveness::kDead, 0);
  for (uint32_t storage : {1, 2, 3, 4, 5}) Put(5, storage, Finalized());
  EXPECT_THAT(Located(block_), ElementsAre("3", "2", "1")) << "dead ones and unknown storages are left out";
}

TEST_F(ReplicaMapTest, DeadDatanodesAreNamedWhenThereIsNothingElse) {
  Show(4, DatanodeLiveness::kDead, 0);
  Put(5, 4, Finalized());
  EXPECT_THAT(Located(block_), ElementsAre("4"));
}

TEST_F(ReplicaMapTest, CorruptReplicasAreNamedOnlyWhenThereIsNothingElse) {
  Show(1, DatanodeLiveness::kLive);
  Show(2, DatanodeLiveness::kLive);
  ReplicaRecord corrupt = Finalized();
  corrupt.state = ReplicaState::kCorrupt;
  Put(5, 1, corrupt);
  EXPECT_THAT(Located(block_), ElementsAre("1"));
  EXPECT_TRUE(only_corrupt_);
  Put(5, 2, Finalized());
  EXPECT_THAT(Located(block_), ElementsAre("2"));
  EXPECT_FALSE(only_corrupt_);
}

TEST_F(ReplicaMapTest, OtherStampsAndDeletedReplicasAreNeverNamed) {
  Show(1, DatanodeLiveness::kLive);
  Show(2, DatanodeLiveness::kLive);
  ReplicaRecord older = Finalized();
  older.stamp = GenerationStamp(1000);
  ReplicaRecord deleted = Finalized();
  deleted.state = ReplicaState::kDeleted;
  Put(5, 1, older);
  Put(5, 2, deleted);
  EXPECT_THAT(Located(block_), IsEmpty());
  EXPECT_FALSE(only_corrupt_);
}

TEST_F(ReplicaMapTest, BlockBeingWrittenIsFoundWhereItIsWritten) {
  Show(1, DatanodeLiveness::kLive);
  Show(2, DatanodeLiveness::kLive);
  ReplicaRecord writing = Finalized(40);
  writing.state = ReplicaState::kBeingWritten;
  Put(5, 1, writing);
  Put(5, 2, Finalized(50));
  EXPECT_THAT(Located({BlockId(5), kStamp, 0}), UnorderedElementsAre("1", "2"));
}

TEST_F(ReplicaMapTest, DatanodeWithTwoCopiesIsNamedOnce) {
  Show(1, DatanodeLiveness::kLive, kSession, "same");
  Show(2, DatanodeLiveness::kLive, kSession, "same");
  Put(5, 1, Finalized());
  Put(5, 2, Finalized());
  EXPECT_THAT(Located(block_), ElementsAre("same"));
}

TEST_F(ReplicaMapTest, ReadersOfDifferentBlocksSpread) {
  for (uint32_t storage : {1, 2, 3}) Show(storage, DatanodeLiveness::kLive);
  std::map<std::string, int> firsts;
  for (uint64_t id = 1; id <= 300; ++id) {
    for (uint32_t storage : {1, 2, 3}) Put(id, storage, Finalized());
    ++firsts[Located({BlockId(id), kStamp, 100}).front()];
  }
  for (const char* name : {"1", "2", "3"}) EXPECT_GT(firsts[name], 60) << name;
}

}  // namespace
}  // namespace dolmen::namenode
