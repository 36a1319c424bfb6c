#include "client/core/packet_builder.h"

#include "common/crc32c.h"
#include "common/protocol/data_transfer.h"
#include "common/random.h"
#include "gtest/gtest.h"

namespace dolmen::client {
namespace {

// What a datanode would store of a packet, and the rules each packet keeps.
class Replica {
 public:
  explicit Replica(uint64_t block_bytes) : block_bytes_(block_bytes) {}
  // The file has these bytes in its last block, and `before` in blocks before it.
  Replica(uint64_t block_bytes, std::string in_block, uint64_t before)
      : blocks({std::move(in_block)}), block_bytes_(block_bytes), before_(before) {}

  void Take(const std::optional<BuiltPacket>& maybe) {
    if (!maybe.has_value()) return;
    const BuiltPacket& packet = *maybe;
    ++packets;
    if (blocks.size() == packet.block_index) {
      ASSERT_TRUE(blocks.empty() || ended) << "a new block before the last packet of the one before";
      blocks.emplace_back();
      ended = false;
    }
    ASSERT_EQ(packet.block_index + 1, blocks.size());
    ASSERT_FALSE(ended);
    std::string& block = blocks.back();
    ASSERT_EQ(packet.offset % kBytesPerChecksum, 0U);
    ASSERT_LE(packet.offset, block.size());
    ASSERT_LE(packet.EndOffset(), block_bytes_);
    ASSERT_GE(packet.EndOffset(), block.size());
    ASSERT_EQ(FirstBadChunk(packet.payload, packet.checksums), -1);
    const std::string payload(packet.payload);
    const std::string again = block.substr(packet.offset);
    ASSERT_EQ(payload.substr(0, again.size()), again) << "other bytes where the partial chunk comes again";
    block = block.substr(0, packet.offset) + payload;
    ended = packet.last;
    uint64_t all = before_;
    for (const std::string& one : blocks) all += one.size();
    ASSERT_EQ(packet.file_end, all);
  }
  std::string Contents() const {
    std::string all;
    for (const std::string& block : blocks) all += block;
    return all;
  }

  std::vector<std::string> blocks;
  bool ended = false;
  int packets = 0;

 private:
  const uint64_t block_bytes_;
  const uint64_t before_ = 0;
};

void AppendAll(PacketBuilder* builder, std::string_view data, Replica* replica) {
  while (!data.empty()) replica->Take(builder->Append(&data));
}

TEST(PacketBuilderTest, BulkWritesFillPackets) {
  HeapPacketMemory memory;
  PacketBuilder builder(1 << 20, 64 << 10, &memory);
  Replica replica(1 << 20);
  const std::string data = Random(1).Bytes((1 << 20) + 1000);
  AppendAll(&builder, data, &replica);
  replica.Take(builder.Finish());
  EXPECT_EQ(replica.packets, 17);
  EXPECT_EQ(replica.Contents(), data);
  EXPECT_EQ(replica.blocks.size(), 2U);
}

TEST(PacketBuilderTest, APacketIsReturnedAsSoonAsItIsFull) {
  HeapPacketMemory memory;
  PacketBuilder builder(8192, 1024, &memory);
  std::string data(1024, 'x');
  std::string_view rest = data;
  const std::optional<BuiltPacket> packet = builder.Append(&rest);
  ASSERT_TRUE(packet.has_value());
  EXPECT_EQ(packet->payload.size(), 1024U);
  EXPECT_FALSE(packet->last);
  EXPECT_FALSE(builder.Flush(false).has_value()) << "nothing is left to flush";
}

TEST(PacketBuilderTest, AFlushInTheMiddleOfAChunkRepeatsThatChunk) {
  HeapPacketMemory memory;
  PacketBuilder builder(8192, 2048, &memory);
  std::string first(700, 'a');
  std::string_view rest = first;
  EXPECT_FALSE(builder.Append(&rest).has_value());
  const std::optional<BuiltPacket> one = builder.Flush(false);
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->offset, 0U);
  EXPECT_EQ(one->EndOffset(), 700U);
  EXPECT_FALSE(builder.Flush(false).has_value());
  const std::optional<BuiltPacket> sync = builder.Flush(true);
  ASSERT_TRUE(sync.has_value()) << "an hsync after an hflush still has to reach the disk";
  EXPECT_EQ(sync->offset, 512U);
  EXPECT_EQ(sync->EndOffset(), 700U);
  EXPECT_TRUE(sync->sync);
  EXPECT_FALSE(builder.Flush(true).has_value());
  rest = "b";
  EXPECT_FALSE(builder.Append(&rest).has_value());
  const std::optional<BuiltPacket> last = builder.Finish();
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(last->last);
  EXPECT_EQ(last->offset, 512U);
  EXPECT_EQ(std::string(last->payload), std::string(188, 'a') + "b");
}

TEST(PacketBuilderTest, SyncOfAFullBlockIsInItsLastPacket) {
  HeapPacketMemory memory;
  PacketBuilder builder(1024, 1024, &memory);
  const std::string data(1024, 'x');
  std::string_view rest = data;
  EXPECT_FALSE(builder.Append(&rest).has_value());
  const std::optional<BuiltPacket> packet = builder.Flush(true);
  ASSERT_TRUE(packet.has_value());
  EXPECT_TRUE(packet->sync);
  EXPECT_TRUE(packet->last);
  EXPECT_FALSE(builder.Finish().has_value()) << "no empty block at the end";
}

TEST(PacketBuilderTest, FinishAfterAFlushSendsAnEmptyOrRepeatingLastPacket) {
  HeapPacketMemory memory;
  for (const size_t size : {512, 513}) {
    PacketBuilder builder(4096, 1024, &memory);
    const std::string data(size, 'x');
    std::string_view rest = data;
    builder.Append(&rest);
    builder.Flush(false);
    const std::optional<BuiltPacket> last = builder.Finish();
    ASSERT_TRUE(last.has_value());
    EXPECT_TRUE(last->last);
    EXPECT_EQ(last->offset, 512U);
    EXPECT_EQ(last->EndOffset(), size);
    EXPECT_EQ(FirstBadChunk(last->payload, last->checksums), -1);
  }
}

TEST(PacketBuilderTest, LargePayloadsAreHandedOverWithoutACopy) {
  class OneBuffer final : public PacketMemory {
   public:
    std::shared_ptr<char[]> Take(size_t bytes) override {
      buffer = std::shared_ptr<char[]>(new char[bytes]);
      return buffer;
    }
    std::shared_ptr<char[]> buffer;
  } memory;
  PacketBuilder builder(1 << 20, 256 << 10, &memory);
  const std::string data = Random(1).Bytes(256 << 10);
  std::string_view rest = data;
  std::optional<BuiltPacket> packet = builder.Append(&rest);
  ASSERT_TRUE(packet.has_value());
  ASSERT_TRUE(packet->payload.TryFlat().has_value());
  EXPECT_EQ(packet->payload.TryFlat()->data(), memory.buffer.get());
  EXPECT_EQ(memory.buffer.use_count(), 2);
  packet.reset();
  EXPECT_EQ(memory.buffer.use_count(), 1) << "the memory goes back with the last reference";
}

TEST(PacketBuilderTest, RandomWritesAndFlushesReassemble) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    const uint64_t block_bytes = 512 * (1 + random.Uniform(10));
    HeapPacketMemory memory;
    PacketBuilder builder(block_bytes, static_cast<uint32_t>(512 * (1 + random.Uniform(6))), &memory);
    Replica replica(block_bytes);
    std::string written;
    const uint64_t steps = random.Uniform(40);
    for (uint64_t i = 0; i < steps; ++i) {
      const std::string data = random.Bytes(random.Uniform(random.OneIn(3) ? 5000 : 300));
      written += data;
      AppendAll(&builder, data, &replica);
      EXPECT_EQ(builder.position(), written.size());
      if (random.OneIn(2)) {
        replica.Take(builder.Flush(random.OneIn(2)));
        ASSERT_EQ(replica.Contents(), written);
      }
    }
    replica.Take(builder.Finish());
    ASSERT_EQ(replica.Contents(), written);
    ASSERT_TRUE(written.empty() || replica.ended);
    ASSERT_EQ(replica.blocks.size(), (written.size() + block_bytes - 1) / block_bytes);
    for (size_t i = 0; i + 1 < replica.blocks.size(); ++i) ASSERT_EQ(replica.blocks[i].size(), block_bytes);
  }
}

// Lengths of the last block when it is opened again.
std::vector<uint64_t> Boundaries(uint64_t block_bytes) {
  return {0,
          1,
          511,
          512,
          513,
          1023,
          1024,
          1025,
          block_bytes - 513,
          block_bytes - 512,
          block_bytes - 511,
          block_bytes - 1,
          block_bytes};
}

PacketStart StartBehind(const std::string& in_block, uint64_t before) {
  return {.block_offset = before,
          .bytes_in_block = in_block.size(),
          .partial_chunk = in_block.substr(in_block.size() / kBytesPerChecksum * kBytesPerChecksum)};
}

TEST(PacketBuilderTest, ABlockThatIsThereIsFilledUpFromItsLastChunk) {
  constexpr uint64_t kBlock = 4096;
  for (const uint64_t length : Boundaries(kBlock)) {
    for (const uint64_t more :
         {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{512}, kBlock - 1, kBlock, 3 * kBlock}) {
      SCOPED_TRACE(absl::StrCat(length, " bytes and ", more, " more"));
      HeapPacketMemory memory;
      const std::string before = Random(length + 1).Bytes(length);
      PacketBuilder builder(kBlock, 1024, &memory, StartBehind(before, 7 * kBlock));
      Replica replica(kBlock, before, 7 * kBlock);
      EXPECT_EQ(builder.position(), 7 * kBlock + length);
      EXPECT_FALSE(builder.Flush(false).has_value()) << "all bytes so far were acknowledged long ago";
      const std::string data = Random(more + 2).Bytes(more);
      AppendAll(&builder, data, &replica);
      EXPECT_EQ(builder.position(), 7 * kBlock + length + more);
      replica.Take(builder.Finish());
      EXPECT_EQ(replica.Contents(), before + data);
      EXPECT_TRUE(replica.ended) << "also a block that got no byte needs its last packet";
      EXPECT_FALSE(builder.Finish().has_value());
    }
  }
}

TEST(PacketBuilderTest, ASyncCoversTheBytesFromBefore) {
  for (const uint64_t length : {uint64_t{1}, uint64_t{512}, uint64_t{700}, uint64_t{4096}}) {
    HeapPacketMemory memory;
    const std::string before = Random(1).Bytes(length);
    PacketBuilder builder(4096, 1024, &memory, StartBehind(before, 0));
    const std::optional<BuiltPacket> packet = builder.Flush(true);
    ASSERT_TRUE(packet.has_value()) << "the file may have been closed without a sync";
    EXPECT_TRUE(packet->sync);
    EXPECT_EQ(packet->EndOffset(), length);
    EXPECT_EQ(packet->offset, length / 512 * 512);
    EXPECT_EQ(packet->last, length == 4096);
    EXPECT_FALSE(builder.Flush(true).has_value());
  }
}

TEST(PacketBuilderTest, BehindAFullBlockANewOneBegins) {
  HeapPacketMemory memory;
  PacketBuilder builder(4096, 1024, &memory, {.block_offset = 8192});
  EXPECT_EQ(builder.position(), 8192U);
  EXPECT_FALSE(builder.Flush(true).has_value());
  std::string_view data = "x";
  EXPECT_FALSE(builder.Append(&data).has_value());
  const std::optional<BuiltPacket> last = builder.Finish();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->offset, 0U);
  EXPECT_EQ(last->file_end, 8193U);
  PacketBuilder nothing(4096, 1024, &memory, {.block_offset = 8192});
  EXPECT_FALSE(nothing.Finish().has_value());
}

TEST(PacketBuilderTest, RandomWritesBehindABlockReassemble) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    const uint64_t block_bytes = 512 * (1 + random.Uniform(6));
    HeapPacketMemory memory;
    std::string written = random.Bytes(random.Uniform(block_bytes + 1));
    PacketBuilder builder(block_bytes, static_cast<uint32_t>(512 * (1 + random.Uniform(6))), &memory,
                          StartBehind(written, 0));
    Replica replica(block_bytes, written, 0);
    const uint64_t steps = random.Uniform(20);
    for (uint64_t i = 0; i < steps; ++i) {
      const std::string data = random.Bytes(random.Uniform(random.OneIn(3) ? 3000 : 300));
      written += data;
      AppendAll(&builder, data, &replica);
      if (random.OneIn(2)) {
        replica.Take(builder.Flush(random.OneIn(2)));
        ASSERT_EQ(replica.Contents(), written);
      }
    }
    replica.Take(builder.Finish());
    ASSERT_EQ(replica.Contents(), written);
    ASSERT_TRUE(replica.ended);
  }
}

}  // namespace
}  // namespace dolmen::client
