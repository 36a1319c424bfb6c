#include "datanode/core/pipeline_hop.h"

#include "tests/unit/datanode/core/hop_chain.h"

namespace dolmen::datanode {
namespace {

using namespace std::chrono_literals;

TEST(PipelineHopTest, ThreeHopsStoreAndAcknowledgeEverything) {
  Chain chain(3);
  chain.Send(MakeSetup(3));
  ASSERT_EQ(chain.acks().size(), 1u);
  EXPECT_EQ(chain.acks()[0].sequence, protocol::kSetupAck);
  EXPECT_EQ(chain.acks()[0].hops.size(), 3u);
  EXPECT_EQ(chain.acks()[0].storage, StorageId("s"));
  chain.WriteAll(4500);
  ASSERT_EQ(chain.acks().size(), 7u);
  for (const Ack& ack : chain.acks()) EXPECT_TRUE(ack.ok());
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(chain.disk(i).bytes, Bytes(4500));
    EXPECT_TRUE(chain.disk(i).finalized && chain.disk(i).durable);
    EXPECT_TRUE(chain.hop(i).Done());
    EXPECT_EQ(chain.hop(i).visible_length(), 4500u);
  }
  EXPECT_TRUE(chain.finished()->ok());
  ASSERT_EQ(chain.reports().size(), 3u);
  EXPECT_EQ(chain.reports()[0].block.length, 4500u);
}

TEST(PipelineHopTest, FlushesExtendPartialChunksAndSyncsReachTheDisk) {
  Chain chain(2);
  chain.Send(MakeSetup(2));
  chain.Send(MakePacket(0, 0, 700));
  Packet sync = MakePacket(1, 700, 900);
  sync.sync = true;
  chain.Send(sync);
  Packet empty = MakePacket(2, 900, 900);
  empty.sync = true;
  chain.Send(empty);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(chain.disk(i).synced, 900u);
    EXPECT_EQ(chain.disk(i).visible, 900u);
    EXPECT_EQ(chain.disk(i).bytes, Bytes(900));
  }
  EXPECT_EQ(chain.acks().size(), 4u);
}

TEST(PipelineHopTest, AnAckWaitsForTheOwnDiskAndForAllHopsBehind) {
  HopOptions options{.self = Uuid(0)};
  for (const bool disk_first : {true, false}) {
    PipelineHop hop(options);
    TokenKeys keys;
    keys.Add(kKey);
    hop.Step(hop_event::SetupReceived{MakeSetup(2), keys, kWall}, {});
    hop.Step(hop_event::LocalOpened{StorageId("s")}, {});
    ASSERT_EQ(hop.Step(hop_event::DownstreamAck{{.sequence = protocol::kSetupAck, .hops = {{.datanode = Uuid(1)}}}}, {})
                  .size(),
              1u);
    ASSERT_EQ(hop.Step(hop_event::PacketReceived{MakePacket(0, 0, 600)}, {}).size(), 2u);  // forward first, then write
    const HopEvent written = hop_event::LocalWritten{.sequence = 0};
    const HopEvent acked = hop_event::DownstreamAck{{.sequence = 0, .hops = {{.datanode = Uuid(1)}}}};
    EXPECT_TRUE(hop.Step(disk_first ? written : acked, {}).empty());
    EXPECT_EQ(hop.visible_length(), 0u);
    const auto actions = hop.Step(disk_first ? acked : written, {});
    ASSERT_EQ(actions.size(), 2u);
    EXPECT_EQ(std::get<hop_action::SetVisible>(actions[0]).length, 600u);
    EXPECT_EQ(std::get<hop_action::SendUpstream>(actions[1]).ack.hops.size(), 2u);
  }
}

// F-020: each hop refuses, does not answer, or cannot be reached in the setup.
TEST(PipelineHopTest, EveryFailureInTheSetupNamesTheCulpritAndUndoesTheRest) {
  for (size_t culprit = 0; culprit < 3; ++culprit) {
    for (const char* how : {"busy", "silent disk", "unreachable", "bad token"}) {
      SCOPED_TRACE(testing::Message() << how << " at " << culprit);
      Chain chain(3);
      const std::string kind = how;
      if (kind == "unreachable" && culprit == 0) continue;
      WriteSetup setup = MakeSetup(3);
      ErrorReason expected = ErrorReason::kBusy;
      if (kind == "busy") chain.disk(culprit).open_status = MakeError(ErrorReason::kBusy, "full");
      if (kind == "silent disk") {
        chain.disk(culprit).silent = true;
        // The hop before it speaks first unless there is none.
        expected = culprit == 0 ? ErrorReason::kIo : ErrorReason::kUnreachable;
      }
      if (kind == "unreachable") {
        chain.Cut(culprit);
        expected = ErrorReason::kUnreachable;
      }
      if (kind == "bad token") {
        if (culprit != 0) continue;
        setup.token = "forged";
        expected = ErrorReason::kBadToken;
      }
      chain.Send(std::move(setup));
      for (int i = 0; i < 20 && !chain.finished().has_value(); ++i) chain.PassTime();
      ExpectCulprit(chain, culprit, expected);
      EXPECT_EQ(chain.acks().back().sequence, protocol::kSetupAck);
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_FALSE(chain.disk(i).open);
        EXPECT_EQ(chain.disk(i).discarded, chain.disk(i).ever_open) << i;
        if (!chain.disk(i).silent && i != culprit) {
          EXPECT_EQ(chain.hop(i).NextDeadline(), std::nullopt) << i;
        }
      }
    }
  }
}

TEST(PipelineHopTest, EveryFailureWhileStreamingNamesTheCulpritAndLeavesReplicasForRecovery) {
  for (const bool is_copy : {false, true}) {
    for (size_t culprit = 0; culprit < 3; ++culprit) {
      for (const char* how : {"disk", "silent disk", "silent hop"}) {
        SCOPED_TRACE(testing::Message() << how << " at " << culprit << " copy " << is_copy);
        const std::string kind = how;
        if (kind == "silent hop" && culprit == 0) continue;
        Chain chain(3);
        chain.Send(MakeSetup(3, is_copy));
        chain.Send(MakePacket(0, 0, 1000));
        ErrorReason expected = ErrorReason::kIo;
        if (kind == "disk") chain.disk(culprit).write_status = MakeError(ErrorReason::kIo, "EIO");
        if (kind == "silent disk") {
          chain.disk(culprit).silent = true;
          if (culprit > 0) expected = ErrorReason::kUnreachable;
        }
        if (kind == "silent hop") {
          chain.Cut(culprit);
          expected = ErrorReason::kUnreachable;
        }
        chain.Send(MakePacket(1, 1000, 1700));
        for (int i = 0; i < 20 && !chain.finished().has_value(); ++i) chain.PassTime();
        ExpectCulprit(chain, culprit, expected);
        EXPECT_EQ(chain.acks().back().sequence, 1u);
        // What stays is told to the namenode.
        const size_t told = kind == "silent hop" ? culprit : 3;
        EXPECT_EQ(chain.reports().size(), is_copy ? 0 : told);
        for (const protocol::ReportedReplica& report : chain.reports()) {
          EXPECT_EQ(report.state, protocol::ReplicaState::kBeingWritten);
        }
        for (size_t i = 0; i < 3; ++i) {
          if (kind == "silent hop" && i >= culprit) continue;  // nobody told them
          EXPECT_FALSE(chain.disk(i).open) << i;
          EXPECT_EQ(chain.disk(i).discarded, is_copy) << i;
          EXPECT_FALSE(chain.disk(i).finalized);
        }
      }
    }
  }
}

TEST(PipelineHopTest, AFailedFinalizeNamesTheCulpritAndTheOthersKeepTheirs) {
  for (size_t culprit = 0; culprit < 3; ++culprit) {
    Chain chain(3);
    chain.disk(culprit).finalize_status = MakeError(ErrorReason::kIo, "fsync");
    chain.Send(MakeSetup(3));
    chain.WriteAll(1000);
    ExpectCulprit(chain, culprit, ErrorReason::kIo);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(chain.disk(i).finalized, i != culprit);
      EXPECT_TRUE(chain.hop(i).Done());
    }
    size_t finalized = 0;
    for (const protocol::ReportedReplica& report : chain.reports()) {
      finalized += report.state == protocol::ReplicaState::kFinalized ? 1 : 0;
    }
    EXPECT_EQ(finalized, 2u);
    EXPECT_EQ(chain.reports().size(), 3u) << "the one that failed is left, too";
  }
}

TEST(PipelineHopTest, AVanishedSenderIsNoticedAtEveryPoint) {  // F-017
  const absl::Status gone = MakeError(ErrorReason::kCancelled, "gone");
  for (int packets = -1; packets <= 2; ++packets) {
    Chain chain(3);
    if (packets >= 0) chain.Send(MakeSetup(3));
    for (int i = 0; i < packets; ++i) chain.Send(MakePacket(i, i * 1000, i * 1000 + 1000));
    chain.EndUpstream(gone);
    ASSERT_TRUE(chain.finished().has_value());
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_FALSE(chain.disk(i).open);
      EXPECT_EQ(chain.disk(i).discarded, packets == 0);  // bytes are for recovery
      EXPECT_EQ(chain.reports().size(), packets > 0 ? 3 : 0);
      if (packets >= 0) {
        EXPECT_TRUE(chain.hop(i).Done());
      }
    }
  }
}

TEST(PipelineHopTest, ASenderThatVanishesAfterItsLastPacketHasWrittenTheBlock) {
  Chain chain(2);
  chain.Send(MakeSetup(2));
  chain.WriteAll(1000);
  chain.EndUpstream(MakeError(ErrorReason::kCancelled, "gone"));
  EXPECT_TRUE(chain.disk(0).finalized && chain.disk(1).finalized);
}

TEST(PipelineHopTest, CancellingWhileTheReplicaIsBeingOpenedUndoesIt) {
  PipelineHop hop({.self = Uuid(0)});
  TokenKeys keys;
  keys.Add(kKey);
  hop.Step(hop_event::SetupReceived{MakeSetup(1), keys, kWall}, {});
  hop.Step(hop_event::UpstreamEnded{MakeError(ErrorReason::kCancelled, "gone")}, {});
  EXPECT_FALSE(hop.Done());  // the disk still owes an answer
  const auto actions = hop.Step(hop_event::LocalOpened{StorageId("s")}, {});
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_TRUE(std::get<hop_action::CloseLocal>(actions[0]).discard);
  EXPECT_TRUE(hop.Done());
}

TEST(PipelineHopTest, ProtocolErrorsAreRefusedAndNothingOfThemIsWritten) {  // F-014, F-016
  struct Case {
    const char* name;
    std::function<Packet()> packet;
    ErrorReason reason = ErrorReason::kIllegalArgument;
  };
  const std::vector<Case> cases{
      {"gap in sequence", [] { return MakePacket(2, 700, 800); }},
      {"gap in bytes", [] { return MakePacket(1, 1024, 1100); }},
      {"overlap of whole chunks", [] { return MakePacket(1, 0, 900); }},
      {"shrinks", [] { return MakePacket(1, 512, 600); }},
      {"misaligned",
       [] {
         Packet packet = MakePacket(1, 512, 800);
         packet.offset = 700;
         return packet;
       }},
      {"too few checksums",
       [] {
         Packet packet = MakePacket(1, 700, 1600);
         packet.checksums.resize(4);
         return packet;
       }},
      {"checksums without data",
       [] {
         Packet packet = MakePacket(1, 700, 700);
         packet.checksums = "abcd";
         return packet;
       }},
      {"too long",
       [] {
         Packet packet{
             .sequence = 1, .offset = 512, .payload = absl::Cord(std::string(protocol::kMaxPacketBytes + 1, 'x'))};
         AppendChunkChecksums(packet.payload, &packet.checksums);
         return packet;
       }},
      {"beyond the block",
       [] {
         Packet packet{.sequence = 1, .offset = 512, .payload = absl::Cord(Bytes(1 << 20))};
         packet.payload = absl::Cord(Bytes(512 + (1 << 20)).substr(512));
         AppendChunkChecksums(packet.payload, &packet.checksums);
         return packet;
       }},
      {"other bytes in the repeated part",
       [] {
         std::string bytes = Bytes(900).substr(512);
         bytes[3] = static_cast<char>(bytes[3] + 1);
         Packet packet{.sequence = 1, .offset = 512, .payload = absl::Cord(bytes)};
         AppendChunkChecksums(packet.payload, &packet.checksums);
         return packet;
       }},
      {"bad checksum",
       [] {
         Packet packet = MakePacket(1, 700, 1600);
         packet.checksums[5] ^= 1;
         return packet;
       },
       ErrorReason::kChecksum},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    Chain chain(2);
    chain.Send(MakeSetup(2));
    chain.Send(MakePacket(0, 0, 700));
    chain.Send(one.packet());
    ExpectCulprit(chain, 0, one.reason);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(chain.disk(i).bytes, Bytes(700));
      EXPECT_FALSE(chain.disk(i).open);
    }
  }
}

TEST(PipelineHopTest, ACorruptingLinkIsNoticedByTheHopBehindIt) {
  Chain chain(2);
  chain.Send(MakeSetup(2));
  Packet packet = MakePacket(0, 0, 700);
  packet.checksums[0] ^= 1;
  chain.Step(1, hop_event::PacketReceived{packet});
  ExpectCulprit(chain, 1, ErrorReason::kChecksum);
}

TEST(PipelineHopTest, APacketSentAgainIsAcknowledgedAndNotWrittenTwice) {  // F-022
  Chain chain(2);
  chain.Send(MakeSetup(2));
  chain.Send(MakePacket(0, 0, 700));
  chain.Send(MakePacket(1, 700, 1000));
  chain.Send(MakePacket(0, 0, 700));
  ASSERT_EQ(chain.acks().size(), 4u);
  EXPECT_EQ(chain.acks()[3].sequence, 0u);
  EXPECT_TRUE(chain.acks()[3].ok());
  EXPECT_EQ(chain.acks()[3].hops.size(), 2u);
  EXPECT_EQ(chain.disk(0).bytes, Bytes(1000));
}

TEST(PipelineHopTest, TheWindowIsBounded) {
  HopOptions options{.window_packets = 2};
  Chain chain(1, options);
  chain.Send(MakeSetup(1));
  chain.disk(0).silent = true;
  chain.Send(MakePacket(0, 0, 512));
  chain.Send(MakePacket(1, 512, 1024));
  EXPECT_FALSE(chain.finished().has_value());
  chain.Send(MakePacket(2, 1024, 1536));
  ExpectCulprit(chain, 0, ErrorReason::kIllegalArgument);
}

TEST(PipelineHopTest, EmptyPacketsKeepAStreamAliveAndSilenceEndsIt) {
  Chain chain(1);
  chain.Send(MakeSetup(1));
  chain.Send(MakePacket(0, 0, 0));
  EXPECT_EQ(chain.acks().size(), 2u);
  EXPECT_TRUE(chain.PassTime());
  ASSERT_TRUE(chain.finished().has_value());
  EXPECT_EQ(ReasonOf(*chain.finished()), ErrorReason::kCancelled);
}

TEST(PipelineHopTest, ASetupWithoutATokenOrKeyIsRefusedBeforeTheDiskIsTouched) {
  PipelineHop hop({.self = Uuid(0)});
  const auto actions = hop.Step(hop_event::SetupReceived{MakeSetup(1), TokenKeys(), kWall}, {});
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(ReasonOf(std::get<hop_action::SendUpstream>(actions[0]).ack.hops[0].status), ErrorReason::kBadToken);
  EXPECT_TRUE(hop.Done());
}

TEST(PipelineHopTest, AnEmptyBlockIsFinalized) {
  Chain chain(3);
  chain.Send(MakeSetup(3));
  chain.WriteAll(0);
  EXPECT_TRUE(chain.finished()->ok());
  EXPECT_EQ(chain.reports().size(), 3u);
}

}  // namespace
}  // namespace dolmen::datanode
