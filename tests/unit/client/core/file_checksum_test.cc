#include "client/core/file_checksum.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "tests/support/checksum_samples.h"

namespace dolmen::client {
namespace {

// What a datanode answers for a block of these bytes.
protocol::BlockChecksumReply BlockOf(std::string_view bytes) {
  std::string sums;
  AppendChunkChecksums(bytes, &sums);
  Md5 md5;
  md5.Update(sums);
  return {.bytes_per_crc = kBytesPerChecksum, .crc_count = sums.size() / 4, .md5 = md5.Finish()};
}

FileChecksum FileOf(const std::string& bytes, uint64_t block_bytes) {
  FileChecksumBuilder builder;
  for (size_t at = 0; at < bytes.size(); at += block_bytes) {
    EXPECT_TRUE(builder.Add(BlockOf(std::string_view(bytes).substr(at, block_bytes))).ok());
  }
  return builder.Finish();
}

TEST(FileChecksumTest, EqualsWhatHdfsAnswersForItsOwnTestFiles) {
  const std::pair<int, const char*> known[] = {{1, "7267e9528002723a30939aefc238d665"},
                                               {2, "fc09371298117c4943cf089b4bd79c96"},
                                               {4, "009476431d851dd7b0a8d057a404d7b9"},
                                               {8, "a58cdc3c0967fc8cddb7fed5960d06f2"}};
  for (const auto& [lines, md5] : known) {
    std::string bytes;
    for (int i = 0; i < lines; ++i) bytes += "12345678901234\n";
    const FileChecksum checksum = FileOf(bytes, 128 << 20);
    EXPECT_EQ(absl::BytesToHexString(checksum.md5), md5) << lines;
    EXPECT_EQ(checksum.crc_per_block, 0u);
    EXPECT_EQ(checksum.bytes_per_crc, 512u);
  }
}

TEST(FileChecksumTest, EqualsAnotherImplementationAtEverySpecialLength) {
  for (const testing::KnownFileChecksum& known : testing::kChecksumsOfSmallBlocks) {
    const FileChecksum checksum = FileOf(testing::ChecksumSample(known.length), 1024);
    EXPECT_EQ(absl::BytesToHexString(checksum.md5), known.md5) << known.length;
    EXPECT_EQ(checksum.crc_per_block, known.crc_per_block) << known.length;
    EXPECT_EQ(checksum.bytes_per_crc, known.bytes_per_crc) << known.length;
  }
}

TEST(FileChecksumTest, RefusesBlocksWithOtherChunks) {
  FileChecksumBuilder builder;
  ASSERT_TRUE(builder.Add(BlockOf("a")).ok());
  protocol::BlockChecksumReply other = BlockOf("b");
  other.bytes_per_crc = 1024;
  EXPECT_EQ(ReasonOf(builder.Add(other)), ErrorReason::kIo);
}

TEST(FileChecksumTest, APrefixNeedsTheBlocksUpToItsEnd) {
  const auto block = [](uint64_t offset, uint64_t length) {
    return protocol::LocatedBlock{.block = {BlockId(16 + offset), GenerationStamp(1), length}, .offset = offset};
  };
  const std::vector<protocol::LocatedBlock> all = {block(0, 1024), block(1024, 1024), block(2048, 100)};
  EXPECT_EQ(CutTo(5000, all), all);
  EXPECT_EQ(CutTo(2048, all), (std::vector{block(0, 1024), block(1024, 1024)}));
  EXPECT_EQ(CutTo(1025, all), (std::vector{block(0, 1024), block(1024, 1)}));
  EXPECT_EQ(CutTo(3, all), (std::vector{block(0, 3)}));
  EXPECT_TRUE(CutTo(0, all).empty());
}

}  // namespace
}  // namespace dolmen::client
