#include "common/coding.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/random.h"

namespace dolmen {
namespace {

std::string Varint(uint64_t value) {
  std::string out;
  AppendVarint(&out, value);
  return out;
}

TEST(Coding, BigEndianKeysSortAsNumbers) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t a = random.Next() >> random.Uniform(64);
    const uint64_t b = random.Next() >> random.Uniform(64);
    std::string a_key;
    std::string b_key;
    AppendBigEndian64(&a_key, a);
    AppendBigEndian64(&b_key, b);
    EXPECT_EQ(a < b, a_key < b_key) << a << " " << b;
    EXPECT_EQ(LoadBigEndian64(a_key.data()), a);
  }
}

TEST(Coding, IntegersHaveTheirByteOrder) {
  std::string out;
  AppendBigEndian64(&out, 0x0102030405060708);
  AppendLittleEndian64(&out, 0x0102030405060708);
  AppendLittleEndian32(&out, 0xF1020304);
  EXPECT_EQ(out, std::string("\x01\x02\x03\x04\x05\x06\x07\x08\x08\x07\x06\x05\x04\x03\x02\x01\x04\x03\x02\xF1", 20));
  EXPECT_EQ(LoadLittleEndian64(out.data() + 8), 0x0102030405060708u);
  EXPECT_EQ(LoadLittleEndian32(out.data() + 16), 0xF1020304u);
}

TEST(Coding, ReaderReadsBackWhatWasAppended) {
  std::string out(1, '\x2A');
  AppendBigEndian64(&out, 1);
  AppendLittleEndian32(&out, 2);
  AppendLittleEndian64(&out, 3);
  AppendVarint(&out, 300);
  AppendLengthPrefixed(&out, "name");
  out += "tail";
  ByteReader reader(out);
  EXPECT_EQ(reader.Byte(), 42);
  EXPECT_EQ(reader.BigEndian64(), 1u);
  EXPECT_EQ(reader.LittleEndian32(), 2u);
  EXPECT_EQ(reader.LittleEndian64(), 3u);
  EXPECT_EQ(reader.Varint(), 300u);
  EXPECT_EQ(reader.LengthPrefixed(), "name");
  EXPECT_EQ(reader.rest(), "tail");
  EXPECT_EQ(reader.Bytes(4), "tail");
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_TRUE(reader.Finish("record").ok());
}

TEST(Coding, VarintsRoundTripInTheirShortestForm) {
  EXPECT_EQ(Varint(0), std::string(1, '\0'));
  EXPECT_EQ(Varint(127), "\x7F");
  EXPECT_EQ(Varint(128), "\x80\x01");
  EXPECT_EQ(Varint(UINT64_MAX).size(), 10u);
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t value : {uint64_t{1} << bit, (uint64_t{1} << bit) - 1, UINT64_MAX << bit}) {
      const std::string bytes = Varint(value);
      ByteReader reader(bytes);
      EXPECT_EQ(reader.Varint(), value);
      EXPECT_TRUE(reader.Finish("varint").ok());
    }
  }
}

TEST(Coding, OverlongAndTooLargeVarintsAreRefused) {
  for (const std::string& bytes :
       {std::string("\x80\x00", 2), std::string("\xFF\x00", 2), std::string("\x80\x80\x00", 3),
        std::string(9, '\xFF') + '\x02', std::string(10, '\x80') + '\x01', std::string(9, '\x80') + '\0'}) {
    ByteReader reader(bytes);
    EXPECT_EQ(reader.Varint(), 0u);
    EXPECT_FALSE(reader.ok());
  }
}

TEST(Coding, EveryTruncationFailsAndStaysFailed) {
  std::string out(1, '\x01');
  AppendBigEndian64(&out, UINT64_MAX);
  AppendLittleEndian32(&out, UINT32_MAX);
  AppendVarint(&out, UINT64_MAX);
  AppendLengthPrefixed(&out, "some bytes");
  for (size_t size = 0; size < out.size(); ++size) {
    ByteReader reader(std::string_view(out).substr(0, size));
    reader.Byte();
    reader.BigEndian64();
    reader.LittleEndian32();
    reader.Varint();
    EXPECT_EQ(reader.LengthPrefixed(), "") << size;
    EXPECT_FALSE(reader.ok()) << size;
    EXPECT_EQ(reader.Byte(), 0);
    EXPECT_EQ(ReasonOf(reader.Finish("record")), ErrorReason::kDamaged);
  }
}

TEST(Coding, AnImpossibleLengthIsRefusedWithoutAllocating) {
  std::string out;
  AppendVarint(&out, UINT64_MAX);
  out += "abc";
  ByteReader reader(out);
  EXPECT_EQ(reader.LengthPrefixed(), "");
  EXPECT_FALSE(reader.ok());
}

TEST(Coding, BytesLeftOverAreDamage) {
  ByteReader reader("xy");
  reader.Byte();
  const absl::Status status = reader.Finish("inode record");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kDamaged);
  EXPECT_NE(MessageOf(status).find("inode record"), std::string_view::npos);
}

TEST(Extensions, RoundTripWithTagsAscending) {
  Extensions written;
  written.Set(300, "late");
  written.Set(1, "");
  written.Set(7, "seven");
  written.Set(8, "gone");
  written.Erase(8);
  std::string out;
  written.AppendTo(&out);
  ByteReader reader(out);
  const Extensions read = Extensions::ReadFrom(&reader);
  ASSERT_TRUE(reader.Finish("extensions").ok());
  EXPECT_EQ(read, written);
  ASSERT_NE(read.Find(7), nullptr);
  EXPECT_EQ(*read.Find(7), "seven");
  EXPECT_EQ(read.Find(8), nullptr);
  std::string again;
  read.AppendTo(&again);
  EXPECT_EQ(again, out);
}

TEST(Extensions, UnsortedRepeatedAndTruncatedTagsAreRefused) {
  for (const std::string& bytes :
       {std::string("\x02\x05\x00\x04\x00", 5), std::string("\x02\x05\x00\x05\x00", 5), std::string("\x02\x05\x00", 3),
        std::string("\x01\x05\x09zz", 5), std::string("\xFF\xFF\xFF\xFF\x0F", 5)}) {
    ByteReader reader(bytes);
    EXPECT_TRUE(Extensions::ReadFrom(&reader).empty());
    EXPECT_FALSE(reader.ok());
  }
}

TEST(Coding, WhatIsAcceptedFromRandomBytesEncodesToTheSameBytes) {
  Random random(2);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = random.Bytes(random.Uniform(8));
    if (!bytes.empty()) bytes[0] = static_cast<char>(random.Uniform(3));
    ByteReader reader(bytes);
    const Extensions read = Extensions::ReadFrom(&reader);
    if (!reader.Finish("extensions").ok()) continue;
    ++accepted;
    std::string again;
    read.AppendTo(&again);
    EXPECT_EQ(again, bytes);
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace dolmen
