// CRC32C (Castagnoli) by ISA-L. The value is the standard one (as in iSCSI, HDFS): initial and final complement.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/strings/cord.h"

namespace dolmen {

// CRC32C of `data`. Known answer: "123456789" -> 0xE3069283.
uint32_t Crc32c(std::string_view data);
// CRC of A+B from the CRC of A.
uint32_t Crc32cExtend(uint32_t crc, std::string_view data);

// Bytes of data per checksum, everywhere (HDFS's default, so that file checksums equal HDFS's).
inline constexpr uint32_t kBytesPerChecksum = 512;

// One CRC per 512-byte chunk of `data`, which starts on a chunk boundary; the last chunk may be short.
// Each CRC is stored as 4 big-endian bytes (HDFS's order), appended to `out`.
void AppendChunkChecksums(std::string_view data, std::string* out);
void AppendChunkChecksums(const absl::Cord& data, std::string* out);
// Verifies; returns the index of the first bad chunk, or -1. `checksums` must hold ceil(size/512)*4 bytes, else returns
// 0.
int64_t FirstBadChunk(std::string_view data, std::string_view checksums);
int64_t FirstBadChunk(const absl::Cord& data, std::string_view checksums);
inline uint64_t ChecksumBytesFor(uint64_t data_bytes) {
  return (data_bytes + kBytesPerChecksum - 1) / kBytesPerChecksum * 4;
}

}  // namespace dolmen
