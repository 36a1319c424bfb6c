// File content that is a function of a seed and the offset, so that a test need not remember what it wrote.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dolmen::testing {

// Cheap enough to make and to compare gigabytes. Every 8 bytes differ from those around them and from those at the same
// place of another seed, so that a block that is shifted, swapped or taken from another file is noticed.
class Pattern {
 public:
  explicit Pattern(uint64_t seed) : seed_(seed) {}
  // The content that belongs to a name (FNV-1a).
  static Pattern Of(std::string_view name) {
    uint64_t hash = 0xcbf29ce484222325;
    for (unsigned char byte : name) hash = (hash ^ byte) * 0x100000001b3;
    return Pattern(hash);
  }

  void Fill(uint64_t offset, std::span<char> out) const {
    size_t done = 0;
    while (done < out.size()) {
      const uint64_t word = Word((offset + done) / 8);
      const size_t skipped = (offset + done) % 8;
      const size_t size = std::min(out.size() - done, 8 - skipped);
      std::memcpy(out.data() + done, reinterpret_cast<const char*>(&word) + skipped, size);
      done += size;
    }
  }
  std::string Bytes(uint64_t offset, size_t size) const {
    std::string bytes(size, '\0');
    Fill(offset, bytes);
    return bytes;
  }
  // Where `bytes`, which are said to begin at `offset`, are something else; nothing when they are right.
  std::optional<uint64_t> FirstDifference(uint64_t offset, std::string_view bytes) const {
    char expected[16 << 10];
    for (size_t done = 0; done < bytes.size(); done += sizeof(expected)) {
      const size_t size = std::min(sizeof(expected), bytes.size() - done);
      Fill(offset + done, std::span<char>(expected, size));
      if (std::memcmp(expected, bytes.data() + done, size) == 0) continue;
      size_t at = 0;
      while (expected[at] == bytes[done + at]) ++at;
      return offset + done + at;
    }
    return std::nullopt;
  }

 private:
  uint64_t Word(uint64_t index) const {
    uint64_t word = seed_ + index * 0x9e3779b97f4a7c15;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
  }

  const uint64_t seed_;
};

}  // namespace dolmen::testing
