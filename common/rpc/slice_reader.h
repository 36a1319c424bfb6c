// Reads protobuf's wire format from the slices of a byte buffer without joining them. Used by frames.cc alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace dolmen::rpc {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

// Every read answers false, and changes nothing that matters any more, when the bytes run out or are malformed. One
// thread only.
class SliceReader {
 public:
  // Refuses (ok() is false) a buffer that gRPC cannot hand out.
  explicit SliceReader(const grpc::ByteBuffer& buffer);

  bool ok() const { return ok_; }
  // Bytes not read yet.
  uint64_t remaining() const { return remaining_; }

  bool ReadVarint(uint64_t* value);
  // A field's number and type; refuses number 0, numbers beyond protobuf's, and group types.
  bool ReadTag(uint32_t* field, WireType* type);
  // A length that the remaining bytes do have.
  bool ReadLength(uint64_t* length);
  // `length` bytes must be remaining.
  bool ReadString(uint64_t length, std::string* to);
  // The same without copying: pieces of at least kMinSharedBytes share the slice.
  bool ReadCord(uint64_t length, absl::Cord* to);
  // Skips the value of an unknown field.
  bool SkipValue(WireType type);

 private:
  bool ReadByte(uint8_t* byte);
  bool Skip(uint64_t length);
  // The unread rest of the current slice, empty slices passed over.
  size_t AvailableHere();

  std::vector<grpc::Slice> slices_;
  size_t slice_ = 0;     // current
  size_t position_ = 0;  // in it
  uint64_t remaining_ = 0;
  bool ok_ = true;
};

}  // namespace dolmen::rpc
