#include <sstream>

#include "common/fault_point.h"
#include "common/faulty_file_system.h"
#include "common/random.h"
#include "common/version.h"
#include "gmock/gmock.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/cluster/datanode_fixture.h"

namespace dolmen::datanode {
namespace {

using protocol::Block;
using protocol::ReplicaState;
using ::testing::HasSubstr;
using ::testing::Not;

class DatanodeServiceTest : public DatanodeFixture {
 protected:
  void TearDown() override {
    fault::DisarmAll();
    DatanodeFixture::TearDown();
  }
  void Freeze(size_t i, BlockId block, uint64_t recovery) {
    namenode_->Order(Uuid(i), protocol::FreezeReplicaCommand{*servers_[i]->store().StorageOf(block), block,
                                                             GenerationStamp(recovery)});
  }
  bool WaitFrozen(size_t i, BlockId block, uint64_t recovery) {
    return Eventually([&] {
      const auto reported = namenode_->Reported(Uuid(i), block);
      return reported.has_value() && reported->frozen_by == GenerationStamp(recovery);
    });
  }
};

TEST_F(DatanodeServiceTest, BytesGoThroughThreeHopsAndComeBackFromEach) {
  StartRegistered(3);
  const Block block = MakeBlock(1);
  const std::string content = Bytes((5 << 20) + 777);
  const absl::Status written = Write(block, {0, 1, 2}, content);
  ASSERT_TRUE(written.ok()) << written;
  for (size_t i = 0; i < 3; ++i) {
    const auto read = Read(i, MakeBlock(1, content.size()), 0, content.size());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == content);
    EXPECT_EQ(*Read(i, block, 1'000'001, 70'000), content.substr(1'000'001, 70'000));
    EXPECT_EQ(*Read(i, block, content.size(), 10), "");
    EXPECT_TRUE(Eventually([&] { return namenode_->Reported(Uuid(i), block.id).has_value(); }));
    EXPECT_EQ(namenode_->Reported(Uuid(i), block.id)->block.length, content.size());
    EXPECT_TRUE(Quiet(i));
  }
}

TEST_F(DatanodeServiceTest, WhoAsksIsToldHowLongItRunsAndOfWhatVersionItIs) {
  Start(0);  // registered or not
  grpc::ClientContext context;
  v1::LocalInfoReply reply;
  const grpc::Status status = Stub(0)->GetLocalInfo(&context, v1::LocalInfoRequest(), &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_LT(reply.uptime_seconds(), 60u);
  EXPECT_EQ(reply.software_version(), kVersion);
  EXPECT_EQ(reply.config_version(), "datanode-1");
}

TEST_F(DatanodeServiceTest, ClocksThatDifferAreSaidTo) {
  // spdlog writes one line at a time; read only when the datanode has stopped.
  const auto log_of = [this](int64_t ahead_ms) {
    std::ostringstream lines;
    const auto before = spdlog::default_logger();
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)));
    namenode_->SetWall({clock_.WallNow().ms - ahead_ms});
    Start(0);
    EXPECT_TRUE(WaitRegistered(0));
    Stop(0);
    spdlog::set_default_logger(before);
    return lines.str();
  };
  EXPECT_THAT(log_of(3'600'000), HasSubstr("s ahead of the namenode's"));
  EXPECT_THAT(log_of(-3'600'000), HasSubstr("s behind the namenode's"));
  EXPECT_THAT(log_of(20'000), Not(HasSubstr("clock")));
}

TEST_F(DatanodeServiceTest, FlushedBytesAreVisibleWhileTheBlockIsWritten) {
  StartRegistered(2);
  const Block block = MakeBlock(1);
  const std::string content = Bytes(3000);
  Writer writer(this, Location(0), Setup(block, {0, 1}));
  ASSERT_TRUE(writer.WaitAcks(1));
  writer.Send(content, 0, 700);
  ASSERT_TRUE(writer.WaitAcks(2));
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(*Read(i, block, 0, 10'000), content.substr(0, 700));
  writer.Send(content, 700, 1500, /*last=*/false, /*sync=*/true);
  ASSERT_TRUE(writer.WaitAcks(3));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(*Read(i, block, 0, 10'000), content.substr(0, 1500));
    grpc::ClientContext context;
    v1::VisibleLengthRequest request;
    request.mutable_block()->set_id(block.id.value());
    request.mutable_block()->set_stamp(block.stamp.value());
    request.set_token(Token(block.id));
    v1::VisibleLengthReply reply;
    ASSERT_TRUE(Stub(i)->GetVisibleLength(&context, request, &reply).ok());
    EXPECT_EQ(reply.length(), 1500u);
  }
  writer.Send(content, 1500, 3000, /*last=*/true);
  ASSERT_TRUE(writer.WaitEnd().ok());
  EXPECT_EQ(*Read(1, block, 0, 10'000), content);
  for (const protocol::Ack& ack : writer.acks()) EXPECT_EQ(ack.hops.size(), 2u);
}

TEST_F(DatanodeServiceTest, AFullHopAnswersBusyAndTheSetupIsUndoneEverywhere) {
  Start(0);
  DatanodeOptions small = Options(1);
  small.node.limits.writers_per_volume = 1;
  small.store.directories = {{root_ + "/small"}};
  StartWith(1, small);
  ASSERT_TRUE(WaitRegistered(0) && WaitRegistered(1));
  Writer first(this, Location(1), Setup(MakeBlock(1), {1}));
  ASSERT_TRUE(first.WaitAcks(1));
  Writer second(this, Location(0), Setup(MakeBlock(2), {0, 1}));
  EXPECT_EQ(ReasonOf(second.WaitEnd()), ErrorReason::kBusy);
  ASSERT_EQ(second.acks().size(), 1u);
  EXPECT_EQ(second.acks()[0].sequence, protocol::kSetupAck);
  EXPECT_TRUE(second.acks()[0].hops[0].status.ok());
  EXPECT_EQ(second.acks()[0].hops[1].datanode, Uuid(1));
  EXPECT_TRUE(Quiet(0));
  EXPECT_FALSE(servers_[0]->store().StorageOf(MakeBlock(2).id).has_value());
  const std::string content = Bytes(100);
  first.Send(content, 0, 100, /*last=*/true);
  EXPECT_TRUE(first.WaitEnd().ok());
  ASSERT_TRUE(Quiet(1));
  EXPECT_TRUE(Write(MakeBlock(2), {0, 1}, content).ok());  // room again
}

TEST_F(DatanodeServiceTest, BadTokensAreRefused) {  // F-184
  StartRegistered(1);
  const Block block = MakeBlock(1);
  ASSERT_TRUE(Write(block, {0}, Bytes(100)).ok());
  std::string flipped = Token(block.id);
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  for (const std::string& token :
       {std::string(), flipped, Token(MakeBlock(2).id), Token(block.id, static_cast<uint8_t>(BlockAccess::kWrite))}) {
    EXPECT_EQ(ReasonOf(Read(0, block, 0, 100, token).status()), ErrorReason::kBadToken);
  }
  protocol::WriteSetup setup = Setup(MakeBlock(3), {0});
  setup.token = Token(MakeBlock(3).id, static_cast<uint8_t>(BlockAccess::kRead));
  Writer writer(this, Location(0), setup);
  EXPECT_EQ(ReasonOf(writer.WaitEnd()), ErrorReason::kBadToken);
  EXPECT_FALSE(servers_[0]->store().StorageOf(MakeBlock(3).id).has_value());
}

TEST_F(DatanodeServiceTest, ReadsOfWhatIsNotHereSaySo) {
  StartRegistered(1);
  EXPECT_EQ(ReasonOf(Read(0, MakeBlock(9), 0, 10).status()), ErrorReason::kReplicaNotFound);
  ASSERT_TRUE(Write(MakeBlock(1), {0}, Bytes(100)).ok());
  EXPECT_EQ(ReasonOf(Read(0, MakeBlock(1, 101), 0, 10).status()), ErrorReason::kReplicaNotFound);  // too short
  EXPECT_EQ(ReasonOf(Read(0, MakeBlock(1), 101, 10).status()), ErrorReason::kIllegalArgument);
  Block other = MakeBlock(1);
  other.stamp = GenerationStamp(1002);
  EXPECT_EQ(ReasonOf(Read(0, other, 0, 10).status()), ErrorReason::kStaleGenerationStamp);
}

TEST_F(DatanodeServiceTest, CancelledStreamsLeakNothing) {  // F-017
  StartRegistered(3);
  const std::string content = Bytes(3 << 20);
  ASSERT_TRUE(Write(MakeBlock(1), {0}, content).ok());
  Random random(5);
  for (uint64_t n = 10; n < 40; ++n) {
    Writer writer(this, Location(0), Setup(MakeBlock(n), {0, 1, 2}));
    // Cancelled before the setup is answered, after it, with packets under way, or with some acknowledged.
    if (random.OneIn(4)) continue;
    ASSERT_TRUE(writer.WaitAcks(1));
    const uint64_t packets = random.Uniform(4);
    for (uint64_t i = 0; i < packets; ++i) {
      writer.Send(content, i * 700'000, (i + 1) * 700'000 - (i + 1 == packets ? random.Uniform(1000) : 0));
    }
    ASSERT_TRUE(writer.WaitAcks(1 + random.Uniform(packets + 1)));
  }
  for (int n = 0; n < 20; ++n) {
    const auto stub = Stub(0);
    grpc::ClientContext context;
    v1::ReadBlockRequest request;
    request.mutable_block()->set_id(MakeBlock(1).id.value());
    request.mutable_block()->set_stamp(1001);
    request.set_length(content.size());
    request.set_token(Token(MakeBlock(1).id));
    const auto reader = stub->ReadBlock(&context, request);
    v1::ReadFrame frame;
    if (random.OneIn(2)) reader->Read(&frame);
    context.TryCancel();
    while (reader->Read(&frame)) {
    }
    (void)reader->Finish();
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Quiet(i)) << i;
}

TEST_F(DatanodeServiceTest, AStreamThatEndsBeforeItsSetupLeaksNothing) {
  StartRegistered(1);
  const auto stub = Stub(0);
  for (int i = 0; i < 10; ++i) {
    grpc::ClientContext context;
    const auto stream = stub->WriteBlock(&context);
    if (i % 2 == 0) {
      stream->WritesDone();
    } else {
      stream->Write(v1::WriteFrame());
    }
    v1::AckFrame ack;
    while (stream->Read(&ack)) {
    }
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_TRUE(Quiet(0));
}

TEST_F(DatanodeServiceTest, ASenderThatRepeatsPacketsAndTakesNoAcksIsCutOff) {
  StartRegistered(1);
  const Block block = MakeBlock(1);
  const auto stub = Stub(0);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto stream = stub->WriteBlock(&context);
  v1::WriteFrame setup;
  setup.mutable_setup()->mutable_block()->set_id(block.id.value());
  setup.mutable_setup()->mutable_block()->set_stamp(block.stamp.value());
  setup.mutable_setup()->set_token(Token(block.id));
  setup.mutable_setup()->set_expected_bytes(1 << 20);
  ASSERT_TRUE(stream->Write(setup));
  v1::AckFrame ack;
  ASSERT_TRUE(stream->Read(&ack));
  v1::WriteFrame packet;
  packet.mutable_packet();  // packet 0, without bytes
  ASSERT_TRUE(stream->Write(packet));
  ASSERT_TRUE(stream->Read(&ack));
  constexpr int kMost = 500'000;
  int repeats = 0;
  while (repeats < kMost && stream->Write(packet)) ++repeats;
  EXPECT_LT(repeats, kMost);
  context.TryCancel();
  stream->Finish();
  EXPECT_TRUE(Quiet(0));
}

TEST_F(DatanodeServiceTest, ADeadNextHopIsNamed) {  // F-020
  StartRegistered(2);
  const protocol::WriteSetup setup = Setup(MakeBlock(1), {0, 1});
  const DatanodeUuid dead = Uuid(1);
  Stop(1);
  Writer writer(this, Location(0), setup);
  const absl::Status ended = writer.WaitEnd();
  EXPECT_EQ(ReasonOf(ended), ErrorReason::kUnreachable) << ended;
  ASSERT_EQ(writer.acks().size(), 1u);
  EXPECT_EQ(writer.acks()[0].hops[1].datanode, dead);
  EXPECT_TRUE(Quiet(0));
}

TEST_F(DatanodeServiceTest, TheAddressThatAnswersIsUsed) {
  StartRegistered(2);
  protocol::WriteSetup setup = Setup(MakeBlock(1), {0, 1});
  // Port 1 refuses; the second one is real.
  setup.downstream[0].datanode.addresses.insert(setup.downstream[0].datanode.addresses.begin(),
                                                {.network = "docker", .host = "127.0.0.1", .port = 1});
  Writer writer(this, Location(0), setup);
  writer.SendAll(Bytes(1000));
  EXPECT_TRUE(writer.WaitEnd().ok());
  EXPECT_EQ(*Read(1, MakeBlock(1), 0, 1000), Bytes(1000));
}

TEST_F(DatanodeServiceTest, OrdersAreCarriedOut) {
  StartRegistered(2);
  const Block block = MakeBlock(1, 2'500'000);
  ASSERT_TRUE(Write(block, {0}, Bytes(2'500'000)).ok());
  namenode_->Order(Uuid(0),
                   protocol::CopyReplicaCommand{.block = block,
                                                .targets = {Location(1)},
                                                .token = Token(block.id, static_cast<uint8_t>(BlockAccess::kCopy))});
  ASSERT_TRUE(Eventually([&] { return namenode_->Reported(Uuid(1), block.id).has_value(); }));
  EXPECT_TRUE(*Read(1, block, 0, 2'500'000) == Bytes(2'500'000));

  const StorageId storage = *servers_[0]->store().StorageOf(block.id);
  namenode_->Order(Uuid(0), protocol::DeleteReplicasCommand{.storage = storage, .blocks = {block}});
  ASSERT_TRUE(Eventually([&] {
    const auto reported = namenode_->Reported(Uuid(0), block.id);
    return reported.has_value() && reported->state == ReplicaState::kDeleted;
  }));
  EXPECT_EQ(ReasonOf(Read(0, block, 0, 10).status()), ErrorReason::kReplicaNotFound);
  EXPECT_TRUE(Quiet(0) && Quiet(1));
}

TEST_F(DatanodeServiceTest, AnAppendGoesThroughThreeHops) {
  StartRegistered(3);
  const std::string content = Bytes(3'000'000);
  constexpr uint64_t kFirst = 1'234'567;
  ASSERT_TRUE(Write(MakeBlock(1), {0, 1, 2}, content.substr(0, kFirst)).ok());
  Block block = MakeBlock(1, kFirst);
  block.stamp = GenerationStamp(2001);
  protocol::WriteSetup setup = Setup(block, {0, 1, 2});
  setup.append_to = MakeBlock(1).stamp;
  Writer writer(this, Location(0), setup);
  ASSERT_TRUE(writer.WaitAcks(1));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(*Read(i, block, 0, content.size()) == content.substr(0, kFirst));
    EXPECT_TRUE(*Read(i, MakeBlock(1, kFirst), 0, kFirst) == content.substr(0, kFirst)) << "who has not heard of it";
  }
  writer.Send(content, kFirst, kFirst + 5, /*last=*/false, /*sync=*/true);
  writer.Send(content, kFirst + 5, 2'000'000);
  ASSERT_TRUE(writer.WaitAcks(3));
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(*Read(i, block, 0, content.size()) == content.substr(0, 2'000'000));
  writer.Send(content, 2'000'000, 3'000'000, /*last=*/true);
  const absl::Status ended = writer.WaitEnd();
  ASSERT_TRUE(ended.ok()) << ended;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(*Read(i, block, 0, content.size()) == content);
    EXPECT_TRUE(Eventually([&] {
      const auto reported = namenode_->Reported(Uuid(i), block.id);
      return reported.has_value() && reported->state == ReplicaState::kFinalized &&
             reported->block == Block{block.id, block.stamp, content.size()};
    })) << i;
    EXPECT_TRUE(Quiet(i));
  }
}

TEST_F(DatanodeServiceTest, AnAppendThatOneHopRefusesNamesItAndLeavesAllBytes) {
  StartRegistered(3);
  const std::string content = Bytes(1000);
  ASSERT_TRUE(Write(MakeBlock(1), {0, 1}, content).ok());  // the third has none
  Block block = MakeBlock(1, 1000);
  block.stamp = GenerationStamp(2001);
  protocol::WriteSetup setup = Setup(block, {0, 1, 2});
  setup.append_to = MakeBlock(1).stamp;
  Writer writer(this, Location(0), setup);
  EXPECT_EQ(ReasonOf(writer.WaitEnd()), ErrorReason::kReplicaNotFound);
  ASSERT_EQ(writer.acks().size(), 1u);
  EXPECT_EQ(writer.acks()[0].hops.back().datanode, Uuid(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(Quiet(i));
    Freeze(i, block.id, 3000);
    ASSERT_TRUE(WaitFrozen(i, block.id, 3000));
    EXPECT_EQ(namenode_->Reported(Uuid(i), block.id)->block.length, 1000u);
  }
}

TEST_F(DatanodeServiceTest, ARecoveryEndsALiveWriterAndFinishesItsReplicas) {  // C-10
  StartRegistered(3);
  const Block block = MakeBlock(1);
  const std::string content = Bytes(300'000);
  Writer writer(this, Location(0), Setup(block, {0, 1, 2}));
  ASSERT_TRUE(writer.WaitAcks(1));
  writer.Send(content, 0, 200'000);
  ASSERT_TRUE(writer.WaitAcks(2));
  // The writer is silent; it hears of it all the same.
  Freeze(1, block.id, 3000);
  const absl::Status ended = writer.WaitEnd();
  EXPECT_EQ(ReasonOf(ended), ErrorReason::kRecoveryInProgress) << ended;
  EXPECT_NE(std::string(ended.message()).find("block recovery with"), std::string::npos) << ended;
  EXPECT_EQ(writer.acks().back().hops[1].datanode, Uuid(1));
  Freeze(0, block.id, 3000);
  Freeze(2, block.id, 3000);
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(WaitFrozen(i, block.id, 3000)) << i;
    EXPECT_EQ(namenode_->Reported(Uuid(i), block.id)->state, ReplicaState::kBeingWritten);
    EXPECT_EQ(namenode_->Reported(Uuid(i), block.id)->block.length, 200'000u);
    EXPECT_TRUE(Quiet(i));
  }
  const Block recovered{block.id, GenerationStamp(3000), 199'999};
  for (size_t i = 0; i < 3; ++i) {
    namenode_->Order(Uuid(i), protocol::FinishRecoveryCommand{*servers_[i]->store().StorageOf(block.id), recovered});
    ASSERT_TRUE(Eventually([&] {
      return namenode_->Reported(Uuid(i), block.id) ==
             protocol::ReportedReplica{recovered, ReplicaState::kFinalized, {}};
    })) << i;
    EXPECT_TRUE(*Read(i, recovered, 0, content.size()) == content.substr(0, 199'999));
  }
  // A late append of the old writer.
  protocol::WriteSetup setup = Setup({block.id, GenerationStamp(2500), 199'999}, {0});
  setup.append_to = block.stamp;
  Writer late(this, Location(0), setup);
  EXPECT_EQ(ReasonOf(late.WaitEnd()), ErrorReason::kRecoveryInProgress);
}

TEST_F(DatanodeServiceTest, ARecoveryOfWhatIsNotHereKeepsItOut) {
  StartRegistered(1);
  const Block block = MakeBlock(1);
  namenode_->Order(Uuid(0), protocol::FreezeReplicaCommand{servers_[0]->store().StorageReports()[0].id, block.id,
                                                           GenerationStamp(3000)});
  ASSERT_TRUE(WaitFrozen(0, block.id, 3000));
  EXPECT_EQ(namenode_->Reported(Uuid(0), block.id)->state, ReplicaState::kDeleted);
  Writer writer(this, Location(0), Setup(block, {0}));
  EXPECT_EQ(ReasonOf(writer.WaitEnd()), ErrorReason::kRecoveryInProgress);
}

TEST_F(DatanodeServiceTest, APrefixIsCopiedToABlockOfItsOwn) {
  StartRegistered(1);
  const std::string content = Bytes(2'500'000);
  ASSERT_TRUE(Write(MakeBlock(1), {0}, content).ok());
  const Block target{MakeBlock(2).id, GenerationStamp(3000), 1'234'567};
  const StorageId storage = *servers_[0]->store().StorageOf(MakeBlock(1).id);
  namenode_->Order(Uuid(0), protocol::CopyPrefixCommand{storage, MakeBlock(1, content.size()), target});
  ASSERT_TRUE(Eventually([&] { return namenode_->Reported(Uuid(0), target.id).has_value(); }));
  EXPECT_EQ(namenode_->Reported(Uuid(0), target.id)->block, target);
  EXPECT_TRUE(*Read(0, target, 0, content.size()) == content.substr(0, target.length));
  EXPECT_TRUE(*Read(0, MakeBlock(1), 0, content.size()) == content);
}

TEST_F(DatanodeServiceTest, ACorruptReplicaIsProvenReportedAndNeitherServedNorCopied) {  // F-074, F-083
  StartRegistered(2);
  for (const uint64_t n : {1, 2}) ASSERT_TRUE(Write(MakeBlock(n), {0}, Bytes(100'000)).ok());
  size_t damaged = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ + "/dn0")) {
    if (!entry.is_regular_file() || entry.file_size() != 100'000) continue;
    auto file = fs_->Open(entry.path(), OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->WriteAt(5000, std::string_view("damage")).ok());
    ++damaged;
  }
  ASSERT_EQ(damaged, 2u);
  namenode_->Order(Uuid(0), protocol::VerifyReplicaCommand{.storage = *servers_[0]->store().StorageOf(MakeBlock(1).id),
                                                           .block = MakeBlock(1)});
  namenode_->Order(Uuid(0),
                   protocol::CopyReplicaCommand{
                       .block = MakeBlock(2, 100'000), .targets = {Location(1)}, .token = Token(MakeBlock(2).id)});
  for (const uint64_t n : {1, 2}) {
    ASSERT_TRUE(Eventually([&] {
      const auto reported = namenode_->Reported(Uuid(0), MakeBlock(n).id);
      return reported.has_value() && reported->state == ReplicaState::kCorrupt;
    })) << n;
    EXPECT_EQ(ReasonOf(Read(0, MakeBlock(n), 0, 10).status()), ErrorReason::kChecksum);
  }
  EXPECT_TRUE(Quiet(0) && Quiet(1));
  EXPECT_FALSE(servers_[1]->store().StorageOf(MakeBlock(2).id).has_value());
}

TEST_F(DatanodeServiceTest, ReplicasAndIdentitySurviveARestart) {
  StartRegistered(1);
  const DatanodeUuid uuid = Uuid(0);
  ASSERT_TRUE(Write(MakeBlock(1), {0}, Bytes(100'000)).ok());
  {
    Writer writer(this, Location(0), Setup(MakeBlock(2), {0}));
    ASSERT_TRUE(writer.WaitAcks(1));
    writer.Send(Bytes(2000), 0, 2000);
    ASSERT_TRUE(writer.WaitAcks(2));
  }
  ASSERT_TRUE(Quiet(0));
  Stop(0);
  namenode_->Forget();
  StartRegistered(1);
  EXPECT_EQ(Uuid(0), uuid);
  ASSERT_TRUE(Eventually([&] { return namenode_->Reported(uuid, MakeBlock(2).id).has_value(); }));
  EXPECT_EQ(namenode_->Reported(uuid, MakeBlock(2).id)->state, ReplicaState::kBeingWritten);
  EXPECT_EQ(namenode_->Reported(uuid, MakeBlock(2).id)->block.length, 2000u);
  EXPECT_EQ(namenode_->Reported(uuid, MakeBlock(1).id)->state, ReplicaState::kFinalized);
  EXPECT_TRUE(*Read(0, MakeBlock(1), 0, 100'000) == Bytes(100'000));
}

TEST_F(DatanodeServiceTest, StoppingWhileBusyIsSafe) {
  StartRegistered(3);
  const std::string content = Bytes(8 << 20);
  ASSERT_TRUE(Write(MakeBlock(1), {0, 1, 2}, content).ok());
  std::vector<std::unique_ptr<Writer>> writers;
  for (uint64_t n = 10; n < 20; ++n) {
    writers.push_back(std::make_unique<Writer>(this, Location(0), Setup(MakeBlock(n), {0, 1, 2})));
    if (n % 2 == 0) {  // the others are refused: packets before the answer
      ASSERT_TRUE(writers.back()->WaitAcks(1));
    }
    for (uint64_t i = 0; i < 4; ++i)
      writers.back()->Send(content, i << 20, (i + 1) << 20, /*last=*/n % 3 == 0 && i == 3);
  }
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&, i] { (void)Read(i % 3, MakeBlock(1), 0, content.size()).ok(); });
  }
  namenode_->Order(
      Uuid(0), protocol::CopyReplicaCommand{
                   .block = MakeBlock(1, content.size()), .targets = {Location(1)}, .token = Token(MakeBlock(1).id)});
  for (std::thread& reader : readers) reader.join();
  for (auto& server : servers_) EXPECT_TRUE(server->Stop());
  servers_.clear();
  for (auto& writer : writers) (void)writer->WaitEnd();
  writers.clear();
  StartRegistered(3);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(*Read(i, MakeBlock(1), 0, content.size()) == content);
}

TEST_F(DatanodeServiceTest, ADiskThatFailsWhileWritingIsNamedAndTheOthersKeepTheirBytes) {  // F-063
  StartRegistered(2);
  FaultyFileSystem faulty(fs_.get(), 1);
  auto started = DatanodeServer::Start(&faulty, &clock_, Options(2), nullptr);
  ASSERT_TRUE(started.ok());
  servers_.push_back(*std::move(started));
  ASSERT_TRUE(WaitRegistered(2));
  Writer writer(this, Location(0), Setup(MakeBlock(1), {0, 2, 1}));
  ASSERT_TRUE(writer.WaitAcks(1));
  faulty.AddRule({.operation = FileOperation::kWrite, .path_contains = "blk_", .times = 1});
  writer.Send(Bytes(1000), 0, 1000);
  EXPECT_EQ(ReasonOf(writer.WaitEnd()), ErrorReason::kIo);
  const protocol::Ack last = writer.acks().back();
  ASSERT_GE(last.hops.size(), 2u);
  EXPECT_TRUE(last.hops[0].status.ok());
  EXPECT_EQ(last.hops[1].datanode, Uuid(2));
  EXPECT_EQ(ReasonOf(last.hops[1].status), ErrorReason::kIo);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Quiet(i));
  Stop(2);
}

TEST_F(DatanodeServiceTest, ANamenodeOfAnotherClusterEndsTheDatanodeWithAClearLine) {  // F-143
  StartRegistered(1);
  Stop(0);
  namenode_->SetIdentity({.cluster = ClusterId("CID-2"), .epoch = Epoch(9), .incarnation = "z"});
  Start(0);
  ASSERT_TRUE(Eventually([&] { return !fatal().ok(); }));
  EXPECT_EQ(ReasonOf(fatal()), ErrorReason::kWrongCluster);
  EXPECT_NE(std::string(fatal().message()).find("CID-1"), std::string::npos);
  EXPECT_FALSE(servers_[0]->registered());
}

TEST_F(DatanodeServiceTest, ARestartedNamenodeIsFollowedAndAnOldOneIsNot) {  // C-12
  StartRegistered(1);
  namenode_->SetIdentity({.cluster = ClusterId("CID-1"), .epoch = Epoch(2), .incarnation = "b"});
  ASSERT_TRUE(Eventually([&] { return servers_[0]->store().identity().highest_epoch == Epoch(2); }));
  ASSERT_TRUE(WaitRegistered(0));
  ASSERT_TRUE(Write(MakeBlock(1), {0}, Bytes(10)).ok());
  namenode_->SetIdentity({.cluster = ClusterId("CID-1"), .epoch = Epoch(1), .incarnation = "a"});
  namenode_->Order(Uuid(0), protocol::DeleteReplicasCommand{.storage = StorageId("DS"), .blocks = {MakeBlock(1)}});
  ASSERT_TRUE(Eventually([&] { return !servers_[0]->registered(); }));
  const uint64_t registrations = namenode_->registrations();
  ASSERT_TRUE(Eventually([&] { return namenode_->registrations() > registrations + 1; }));
  EXPECT_FALSE(servers_[0]->registered());
  EXPECT_EQ(*Read(0, MakeBlock(1), 0, 10), Bytes(10));
}

}  // namespace
}  // namespace dolmen::datanode
