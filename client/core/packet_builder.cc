#include "client/core/packet_builder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/protocol/data_transfer.h"

namespace dolmen::client {
namespace {

// Copied and summed in one go, so that the checksum reads from the cache (chosen: half of a common L1 data cache).
constexpr size_t kCopyBytes = 16 << 10;
// Smaller packets are copied once more so that their big buffer can be filled again at once (chosen).
constexpr size_t kSmallPacketBytes = 32 << 10;

}  // namespace

std::shared_ptr<char[]> HeapPacketMemory::Take(size_t bytes) { return std::shared_ptr<char[]>(new char[bytes]); }

PacketBuilder::PacketBuilder(uint64_t block_bytes, uint32_t packet_bytes, PacketMemory* memory, PacketStart start)
    : block_bytes_(block_bytes),
      packet_bytes_(packet_bytes),
      memory_(memory),
      file_start_of_block_(start.block_offset),
      block_position_(start.bytes_in_block.value_or(0)),
      sealed_position_(block_position_),
      packet_offset_(block_position_ - start.partial_chunk.size()),
      partial_chunk_(std::move(start.partial_chunk)),
      continues_block_(start.bytes_in_block.has_value()) {
  DOLMEN_CHECK(block_bytes > 0 && block_bytes % kBytesPerChecksum == 0, "block size must be a multiple of 512");
  DOLMEN_CHECK(packet_bytes > 0 && packet_bytes % kBytesPerChecksum == 0 && packet_bytes <= protocol::kMaxPacketBytes,
               "packet size must be a multiple of 512, at most 1 MiB");
  DOLMEN_CHECK(block_position_ <= block_bytes_, "the block is longer than it may be");
  DOLMEN_CHECK(partial_chunk_.size() == block_position_ % kBytesPerChecksum, "the partial chunk is not the block's");
}

uint64_t PacketBuilder::PacketCapacity() const {
  return std::min<uint64_t>(packet_bytes_, block_bytes_ - packet_offset_);
}

std::optional<BuiltPacket> PacketBuilder::Append(std::string_view* data) {
  DOLMEN_CHECK(!finished_, "bytes after the end of the file");
  while (!data->empty()) {
    // The packet that fills the block waits for the next byte, a flush or the end, so that a sync can still be in it.
    if (BlockIsFull()) return Seal(/*last=*/true, /*sync=*/false);
    if (buffer_ == nullptr) buffer_ = memory_->Take(packet_bytes_);
    if (filled_ == 0 && !partial_chunk_.empty()) {
      std::memcpy(buffer_.get(), partial_chunk_.data(), partial_chunk_.size());
      filled_ = partial_chunk_.size();
    }
    const size_t take = std::min<size_t>({data->size(), PacketCapacity() - filled_, kCopyBytes});
    std::memcpy(buffer_.get() + filled_, data->data(), take);
    data->remove_prefix(take);
    filled_ += take;
    block_position_ += take;
    const size_t whole = filled_ / kBytesPerChecksum * kBytesPerChecksum;
    if (whole > summed_) {
      AppendChunkChecksums(std::string_view(buffer_.get() + summed_, whole - summed_), &checksums_);
      summed_ = whole;
    }
    if (filled_ == PacketCapacity() && !BlockIsFull()) return Seal(/*last=*/false, /*sync=*/false);
  }
  return std::nullopt;
}

std::optional<BuiltPacket> PacketBuilder::Flush(bool sync) {
  const bool unsent = block_position_ > sealed_position_;
  const bool unsynced = sync && block_position_ > synced_position_;
  if (!unsent && !unsynced) return std::nullopt;
  return Seal(BlockIsFull(), sync);
}

std::optional<BuiltPacket> PacketBuilder::Finish() {
  finished_ = true;
  if (block_position_ == 0 && !continues_block_) return std::nullopt;
  return Seal(/*last=*/true, /*sync=*/false);
}

BuiltPacket PacketBuilder::Seal(bool last, bool sync) {
  BuiltPacket packet;
  packet.block_index = block_index_;
  packet.offset = packet_offset_;
  packet.last = last;
  packet.sync = sync;
  packet.file_end = position();
  std::string_view bytes = filled_ > 0 ? std::string_view(buffer_.get(), filled_) : std::string_view(partial_chunk_);
  if (bytes.size() > summed_) AppendChunkChecksums(bytes.substr(summed_), &checksums_);
  packet.checksums = std::move(checksums_);
  checksums_.clear();
  std::string partial(bytes.substr(bytes.size() / kBytesPerChecksum * kBytesPerChecksum));
  if (bytes.size() <= kSmallPacketBytes) {
    packet.payload = absl::Cord(std::string(bytes));
  } else {
    packet.payload = absl::MakeCordFromExternal(absl::string_view(bytes.data(), bytes.size()),
                                                [memory = std::move(buffer_)](absl::string_view) {});
    buffer_ = nullptr;
  }
  filled_ = 0;
  summed_ = 0;
  sealed_position_ = block_position_;
  if (sync) synced_position_ = block_position_;
  if (last) {
    ++block_index_;
    file_start_of_block_ += block_position_;
    block_position_ = sealed_position_ = synced_position_ = packet_offset_ = 0;
    partial_chunk_.clear();
    continues_block_ = false;
  } else {
    partial_chunk_ = std::move(partial);
    packet_offset_ = block_position_ - partial_chunk_.size();
  }
  return packet;
}

}  // namespace dolmen::client
