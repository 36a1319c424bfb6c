// A FileWriter that goes on with a file that was closed before.
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

// A file of one full block and `length` bytes more, which is opened again.
class AppendedTo {
 public:
  explicit AppendedTo(uint64_t length, WriterSettings settings = {})
      : before_(Random(11).Bytes(kBlock + length)),
        cluster(kBlock, {before_.substr(0, kBlock), before_.substr(kBlock)}, /*reopen=*/true, settings),
        app(&cluster, kPacket,
            {.block_offset = kBlock,
             .bytes_in_block = length,
             .partial_chunk = before_.substr(kBlock + length / kBytesPerChecksum * kBytesPerChecksum)}) {}

  std::string Expected() const { return before_ + app.written(); }
  uint64_t before() const { return before_.size(); }

 private:
  const std::string before_;

 public:
  FakeWriteCluster cluster;
  Application app;
};

std::vector<uint64_t> Lengths() { return {0, 1, 511, 512, 513, kBlock - 1, kBlock}; }

TEST(FileWriterAppendTest, FillsUpTheLastBlockAndGoesOn) {
  for (const uint64_t length : Lengths()) {
    for (const uint64_t more : {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{513}, kBlock, 3 * kBlock + 5}) {
      SCOPED_TRACE(absl::StrCat(length, " bytes and ", more, " more"));
      AppendedTo file(length);
      EXPECT_EQ(file.cluster.writer_.acknowledged_bytes(), file.before());
      ASSERT_TRUE(file.cluster.Reopen().status.ok());
      file.app.Write(Random(5).Bytes(more));
      ASSERT_TRUE(file.app.Close().ok());
      EXPECT_EQ(file.cluster.Contents(), file.Expected());
      EXPECT_EQ(file.cluster.writer_.acknowledged_bytes(), file.Expected().size());
      EXPECT_EQ(file.app.position(), file.Expected().size());
      EXPECT_TRUE(file.cluster.closed_);
      const uint64_t beyond = length + more > kBlock ? length + more - kBlock : 0;
      EXPECT_EQ(file.cluster.Count("addBlock"), static_cast<int>((beyond + kBlock - 1) / kBlock));
      EXPECT_EQ(file.cluster.Count("abandonBlock"), 0);
    }
  }
}

TEST(FileWriterAppendTest, BehindAFullBlockTheFirstByteGetsANewOne) {
  FakeWriteCluster cluster(kBlock, {std::string(kBlock, 'a')}, /*reopen=*/false);
  Application app(&cluster, kPacket, {.block_offset = kBlock});
  EXPECT_TRUE(app.Flush().ok());
  EXPECT_EQ(cluster.Count("addBlock"), 0);
  app.Write("hello");
  ASSERT_TRUE(app.Flush().ok());
  EXPECT_EQ(cluster.Count("fsync"), 1);
  EXPECT_EQ(cluster.writer_.acknowledged_bytes(), kBlock + 5);
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.Contents(), std::string(kBlock, 'a') + "hello");
}

TEST(FileWriterAppendTest, AFileThatGotNothingIsClosedAsItWas) {
  FakeWriteCluster cluster(kBlock, {std::string(kBlock, 'a')}, /*reopen=*/false);
  Application app(&cluster, kPacket, {.block_offset = kBlock});
  ASSERT_TRUE(app.Close().ok());
  EXPECT_EQ(cluster.calls_, std::vector<std::string>{"complete"});
}

TEST(FileWriterAppendTest, FlushesCountFromTheFilesBeginning) {
  AppendedTo file(700);
  ASSERT_TRUE(file.cluster.Reopen().status.ok());
  ASSERT_TRUE(file.app.Flush().ok());
  Random random(3);
  for (int i = 0; i < 40; ++i) {
    file.app.Write(random.Bytes(1 + random.Uniform(400)));
    ASSERT_TRUE(file.app.Flush(/*sync=*/i % 3 == 0).ok());
    EXPECT_EQ(file.cluster.Contents(), file.Expected());
    EXPECT_EQ(file.cluster.writer_.acknowledged_bytes(), file.Expected().size());
  }
  EXPECT_EQ(file.cluster.Count("fsync"), file.cluster.Count("addBlock")) << "the reopened block is in the list already";
  ASSERT_TRUE(file.app.Close().ok());
  EXPECT_EQ(file.cluster.Contents(), file.Expected());
}

// Every fault at the setup, at every hop.
TEST(FileWriterAppendTest, ASetupThatFailsEndsTheStreamAndNamesTheDatanode) {
  for (const Fault fault : {Fault::kRefuse, Fault::kBusy, Fault::kEndStream, Fault::kSilence, Fault::kShortAck}) {
    for (int hop = 0; hop < 3; ++hop) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " hop ", hop));
      AppendedTo file(513);
      file.cluster.fail = [&](uint64_t, int) { return Fail{fault, hop}; };
      const write_action::OperationDone done = file.cluster.Reopen();
      const bool busy = fault == Fault::kBusy;
      EXPECT_EQ(ReasonOf(done.status), busy ? ErrorReason::kBusy : ErrorReason::kPipelineFailed);
      const int blamed = fault == Fault::kRefuse || busy ? hop + 1 : 1;
      EXPECT_EQ(done.culprit, DatanodeUuid(absl::StrCat("uuid-", blamed)));
      EXPECT_THAT(Text(done.status), AllOf(HasSubstr("on [dn1:7066, dn2:7066, dn3:7066]"),
                                           HasSubstr(absl::StrCat("datanode dn", blamed, ":7066: "))));
      EXPECT_EQ(file.app.Close(), done.status) << "the failure stays";
      EXPECT_TRUE(file.cluster.calls_.empty()) << "nothing is abandoned or completed";
    }
  }
}

// Every fault at every packet: never abandoned, and everything acknowledged is on every datanode.
TEST(FileWriterAppendTest, AFailureLaterKeepsWhatWasAcknowledged) {
  for (const uint64_t length : Lengths()) {
    for (const Fault fault : {Fault::kRefuse, Fault::kEndStream, Fault::kSilence, Fault::kBadOrder}) {
      for (int packet = 0; packet < 5; ++packet) {
        SCOPED_TRACE(absl::StrCat(length, " bytes, fault ", static_cast<int>(fault), " packet ", packet));
        AppendedTo file(length);
        bool fired = false;
        file.cluster.fail = [&](uint64_t stream, int at) -> std::optional<Fail> {
          if (stream != 1 || at != packet) return std::nullopt;
          fired = true;
          return Fail{fault, 0};
        };
        ASSERT_TRUE(file.cluster.Reopen().status.ok());
        file.app.Write(Random(1).Bytes(kBlock));
        const absl::Status closed = file.app.Close();
        if (!fired) {
          ASSERT_TRUE(closed.ok()) << closed;
          continue;
        }
        ASSERT_EQ(ReasonOf(closed), ErrorReason::kPipelineFailed) << closed;
        const uint64_t acknowledged = file.cluster.writer_.acknowledged_bytes();
        EXPECT_GE(acknowledged, file.before());
        EXPECT_EQ(file.cluster.Contents().substr(0, acknowledged), file.Expected().substr(0, acknowledged));
        EXPECT_THAT(Text(closed), HasSubstr(absl::StrCat("; ", acknowledged, " of ")));
        EXPECT_TRUE(file.cluster.calls_.empty());
      }
    }
  }
}

TEST(FileWriterAppendTest, AbortNeverAbandonsABlockThatHeldBytes) {
  for (const int messages : {0, 1, 3}) {
    AppendedTo file(513);
    file.cluster.Step(write_event::Reopen{77});
    for (int i = 0; i < messages && !file.cluster.answers_.contains(77); ++i) ASSERT_TRUE(file.cluster.RunOne());
    file.cluster.Step(write_event::Abort{});
    EXPECT_EQ(ReasonOf(file.cluster.Run(77)), messages == 0 ? ErrorReason::kCancelled : ErrorReason::kNone);
    EXPECT_TRUE(file.cluster.calls_.empty());
    EXPECT_EQ(ReasonOf(file.app.Close()), ErrorReason::kCancelled);
  }
}

TEST(FileWriterAppendTest, AbortInABlockBehindAbandonsThatOne) {
  AppendedTo file(kBlock - 1);
  ASSERT_TRUE(file.cluster.Reopen().status.ok());
  file.app.Write(std::string(1 + kPacket, 'x'));
  while (file.cluster.expected_bytes_.size() < 2) ASSERT_TRUE(file.cluster.RunOne());  // pipelines
  file.cluster.Step(write_event::Abort{});
  EXPECT_EQ(file.cluster.Count("abandonBlock"), 1);
}

TEST(FileWriterAppendTest, ALeaseLostDuringTheSetupBlamesNoDatanode) {
  AppendedTo file(100);
  file.cluster.Step(write_event::Reopen{77});
  file.cluster.Step(write_event::LeaseLost{MakeError(ErrorReason::kLeaseExpired, "it is over")});
  EXPECT_EQ(ReasonOf(file.cluster.answers_.at(77)), ErrorReason::kLeaseExpired);
  EXPECT_FALSE(file.cluster.culprits_[77].has_value());
}

// Random bytes behind random bytes; datanodes of new blocks fail in front of the first acknowledgement.
TEST(FileWriterAppendTest, RandomFilesArriveWhole) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    WriterSettings settings;
    settings.window_packets = static_cast<uint32_t>(1 + random.Uniform(8));
    AppendedTo file(random.Uniform(kBlock + 1), settings);
    file.cluster.datanodes_ = 20;
    uint64_t last_failed = 1;
    file.cluster.fail = [&](uint64_t stream, int packet) -> std::optional<Fail> {
      if (packet != -1 || stream <= last_failed + 1 || !random.OneIn(3)) return std::nullopt;
      last_failed = stream;
      return Fail{random.OneIn(2) ? Fault::kEndStream : Fault::kRefuse, 0};
    };
    ASSERT_TRUE(file.cluster.Reopen().status.ok());
    const uint64_t steps = random.Uniform(20);
    for (uint64_t i = 0; i < steps; ++i) {
      file.app.Write(random.Bytes(random.Uniform(3000)));
      if (random.OneIn(3)) {
        ASSERT_TRUE(file.app.Flush(random.OneIn(2)).ok());
      }
    }
    ASSERT_TRUE(file.app.Close().ok());
    ASSERT_EQ(file.cluster.Contents(), file.Expected());
  }
}

}  // namespace
}  // namespace dolmen::client
