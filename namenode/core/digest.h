// A 64-bit digest for telling byte strings apart: stored with commits and retry records, so its definition is part of
// the format (docs/formats/metadata.md). It guards against mistakes, not against people.
#pragma once

#include <cstdint>
#include <string_view>

namespace dolmen::namenode {

// One thread only. The digest depends on the order and the lengths of what was added.
class Digest {
 public:
  void Add(uint64_t number);
  void Add(
      std::string_view bytes);  // its length, then its bytes in little-endian words of 8, the last padded with zeros
  uint64_t value() const;

 private:
  uint64_t state_ = 0x9E3779B97F4A7C15;  // chosen: bits of the golden ratio
};

inline uint64_t DigestOfBytes(std::string_view bytes) {
  Digest digest;
  digest.Add(bytes);
  return digest.value();
}

}  // namespace dolmen::namenode
