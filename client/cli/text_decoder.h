// Turns the bytes of a stored file into text for -text: what they are packed with, and unpacking them piece by piece.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dolmen::cli {

enum class TextFormat { kPlain, kGzip, kZlib, kBzip2, kZstd, kSnappy, kLz4, kSequenceFile, kAvro };

// How many of a file's first bytes DetectTextFormat looks at.
inline constexpr size_t kDetectBytes = 4;

// HDFS's rule: the first bytes decide (gzip, SequenceFile, Avro), then the end of the name (.bz2 .deflate .gz .lz4
// .snappy .zst); a file of less than two bytes is plain. Unlike HDFS, a text that begins with "SEQ" is not taken for a
// SequenceFile, whose fourth byte is its version and below 32.
TextFormat DetectTextFormat(std::string_view first_bytes, std::string_view name);

// One thread only.
class TextDecoder {
 public:
  // Takes unpacked bytes; a failure ends the decoding.
  using Sink = std::function<absl::Status(std::string_view)>;

  virtual ~TextDecoder() = default;
  // The next bytes of the file, in pieces of any size. Errors: damaged; what `sink` returned.
  virtual absl::Status Decode(std::string_view bytes, const Sink& sink) = 0;
  // The end of the file. Error: more was to come.
  virtual absl::Status Finish() = 0;
};

// Several packed streams one after another are one text. Error: a format that is not understood, by name.
absl::StatusOr<std::unique_ptr<TextDecoder>> MakeTextDecoder(TextFormat format);

}  // namespace dolmen::cli
