// Calls that one datanode passes on to another, and datanodes that are looked for at several addresses.
#include "common/rpc/relay.h"

#include "common/rpc/convert_data.h"
#include "gmock/gmock.h"
#include "tests/cluster/datanode_fixture.h"

namespace dolmen::datanode {
namespace {

using protocol::Block;
using ::testing::HasSubstr;

class RelayTest : public DatanodeFixture {
 protected:
  // Asks datanode `by` to pass calls on to `target`.
  std::unique_ptr<v1::DataTransfer::Stub> Through(size_t by, const protocol::DatanodeInfo& target) {
    return v1::DataTransfer::NewStub(rpc::MakeRelayedDataChannel("127.0.0.1", servers_[by]->port(), target));
  }
  // Nobody listens at its address.
  static protocol::DatanodeInfo Nowhere() {
    return {.uuid = DatanodeUuid("nowhere"), .addresses = {{.network = "x", .host = "127.0.0.1", .port = 1}}};
  }

  absl::Status WriteThrough(v1::DataTransfer::Stub* stub, const protocol::WriteSetup& setup,
                            const std::string& content) {
    grpc::ClientContext context;
    const auto stream = stub->WriteBlock(&context);
    v1::WriteFrame frame;
    *frame.mutable_setup() = rpc::ToProto(setup);
    stream->Write(frame);
    v1::AckFrame ack;
    if (stream->Read(&ack)) {
      uint64_t sequence = 0;
      for (uint64_t at = 0; at <= content.size(); at += 1 << 20, ++sequence) {
        const std::string piece = content.substr(at, 1 << 20);
        v1::Packet* const packet = frame.mutable_packet();
        packet->set_sequence(sequence);
        packet->set_offset(at);
        packet->set_last(at + piece.size() == content.size());
        packet->clear_checksums();
        AppendChunkChecksums(std::string_view(piece), packet->mutable_checksums());
        packet->set_payload(piece);
        if (!stream->Write(frame) || !stream->Read(&ack) || ack.sequence() != sequence) break;
      }
      stream->WritesDone();
      EXPECT_FALSE(stream->Read(&ack));
    }
    return rpc::FromGrpc(stream->Finish());
  }
  // A write stream to datanode `to` that is set up and stays open.
  struct Held {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::WriteFrame, v1::AckFrame>> stream;
    // False: it has ended.
    bool Read() {
      v1::AckFrame ack;
      return stream->Read(&ack);
    }
  };
  std::unique_ptr<Held> Hold(v1::DataTransfer::Stub* stub, const Block& block, size_t to) {
    auto held = std::make_unique<Held>();
    held->stream = stub->WriteBlock(&held->context);
    v1::WriteFrame frame;
    *frame.mutable_setup() = rpc::ToProto(Setup(block, {to}));
    EXPECT_TRUE(held->stream->Write(frame) && held->Read());
    return held;
  }
  absl::StatusOr<std::string> ReadThrough(v1::DataTransfer::Stub* stub, const Block& block, const std::string& token) {
    grpc::ClientContext context;
    const auto reader = stub->ReadBlock(
        &context,
        rpc::ToProto(protocol::ReadRequest{.block = block, .offset = 0, .length = block.length, .token = token}));
    std::string bytes;
    for (v1::ReadFrame frame; reader->Read(&frame);) bytes += frame.payload();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return rpc::FromGrpc(status);
    return bytes;
  }
};

TEST_F(RelayTest, EveryCallReachesTheDatanodeThatIsMeant) {
  StartRegistered(3);
  const std::string content = Bytes((3 << 20) + 77);
  const Block block = MakeBlock(1);
  const auto stub = Through(0, Location(1).datanode);

  ASSERT_TRUE(WriteThrough(stub.get(), Setup(block, {1, 2}), content).ok());
  EXPECT_FALSE(servers_[0]->store().StorageOf(block.id).has_value());
  EXPECT_TRUE(servers_[1]->store().StorageOf(block.id).has_value());
  EXPECT_TRUE(servers_[2]->store().StorageOf(block.id).has_value());

  const auto read = ReadThrough(stub.get(), MakeBlock(1, content.size()), Token(block.id));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(*read == content);

  grpc::ClientContext info_context, length_context, checksum_context;
  v1::LocalInfoReply info;
  ASSERT_TRUE(stub->GetLocalInfo(&info_context, {}, &info).ok());
  EXPECT_EQ(info.datanode(), Uuid(1).value());
  v1::VisibleLengthReply length;
  const protocol::VisibleLengthRequest ask{.block = block, .token = Token(block.id)};
  ASSERT_TRUE(stub->GetVisibleLength(&length_context, rpc::ToProto(ask), &length).ok());
  EXPECT_EQ(length.length(), content.size());
  v1::BlockChecksumReply checksum;
  const protocol::BlockChecksumRequest sums{.block = MakeBlock(1, content.size()), .token = Token(block.id)};
  ASSERT_TRUE(stub->GetBlockChecksum(&checksum_context, rpc::ToProto(sums), &checksum).ok());
  EXPECT_EQ(checksum.crc_count(), (content.size() + 511) / 512);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Quiet(i));
}

TEST_F(RelayTest, ErrorsOfTheOtherDatanodeComeBackAsTheyAre) {
  StartRegistered(2);
  const auto stub = Through(0, Location(1).datanode);
  const auto read = ReadThrough(stub.get(), MakeBlock(9, 10), Token(MakeBlock(9).id));
  EXPECT_EQ(ReasonOf(read.status()), ErrorReason::kReplicaNotFound) << read.status();
  EXPECT_TRUE(Quiet(0));
}

TEST_F(RelayTest, WithoutAGoodTokenNobodyIsConnected) {
  StartRegistered(1);
  const auto stub = Through(0, Nowhere());
  const Block block = MakeBlock(1, 10);
  const std::string other = Token(MakeBlock(2).id);
  EXPECT_EQ(ReasonOf(ReadThrough(stub.get(), block, other).status()), ErrorReason::kBadToken);
  protocol::WriteSetup setup = Setup(block, {0});
  setup.token = other;
  EXPECT_EQ(ReasonOf(WriteThrough(stub.get(), setup, "x")), ErrorReason::kBadToken);
  grpc::ClientContext length_context, checksum_context;
  v1::VisibleLengthReply length;
  EXPECT_EQ(ReasonOf(rpc::FromGrpc(stub->GetVisibleLength(
                &length_context, rpc::ToProto(protocol::VisibleLengthRequest{block, other}), &length))),
            ErrorReason::kBadToken);
  v1::BlockChecksumReply checksum;
  EXPECT_EQ(ReasonOf(rpc::FromGrpc(stub->GetBlockChecksum(
                &checksum_context, rpc::ToProto(protocol::BlockChecksumRequest{block, other}), &checksum))),
            ErrorReason::kBadToken);
  EXPECT_TRUE(Quiet(0));
}

TEST_F(RelayTest, ADatanodeThatCannotBeReachedEitherIsSaidToBe) {
  StartRegistered(1);
  const auto stub = Through(0, Nowhere());
  const Block block = MakeBlock(1, 10);
  grpc::ClientContext context;
  v1::LocalInfoReply info;
  for (const absl::Status& status :
       {ReadThrough(stub.get(), block, Token(block.id)).status(), WriteThrough(stub.get(), Setup(block, {0}), "x"),
        rpc::FromGrpc(stub->GetLocalInfo(&context, {}, &info))}) {
    EXPECT_EQ(ReasonOf(status), ErrorReason::kUnreachable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("passing the call on: datanode nowhere cannot be reached: "
                                                         "127.0.0.1:1 (cannot be connected)"));
  }
  EXPECT_TRUE(Quiet(0));
}

TEST_F(RelayTest, WhoTakesNothingIsCutOff) {  // F-125
  Start(0);
  DatanodeOptions options = Options(1);
  options.node.reader_timeout = std::chrono::seconds(2);
  StartWith(1, options);
  ASSERT_TRUE(WaitRegistered(0) && WaitRegistered(1));
  const std::string content = Bytes(32 << 20);  // more than gRPC holds on the way
  ASSERT_TRUE(Write(MakeBlock(1), {0}, content).ok());
  const auto stub = Through(1, Location(0).datanode);
  grpc::ClientContext context;
  const auto reader = stub->ReadBlock(
      &context, rpc::ToProto(protocol::ReadRequest{
                    .block = MakeBlock(1, content.size()), .length = content.size(), .token = Token(MakeBlock(1).id)}));
  v1::ReadFrame frame;
  ASSERT_TRUE(reader->Read(&frame));
  EXPECT_TRUE(Quiet(1));
  EXPECT_TRUE(Quiet(0));
  while (reader->Read(&frame)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(RelayTest, WhoGoesAwayInTheMiddleLeavesNothingBehind) {
  StartRegistered(2);
  const std::string content = Bytes(32 << 20);
  ASSERT_TRUE(Write(MakeBlock(1), {0}, content).ok());
  const auto stub = Through(1, Location(0).datanode);
  {
    grpc::ClientContext context;
    const auto reader = stub->ReadBlock(
        &context,
        rpc::ToProto(protocol::ReadRequest{
            .block = MakeBlock(1, content.size()), .length = content.size(), .token = Token(MakeBlock(1).id)}));
    v1::ReadFrame frame;
    ASSERT_TRUE(reader->Read(&frame));
    context.TryCancel();
    reader->Finish();
  }
  {
    const auto held = Hold(stub.get(), MakeBlock(2), 0);
    held->context.TryCancel();
    held->stream->Finish();
  }
  EXPECT_TRUE(Quiet(0));
  EXPECT_TRUE(Quiet(1));
}

TEST_F(RelayTest, WhenTheOtherDatanodeDiesTheCallerHearsOfIt) {
  StartRegistered(2);
  const auto stub = Through(1, Location(0).datanode);
  const auto held = Hold(stub.get(), MakeBlock(1), 0);
  Stop(0);
  EXPECT_FALSE(held->Read());
  EXPECT_FALSE(held->stream->Finish().ok());
  EXPECT_TRUE(Quiet(1));
}

TEST_F(RelayTest, AMemberOfThePipelineMayPassItOnToTheFirst) {
  StartRegistered(2);
  const std::string content = Bytes(100'000);
  const auto stub = Through(1, Location(0).datanode);
  ASSERT_TRUE(WriteThrough(stub.get(), Setup(MakeBlock(1), {0, 1}), content).ok());
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(*Read(i, MakeBlock(1, content.size()), 0, content.size()), content);
}

TEST_F(RelayTest, NoMoreThanSoManyAreUnderWay) {
  Start(0);
  DatanodeOptions options = Options(1);
  options.node.limits.relays = 1;
  StartWith(1, options);
  ASSERT_TRUE(WaitRegistered(0) && WaitRegistered(1));
  const auto stub = Through(1, Location(0).datanode);
  const auto held = Hold(stub.get(), MakeBlock(1), 0);
  const absl::Status read = ReadThrough(stub.get(), MakeBlock(2, 10), Token(MakeBlock(2).id)).status();
  EXPECT_EQ(ReasonOf(read), ErrorReason::kBusy) << read;
  held->context.TryCancel();
  held->stream->Finish();
  EXPECT_TRUE(Quiet(1));
  EXPECT_TRUE(Quiet(0));
  EXPECT_EQ(ReasonOf(ReadThrough(stub.get(), MakeBlock(2, 10), Token(MakeBlock(2).id)).status()),
            ErrorReason::kReplicaNotFound);
}

TEST_F(RelayTest, AStreamThatIsPassedOnEndsWithTheDatanode) {
  StartRegistered(2);
  const auto stub = Through(1, Location(0).datanode);
  const auto held = Hold(stub.get(), MakeBlock(1), 0);
  Stop(1);
  EXPECT_FALSE(held->Read());
  EXPECT_FALSE(held->stream->Finish().ok());
  EXPECT_TRUE(Quiet(0));
}

TEST_F(RelayTest, ADatanodeIsNotTakenForAnotherThatHasItsAddress) {
  StartRegistered(3);
  protocol::WriteSetup setup = Setup(MakeBlock(1), {0, 1});
  // As with localhost: the first address leads to the asking datanode itself, the second to a third one.
  std::vector<protocol::Address>& addresses = setup.downstream[0].datanode.addresses;
  addresses.insert(addresses.begin(), Location(2).datanode.addresses.front());
  addresses.insert(addresses.begin(), Location(0).datanode.addresses.front());
  const std::string content = Bytes(1000);
  Writer writer(this, Location(0), setup);
  writer.SendAll(content);
  ASSERT_TRUE(writer.WaitEnd().ok());
  EXPECT_EQ(*Read(1, MakeBlock(1, content.size()), 0, content.size()), content);
  EXPECT_FALSE(servers_[2]->store().StorageOf(MakeBlock(1).id).has_value());

  setup = Setup(MakeBlock(2), {0, 1});
  setup.downstream[0].datanode.addresses = {Location(0).datanode.addresses.front(),
                                            Location(2).datanode.addresses.front()};
  Writer lost(this, Location(0), setup);
  const absl::Status status = lost.WaitEnd();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("is datanode " + Uuid(2).value()));
}

}  // namespace
}  // namespace dolmen::datanode
