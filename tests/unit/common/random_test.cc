#include "common/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace dolmen {
namespace {

// Simulations are replayed by seed: these values may never change. Computed with a separate implementation.
TEST(Random, TheSequenceIsPinned) {
  Random random(1);
  const std::vector<uint64_t> expected = {0xB3F2AF6D0FC710C5, 0x853B559647364CEA, 0x92F89756082A4514,
                                          0x642E1C7BC266A3A7};
  for (const uint64_t value : expected) EXPECT_EQ(random.Next(), value);
  EXPECT_EQ(Random(0).Next(), 0x99EC5F36CB75F2B4);
}

TEST(Random, BytesAreLittleEndianDraws) {
  Random words(9);
  Random bytes(9);
  const std::string drawn = bytes.Bytes(12);
  const uint64_t first = words.Next();
  const uint64_t second = words.Next();
  for (int i = 0; i < 12; ++i) {
    const uint64_t word = i < 8 ? first : second;
    EXPECT_EQ(static_cast<unsigned char>(drawn[i]), (word >> (8 * (i % 8))) & 0xFF);
  }
  EXPECT_EQ(bytes.Next(), words.Next());
}

TEST(Random, UniformStaysInBoundsAndReachesAll) {
  Random random(2);
  std::array<int, 10> seen{};
  for (int i = 0; i < 10000; ++i) ++seen[random.Uniform(10)];
  for (const int count : seen) {
    EXPECT_GT(count, 850);
    EXPECT_LT(count, 1150);
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(random.Uniform(1), 0u);
    EXPECT_LT(random.Uniform(UINT64_MAX), UINT64_MAX);
  }
}

TEST(Random, BetweenIncludesBothEnds) {
  Random random(3);
  std::set<uint64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random.Between(5, 8));
  EXPECT_EQ(seen, (std::set<uint64_t>{5, 6, 7, 8}));
  EXPECT_EQ(random.Between(7, 7), 7u);
  (void)random.Between(0, UINT64_MAX);
}

TEST(Random, FractionIsBelowOneAndOneInIsRare) {
  Random random(4);
  int hits = 0;
  for (int i = 0; i < 10000; ++i) {
    const double fraction = random.Fraction();
    EXPECT_GE(fraction, 0.0);
    EXPECT_LT(fraction, 1.0);
    hits += random.OneIn(100) ? 1 : 0;
  }
  EXPECT_GT(hits, 60);
  EXPECT_LT(hits, 150);
  EXPECT_TRUE(random.OneIn(1));
}

TEST(Random, UuidsAreVersionFourAndDiffer) {
  Random random(5);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string uuid = random.Uuid();
    ASSERT_EQ(uuid.size(), 36u);
    for (const size_t dash : {8u, 13u, 18u, 23u}) EXPECT_EQ(uuid[dash], '-');
    EXPECT_EQ(uuid[14], '4');
    EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(Random, ShuffleKeepsTheItemsAndRepeatsBySeed) {
  std::vector<int> items(50);
  for (int i = 0; i < 50; ++i) items[i] = i;
  std::vector<int> again = items;
  const std::vector<int> sorted = items;
  Random(6).Shuffle(std::span<int>(items));
  Random(6).Shuffle(std::span<int>(again));
  EXPECT_EQ(items, again);
  EXPECT_NE(items, sorted);
  std::sort(items.begin(), items.end());
  EXPECT_EQ(items, sorted);
}

TEST(Random, AForkDoesNotDisturbItsParent) {
  Random parent(7);
  Random twin(7);
  Random child = parent.Fork();
  (void)twin.Next();
  (void)child.Next();
  EXPECT_EQ(parent.Next(), twin.Next());
}

TEST(Random, SeedsFromTheSystemDiffer) { EXPECT_NE(SeedFromOs(), SeedFromOs()); }

}  // namespace
}  // namespace dolmen
