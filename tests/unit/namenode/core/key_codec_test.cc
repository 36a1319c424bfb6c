#include "namenode/core/key_codec.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "gtest/gtest.h"

namespace dolmen::namenode::keys {
namespace {

uint64_t RandomId(Random& random) { return random.Next() >> random.Between(1, 63); }

TEST(KeyCodecTest, AnInodeKeyIsTheParentThenTheName) {
  EXPECT_EQ(Inode(InodeId(0x0102030405060708), "a\xff"),
            "\x01\x02\x03\x04\x05\x06\x07\x08"
            "a\xff");
  const absl::StatusOr<InodeKey> parsed = ParseInode(
      "\x01\x02\x03\x04\x05\x06\x07\x08"
      "a\xff");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->parent, InodeId(0x0102030405060708));
  EXPECT_EQ(parsed->name, "a\xff");
}

TEST(KeyCodecTest, KeysSortAsTheirNumbers) {
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t a = RandomId(random), b = RandomId(random);
    EXPECT_EQ(Id(InodeId(a)) < Id(InodeId(b)), a < b);
    EXPECT_EQ(Block(BlockId(a)) < Block(BlockId(b)), a < b);
    EXPECT_EQ(FileBlock(InodeId(7), a) < FileBlock(InodeId(7), b), a < b);
    EXPECT_EQ(FileBlock(InodeId(a), 5) < FileBlock(InodeId(b), 3), a < b || (a == b && 5 < 3));
  }
}

TEST(KeyCodecTest, TheChildrenOfADirectoryLieBetweenPrefixAndPrefixEnd) {
  Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const InodeId directory(RandomId(random) + 1);
    const std::string child = Inode(directory, random.Bytes(random.Uniform(20)));
    EXPECT_LE(InodePrefix(directory), child);
    EXPECT_LT(child, InodePrefixEnd(directory));
    EXPECT_LT(Inode(InodeId(directory.value() - 1), std::string(255, '\xff')), InodePrefix(directory));
    EXPECT_GE(Inode(directory.Next(), ""), InodePrefixEnd(directory));
  }
}

TEST(KeyCodecTest, TheBlocksOfAFileLieBeforeItsEnd) {
  const InodeId file(20000);
  EXPECT_LT(FileBlock(file, UINT64_MAX), FileBlockEnd(file));
  EXPECT_LE(FileBlockEnd(file), FileBlock(file.Next(), 0));
}

TEST(KeyCodecTest, IdsComeBackFromKeysAndValues) {
  Random random(3);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t number = RandomId(random);
    EXPECT_EQ(ParseId(Id(InodeId(number))).value(), InodeId(number));
    EXPECT_EQ(ParseBlock(Block(BlockId(number))).value(), BlockId(number));
    EXPECT_EQ(ParseFileBlockValue(FileBlockValue(BlockId(number))).value(), BlockId(number));
  }
}

TEST(KeyCodecTest, AQuarantinedRangeIsItsFirstIdAndTheFirstAfterIt) {
  EXPECT_EQ(Quarantined(BlockId(0x0102030405060708)), "q\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(QuarantinedValue(BlockId(300)), "\xac\x02");
  Random random(4);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t a = RandomId(random), b = RandomId(random);
    EXPECT_EQ(Quarantined(BlockId(a)) < Quarantined(BlockId(b)), a < b);
    EXPECT_EQ(ParseQuarantined(Quarantined(BlockId(a))).value(), BlockId(a));
    EXPECT_EQ(ParseQuarantinedValue(QuarantinedValue(BlockId(a))).value(), BlockId(a));
    EXPECT_LE(kQuarantinedStart, Quarantined(BlockId(a)));
    EXPECT_LT(Quarantined(BlockId(a)), kQuarantinedEnd);
  }
  for (const std::string_view other : {kNamespaceInfo, kCounters, kCommitHeader}) {
    EXPECT_TRUE(other < kQuarantinedStart || other >= kQuarantinedEnd) << other;
  }
  for (const char* bad : {"q", "q1234567", "q123456789", "x12345678"}) {
    EXPECT_EQ(ReasonOf(ParseQuarantined(bad).status()), ErrorReason::kDamaged) << bad;
  }
  for (const char* bad : {"", "\xac", "\xac\x02 "}) {
    EXPECT_EQ(ReasonOf(ParseQuarantinedValue(bad).status()), ErrorReason::kDamaged) << bad;
  }
}

TEST(KeyCodecTest, ChangesOfReplicationAreOneRangeInOrderOfTheirInodes) {
  Random random(5);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t a = RandomId(random), b = RandomId(random);
    EXPECT_EQ(Replication(InodeId(a)) < Replication(InodeId(b)), a < b);
    EXPECT_EQ(ParseReplication(Replication(InodeId(a))).value(), InodeId(a));
    EXPECT_EQ(ParseReplicationValue(ReplicationValue(a)).value(), a);
    EXPECT_LE(kReplicationStart, Replication(InodeId(a)));
    EXPECT_LT(Replication(InodeId(a)), kReplicationEnd);
    EXPECT_FALSE(Quarantined(BlockId(b)) >= kReplicationStart);
  }
  for (const std::string_view other : {kNamespaceInfo, kCounters, kCommitHeader}) {
    EXPECT_TRUE(other < kReplicationStart || other >= kReplicationEnd) << other;
  }
  for (const char* bad : {"r", "r1234567", "r123456789", "x12345678"}) {
    EXPECT_EQ(ReasonOf(ParseReplication(bad).status()), ErrorReason::kDamaged) << bad;
  }
  for (const char* bad : {"", "\xac", "\xac\x02 "}) {
    EXPECT_EQ(ReasonOf(ParseReplicationValue(bad).status()), ErrorReason::kDamaged) << bad;
  }
}

TEST(KeyCodecTest, KeysOfAnotherLengthAreDamage) {
  for (const std::string& bad : {std::string(), std::string(7, 'x'), std::string(9, 'x')}) {
    EXPECT_EQ(ReasonOf(ParseId(bad).status()), ErrorReason::kDamaged);
    EXPECT_EQ(ReasonOf(ParseBlock(bad).status()), ErrorReason::kDamaged);
    EXPECT_EQ(ReasonOf(ParseFileBlockValue(bad).status()), ErrorReason::kDamaged);
  }
  EXPECT_EQ(ReasonOf(ParseInode("1234567").status()), ErrorReason::kDamaged);
}

TEST(KeyCodecTest, TheHistoryOfOneRecordIsOneRangeInCommitOrder) {
  std::vector<std::string> keys;
  for (uint64_t commit : {1, 255, 256, 70000}) keys.push_back(History(1, "key", CommitNumber(commit)));
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  // Another record's versions, though its key has this one as a prefix, are elsewhere.
  const std::string other = History(1, "key2", CommitNumber(2));
  EXPECT_TRUE(other < keys.front() || other > keys.back());
}

}  // namespace
}  // namespace dolmen::namenode::keys
