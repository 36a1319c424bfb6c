// Bytes <-> values. Keys are big-endian so that byte order is number order; values are little-endian and varints.
// Records: a version byte, fixed fields, then tagged extensions (tag varint, length varint, bytes), tags ascending and
// each at most once, so that Encode(Decode(x)) == x for every accepted x.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dolmen {

void AppendBigEndian64(std::string* out, uint64_t value);
void AppendLittleEndian32(std::string* out, uint32_t value);
void AppendLittleEndian64(std::string* out, uint64_t value);
void AppendVarint(std::string* out, uint64_t value);                  // LEB128, shortest form
void AppendLengthPrefixed(std::string* out, std::string_view bytes);  // varint length, bytes

uint64_t LoadLittleEndian64(const char* from);
uint32_t LoadLittleEndian32(const char* from);
uint64_t LoadBigEndian64(const char* from);

// Reads from the front of a byte string. After any failed read ok() is false and every later read answers 0 / empty.
// Never allocates by a size it has not checked. One thread only.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  uint8_t Byte();
  uint64_t BigEndian64();
  uint32_t LittleEndian32();
  uint64_t LittleEndian64();
  uint64_t Varint();  // refuses overlong forms (canonical)
  std::string_view LengthPrefixed();
  std::string_view Bytes(size_t size);

  // Marks the reader as failed, for callers that find a value they cannot accept.
  void Fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  // OK when everything was read and nothing failed; otherwise kDamaged naming `what`.
  absl::Status Finish(std::string_view what) const;

 private:
  std::string_view Take(size_t size);

  std::string_view rest_;
  bool ok_ = true;
};

// Tagged extensions of a record, unknown tags kept so that an older reader re-encodes them unchanged.
class Extensions {
 public:
  void Set(uint64_t tag, std::string value) { fields_[tag] = std::move(value); }
  void Erase(uint64_t tag) { fields_.erase(tag); }
  // nullptr when absent.
  const std::string* Find(uint64_t tag) const;
  bool empty() const { return fields_.empty(); }
  void AppendTo(std::string* out) const;           // count varint, then (tag, length, bytes)*
  static Extensions ReadFrom(ByteReader* reader);  // reader->ok() tells; refuses unsorted or repeated tags
  friend bool operator==(const Extensions&, const Extensions&) = default;

 private:
  std::map<uint64_t, std::string> fields_;
};

}  // namespace dolmen
