#include "client/core/file_writer.h"

#include "common/random.h"
#include "fake_write_cluster.h"

namespace dolmen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Fault = FakeWriteCluster::Fault;
using Fail = FakeWriteCluster::Fail;

constexpr uint64_t kBlock = 4096;
constexpr uint32_t kPacket = Application::kPacketBytes;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST(FileWriterTest, WritesAFileOfSeveralBlocks) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  app.Write(Random(1).Bytes(3 * kBlock + 700));
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Contents(), app.written());
  EXPECT_EQ(cluster.blocks_.size(), 4U);
  EXPECT_EQ(cluster.Count("abandonBlock"), 0);
  EXPECT_EQ(cluster.Count("fsync"), 0);
  EXPECT_EQ(cluster.writer_.acknowledged_bytes(), app.written().size());
  EXPECT_EQ(cluster.writer_.final_status().length, app.written().size());
}

TEST(FileWriterTest, AnEmptyFileHasNoBlock) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  EXPECT_TRUE(app.Flush().ok());
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Count("addBlock"), 0);
  EXPECT_EQ(cluster.Count("fsync"), 0);
  EXPECT_EQ(cluster.Count("complete"), 1);
}

TEST(FileWriterTest, AFileOfExactlyOneBlockGetsNoSecondOne) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  app.Write(Random(1).Bytes(kBlock));
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.blocks_.size(), 1U);
  EXPECT_EQ(cluster.Contents(), app.written());
}

TEST(FileWriterTest, CloseIsIdempotent) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  app.Write("hello");
  ASSERT_TRUE(app.Close().ok());
  EXPECT_TRUE(cluster.Close().ok());
  EXPECT_EQ(cluster.Count("complete"), 1);
}

TEST(FileWriterTest, AFileWhoseEndIsKnownReservesNoMoreThanItNeeds) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  app.Write("hello");
  cluster.answer = [](const std::string& call, int before) -> std::optional<absl::StatusOr<protocol::MutationReply>> {
    if (call == "addBlock" && before == 0) return MakeError(ErrorReason::kBusy, "queue is full");
    return std::nullopt;
  };
  ASSERT_TRUE(app.Close().ok());
  EXPECT_THAT(cluster.expected_bytes_, testing::ElementsAre(5));
}

TEST(FileWriterTest, FlushesCoverAllBytesAndTellTheNamenodeOncePerBlock) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  Random random(3);
  for (int i = 0; i < 40; ++i) {
    app.Write(random.Bytes(1 + random.Uniform(400)));
    ASSERT_TRUE(app.Flush(/*sync=*/i % 3 == 0).ok());
    EXPECT_EQ(cluster.Contents(), app.written());
    EXPECT_EQ(cluster.writer_.acknowledged_bytes(), app.written().size());
    if (i % 3 == 0) {
      EXPECT_TRUE(cluster.blocks_.back().synced == cluster.blocks_.back().bytes.size());
    }
  }
  EXPECT_EQ(cluster.Count("fsync"), static_cast<int>(cluster.blocks_.size()));
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Contents(), app.written());
}

TEST(FileWriterTest, TheWindowBoundsWhatIsUnderWay) {
  WriterSettings settings;
  settings.window_packets = 3;
  FakeWriteCluster cluster(64 * kBlock, settings);
  Application app(&cluster);
  app.Write(Random(1).Bytes(60 * kPacket));
  ASSERT_TRUE(app.Close().ok());
  EXPECT_LE(cluster.most_in_flight_, 3U);
  EXPECT_EQ(cluster.Contents(), app.written());
}

// Every fault at the setup and at every packet of a file of two blocks, at every hop: either the file is whole, or the
// error is clear and everything acknowledged is on every datanode of its pipeline.
TEST(FileWriterTest, EveryFailurePositionKeepsWhatWasAcknowledged) {
  int whole = 0;
  int failed = 0;
  for (const Fault fault : {Fault::kRefuse, Fault::kBusy, Fault::kEndStream, Fault::kSilence, Fault::kShortAck,
                            Fault::kBadOrder, Fault::kSomebodyElse}) {
    for (uint64_t stream = 1; stream <= 2; ++stream) {
      for (int packet = -1; packet < 4; ++packet) {
        for (int hop = 0; hop < 3; ++hop) {
          SCOPED_TRACE(
              absl::StrCat("fault ", static_cast<int>(fault), " stream ", stream, " packet ", packet, " hop ", hop));
          // Another number for the setup acknowledgement is no fault: it would be a packet's that was never sent.
          if (fault == Fault::kBadOrder && packet == -1) continue;
          FakeWriteCluster cluster(kBlock);
          bool fired = false;
          cluster.fail = [&](uint64_t at_stream, int at_packet) -> std::optional<Fail> {
            if (at_stream != stream || at_packet != packet) return std::nullopt;
            fired = true;
            return Fail{fault, hop};
          };
          Application app(&cluster);
          app.Write(Random(1).Bytes(2 * kBlock));
          const absl::Status closed = app.Close();
          ASSERT_TRUE(fired);
          if (packet <= 0) {
            ASSERT_TRUE(closed.ok()) << closed;
            EXPECT_EQ(cluster.Contents(), app.written());
            EXPECT_EQ(cluster.Count("abandonBlock"), 1);
            const bool names_hop = fault == Fault::kRefuse || fault == Fault::kSomebodyElse;
            if (names_hop && stream == 2) {
              EXPECT_THAT(cluster.last_excluded_, testing::ElementsAre(DatanodeUuid(absl::StrCat("uuid-", hop + 1))));
            }
            if (fault == Fault::kBusy) {
              EXPECT_TRUE(cluster.last_excluded_.empty()) << "busy is no fault";
            }
            ++whole;
          } else {
            ASSERT_EQ(ReasonOf(closed), ErrorReason::kPipelineFailed) << closed;
            const bool tells = fault == Fault::kRefuse || fault == Fault::kBusy || fault == Fault::kSomebodyElse;
            const int blamed = tells ? hop + 1 : 1;
            const uint64_t acknowledged = (stream - 1) * kBlock + packet * kPacket;
            EXPECT_THAT(Text(closed), AllOf(HasSubstr(absl::StrCat("datanode dn", blamed, ":7066")),
                                            HasSubstr(absl::StrCat(acknowledged, " of ", 2 * kBlock, " bytes")),
                                            HasSubstr("were acknowledged and are kept"), HasSubstr("/f")));
            EXPECT_EQ(cluster.writer_.acknowledged_bytes(), acknowledged);
            EXPECT_EQ(cluster.Contents().substr(0, acknowledged), app.written().substr(0, acknowledged));
            EXPECT_EQ(cluster.Count("abandonBlock"), 0) << "acknowledged bytes are never given up";
            EXPECT_EQ(cluster.Count("complete"), 0);
            // The failure stays.
            EXPECT_EQ(cluster.Flush(), closed);
            EXPECT_EQ(cluster.Close(), closed);
            ++failed;
          }
        }
      }
    }
  }
  EXPECT_GT(whole, 50);
  EXPECT_GT(failed, 50);
}

TEST(FileWriterTest, ABlockThatCannotBeCreatedAnywhereListsEveryAttempt) {
  FakeWriteCluster cluster(kBlock, {}, /*datanodes=*/9);
  cluster.fail = [](uint64_t, int packet) -> std::optional<Fail> {
    if (packet == -1) return Fail{Fault::kRefuse, 0};
    return std::nullopt;
  };
  Application app(&cluster);
  app.Write("hello");
  const absl::Status closed = app.Close();
  EXPECT_EQ(ReasonOf(closed), ErrorReason::kPipelineFailed);
  EXPECT_THAT(Text(closed), AllOf(HasSubstr("Unable to create new block of /f"), HasSubstr("attempt 1"),
                                  HasSubstr("dn1:7066: the disk is full"), HasSubstr("attempt 4"),
                                  HasSubstr("datanode dn4:7066"), testing::Not(HasSubstr("attempt 5"))));
  EXPECT_EQ(cluster.Count("addBlock"), 4);
  EXPECT_EQ(cluster.Count("abandonBlock"), 4);
}

TEST(FileWriterTest, WhenTheNamenodeHasNobodyLeftTheAttemptsAreTold) {
  FakeWriteCluster cluster(kBlock, {}, /*datanodes=*/1);
  cluster.fail = [](uint64_t, int) -> std::optional<Fail> { return Fail{Fault::kRefuse, 0}; };
  Application app(&cluster);
  app.Write("hello");
  const absl::Status closed = app.Close();
  EXPECT_EQ(ReasonOf(closed), ErrorReason::kNoDatanodes);
  EXPECT_THAT(Text(closed), AllOf(HasSubstr("all are excluded"), HasSubstr("dn1:7066: the disk is full")));
}

TEST(FileWriterTest, ADatanodeThatStaysBusyIsLeftOutInTheEnd) {
  FakeWriteCluster cluster(kBlock);
  cluster.fail = [&](uint64_t, int packet) -> std::optional<Fail> {
    if (packet == -1 && !cluster.last_excluded_.contains(DatanodeUuid("uuid-2"))) return Fail{Fault::kBusy, 1};
    return std::nullopt;
  };
  Application app(&cluster);
  app.Write("hello");
  const MonotonicTime before = cluster.now_;
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Count("abandonBlock"), 6);
  EXPECT_GT(cluster.now_, before) << "it paused in between";
  EXPECT_EQ(cluster.Contents(), "hello");
}

TEST(FileWriterTest, ExcludedDatanodesAreForgottenAfterAWhile) {
  FakeWriteCluster cluster(kBlock);
  cluster.fail = [](uint64_t stream, int packet) -> std::optional<Fail> {
    if (stream == 1 && packet == -1) return Fail{Fault::kRefuse, 2};
    return std::nullopt;
  };
  Application app(&cluster);
  app.Write("a");
  ASSERT_TRUE(app.Flush().ok());
  EXPECT_EQ(cluster.last_excluded_.size(), 1U);
  app.Write(std::string(kBlock, 'b'));
  ASSERT_TRUE(app.Flush().ok());
  EXPECT_EQ(cluster.last_excluded_.size(), 1U);
  cluster.now_ += std::chrono::minutes(11);
  app.Write(std::string(kBlock, 'c'));
  ASSERT_TRUE(app.Close().ok());
  EXPECT_TRUE(cluster.last_excluded_.empty());
}

TEST(FileWriterTest, WhenNobodyElseIsLeftDatanodesThatFailedEarlierBlocksAreTriedAgain) {
  FakeWriteCluster cluster(kBlock, {}, /*datanodes=*/2);
  cluster.fail = [](uint64_t stream, int packet) -> std::optional<Fail> {
    if (stream % 2 == 1 && packet == -1) return Fail{Fault::kEndStream, 0};
    return std::nullopt;
  };
  Application app(&cluster);
  app.Write(Random(1).Bytes(5 * kBlock));
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Contents(), app.written());
}

TEST(FileWriterTest, NotYetFromTheNamenodeIsAskedAgain) {
  for (const ErrorReason reason : {ErrorReason::kNotReplicatedYet, ErrorReason::kBusy, ErrorReason::kSafeMode}) {
    for (const std::string late : {"addBlock", "complete", "fsync"}) {
      FakeWriteCluster cluster(kBlock);
      cluster.answer = [&](const std::string& call,
                           int before) -> std::optional<absl::StatusOr<protocol::MutationReply>> {
        if (call == late && before < 3) return MakeError(reason, "not yet");
        return std::nullopt;
      };
      Application app(&cluster);
      app.Write("hello");
      ASSERT_TRUE(app.Flush().ok());
      ASSERT_TRUE(app.Close().ok());
      EXPECT_EQ(cluster.Count(late), 4);
      EXPECT_EQ(cluster.Contents(), "hello");
    }
  }
}

TEST(FileWriterTest, NotYetForEverEndsWithAClearError) {
  for (const std::string late : {"addBlock", "complete", "fsync"}) {
    FakeWriteCluster cluster(kBlock);
    cluster.answer = [&](const std::string& call, int) -> std::optional<absl::StatusOr<protocol::MutationReply>> {
      if (call == late) return MakeError(ErrorReason::kNotReplicatedYet, "Not replicated yet: /f");
      return std::nullopt;
    };
    Application app(&cluster);
    app.Write("hello");
    if (late != "complete") {
      EXPECT_EQ(ReasonOf(app.Flush()), ErrorReason::kNotReplicatedYet);
    }
    const absl::Status closed = app.Close();
    EXPECT_EQ(ReasonOf(closed), ErrorReason::kNotReplicatedYet);
    EXPECT_EQ(cluster.Count(late), 11);
    if (late == "complete") {
      EXPECT_THAT(Text(closed), HasSubstr("Unable to close file /f because the last block blk_1073741824 does not have "
                                          "enough number of replicas."));
    }
  }
}

TEST(FileWriterTest, CompleteIsAskedUntilTheFileIsClosed) {
  FakeWriteCluster cluster(kBlock);
  cluster.answer = [&](const std::string& call, int before) -> std::optional<absl::StatusOr<protocol::MutationReply>> {
    if (call == "complete" && before < 5) return protocol::CompleteReply{.closed = false};
    return std::nullopt;
  };
  Application app(&cluster);
  app.Write("hello");
  EXPECT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Count("complete"), 6);
}

TEST(FileWriterTest, AnUnknownOutcomeOfAnyCallIsTold) {
  for (const std::string lost : {"addBlock", "complete", "fsync"}) {
    FakeWriteCluster cluster(kBlock);
    cluster.answer = [&](const std::string& call, int) -> std::optional<absl::StatusOr<protocol::MutationReply>> {
      if (call == lost) return MakeError(ErrorReason::kOutcomeUnknown, "no answer from namenode");
      return std::nullopt;
    };
    Application app(&cluster);
    app.Write("hello");
    if (lost == "fsync") {
      EXPECT_EQ(ReasonOf(app.Flush()), ErrorReason::kOutcomeUnknown);
    }
    const absl::Status closed = app.Close();
    EXPECT_EQ(ReasonOf(closed), ErrorReason::kOutcomeUnknown);
    EXPECT_THAT(Text(closed), HasSubstr("/f"));
    EXPECT_EQ(cluster.Count(lost), 1);
  }
}

TEST(FileWriterTest, ALostLeaseEndsTheStream) {
  FakeWriteCluster cluster(kBlock);
  Application app(&cluster);
  app.Write("hello");
  cluster.Step(write_event::LeaseLost{MakeError(ErrorReason::kLeaseExpired, "Lease timeout of 1200 seconds expired.")});
  EXPECT_EQ(ReasonOf(app.Close()), ErrorReason::kLeaseExpired);
  EXPECT_EQ(cluster.Count("complete"), 0);
}

TEST(FileWriterTest, AbortAbandonsTheBlockUnlessItWasFlushed) {
  for (const bool flushed : {false, true}) {
    FakeWriteCluster cluster(kBlock);
    Application app(&cluster);
    app.Write(std::string(kPacket, 'x'));
    if (flushed) {
      ASSERT_TRUE(app.Flush().ok());
    }
    for (int i = 0; i < 3 && !flushed; ++i) ASSERT_TRUE(cluster.RunOne());
    cluster.Step(write_event::Abort{});
    EXPECT_EQ(cluster.Count("abandonBlock"), flushed ? 0 : 1);
    EXPECT_EQ(ReasonOf(app.Close()), ErrorReason::kCancelled);
  }
}

TEST(FileWriterTest, BytesThatChangeInOurOwnMemoryBlameNoDatanode) {
  FakeWriteCluster cluster(kBlock);
  BuiltPacket packet;
  packet.last = true;
  packet.payload = absl::Cord("hellO");
  AppendChunkChecksums(std::string_view("hello"), &packet.checksums);
  packet.file_end = 5;
  std::vector<WriteAction> actions = cluster.writer_.Step(write_event::AddPacket{packet}, cluster.now_);
  uint64_t tag = std::get<write_action::CallNamenode>(actions[0]).tag;
  protocol::AddBlockReply block{
      .block = {.block = {.id = BlockId(16), .stamp = GenerationStamp(1)}, .locations = {TestLocation(1)}}};
  actions = cluster.writer_.Step(write_event::NamenodeAnswer{tag, protocol::MutationReply(block)}, cluster.now_);
  const uint64_t stream = std::get<write_action::OpenStream>(actions[0]).stream;
  protocol::Ack ack{.sequence = protocol::kSetupAck, .hops = {{.datanode = DatanodeUuid("uuid-1")}}};
  cluster.writer_.Step(write_event::AckArrived{stream, ack}, cluster.now_);
  ack.sequence = 0;
  ack.hops[0].status = MakeError(ErrorReason::kChecksum, "bad chunk 0");
  cluster.writer_.Step(write_event::AckArrived{stream, ack}, cluster.now_);
  EXPECT_EQ(ReasonOf(cluster.writer_.status()), ErrorReason::kChecksum);
  EXPECT_THAT(Text(cluster.writer_.status()), HasSubstr("this client's memory"));
}

// Random writes and flushes with random faults in front of the first acknowledgement: always whole.
TEST(FileWriterTest, RandomFilesArriveWhole) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    WriterSettings settings;
    settings.window_packets = static_cast<uint32_t>(1 + random.Uniform(8));
    FakeWriteCluster cluster(512 * (1 + random.Uniform(12)), settings, /*datanodes=*/20);
    const uint64_t odds = 2 + random.Uniform(8);
    std::map<std::pair<uint64_t, int>, std::optional<Fail>> decided;
    uint64_t last_failed = 0;
    cluster.fail = [&](uint64_t stream, int packet) -> std::optional<Fail> {
      const auto [place, is_new] = decided.try_emplace({stream, packet});
      // Not three times in a row: that may rightly end the write.
      if (is_new && packet <= 0 && stream > last_failed + 1 && random.OneIn(odds)) {
        place->second = Fail{random.OneIn(2) ? Fault::kEndStream : Fault::kRefuse, 0};
        last_failed = stream;
      }
      return place->second;
    };
    Application app(&cluster, static_cast<uint32_t>(512 * (1 + random.Uniform(4))));
    const uint64_t steps = random.Uniform(30);
    for (uint64_t i = 0; i < steps; ++i) {
      app.Write(random.Bytes(random.Uniform(3000)));
      if (random.OneIn(3)) {
        const absl::Status flushed = app.Flush(random.OneIn(2));
        ASSERT_TRUE(flushed.ok()) << flushed;
      }
    }
    ASSERT_TRUE(app.Close().ok());
    ASSERT_EQ(cluster.Contents(), app.written());
    ASSERT_TRUE(cluster.closed_);
  }
}

}  // namespace
}  // namespace dolmen::client
