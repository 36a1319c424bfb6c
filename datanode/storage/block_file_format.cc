#include "datanode/storage/block_file_format.h"

#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

constexpr std::string_view kMagic = "DLMB";
constexpr size_t kFixedHeaderBytes = 24;

uint32_t SlotCrc(BlockId block, std::string_view fields) {
  std::string bound;
  AppendLittleEndian64(&bound, block.value());
  bound.append(fields);
  return Crc32c(bound);
}

std::optional<SyncSlot> DecodeSyncSlot(BlockId block, std::string_view bytes) {
  ByteReader reader(bytes.substr(0, kSlotBytes));
  SyncSlot slot;
  slot.stamp = GenerationStamp(reader.LittleEndian64());
  slot.synced_length = reader.LittleEndian64();
  slot.partial_crc = reader.LittleEndian32();
  const uint32_t stored = reader.LittleEndian32();
  if (!reader.ok() || stored != SlotCrc(block, bytes.substr(0, kSlotBytes - 4))) return std::nullopt;
  return slot;
}

}  // namespace

int ChecksumFileHeader::WinningSlot() const {
  if (!slots[0].has_value()) return slots[1].has_value() ? 1 : -1;
  if (!slots[1].has_value()) return 0;
  const auto rank = [](const SyncSlot& slot) { return std::pair(slot.stamp, slot.synced_length); };
  return rank(*slots[1]) > rank(*slots[0]) ? 1 : 0;
}

std::string EncodeSyncSlot(BlockId block, const SyncSlot& slot) {
  std::string out;
  AppendLittleEndian64(&out, slot.stamp.value());
  AppendLittleEndian64(&out, slot.synced_length);
  AppendLittleEndian32(&out, slot.partial_crc);
  AppendLittleEndian32(&out, SlotCrc(block, out));
  return out;
}

std::string EncodeChecksumHeader(BlockId block, const SyncSlot& slot) {
  std::string out(kMagic);
  AppendLittleEndian32(&out, kChecksumFileVersion);  // u16 version, u16 reserved
  AppendLittleEndian64(&out, block.value());
  AppendLittleEndian32(&out, kBytesPerChecksum);
  AppendLittleEndian32(&out, Crc32c(out));
  out.resize(kSlotOffset[0], '\0');
  out.append(EncodeSyncSlot(block, slot));
  out.resize(kChecksumHeaderBytes, '\0');
  return out;
}

absl::StatusOr<ChecksumFileHeader> DecodeChecksumHeader(std::string_view bytes) {
  if (bytes.size() < kChecksumHeaderBytes) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("checksum file header has ", bytes.size(),
                                                         " bytes instead of ", kChecksumHeaderBytes));
  }
  ByteReader reader(bytes);
  const std::string_view magic = reader.Bytes(kMagic.size());
  const uint32_t version = reader.LittleEndian32() & 0xffff;
  ChecksumFileHeader header;
  header.block = BlockId(reader.LittleEndian64());
  const uint32_t bytes_per_crc = reader.LittleEndian32();
  const uint32_t stored_crc = reader.LittleEndian32();
  if (magic != kMagic) return MakeError(ErrorReason::kDamaged, "checksum file does not begin with DLMB");
  if (stored_crc != Crc32c(bytes.substr(0, kFixedHeaderBytes - 4))) {
    return MakeError(ErrorReason::kDamaged, "checksum file header does not match its crc");
  }
  if (version != kChecksumFileVersion) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("checksum file has version ", version, ", this program reads ",
                                                         kChecksumFileVersion));
  }
  if (bytes_per_crc != kBytesPerChecksum) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("checksum file has a CRC per ", bytes_per_crc,
                                                         " bytes, this program reads ", kBytesPerChecksum));
  }
  for (int i = 0; i < 2; ++i) header.slots[i] = DecodeSyncSlot(header.block, bytes.substr(kSlotOffset[i], kSlotBytes));
  return header;
}

uint32_t LoadChunkCrc(const char* from) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string EncodeChunkCrc(uint32_t crc) {
  return {static_cast<char>(crc >> 24), static_cast<char>(crc >> 16), static_cast<char>(crc >> 8),
          static_cast<char>(crc)};
}

}  // namespace dolmen::datanode
