#include "common/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace dolmen {
namespace {

// Calls `done(crc)` for every 512-byte chunk of the pieces fed one after another. The last, short one at Finish().
template <typename Done>
class Chunker {
 public:
  explicit Chunker(Done done) : done_(std::move(done)) {}

  // False when `done` answered false: stop.
  bool Feed(std::string_view piece) {
    while (!piece.empty()) {
      const size_t take = std::min<size_t>(piece.size(), kBytesPerChecksum - filled_);
      crc_ = Crc32cExtend(crc_, piece.substr(0, take));
      filled_ += take;
      piece.remove_prefix(take);
      if (filled_ == kBytesPerChecksum && !Finish()) return false;
    }
    return true;
  }

  bool Finish() {
    if (filled_ == 0) return true;
    const bool go_on = done_(crc_);
    crc_ = 0;
    filled_ = 0;
    return go_on;
  }

 private:
  Done done_;
  uint32_t crc_ = 0;
  size_t filled_ = 0;
};

auto Appender(std::string* out) {
  return [out](uint32_t crc) {
    const char bytes[4] = {static_cast<char>(crc >> 24), static_cast<char>(crc >> 16), static_cast<char>(crc >> 8),
                           static_cast<char>(crc)};
    out->append(bytes, sizeof bytes);
    return true;
  };
}

// `index` counts the good chunks: it ends at the first bad one.
auto Comparer(std::string_view checksums, int64_t* index) {
  return [checksums, index](uint32_t crc) {
    const auto* stored = reinterpret_cast<const unsigned char*>(checksums.data() + *index * 4);
    const uint32_t expected = static_cast<uint32_t>(stored[0]) << 24 | static_cast<uint32_t>(stored[1]) << 16 |
                              static_cast<uint32_t>(stored[2]) << 8 | stored[3];
    if (crc != expected) return false;
    ++*index;
    return true;
  };
}

}  // namespace

uint32_t Crc32c(std::string_view data) { return Crc32cExtend(0, data); }

uint32_t Crc32cExtend(uint32_t crc, std::string_view data) {
  constexpr size_t kMostAtOnce = size_t{1} << 30;  // ISA-L counts in int
  uint32_t state = ~crc;
  while (!data.empty()) {
    const size_t take = std::min(data.size(), kMostAtOnce);
    // ISA-L's parameter is not const but only read.
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
    state = crc32_iscsi(bytes, static_cast<int>(take), state);
    data.remove_prefix(take);
  }
  return ~state;
}

void AppendChunkChecksums(std::string_view data, std::string* out) {
  out->reserve(out->size() + ChecksumBytesFor(data.size()));
  Chunker chunker(Appender(out));
  chunker.Feed(data);
  chunker.Finish();
}

void AppendChunkChecksums(const absl::Cord& data, std::string* out) {
  out->reserve(out->size() + ChecksumBytesFor(data.size()));
  Chunker chunker(Appender(out));
  for (const absl::string_view piece : data.Chunks()) chunker.Feed(std::string_view(piece.data(), piece.size()));
  chunker.Finish();
}

int64_t FirstBadChunk(std::string_view data, std::string_view checksums) {
  if (checksums.size() != ChecksumBytesFor(data.size())) return 0;
  int64_t good = 0;
  Chunker chunker(Comparer(checksums, &good));
  return chunker.Feed(data) && chunker.Finish() ? -1 : good;
}

int64_t FirstBadChunk(const absl::Cord& data, std::string_view checksums) {
  if (checksums.size() != ChecksumBytesFor(data.size())) return 0;
  int64_t good = 0;
  Chunker chunker(Comparer(checksums, &good));
  for (const absl::string_view piece : data.Chunks()) {
    if (!chunker.Feed(std::string_view(piece.data(), piece.size()))) return good;
  }
  return chunker.Finish() ? -1 : good;
}

}  // namespace dolmen
