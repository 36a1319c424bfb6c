#include "client/cli/text_decoder.h"

#include <bzlib.h>
#include <gmock/gmock.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

#include "common/error.h"

namespace dolmen::cli {
namespace {

std::string Repeated() {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += "line " + std::to_string(i * 7919 % 10'007) + "\n";
  return text;
}

std::string PackZlib(const std::string& text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string Pack(TextFormat format, const std::string& text) {
  if (format == TextFormat::kGzip) return PackZlib(text, MAX_WBITS + 16);
  if (format == TextFormat::kZlib) return PackZlib(text, MAX_WBITS);
  if (format == TextFormat::kBzip2) {
    auto size = static_cast<unsigned>(text.size() + 1000);
    std::string packed(size, '\0');
    EXPECT_EQ(BZ2_bzBuffToBuffCompress(packed.data(), &size, const_cast<char*>(text.data()),
                                       static_cast<unsigned>(text.size()), 1, 0, 0),
              BZ_OK);
    packed.resize(size);
    return packed;
  }
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

// The text, or "error: ...", from pieces of that many bytes.
std::string Unpack(TextFormat format, const std::string& packed, size_t piece) {
  absl::StatusOr<std::unique_ptr<TextDecoder>> decoder = MakeTextDecoder(format);
  if (!decoder.ok()) return "error: " + std::string(MessageOf(decoder.status()));
  std::string text;
  const auto sink = [&text](std::string_view bytes) {
    text += bytes;
    return absl::OkStatus();
  };
  absl::Status status;
  for (size_t at = 0; at < packed.size() && status.ok(); at += piece) {
    status = (*decoder)->Decode(std::string_view(packed).substr(at, piece), sink);
  }
  if (status.ok()) status = (*decoder)->Finish();
  return status.ok() ? text : "error: " + std::string(MessageOf(status));
}

constexpr TextFormat kPacked[] = {TextFormat::kGzip, TextFormat::kZlib, TextFormat::kBzip2, TextFormat::kZstd};

TEST(TextDecoderTest, EveryFormatUnpacksInPiecesOfAnySize) {
  const std::string text = Repeated();
  for (const TextFormat format : kPacked) {
    const std::string packed = Pack(format, text);
    ASSERT_LT(packed.size(), text.size());
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{65536}, packed.size()}) {
      EXPECT_TRUE(Unpack(format, packed, piece) == text) << static_cast<int>(format) << " by " << piece;
    }
    EXPECT_EQ(Unpack(format, Pack(format, ""), 3), "");
  }
  EXPECT_EQ(Unpack(TextFormat::kPlain, "as it is", 3), "as it is");
}

// 10 MB of one byte pack into little: output must not wait for more input.
TEST(TextDecoderTest, AMuchLargerOutputThanInputIsWhole) {
  const std::string text(10 << 20, 'x');
  for (const TextFormat format : kPacked) {
    EXPECT_TRUE(Unpack(format, Pack(format, text), 1 << 20) == text) << static_cast<int>(format);
  }
}

TEST(TextDecoderTest, SeveralStreamsAreOneText) {
  for (const TextFormat format : {TextFormat::kGzip, TextFormat::kBzip2, TextFormat::kZstd}) {
    const std::string packed = Pack(format, "hello\n") + Pack(format, "") + Pack(format, "world\n");
    for (const size_t piece : {size_t{1}, packed.size()}) EXPECT_EQ(Unpack(format, packed, piece), "hello\nworld\n");
  }
}

TEST(TextDecoderTest, WhatFollowsTheLastMemberIsIgnored) {
  for (const std::string& garbage : {std::string(512, '\0'), std::string("garbage"), std::string("\x1f")}) {
    for (const size_t piece : {size_t{1}, size_t{1000}}) {
      EXPECT_EQ(Unpack(TextFormat::kGzip, Pack(TextFormat::kGzip, "hello\n") + garbage, piece), "hello\n");
    }
  }
  EXPECT_EQ(Unpack(TextFormat::kBzip2, Pack(TextFormat::kBzip2, "hello\n") + "garbage", 1000), "hello\n");
}

TEST(TextDecoderTest, CutAndDamagedDataIsNoticed) {
  const std::string text = Repeated();
  for (const TextFormat format : kPacked) {
    const std::string packed = Pack(format, text);
    for (const size_t length : {packed.size() - 1, packed.size() / 2, size_t{3}}) {
      EXPECT_THAT(Unpack(format, packed.substr(0, length), 1000), ::testing::StartsWith("error: "))
          << static_cast<int>(format) << " cut to " << length;
    }
    EXPECT_THAT(Unpack(format, "this is not packed", 1000), ::testing::StartsWith("error: "));
  }
  std::string damaged = Pack(TextFormat::kGzip, text);
  damaged[damaged.size() - 6] ^= 1;  // of its checksum
  EXPECT_EQ(Unpack(TextFormat::kGzip, damaged, 1000), "error: incorrect data check");
}

TEST(TextDecoderTest, ASinkThatFailsEndsIt) {
  for (const TextFormat format : kPacked) {
    int calls = 0;
    const auto sink = [&calls](std::string_view) {
      ++calls;
      return absl::AbortedError("enough");
    };
    const absl::StatusOr<std::unique_ptr<TextDecoder>> decoder = MakeTextDecoder(format);
    ASSERT_TRUE(decoder.ok());
    EXPECT_EQ(MessageOf((*decoder)->Decode(Pack(format, Repeated()), sink)), "enough");
    EXPECT_EQ(calls, 1);
  }
}

TEST(TextFormatTest, FirstBytesThenTheNameDecide) {
  EXPECT_EQ(DetectTextFormat("\x1f\x8b", "x.bz2"), TextFormat::kGzip);
  EXPECT_EQ(DetectTextFormat("SEQ\x06", "x.gz"), TextFormat::kSequenceFile);
  EXPECT_EQ(DetectTextFormat("SEQUENCE", "x"), TextFormat::kPlain);
  EXPECT_EQ(DetectTextFormat("Obj\x01", "x"), TextFormat::kAvro);
  EXPECT_EQ(DetectTextFormat("BZ", "x.bz2"), TextFormat::kBzip2);
  EXPECT_EQ(DetectTextFormat("BZh9", "x"), TextFormat::kPlain);
  EXPECT_EQ(DetectTextFormat("xx", "x.gz"), TextFormat::kGzip);
  EXPECT_EQ(DetectTextFormat("xx", "x.deflate"), TextFormat::kZlib);
  EXPECT_EQ(DetectTextFormat("xx", "x.zst"), TextFormat::kZstd);
  EXPECT_EQ(DetectTextFormat("xx", "x.snappy"), TextFormat::kSnappy);
  EXPECT_EQ(DetectTextFormat("xx", "x.lz4"), TextFormat::kLz4);
  EXPECT_EQ(DetectTextFormat("xx", "gz"), TextFormat::kPlain);
  EXPECT_EQ(DetectTextFormat("x", "x.gz"), TextFormat::kPlain);
  EXPECT_EQ(DetectTextFormat("", "x.gz"), TextFormat::kPlain);
}

}  // namespace
}  // namespace dolmen::cli
