// The checksum file of a replica: bytes <-> values. Layout, order of disk steps and crash states:
// docs/formats/replica-files.md.
//
//   sector 0  fixed header   magic, version, block id, bytes per crc, crc; written once
//   sector 1  slot 0         generation stamp, synced length, CRC of the partial chunk at that length, crc
//   sector 2  slot 1         the same
//   1536...   chunk CRCs     4 bytes big-endian per 512 bytes of data; the last may cover a short chunk
//
// Each part has a disk sector of its own, so that a torn write of one slot harms nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/crc32c.h"
#include "common/ids.h"

namespace dolmen::datanode {

inline constexpr uint16_t kChecksumFileVersion = 1;
inline constexpr uint64_t kSectorBytes = 512;
inline constexpr uint64_t kSlotOffset[2] = {kSectorBytes, 2 * kSectorBytes};
inline constexpr uint64_t kSlotBytes = 24;
inline constexpr uint64_t kChecksumHeaderBytes = 3 * kSectorBytes;
static_assert(kBytesPerChecksum % kSectorBytes == 0);

// What one slot promises: the first `synced_length` bytes are on disk, and the partial chunk that ends there (its
// first synced_length % 512 bytes) has this CRC, whatever the chunk's own CRC further down says by now.
struct SyncSlot {
  GenerationStamp stamp;
  uint64_t synced_length = 0;
  uint32_t partial_crc = 0;  // 0 when synced_length is a multiple of 512
  friend bool operator==(const SyncSlot&, const SyncSlot&) = default;
};

struct ChecksumFileHeader {
  BlockId block;
  std::array<std::optional<SyncSlot>, 2> slots;  // nothing: torn, or never written

  // The valid slot with the highest stamp, then length; -1 when neither is valid.
  int WinningSlot() const;
  // The slot that the next sync overwrites.
  int OlderSlot() const { return WinningSlot() == 0 ? 1 : 0; }
};

// The whole header of a new checksum file: slot 0 as given, slot 1 empty. kChecksumHeaderBytes long.
std::string EncodeChecksumHeader(BlockId block, const SyncSlot& slot);
// kSlotBytes to be written at kSlotOffset[i]. The slot's crc covers the block id too, so that a slot copied from
// another file is not valid here.
std::string EncodeSyncSlot(BlockId block, const SyncSlot& slot);
// Error: kDamaged when the fixed header is short, of an unknown version or does not match its crc. Invalid slots are no
// error here.
absl::StatusOr<ChecksumFileHeader> DecodeChecksumHeader(std::string_view bytes);

// Where chunk `index` has its CRC.
inline constexpr uint64_t ChunkCrcOffset(uint64_t index) { return kChecksumHeaderBytes + 4 * index; }
// Size of the checksum file of a replica of this length.
inline uint64_t ChecksumFileBytes(uint64_t data_bytes) { return kChecksumHeaderBytes + ChecksumBytesFor(data_bytes); }
inline constexpr uint64_t ChunkStart(uint64_t offset) { return offset - offset % kBytesPerChecksum; }
inline constexpr uint64_t ChunkEnd(uint64_t offset) { return ChunkStart(offset + kBytesPerChecksum - 1); }

uint32_t LoadChunkCrc(const char* from);
std::string EncodeChunkCrc(uint32_t crc);

}  // namespace dolmen::datanode
