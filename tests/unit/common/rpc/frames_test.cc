#include "common/rpc/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "proto/data_transfer.pb.h"

namespace dolmen::rpc {
namespace {

using ::testing::HasSubstr;

std::vector<grpc::Slice> SlicesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  return slices;
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  for (const grpc::Slice& slice : SlicesOf(buffer)) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

grpc::ByteBuffer OneSlice(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// `bytes` in slices of random sizes, many of them tiny, some empty.
grpc::ByteBuffer RandomSlices(const std::string& bytes, Random* random) {
  std::vector<grpc::Slice> slices;
  size_t from = 0;
  while (from < bytes.size()) {
    size_t size = random->OneIn(3) ? random->Uniform(4) : random->Uniform(random->OneIn(2) ? 40 : 5000);
    size = std::min(size, bytes.size() - from);
    slices.emplace_back(bytes.data() + from, size);
    from += size;
  }
  if (slices.empty()) slices.emplace_back();
  return grpc::ByteBuffer(slices.data(), slices.size());
}

protocol::WriteSetup SomeSetup() {
  return {.block = {BlockId(1 << 30), GenerationStamp(1001), 0},
          .storage = StorageId("DS-1"),
          .downstream = {{{DatanodeUuid("dn-2"), "h", {{"default", "10.0.0.2", 7066}}, "/r", 9864},
                          StorageId("DS-2"),
                          protocol::StorageType::kSsd}},
          .token = std::string("\0\xff", 2),
          .client_name = "c",
          .expected_bytes = 1 << 27};
}

protocol::Packet SomePacket(size_t payload_bytes, Random* random) {
  const std::string payload = random->Bytes(payload_bytes);
  return {.sequence = random->Next() >> random->Uniform(64),
          .offset = random->Uniform(uint64_t{1} << 40) * 512,
          .last = random->OneIn(2),
          .sync = random->OneIn(2),
          .visible_length = random->Uniform(1000),
          .checksums = random->Bytes(ChecksumBytesFor(payload_bytes)),
          .payload = absl::Cord(absl::string_view(payload))};
}

v1::WriteFrame Generated(const protocol::Packet& packet) {
  v1::WriteFrame frame;
  v1::Packet* to = frame.mutable_packet();
  to->set_sequence(packet.sequence);
  to->set_offset(packet.offset);
  to->set_last(packet.last);
  to->set_sync(packet.sync);
  to->set_visible_length(packet.visible_length);
  to->set_checksums(packet.checksums);
  to->set_payload(std::string(packet.payload));
  return frame;
}

v1::ReadFrame Generated(const protocol::ReadChunk& chunk) {
  v1::ReadFrame frame;
  frame.set_offset(chunk.offset);
  frame.set_checksums(chunk.checksums);
  frame.set_replica_length(chunk.replica_length);
  frame.set_payload(std::string(chunk.payload));
  return frame;
}

void ExpectEqual(const protocol::Packet& a, const protocol::Packet& b) {
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.offset, b.offset);
  EXPECT_EQ(a.last, b.last);
  EXPECT_EQ(a.sync, b.sync);
  EXPECT_EQ(a.visible_length, b.visible_length);
  EXPECT_TRUE(a.checksums == b.checksums);
  EXPECT_TRUE(a.payload == b.payload);
}

protocol::Packet DecodedPacket(grpc::ByteBuffer buffer) {
  auto frame = DecodeWriteFrame(std::move(buffer));
  EXPECT_TRUE(frame.ok()) << frame.status();
  if (!frame.ok() || !std::holds_alternative<protocol::Packet>(*frame)) {
    ADD_FAILURE() << "not a packet";
    return {};
  }
  return std::get<protocol::Packet>(*std::move(frame));
}

constexpr size_t kSizes[] = {0, 1, 100, 511, 512, 513, 16 << 10, 65'537, protocol::kMaxPacketBytes};

TEST(FramesTest, PacketsAreTheGeneratedMessageByteForByte) {
  Random random(1);
  for (const size_t size : kSizes) {
    const protocol::Packet packet = SomePacket(size, &random);
    const std::string generated = Generated(packet).SerializeAsString();
    EXPECT_TRUE(BytesOf(EncodePacket(packet)) == generated) << size;
    ExpectEqual(DecodedPacket(OneSlice(generated)), packet);
    ExpectEqual(DecodedPacket(EncodePacket(packet)), packet);
  }
}

TEST(FramesTest, APacketOfZerosOnlyIsTheGeneratedMessage) {
  const protocol::Packet packet;
  EXPECT_EQ(BytesOf(EncodePacket(packet)), Generated(packet).SerializeAsString());
  ExpectEqual(DecodedPacket(EncodePacket(packet)), packet);
}

TEST(FramesTest, ReadChunksAreTheGeneratedMessageByteForByte) {
  Random random(2);
  for (const size_t size : kSizes) {
    const std::string payload = random.Bytes(size);
    const protocol::ReadChunk chunk{.offset = size * 512,
                                    .checksums = random.Bytes(ChecksumBytesFor(size)),
                                    .payload = absl::Cord(absl::string_view(payload)),
                                    .replica_length = size * 1000};
    const std::string generated = Generated(chunk).SerializeAsString();
    EXPECT_TRUE(BytesOf(EncodeReadChunk(chunk)) == generated) << size;
    for (const grpc::ByteBuffer& buffer : {EncodeReadChunk(chunk), OneSlice(generated)}) {
      const absl::StatusOr<protocol::ReadChunk> decoded = DecodeReadChunk(buffer);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_EQ(decoded->offset, chunk.offset);
      EXPECT_EQ(decoded->replica_length, chunk.replica_length);
      EXPECT_TRUE(decoded->checksums == chunk.checksums);
      EXPECT_TRUE(decoded->payload == chunk.payload);
    }
  }
}

TEST(FramesTest, SetupsAcksAndRequestsSurviveARoundTrip) {
  const auto setup = DecodeWriteFrame(EncodeWriteFrame(SomeSetup()));
  ASSERT_TRUE(setup.ok()) << setup.status();
  EXPECT_TRUE(std::get<protocol::WriteSetup>(*setup) == SomeSetup());
  v1::WriteFrame generated;
  ASSERT_TRUE(generated.ParseFromString(BytesOf(EncodeWriteFrame(SomeSetup()))));
  EXPECT_TRUE(generated.has_setup());

  protocol::Ack ack{.sequence = 5, .storage = StorageId("DS-1")};
  ack.hops.push_back({DatanodeUuid("dn-1"), MakeError(ErrorReason::kChecksum, "chunk 3"), 9});
  const absl::StatusOr<protocol::Ack> decoded_ack = DecodeAck(EncodeAck(ack));
  ASSERT_TRUE(decoded_ack.ok()) << decoded_ack.status();
  EXPECT_EQ(decoded_ack->sequence, 5u);
  EXPECT_EQ(decoded_ack->hops[0].status, ack.hops[0].status);

  const protocol::ReadRequest read{{BlockId(16), GenerationStamp(1001), 5}, 1, 2, "t", "c"};
  EXPECT_TRUE(*DecodeReadRequest(EncodeReadRequest(read)) == read);
}

TEST(FramesTest, AnySplitIntoSlicesReadsTheSame) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    const protocol::Packet packet = SomePacket(random.Uniform(20'000), &random);
    ExpectEqual(DecodedPacket(RandomSlices(Generated(packet).SerializeAsString(), &random)), packet);
  }
}

TEST(FramesTest, FieldsMayComeInAnyOrderAndUnknownOnesAreSkipped) {
  // payload "xy", sequence 7, and fields 9 (varint), 10 (fixed64), 11 (bytes), 12 (fixed32), which nobody knows.
  const std::string packet(
      "\x7a\x02xy\x08\x07\x48\x05\x51"
      "12345678"
      "\x5a\x03"
      "abc"
      "\x65"
      "1234",
      27);
  const std::string frame = "\x1a\x01q" + std::string("\x12\x1b", 2) + packet;  // an unknown field 3 before it
  const protocol::Packet decoded = DecodedPacket(OneSlice(frame));
  EXPECT_EQ(decoded.sequence, 7u);
  EXPECT_EQ(std::string(decoded.payload), "xy");
}

TEST(FramesTest, PayloadMemoryIsSharedNotCopied) {
  // Three chunks of foreign memory, as a receiver's slices or a pool's buffers would be.
  std::vector<std::string> memory(3, std::string(128 << 10, 'm'));
  int released = 0;
  protocol::Packet packet;
  for (const std::string& chunk : memory) {
    packet.payload.Append(absl::MakeCordFromExternal(absl::string_view(chunk), [&released] { ++released; }));
  }
  packet.checksums = std::string(ChecksumBytesFor(packet.payload.size()), 'c');

  grpc::ByteBuffer sent = EncodePacket(packet);
  packet.payload.Clear();
  const std::vector<grpc::Slice> slices = SlicesOf(sent);
  ASSERT_EQ(slices.size(), 4u);  // everything before the payload, then one slice per chunk
  for (size_t i = 0; i < memory.size(); ++i) {
    EXPECT_EQ(static_cast<const void*>(slices[i + 1].begin()), static_cast<const void*>(memory[i].data()));
  }
  EXPECT_EQ(released, 0);

  protocol::Packet received = DecodedPacket(sent);
  size_t i = 0;
  for (const absl::string_view chunk : received.payload.Chunks()) {
    ASSERT_LT(i, memory.size());
    EXPECT_EQ(static_cast<const void*>(chunk.data()), static_cast<const void*>(memory[i].data()));
    EXPECT_EQ(chunk.size(), memory[i].size());
    ++i;
  }
  EXPECT_EQ(i, memory.size());

  // Relaying to the next hop shares it again.
  const grpc::ByteBuffer relayed = EncodePacket(received);
  EXPECT_EQ(static_cast<const void*>(SlicesOf(relayed)[1].begin()), static_cast<const void*>(memory[0].data()));
}

TEST(FramesTest, MemoryIsReleasedWithTheLastSlice) {
  const std::string memory(4096, 'm');
  bool released = false;
  {
    grpc::Slice kept;
    {
      protocol::Packet packet;
      packet.payload = absl::MakeCordFromExternal(absl::string_view(memory), [&released] { released = true; });
      kept = SlicesOf(EncodePacket(packet))[1];
    }
    EXPECT_FALSE(released);
    EXPECT_EQ(std::memcmp(kept.begin(), memory.data(), memory.size()), 0);
  }
  EXPECT_TRUE(released);
}

TEST(FramesTest, TinyChunksAmongLargeOnesKeepTheirPlace) {
  Random random(3);
  protocol::Packet packet;
  std::string expected;
  std::vector<std::string> memory;
  for (const size_t size : {1, 600, 2, 3, 5000, 511, 512, 7}) memory.push_back(random.Bytes(size));
  for (const std::string& chunk : memory) {
    expected += chunk;
    packet.payload.Append(absl::MakeCordFromExternal(absl::string_view(chunk), [] {}));
  }
  EXPECT_TRUE(BytesOf(EncodePacket(packet)) == Generated(packet).SerializeAsString());
  EXPECT_EQ(std::string(DecodedPacket(EncodePacket(packet)).payload), expected);
}

TEST(FramesTest, PayloadsOverTheBoundAreRefused) {
  Random random(4);
  v1::WriteFrame frame = Generated(SomePacket(protocol::kMaxPacketBytes, &random));
  frame.mutable_packet()->mutable_payload()->push_back('x');
  const auto decoded = DecodeWriteFrame(OneSlice(frame.SerializeAsString()));
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(MessageOf(decoded.status())), HasSubstr("payload: 1048577 bytes"));

  v1::ReadFrame chunk;
  chunk.set_checksums(std::string(kMaxChecksumBytes + 1, 'c'));
  EXPECT_THAT(std::string(MessageOf(DecodeReadChunk(OneSlice(chunk.SerializeAsString())).status())),
              HasSubstr("checksums"));
}

TEST(FramesTest, OffsetsBeyondTheRangeOfIdsAreRefused) {
  protocol::Packet packet;
  packet.offset = (uint64_t{1} << 63) - 512;
  packet.payload = absl::Cord(std::string(512, 'x'));
  const auto decoded = DecodeWriteFrame(EncodePacket(packet));
  EXPECT_THAT(std::string(MessageOf(decoded.status())), HasSubstr("packet: offset + payload"));
}

TEST(FramesTest, LengthsThatTheMessageDoesNotHaveAreRefused) {
  // A packet, a payload, a setup and an unknown field that claim 2^40 bytes.
  const std::string huge("\x80\x80\x80\x80\x80\x20", 6);
  for (const std::string& bytes : {"\x12" + huge, "\x12\x07\x7a" + huge, "\x0a" + huge, "\x1a" + huge}) {
    EXPECT_EQ(DecodeWriteFrame(OneSlice(bytes)).status().code(), absl::StatusCode::kInvalidArgument);
  }
  // A payload that reaches beyond its packet into the next field.
  EXPECT_FALSE(DecodeWriteFrame(OneSlice(std::string("\x12\x04\x7a\x03"
                                                     "abcd",
                                                     8)))
                   .ok());
  EXPECT_EQ(DecodeReadChunk(OneSlice("\x7a" + huge)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(FramesTest, EmptyAndDoubleFramesAreRefused) {
  EXPECT_FALSE(DecodeWriteFrame(grpc::ByteBuffer()).ok());
  EXPECT_FALSE(DecodeWriteFrame(OneSlice("")).ok());
  const std::string packet = BytesOf(EncodePacket({.sequence = 1}));
  EXPECT_TRUE(DecodeWriteFrame(OneSlice(packet)).ok());
  EXPECT_FALSE(DecodeWriteFrame(OneSlice(packet + packet)).ok());
  // Wrong wire types: packet as a number, sequence as bytes, a group.
  EXPECT_FALSE(DecodeWriteFrame(OneSlice(std::string("\x10\x01", 2))).ok());
  EXPECT_FALSE(DecodeWriteFrame(OneSlice(std::string("\x12\x02\x0a\x00", 4))).ok());
  EXPECT_FALSE(DecodeWriteFrame(OneSlice(std::string("\x13\x14", 2))).ok());
}

TEST(FramesTest, EveryTruncationIsRefused) {
  Random random(5);
  protocol::Packet packet = SomePacket(1300, &random);
  packet.sequence = 300;
  const std::string bytes = BytesOf(EncodePacket(packet));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeWriteFrame(OneSlice(bytes.substr(0, size))).ok()) << size;
  }
}

TEST(FramesTest, GarbageNeverCrashesAndWhatIsAcceptedIsBounded) {
  int accepted = 0;
  int refused = 0;
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    Random random(seed);
    std::string bytes;
    if (random.OneIn(4)) {
      bytes = random.Bytes(random.Uniform(60));
    } else {  // a good frame with a few bytes changed, inserted or cut out
      bytes = random.OneIn(3) ? BytesOf(EncodeWriteFrame(SomeSetup()))
                              : BytesOf(EncodePacket(SomePacket(random.Uniform(1500), &random)));
      for (uint64_t edits = random.Between(0, 3); edits > 0 && !bytes.empty(); --edits) {
        const size_t at =
            random.OneIn(2) ? random.Uniform(std::min<size_t>(bytes.size(), 24)) : random.Uniform(bytes.size());
        switch (random.Uniform(3)) {
          case 0:
            bytes[at] = static_cast<char>(random.Next());
            break;
          case 1:
            bytes.insert(at, 1, static_cast<char>(random.Next()));
            break;
          default:
            bytes.erase(at, random.Between(1, 4));
        }
      }
    }
    const grpc::ByteBuffer buffer = RandomSlices(bytes, &random);
    const auto frame = DecodeWriteFrame(buffer);
    if (frame.ok()) {
      ++accepted;
      if (const auto* packet = std::get_if<protocol::Packet>(&*frame)) {
        ASSERT_LE(packet->payload.size() + packet->checksums.size(), bytes.size()) << "seed " << seed;
        ExpectEqual(DecodedPacket(EncodePacket(*packet)), *packet);
      }
    } else {
      ++refused;
      ASSERT_EQ(frame.status().code(), absl::StatusCode::kInvalidArgument) << "seed " << seed;
    }
    (void)DecodeReadChunk(buffer).ok();
    (void)DecodeAck(buffer).ok();
    (void)DecodeReadRequest(buffer).ok();
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

TEST(FramesDeathTest, EncodingAPayloadOverTheBoundStopsTheProcess) {
  protocol::Packet packet;
  packet.payload = absl::Cord(std::string(protocol::kMaxPacketBytes + 1, 'x'));
  EXPECT_DEATH(EncodePacket(packet), "kMaxPacketBytes");
}

}  // namespace
}  // namespace dolmen::rpc
