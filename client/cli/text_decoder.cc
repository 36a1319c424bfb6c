#include "client/cli/text_decoder.h"

#include <bzlib.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kPieceBytes = 64 << 10;  // unpacked at a time

absl::Status Damaged(std::string_view what) { return MakeError(ErrorReason::kIo, what); }

class PlainDecoder final : public TextDecoder {
 public:
  absl::Status Decode(std::string_view bytes, const Sink& sink) override {
    return bytes.empty() ? absl::OkStatus() : sink(bytes);
  }
  absl::Status Finish() override { return absl::OkStatus(); }
};

// gzip (RFC 1952) and zlib (RFC 1950). What follows a member and is not another one is ignored, as Java does.
class ZlibDecoder final : public TextDecoder {
 public:
  explicit ZlibDecoder(bool gzip) {
    constexpr int kGzipHeader = 16;
    DOLMEN_CHECK(inflateInit2(&stream_, MAX_WBITS + (gzip ? kGzipHeader : 0)) == Z_OK, "no memory for inflate");
  }
  ~ZlibDecoder() override { inflateEnd(&stream_); }

  absl::Status Decode(std::string_view bytes, const Sink& sink) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    bool full = false;  // the last piece was: there may be more without further input
    while (!ignoring_ && (stream_.avail_in > 0 || full)) {
      if (between_) {
        inflateReset(&stream_);
        between_ = false;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(piece_.data());
      stream_.avail_out = static_cast<uInt>(piece_.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_DATA_ERROR && members_ > 0 && stream_.total_out == 0) {
        ignoring_ = true;
        break;
      }
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        return Damaged(stream_.msg != nullptr ? stream_.msg : "invalid compressed data");
      }
      const size_t count = piece_.size() - stream_.avail_out;
      if (count > 0) DOLMEN_RETURN_IF_ERROR(sink(std::string_view(piece_.data(), count)));
      full = stream_.avail_out == 0;
      if (result == Z_STREAM_END) {
        ++members_;
        between_ = true;
        full = false;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    constexpr uLong kHeaderBytes = 10;  // what is shorter is no member
    const bool whole = ignoring_ || between_ || (members_ > 0 && stream_.total_in < kHeaderBytes);
    return whole ? absl::OkStatus() : Damaged("Unexpected end of ZLIB input stream");
  }

 private:
  z_stream stream_{};
  uint64_t members_ = 0;   // ended
  bool between_ = false;   // a member has ended, and nothing of the next was seen
  bool ignoring_ = false;  // what follows the last member is no member
  std::array<char, kPieceBytes> piece_;
};

class Bzip2Decoder final : public TextDecoder {
 public:
  Bzip2Decoder() { Begin(); }
  ~Bzip2Decoder() override { BZ2_bzDecompressEnd(&stream_); }

  absl::Status Decode(std::string_view bytes, const Sink& sink) override {
    stream_.next_in = const_cast<char*>(bytes.data());
    stream_.avail_in = static_cast<unsigned>(bytes.size());
    bool full = false;
    while (!ignoring_ && (stream_.avail_in > 0 || full)) {
      if (between_) {
        const bz_stream ended = stream_;
        BZ2_bzDecompressEnd(&stream_);
        Begin();
        stream_.next_in = ended.next_in;
        stream_.avail_in = ended.avail_in;
        between_ = false;
      }
      stream_.next_out = piece_.data();
      stream_.avail_out = static_cast<unsigned>(piece_.size());
      const int result = BZ2_bzDecompress(&stream_);
      if (result == BZ_DATA_ERROR_MAGIC && streams_ > 0) {
        ignoring_ = true;
        break;
      }
      if (result == BZ_DATA_ERROR_MAGIC) return Damaged("not a bzip2 file");
      if (result != BZ_OK && result != BZ_STREAM_END) return Damaged("crc error or damaged bzip2 data");
      const size_t count = piece_.size() - stream_.avail_out;
      if (count > 0) DOLMEN_RETURN_IF_ERROR(sink(std::string_view(piece_.data(), count)));
      full = stream_.avail_out == 0;
      if (result == BZ_STREAM_END) {
        ++streams_;
        between_ = true;
        full = false;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    return ignoring_ || between_ ? absl::OkStatus() : Damaged("unexpected end of stream");
  }

 private:
  void Begin() {
    stream_ = bz_stream{};
    DOLMEN_CHECK(BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK, "no memory for bzip2");
  }

  bz_stream stream_{};
  uint64_t streams_ = 0;
  bool between_ = false;
  bool ignoring_ = false;
  std::array<char, kPieceBytes> piece_;
};

class ZstdDecoder final : public TextDecoder {
 public:
  ZstdDecoder() : stream_(ZSTD_createDStream(), ZSTD_freeDStream) {
    DOLMEN_CHECK(stream_ != nullptr, "no memory for zstd");
  }

  absl::Status Decode(std::string_view bytes, const Sink& sink) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    bool full = false;
    while (in.pos < in.size || full) {
      ZSTD_outBuffer out{piece_.data(), piece_.size(), 0};
      const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
      if (ZSTD_isError(result) != 0) return Damaged(ZSTD_getErrorName(result));
      if (out.pos > 0) DOLMEN_RETURN_IF_ERROR(sink(std::string_view(piece_.data(), out.pos)));
      whole_ = result == 0;
      full = !whole_ && out.pos == out.size;
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override { return whole_ ? absl::OkStatus() : Damaged("Unexpected end of zstd input stream"); }

 private:
  const std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  bool whole_ = false;  // at the end of a frame
  std::array<char, kPieceBytes> piece_;
};

absl::Status NotUnderstood(std::string_view what) {
  return MakeError(ErrorReason::kIo,
                   absl::StrCat(ToAbsl(what), " is not understood; -cat prints the bytes as they are"));
}

}  // namespace

TextFormat DetectTextFormat(std::string_view first_bytes, std::string_view name) {
  if (first_bytes.size() < 2) return TextFormat::kPlain;
  if (first_bytes.starts_with("\x1f\x8b")) return TextFormat::kGzip;
  const bool sequence_version = first_bytes.size() >= 4 && static_cast<uint8_t>(first_bytes[3]) < 32;
  if (first_bytes.starts_with("SEQ") && sequence_version) return TextFormat::kSequenceFile;
  if (first_bytes.starts_with("Obj")) return TextFormat::kAvro;
  constexpr std::pair<std::string_view, TextFormat> kSuffixes[] = {
      {".bz2", TextFormat::kBzip2}, {".deflate", TextFormat::kZlib},  {".gz", TextFormat::kGzip},
      {".lz4", TextFormat::kLz4},   {".snappy", TextFormat::kSnappy}, {".zst", TextFormat::kZstd},
  };
  for (const auto& [suffix, format] : kSuffixes) {
    if (name.ends_with(suffix)) return format;
  }
  return TextFormat::kPlain;
}

absl::StatusOr<std::unique_ptr<TextDecoder>> MakeTextDecoder(TextFormat format) {
  switch (format) {
    case TextFormat::kPlain:
      return std::make_unique<PlainDecoder>();
    case TextFormat::kGzip:
      return std::make_unique<ZlibDecoder>(/*gzip=*/true);
    case TextFormat::kZlib:
      return std::make_unique<ZlibDecoder>(/*gzip=*/false);
    case TextFormat::kBzip2:
      return std::make_unique<Bzip2Decoder>();
    case TextFormat::kZstd:
      return std::make_unique<ZstdDecoder>();
    case TextFormat::kSnappy:
      return NotUnderstood("Hadoop's snappy format");
    case TextFormat::kLz4:
      return NotUnderstood("Hadoop's lz4 format");
    case TextFormat::kSequenceFile:
      return NotUnderstood("a SequenceFile");
    case TextFormat::kAvro:
      return NotUnderstood("an Avro file");
  }
  return NotUnderstood("the format");
}

}  // namespace dolmen::cli
