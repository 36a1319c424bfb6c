// Cuts what an application writes into packets: copies it once, computing the checksum of every 512-byte chunk on the
// way. Where packets, chunks and blocks begin follows from the sizes and the flushes alone, so that this runs in the
// writing thread while acknowledgements are worked on elsewhere.
//
// Every packet begins on a chunk boundary, and its end is the end of all bytes so far. After a flush in the middle of a
// chunk the next packet begins with that chunk's first bytes again. No packet crosses the end of a block; the packet
// that fills a block, and the one of Finish, is the block's last.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/cord.h"

namespace dolmen::client {

// Where payloads live. Implementations hand out memory that may be dropped on any thread.
class PacketMemory {
 public:
  virtual ~PacketMemory() = default;
  // At least `bytes` of writable memory, not initialised.
  virtual std::shared_ptr<char[]> Take(size_t bytes) = 0;
};

// Plain heap memory.
class HeapPacketMemory final : public PacketMemory {
 public:
  std::shared_ptr<char[]> Take(size_t bytes) override;
};

struct BuiltPacket {
  uint64_t block_index = 0;  // 0, 1, ...: which block of the file, counted from the first one written here
  uint64_t offset = 0;       // in the block, multiple of 512
  bool last = false;         // ends its block
  bool sync = false;         // on disk before it is acknowledged
  uint64_t file_end = 0;     // bytes of the file up to the end of this packet
  std::string checksums;     // 4 bytes big-endian per chunk
  absl::Cord payload;
  uint64_t EndOffset() const { return offset + payload.size(); }
};

// Where the first byte goes.
struct PacketStart {
  uint64_t block_offset = 0;  // of the block in the file
  // Bytes the block has already; nothing: it is a new one.
  std::optional<uint64_t> bytes_in_block;
  // The last bytes_in_block % 512 of them: the chunk that the first packet begins with again.
  std::string partial_chunk;
};

// One thread only.
class PacketBuilder {
 public:
  // `block_bytes` a multiple of 512; `packet_bytes` a multiple of 512, at most kMaxPacketBytes. `memory` outlives this.
  PacketBuilder(uint64_t block_bytes, uint32_t packet_bytes, PacketMemory* memory, PacketStart start = {});

  // Takes bytes from the front of `data` until all are taken or a packet is full, which is then returned. Call it until
  // `data` is empty.
  std::optional<BuiltPacket> Append(std::string_view* data);
  // The packet that must be sent and acknowledged so that all bytes so far are; nothing when that is true of the
  // packets returned before. `sync`: and are on disk.
  std::optional<BuiltPacket> Flush(bool sync);
  // The file ends here: the last packet of its last block; nothing when that was returned before or there is no block.
  // Nothing may be appended afterwards.
  std::optional<BuiltPacket> Finish();

  uint64_t position() const { return file_start_of_block_ + block_position_; }

 private:
  BuiltPacket Seal(bool last, bool sync);
  bool BlockIsFull() const { return block_position_ == block_bytes_; }
  uint64_t PacketCapacity() const;

  const uint64_t block_bytes_;
  const uint32_t packet_bytes_;
  PacketMemory* const memory_;

  uint64_t block_index_ = 0;
  uint64_t file_start_of_block_ = 0;
  uint64_t block_position_ = 0;   // bytes of the block taken so far
  uint64_t sealed_position_ = 0;  // of these, in packets returned
  uint64_t synced_position_ = 0;  // of these, in or before a packet that syncs; bytes from before may not be on disk
  // The packet being filled: begins at packet_offset_; the first bytes may be the partial chunk sent before.
  uint64_t packet_offset_ = 0;
  size_t filled_ = 0;
  size_t summed_ = 0;  // bytes of whole chunks whose checksums are in checksums_
  std::string checksums_;
  std::shared_ptr<char[]> buffer_;  // nothing until the first byte
  std::string partial_chunk_;       // bytes at packet_offset_ that were sent before; < 512
  bool continues_block_ = false;    // the current block was there before: it needs a last packet even without new bytes
  bool finished_ = false;
};

}  // namespace dolmen::client
