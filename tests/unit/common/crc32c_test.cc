#include "common/crc32c.h"

#include <gtest/gtest.h>

#include "common/random.h"

namespace dolmen {
namespace {

// `data` as a cord of pieces of 1 to `largest` bytes.
absl::Cord CordOf(std::string_view data, uint64_t largest, Random& random) {
  absl::Cord cord;
  while (!data.empty()) {
    const size_t take = std::min<size_t>(data.size(), random.Between(1, largest));
    cord.Append(absl::MakeCordFromExternal(absl::string_view(data.data(), take), [](absl::string_view) {}));
    data.remove_prefix(take);
  }
  return cord;
}

TEST(Crc32c, HasTheKnownAnswers) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283);
  EXPECT_EQ(Crc32c("a"), 0xC1D04330);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AA);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43);
}

TEST(Crc32c, ExtendsToTheCrcOfTheWhole) {
  Random random(3);
  const std::string data = random.Bytes(5000);
  const uint32_t whole = Crc32c(data);
  for (size_t cut = 0; cut <= data.size(); cut += 7) {
    EXPECT_EQ(Crc32cExtend(Crc32c(data.substr(0, cut)), data.substr(cut)), whole);
  }
}

TEST(Crc32c, ChunkChecksumsAreBigEndianCrcsOf512Bytes) {
  Random random(4);
  const std::string data = random.Bytes(512 + 100);
  std::string checksums = "before";
  AppendChunkChecksums(data, &checksums);
  std::string expected = "before";
  for (const uint32_t crc : {Crc32c(data.substr(0, 512)), Crc32c(data.substr(512))}) {
    for (int shift = 24; shift >= 0; shift -= 8) expected += static_cast<char>(crc >> shift);
  }
  EXPECT_EQ(checksums, expected);
}

TEST(Crc32c, CordsOfAnyPiecesGiveTheSameChecksums) {
  Random random(5);
  for (const size_t size : {0u, 1u, 511u, 512u, 513u, 1024u, 5000u, 65536u}) {
    const std::string data = random.Bytes(size);
    std::string flat;
    AppendChunkChecksums(data, &flat);
    EXPECT_EQ(flat.size(), ChecksumBytesFor(size));
    EXPECT_EQ(FirstBadChunk(data, flat), -1);
    for (const uint64_t largest : {1u, 3u, 511u, 513u, 4096u}) {
      const absl::Cord cord = CordOf(data, largest, random);
      std::string pieced;
      AppendChunkChecksums(cord, &pieced);
      EXPECT_EQ(pieced, flat) << size << " in pieces up to " << largest;
      EXPECT_EQ(FirstBadChunk(cord, flat), -1);
    }
  }
}

TEST(Crc32c, TheFirstBadChunkIsNamed) {
  Random random(6);
  const std::string data = random.Bytes(10 * 512 + 17);
  std::string checksums;
  AppendChunkChecksums(data, &checksums);
  for (size_t byte = 0; byte < data.size(); byte += 101) {
    std::string changed = data;
    changed[byte] = static_cast<char>(changed[byte] ^ (1 << random.Uniform(8)));
    const auto chunk = static_cast<int64_t>(byte / 512);
    EXPECT_EQ(FirstBadChunk(changed, checksums), chunk);
    EXPECT_EQ(FirstBadChunk(CordOf(changed, 700, random), checksums), chunk);
  }
}

TEST(Crc32c, AWrongNumberOfChecksumsIsBadFromTheStart) {
  const std::string data(1000, 'x');
  std::string checksums;
  AppendChunkChecksums(data, &checksums);
  EXPECT_EQ(FirstBadChunk(data, std::string_view(checksums).substr(4)), 0);
  EXPECT_EQ(FirstBadChunk(absl::Cord(data), checksums + "0000"), 0);
}

}  // namespace
}  // namespace dolmen
