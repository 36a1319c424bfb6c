// Small pieces shared by the record codecs: the canonical forms of times, booleans, small numbers and versions.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/coding.h"
#include "common/error.h"

namespace dolmen::namenode {

// Signed milliseconds as a varint, sign in the lowest bit (0, -1, 1, -2, ... -> 0, 1, 2, 3, ...): one to one.
inline void AppendTime(std::string* out, WallTime time) {
  AppendVarint(out, (static_cast<uint64_t>(time.ms) << 1) ^ static_cast<uint64_t>(time.ms >> 63));
}
inline WallTime ReadTime(ByteReader* reader) {
  const uint64_t coded = reader->Varint();
  return WallTime{static_cast<int64_t>((coded >> 1) ^ (~(coded & 1) + 1))};
}

inline void AppendBool(std::string* out, bool value) { out->push_back(value ? 1 : 0); }
inline bool ReadBool(ByteReader* reader) {
  const uint8_t byte = reader->Byte();
  if (byte > 1) reader->Fail();
  return byte == 1;
}

// A varint that must fit T.
template <typename T>
T ReadSmall(ByteReader* reader) {
  const uint64_t value = reader->Varint();
  if (value > std::numeric_limits<T>::max()) {
    reader->Fail();
    return 0;
  }
  return static_cast<T>(value);
}

// One byte, an enumerator between `first` and `last`.
template <typename E>
E ReadEnum(ByteReader* reader, E first, E last) {
  const uint8_t byte = reader->Byte();
  if (byte < static_cast<uint8_t>(first) || byte > static_cast<uint8_t>(last)) {
    reader->Fail();
    return first;
  }
  return static_cast<E>(byte);
}

inline std::string ReadString(ByteReader* reader) { return std::string(reader->LengthPrefixed()); }

// The first byte of every record. Errors: kDamaged; the text tells a newer record from rubbish.
inline absl::Status ReadVersion(ByteReader* reader, uint8_t known, std::string_view what) {
  const uint8_t version = reader->Byte();
  if (reader->ok() && version == known) return absl::OkStatus();
  if (!reader->ok()) return MakeError(ErrorReason::kDamaged, absl::StrCat(ToAbsl(what), ": empty"));
  return MakeError(ErrorReason::kDamaged,
                   absl::StrCat(ToAbsl(what), ": version ", static_cast<int>(version), ", this program knows ",
                                static_cast<int>(known), "; written by a newer program, or damaged"));
}

}  // namespace dolmen::namenode
