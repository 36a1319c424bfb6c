#include "namenode/core/digest.h"

#include "common/coding.h"

namespace dolmen::namenode {
namespace {

constexpr uint64_t kMultiplier = 0xD6E8FEB86659FD93;  // chosen: odd, its bits well mixed

}  // namespace

// state' = mix((state xor number) * multiplier), where mix folds the high half onto the low one: a bijection of
// the state for every number.
void Digest::Add(uint64_t number) {
  state_ = (state_ ^ number) * kMultiplier;
  state_ ^= state_ >> 32;
}

void Digest::Add(std::string_view bytes) {
  Add(static_cast<uint64_t>(bytes.size()));
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) Add(LoadLittleEndian64(bytes.data()));
  if (bytes.empty()) return;
  uint64_t last = 0;
  for (size_t i = 0; i < bytes.size(); ++i)
    last |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  Add(last);
}

uint64_t Digest::value() const {
  uint64_t value = state_ * kMultiplier;
  return value ^ (value >> 29);
}

}  // namespace dolmen::namenode
