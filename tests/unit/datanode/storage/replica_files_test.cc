#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "build_paths.h"
#include "common/coding.h"
#include "common/memory_file_system.h"
#include "datanode/storage/block_file_format.h"
#include "datanode/storage/replica_recovery.h"
#include "datanode/storage/volume.h"
#include "datanode/storage/volume_identity.h"
#include "tests/unit/datanode/storage/replica_builder.h"

namespace dolmen::datanode {
namespace {

// A golden file: hexadecimal digits, anything after '#' on a line is a remark.
std::string Golden(const std::string& name) {
  const std::string path = std::string(DOLMEN_SOURCE_DIR) + "/tests/golden/replica/" + name;
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::string hex;
  for (std::string line; std::getline(file, line);) {
    for (const char c : line.substr(0, line.find('#'))) {
      if (std::isxdigit(static_cast<unsigned char>(c))) hex += c;
    }
  }
  return absl::HexStringToBytes(hex);
}

std::string WithZeros(std::string bytes, size_t size) {
  bytes.resize(size, '\0');
  return bytes;
}

TEST(ReplicaFilesTest, ChecksumHeaderIsAsInTheGoldenFile) {
  const std::string fixed = Golden("checksum_fixed_header.hex");
  const std::string slot0 = Golden("checksum_slot_0.hex");
  const std::string slot1 = Golden("checksum_slot_1.hex");
  const BlockId block(1073741840);
  const SyncSlot created{.stamp = GenerationStamp(1001)};
  const SyncSlot synced{.stamp = GenerationStamp(1001), .synced_length = 700, .partial_crc = 0xE3069283};

  EXPECT_EQ(absl::BytesToHexString(EncodeChecksumHeader(block, created)),
            absl::BytesToHexString(WithZeros(WithZeros(fixed, 512) + slot0, kChecksumHeaderBytes)));
  EXPECT_EQ(absl::BytesToHexString(EncodeSyncSlot(block, synced)), absl::BytesToHexString(slot1));

  const auto decoded = DecodeChecksumHeader(WithZeros(WithZeros(WithZeros(fixed, 512) + slot0, 1024) + slot1, 1536));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->block, block);
  EXPECT_EQ(decoded->slots[0], created);
  EXPECT_EQ(decoded->slots[1], synced);
  EXPECT_EQ(decoded->WinningSlot(), 1);
  EXPECT_EQ(decoded->OlderSlot(), 0);
}

TEST(ReplicaFilesTest, VolumeIdentityIsAsInTheGoldenFile) {
  const VolumeIdentity identity{.cluster = ClusterId("CID-11111111-2222-4333-8444-555555555555"),
                                .datanode = DatanodeUuid("66666666-7777-4888-9999-aaaaaaaaaaaa"),
                                .storage = StorageId("DS-bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"),
                                .type = protocol::StorageType::kSsd,
                                .highest_epoch = Epoch(7),
                                .highest_incarnation = std::string("\x01\xfe", 2),
                                .seen = {BlockId(1073741840), GenerationStamp(1002)},
                                .bound = {BlockId(1074790416), GenerationStamp(66538)}};
  const std::string golden = Golden("volume_identity.hex");
  EXPECT_EQ(EncodeVolumeIdentity(identity), golden);
  const auto decoded = DecodeVolumeIdentity(golden);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, identity);
  EXPECT_EQ(EncodeVolumeIdentity(*decoded), golden);
}

TEST(ReplicaFilesTest, EveryFlippedBitOfAVolumeIdentityIsNoticed) {
  const std::string text = EncodeVolumeIdentity({.datanode = DatanodeUuid("u"), .storage = StorageId("s")});
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_FALSE(DecodeVolumeIdentity(changed).ok()) << i;
    EXPECT_FALSE(DecodeVolumeIdentity(text.substr(0, i)).ok()) << i;
  }
}

TEST(ReplicaFilesTest, EveryFlippedBitOfAHeaderOrSlotIsNoticed) {
  const BlockId block(1073741840);
  const std::string good = EncodeChecksumHeader(block, {.stamp = GenerationStamp(1001)});
  for (size_t i = 0; i < 24; ++i) {
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(DecodeChecksumHeader(changed).ok()) << i;
  }
  for (size_t i = 0; i < kSlotBytes; ++i) {
    std::string changed = good;
    changed[kSlotOffset[0] + i] = static_cast<char>(changed[kSlotOffset[0] + i] ^ 1);
    const auto decoded = DecodeChecksumHeader(changed);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->WinningSlot(), -1) << i;
  }
  EXPECT_FALSE(DecodeChecksumHeader(std::string_view(good).substr(0, kChecksumHeaderBytes - 1)).ok());
}

TEST(ReplicaFilesTest, ASlotOfAnotherBlockIsNotValid) {
  std::string header = EncodeChecksumHeader(BlockId(1073741840), {.stamp = GenerationStamp(1001)});
  const std::string foreign = EncodeSyncSlot(BlockId(1073741856), {.stamp = GenerationStamp(1002), .synced_length = 5});
  header.replace(kSlotOffset[1], foreign.size(), foreign);
  EXPECT_EQ(DecodeChecksumHeader(header)->WinningSlot(), 0);
}

TEST(ReplicaFilesTest, TheSlotWithTheHighestStampThenLengthWins) {
  const auto winner = [](SyncSlot zero, SyncSlot one) {
    return ChecksumFileHeader{.slots = {zero, one}}.WinningSlot();
  };
  EXPECT_EQ(
      winner({.stamp = GenerationStamp(2), .synced_length = 1}, {.stamp = GenerationStamp(1), .synced_length = 9}), 0);
  EXPECT_EQ(
      winner({.stamp = GenerationStamp(2), .synced_length = 1}, {.stamp = GenerationStamp(2), .synced_length = 9}), 1);
}

TEST(ReplicaFilesTest, FileNamesAreParsedStrictly) {
  const auto meta = ReplicaFileName::Parse("blk_1073741840_1001.meta");
  ASSERT_TRUE(meta.has_value());
  EXPECT_EQ(meta->block, BlockId(1073741840));
  EXPECT_EQ(meta->stamp, GenerationStamp(1001));
  EXPECT_TRUE(meta->is_meta);
  EXPECT_EQ(meta->ToString(), "blk_1073741840_1001.meta");
  for (const char* bad :
       {"", "blk_", "blk_0", "blk_01", "blk_-1", "blk_1x", "blk_1_", "blk_1.met", "blk_99999999999999999999"}) {
    EXPECT_FALSE(ReplicaFileName::Parse(bad).has_value()) << bad;
  }
}

// What is in a replica's two files, written by hand, and what recovery makes of it.
class RecoveryTest : public ::testing::Test {
 protected:
  void WriteFiles(const std::string& data, const std::string& sums, const SyncSlot& slot) {
    const auto write = [this](const std::string& path, const std::string& content) {
      auto file = fs_.Open(path, OpenMode::kCreateOrOpen);
      ASSERT_TRUE(file.ok());
      ASSERT_TRUE((*file)->Truncate(0).ok());
      ASSERT_TRUE((*file)->WriteAt(0, std::string_view(content)).ok());
    };
    write("/data", data);
    write("/meta", EncodeChecksumHeader(block_.id, slot) + sums);
  }
  // Recovers twice: the second time must find nothing to change (F-031).
  uint64_t Recover() {
    const auto recovered = RecoverBeingWritten(fs_, "/data", "/meta", block_.id);
    EXPECT_TRUE(recovered.ok()) << recovered.status();
    if (!recovered.ok()) return UINT64_MAX;
    const auto again = RecoverBeingWritten(fs_, "/data", "/meta", block_.id);
    EXPECT_EQ(again->length, recovered->length);
    EXPECT_EQ(*fs_.FileSize("/data"), recovered->length);
    EXPECT_EQ(*fs_.FileSize("/meta"), ChecksumFileBytes(recovered->length));
    EXPECT_EQ(*ReadWholeFile(fs_, "/data"), BlockBytes(block_.id, recovered->length));
    return recovered->length;
  }
  std::string Sums(uint64_t length) const {
    std::string sums;
    AppendChunkChecksums(std::string_view(BlockBytes(block_.id, length)), &sums);
    return sums;
  }

  MemoryFileSystem fs_;
  const protocol::Block block_ = MakeBlock(1);
  const SyncSlot created_{.stamp = GenerationStamp(1001)};
};

TEST_F(RecoveryTest, WholeFilesStayWhole) {
  for (const uint64_t length : {0, 1, 511, 512, 513, 3000}) {
    WriteFiles(BlockBytes(block_.id, length), Sums(length), created_);
    EXPECT_EQ(Recover(), length);
  }
}

TEST_F(RecoveryTest, DataWithoutChecksumsIsCut) {  // F-021, F-072
  WriteFiles(BlockBytes(block_.id, 3000), Sums(1024), created_);
  EXPECT_EQ(Recover(), 1024u);
}

TEST_F(RecoveryTest, ChecksumsWithoutDataAreCut) {  // F-021, F-072
  WriteFiles(BlockBytes(block_.id, 1300), Sums(3000), created_);
  EXPECT_EQ(Recover(), 1024u);
}

TEST_F(RecoveryTest, AcknowledgedBytesOfAPartialChunkSurviveACrashThatExtendsIt) {
  // 700 bytes were acknowledged; the next packet's data arrived, its checksums did not.
  WriteFiles(BlockBytes(block_.id, 900), Sums(700), created_);
  EXPECT_EQ(Recover(), 700u);
}

TEST_F(RecoveryTest, SyncedBytesOfAPartialChunkSurviveWhenItsChecksumIsOverwritten) {
  // 700 bytes were hsynced; then the chunk was extended to 900 and only the checksums reached the disk.
  const std::string synced = BlockBytes(block_.id, 700);
  WriteFiles(synced, Sums(900),
             {.stamp = GenerationStamp(1001),
              .synced_length = 700,
              .partial_crc = Crc32c(std::string_view(synced).substr(512))});
  EXPECT_EQ(Recover(), 700u);
}

TEST_F(RecoveryTest, ZerosAtTheEndAreCut) {  // F-071
  WriteFiles(BlockBytes(block_.id, 1024) + std::string(700, '\0'), Sums(1024) + std::string(8, '\0'), created_);
  EXPECT_EQ(Recover(), 1024u);
}

TEST_F(RecoveryTest, EmptyMetaIsDamage) {  // F-072
  WriteFiles(BlockBytes(block_.id, 1024), Sums(1024), created_);
  ASSERT_TRUE((*fs_.Open("/meta", OpenMode::kReadWrite))->Truncate(0).ok());
  EXPECT_EQ(ReasonOf(RecoverBeingWritten(fs_, "/data", "/meta", block_.id).status()), ErrorReason::kDamaged);
}

}  // namespace
}  // namespace dolmen::datanode
