#include "absl/strings/escaping.h"
#include "common/md5.h"
#include "tests/unit/datanode/storage/block_store_fixture.h"

namespace dolmen::datanode {
namespace {

// The rule, from the bytes and without the store's files.
std::string Expected(BlockId block, uint64_t length) {
  std::string sums;
  AppendChunkChecksums(std::string_view(BlockBytes(block, length)), &sums);
  Md5 md5;
  md5.Update(sums);
  return absl::BytesToHexString(md5.Finish());
}

class BlockChecksumTest : public BlockStoreFixture {
 protected:
  absl::StatusOr<protocol::BlockChecksumReply> Checksum(const Block& block, uint64_t length) {
    DOLMEN_ASSIGN_OR_RETURN(const auto reader, store_->OpenReader(block));
    return reader->Checksum(length);
  }
  void ExpectChecksum(const Block& block, uint64_t length) {
    const auto checksum = Checksum(block, length);
    ASSERT_TRUE(checksum.ok()) << length << ": " << checksum.status();
    EXPECT_EQ(absl::BytesToHexString(checksum->md5), Expected(block.id, length)) << length;
    EXPECT_EQ(checksum->crc_count, (length + 511) / 512);
    EXPECT_EQ(checksum->bytes_per_crc, 512u);
  }
};

TEST_P(BlockChecksumTest, IsTheMd5OfTheCrcsOfAnyPrefix) {
  const uint64_t lengths[] = {0, 1, 511, 512, 513, 1024, 100'000};
  for (uint64_t n = 0; n < std::size(lengths); ++n) {
    Put(n, lengths[n]);
    for (const uint64_t prefix : {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{512}, uint64_t{513}, uint64_t{1023},
                                  uint64_t{1024}, uint64_t{99'999}, uint64_t{100'000}}) {
      if (prefix <= lengths[n]) ExpectChecksum(MakeBlock(n), prefix);
    }
  }
}

TEST_P(BlockChecksumTest, ReadsTheChecksumsOfALargeBlockInPieces) {
  Put(0, 20 << 20);  // 40,960 chunks
  ExpectChecksum(MakeBlock(0), 20 << 20);
  ExpectChecksum(MakeBlock(0), (20 << 20) - 100);
}

TEST_P(BlockChecksumTest, OfAReplicaBeingWrittenReachesToItsVisibleLength) {
  const Block block = MakeBlock(0);
  auto writer = Create(block);
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 0, 1300)).ok());
  writer->SetVisibleLength(1300);
  ASSERT_TRUE(writer->Write(BlockPacket(block.id, 1300, 2000)).ok());  // not acknowledged yet
  ExpectChecksum(block, 1300);
  ExpectChecksum(block, 1024);
  ExpectChecksum(block, 700);
  EXPECT_EQ(ReasonOf(Checksum(block, 1301).status()), ErrorReason::kReplicaNotFound);
}

TEST_P(BlockChecksumTest, AShorterReplicaIsNoAnswer) {
  Put(0, 1000);
  EXPECT_EQ(ReasonOf(Checksum(MakeBlock(0), 1001).status()), ErrorReason::kReplicaNotFound);
}

TEST_P(BlockChecksumTest, ADamagedChecksumFileIsNotBelieved) {
  Put(0, 5000, Storage(0));
  const std::string meta = Finalized("/one", MakeBlock(0), /*meta=*/true);
  Damage(meta, 3);  // in the magic
  EXPECT_EQ(ReasonOf(Checksum(MakeBlock(0), 5000).status()), ErrorReason::kChecksum);
  Damage(meta, 3);
  ExpectChecksum(MakeBlock(0), 5000);
  auto file = base_->Open(meta, OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->Truncate(ChunkCrcOffset(5)).ok());
  EXPECT_EQ(ReasonOf(Checksum(MakeBlock(0), 5000).status()), ErrorReason::kChecksum);
  ExpectChecksum(MakeBlock(0), 5 * 512);
}

TEST_P(BlockChecksumTest, AnotherBlocksChecksumFileIsNotBelieved) {
  Put(0, 5000, Storage(0));
  Put(1, 5000, Storage(0));
  ASSERT_TRUE(base_->Rename(Finalized("/one", MakeBlock(1), true), Finalized("/one", MakeBlock(0), true)).ok());
  EXPECT_EQ(ReasonOf(Checksum(MakeBlock(0), 5000).status()), ErrorReason::kChecksum);
}

TEST_P(BlockChecksumTest, ABadChunkAtTheEndOfAPrefixIsSeen) {
  Put(0, 5000, Storage(0));
  Damage(Finalized("/one", MakeBlock(0)), 1100);
  EXPECT_EQ(ReasonOf(Checksum(MakeBlock(0), 1200).status()), ErrorReason::kChecksum);
  ExpectChecksum(MakeBlock(0), 1024);
}

INSTANTIATE_TEST_SUITE_P(Disks, BlockChecksumTest, ::testing::Values(Disk::kMemory, Disk::kPosix), DiskName);

}  // namespace
}  // namespace dolmen::datanode
