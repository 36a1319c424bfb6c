#include "common/rpc/slice_reader.h"

#include <algorithm>
#include <utility>

#include "common/rpc/frames.h"

namespace dolmen::rpc {
namespace {

constexpr uint64_t kMaxFieldNumber = (uint64_t{1} << 29) - 1;
constexpr int kMaxVarintBytes = 10;

const char* Chars(const grpc::Slice& slice) { return reinterpret_cast<const char*>(slice.begin()); }

}  // namespace

SliceReader::SliceReader(const grpc::ByteBuffer& buffer) {
  if (!buffer.Valid()) {  // an empty message
    return;
  }
  ok_ = buffer.Dump(&slices_).ok();
  if (!ok_) slices_.clear();
  for (const grpc::Slice& slice : slices_) remaining_ += slice.size();
}

size_t SliceReader::AvailableHere() {
  while (slice_ < slices_.size() && position_ == slices_[slice_].size()) {
    ++slice_;
    position_ = 0;
  }
  return slice_ < slices_.size() ? slices_[slice_].size() - position_ : 0;
}

bool SliceReader::ReadByte(uint8_t* byte) {
  if (AvailableHere() == 0) return false;
  *byte = slices_[slice_].begin()[position_++];
  --remaining_;
  return true;
}

bool SliceReader::ReadVarint(uint64_t* value) {
  uint64_t result = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    uint8_t byte;
    if (!ReadByte(&byte)) return false;
    if (i == kMaxVarintBytes - 1 && byte > 1) return false;  // beyond 64 bits
    result |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0) {
      *value = result;
      return true;
    }
  }
  return false;
}

bool SliceReader::ReadTag(uint32_t* field, WireType* type) {
  uint64_t tag;
  if (!ReadVarint(&tag)) return false;
  const uint64_t number = tag >> 3;
  if (number == 0 || number > kMaxFieldNumber) return false;
  switch (tag & 7) {
    case 0:
    case 1:
    case 2:
    case 5:
      *field = static_cast<uint32_t>(number);
      *type = static_cast<WireType>(tag & 7);
      return true;
    default:
      return false;
  }
}

bool SliceReader::ReadLength(uint64_t* length) { return ReadVarint(length) && *length <= remaining_; }

bool SliceReader::ReadString(uint64_t length, std::string* to) {
  if (length > remaining_) return false;
  to->clear();
  to->reserve(length);
  while (length > 0) {
    const size_t piece = std::min<uint64_t>(AvailableHere(), length);
    to->append(Chars(slices_[slice_]) + position_, piece);
    position_ += piece;
    remaining_ -= piece;
    length -= piece;
  }
  return true;
}

bool SliceReader::ReadCord(uint64_t length, absl::Cord* to) {
  if (length > remaining_) return false;
  to->Clear();
  while (length > 0) {
    const size_t piece = std::min<uint64_t>(AvailableHere(), length);
    const absl::string_view bytes(Chars(slices_[slice_]) + position_, piece);
    if (piece < kMinSharedBytes) {
      // Copied, also because the bytes of a tiny slice live inside the slice object itself.
      to->Append(bytes);
    } else {
      to->Append(absl::MakeCordFromExternal(bytes, [owner = slices_[slice_]] {}));
    }
    position_ += piece;
    remaining_ -= piece;
    length -= piece;
  }
  return true;
}

bool SliceReader::Skip(uint64_t length) {
  if (length > remaining_) return false;
  while (length > 0) {
    const size_t piece = std::min<uint64_t>(AvailableHere(), length);
    position_ += piece;
    remaining_ -= piece;
    length -= piece;
  }
  return true;
}

bool SliceReader::SkipValue(WireType type) {
  uint64_t value;
  switch (type) {
    case WireType::kVarint:
      return ReadVarint(&value);
    case WireType::kFixed64:
      return Skip(8);
    case WireType::kLengthDelimited:
      return ReadLength(&value) && Skip(value);
    case WireType::kFixed32:
      return Skip(4);
  }
  return false;
}

}  // namespace dolmen::rpc
