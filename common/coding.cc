#include "common/coding.h"

#include "common/error.h"

namespace dolmen {
namespace {

constexpr int kMaxVarintBytes = 10;  // 64 bits in groups of 7

template <typename T>
T LoadLittleEndian(const char* from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<unsigned char>(from[i])) << (8 * i);
  return value;
}

template <typename T>
void AppendLittleEndian(std::string* out, T value) {
  char bytes[sizeof(T)];
  for (size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out->append(bytes, sizeof bytes);
}

}  // namespace

void AppendBigEndian64(std::string* out, uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * (7 - i)));
  out->append(bytes, sizeof bytes);
}

void AppendLittleEndian32(std::string* out, uint32_t value) { AppendLittleEndian(out, value); }
void AppendLittleEndian64(std::string* out, uint64_t value) { AppendLittleEndian(out, value); }

void AppendVarint(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void AppendLengthPrefixed(std::string* out, std::string_view bytes) {
  AppendVarint(out, bytes.size());
  out->append(bytes);
}

uint64_t LoadLittleEndian64(const char* from) { return LoadLittleEndian<uint64_t>(from); }
uint32_t LoadLittleEndian32(const char* from) { return LoadLittleEndian<uint32_t>(from); }

uint64_t LoadBigEndian64(const char* from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

std::string_view ByteReader::Take(size_t size) {
  if (!ok_ || rest_.size() < size) {
    ok_ = false;
    return {};
  }
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

uint8_t ByteReader::Byte() {
  const std::string_view taken = Take(1);
  return ok_ ? static_cast<uint8_t>(taken[0]) : 0;
}

uint64_t ByteReader::BigEndian64() {
  const std::string_view taken = Take(8);
  return ok_ ? LoadBigEndian64(taken.data()) : 0;
}

uint32_t ByteReader::LittleEndian32() {
  const std::string_view taken = Take(4);
  return ok_ ? LoadLittleEndian32(taken.data()) : 0;
}

uint64_t ByteReader::LittleEndian64() {
  const std::string_view taken = Take(8);
  return ok_ ? LoadLittleEndian64(taken.data()) : 0;
}

uint64_t ByteReader::Varint() {
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    const uint8_t byte = Byte();
    if (!ok_) return 0;
    if (i == kMaxVarintBytes - 1 && byte > 1) break;  // more than 64 bits
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) break;  // overlong: a shorter form exists
      return value;
    }
  }
  ok_ = false;
  return 0;
}

std::string_view ByteReader::LengthPrefixed() {
  const uint64_t size = Varint();
  if (ok_ && size > rest_.size()) ok_ = false;
  return ok_ ? Take(size) : std::string_view{};
}

std::string_view ByteReader::Bytes(size_t size) { return Take(size); }

absl::Status ByteReader::Finish(std::string_view what) const {
  if (!ok_) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat(ToAbsl(what), ": bytes are cut short or malformed"));
  }
  if (!rest_.empty()) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat(ToAbsl(what), ": ", rest_.size(), " bytes too many"));
  }
  return absl::OkStatus();
}

const std::string* Extensions::Find(uint64_t tag) const {
  const auto found = fields_.find(tag);
  return found == fields_.end() ? nullptr : &found->second;
}

void Extensions::AppendTo(std::string* out) const {
  AppendVarint(out, fields_.size());
  for (const auto& [tag, value] : fields_) {
    AppendVarint(out, tag);
    AppendLengthPrefixed(out, value);
  }
}

Extensions Extensions::ReadFrom(ByteReader* reader) {
  Extensions read;
  const uint64_t count = reader->Varint();
  for (uint64_t i = 0; i < count && reader->ok(); ++i) {
    const uint64_t tag = reader->Varint();
    const std::string_view value = reader->LengthPrefixed();
    if (!reader->ok()) break;
    if (!read.fields_.empty() && tag <= read.fields_.rbegin()->first) {
      reader->Fail();
      break;
    }
    read.fields_.emplace_hint(read.fields_.end(), tag, value);
  }
  if (!reader->ok()) read.fields_.clear();
  return read;
}

}  // namespace dolmen
