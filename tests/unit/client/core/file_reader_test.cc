#include "client/core/file_reader.h"

#include <deque>
#include <functional>
#include <map>

#include "common/crc32c.h"
#include "common/error.h"
#include "fake_write_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dolmen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kMessage = 1024;  // bytes of one ReadChunk

// Datanodes with replicas, and a namenode that knows them. Every datanode serves what it has, unless told otherwise.
class FakeReadCluster {
 public:
  // How a read from a datanode goes wrong.
  struct Trouble {
    std::optional<absl::Status> refuse;    // at opening
    std::optional<uint64_t> break_after;   // messages, then the connection breaks
    bool silent = false;                   // never sends anything
    std::optional<uint64_t> silent_after;  // messages
    bool wrong_place = false;              // messages begin elsewhere
    bool no_checksums = false;
    std::optional<std::string> needs_token;  // another one is refused
    bool once = false;                       // only for the first stream
  };

  explicit FakeReadCluster(uint64_t file_bytes, int replicas = 3, ReaderSettings settings = {}) : settings_(settings) {
    contents_ = Random(11).Bytes(file_bytes);
    for (uint64_t offset = 0; offset < file_bytes; offset += kBlock) {
      protocol::LocatedBlock block;
      block.offset = offset;
      block.block = {.id = BlockId((1 << 30) + 16 * (offset / kBlock)),
                     .stamp = GenerationStamp(1001),
                     .length = std::min(kBlock, file_bytes - offset)};
      block.token = "token-1";
      for (int i = 1; i <= replicas; ++i) {
        block.locations.push_back(TestLocation(i));
        replicas_[{i, block.block.id}] = contents_.substr(offset, block.block.length);
      }
      blocks_.push_back(block);
    }
    reply_.status.inode = InodeId(20000);
    reply_.status.length = file_bytes;
  }

  void Open(size_t blocks_known = SIZE_MAX) {
    OpenedFile opened{.path = "/f", .status = reply_.status, .length = contents_.size()};
    opened.blocks.assign(blocks_.begin(), blocks_.begin() + std::min(blocks_known, blocks_.size()));
    reader_.emplace(opened, "client", settings_, Random(5));
  }

  // Reads the range to its end; what was delivered is in `got`.
  absl::Status Read(uint64_t offset, uint64_t length) {
    if (!reader_.has_value()) Open();
    got.clear();
    const uint64_t operation = ++operation_;
    Step(read_event::Read{operation, offset, length});
    while (!answers_.contains(operation)) {
      if (!RunOne()) return absl::InternalError("nothing is left to do, and no answer");
    }
    return answers_.at(operation);
  }
  std::string Expected(uint64_t offset, uint64_t length) const {
    return offset >= contents_.size() ? "" : contents_.substr(offset, length);
  }

  void Step(ReadEvent event) {
    for (ReadAction& action : reader_->Step(std::move(event), now_)) {
      std::visit([this](auto& one) { Do(one); }, action);
    }
  }
  bool RunOne() {
    if (!pending_.empty()) {
      ReadEvent event = std::move(pending_.front());
      pending_.pop_front();
      Step(std::move(event));
      return true;
    }
    if (!wake_.has_value()) return false;
    now_ = std::max(now_, *wake_);
    wake_.reset();
    Step(read_event::Tick{});
    return true;
  }

  ReaderSettings settings_;
  std::string contents_;
  std::vector<protocol::LocatedBlock> blocks_;
  std::map<std::pair<int, BlockId>, std::string> replicas_;
  std::map<std::pair<int, BlockId>, uint64_t> flipped_;  // a byte whose checksum does not match
  std::map<int, Trouble> trouble_;
  protocol::GetBlockLocationsReply reply_;
  std::optional<absl::Status> locate_error_;
  std::function<void()> before_locate_ = [] {};

  MonotonicTime now_{std::chrono::hours(1)};
  std::optional<FileReader> reader_;
  std::string got;
  std::map<uint64_t, std::string> got_by_operation_;
  std::vector<std::string> opened_;  // "dn1", ...
  std::vector<protocol::ReportBadReplicaRequest> reports_;
  int locates_ = 0;
  int receives_ = 0;
  size_t open_streams_ = 0;
  std::map<uint64_t, absl::Status> answers_;

 private:
  struct Stream {
    int datanode = 0;
    protocol::ReadRequest request;
    uint64_t next = 0;  // offset in the block
    uint64_t messages = 0;
    Trouble trouble;
  };

  void Do(const read_action::CallNamenode& action) {
    if (const auto* report = std::get_if<protocol::ReportBadReplicaRequest>(&action.request)) {
      reports_.push_back(*report);
      pending_.push_back(
          read_event::NamenodeAnswer{action.tag, protocol::QueryReply(protocol::ReportBadReplicaReply{})});
      return;
    }
    const auto& request = std::get<protocol::GetBlockLocationsRequest>(action.request);
    ++locates_;
    before_locate_();
    EXPECT_EQ(request.inode, InodeId(20000));
    if (locate_error_.has_value()) {
      pending_.push_back(read_event::NamenodeAnswer{action.tag, *locate_error_});
      return;
    }
    protocol::GetBlockLocationsReply reply = reply_;
    for (const protocol::LocatedBlock& block : blocks_) {
      if (block.offset + block.block.length > request.offset && block.offset < request.offset + request.length)
        reply.blocks.push_back(block);
    }
    pending_.push_back(read_event::NamenodeAnswer{action.tag, protocol::QueryReply(reply)});
  }
  void Do(const read_action::OpenStream& action) {
    Stream stream;
    stream.datanode = std::stoi(action.target.datanode.host_name.substr(2));
    stream.request = action.request;
    stream.next = action.request.offset / 512 * 512;
    opened_.push_back(action.target.datanode.host_name);
    if (const auto found = trouble_.find(stream.datanode); found != trouble_.end()) {
      stream.trouble = found->second;
      if (found->second.once) trouble_.erase(found);
    }
    ++open_streams_;
    streams_.emplace(action.stream, stream);
  }
  void Do(const read_action::Receive& action) {
    ++receives_;
    Stream& stream = streams_.at(action.stream);
    const Trouble& trouble = stream.trouble;
    const auto end = [&](absl::Status status) {
      pending_.push_back(read_event::StreamEnded{action.stream, std::move(status)});
    };
    if (trouble.silent || stream.messages >= trouble.silent_after.value_or(UINT64_MAX)) return;
    if (trouble.refuse.has_value()) return end(*trouble.refuse);
    if (trouble.needs_token.has_value() && *trouble.needs_token != stream.request.token) {
      return end(MakeError(ErrorReason::kBadToken, "the token has expired"));
    }
    if (trouble.break_after.has_value() && stream.messages >= *trouble.break_after)
      return end(absl::UnavailableError("connection reset"));
    const auto replica = replicas_.find({stream.datanode, stream.request.block.id});
    if (replica == replicas_.end()) return end(MakeError(ErrorReason::kReplicaNotFound, "no such replica"));
    const std::string& bytes = replica->second;
    const uint64_t wanted = stream.request.offset + stream.request.length;
    const uint64_t limit = std::min<uint64_t>(bytes.size(), (wanted + 511) / 512 * 512);
    if (stream.next >= limit) return end(absl::OkStatus());
    protocol::ReadChunk chunk;
    chunk.offset = stream.next;
    chunk.replica_length = bytes.size();
    std::string payload = bytes.substr(stream.next, std::min(kMessage, limit - stream.next));
    AppendChunkChecksums(payload, &chunk.checksums);
    stream.next += payload.size();
    if (const auto flip = flipped_.find(replica->first);
        flip != flipped_.end() && flip->second >= chunk.offset && flip->second < chunk.offset + payload.size()) {
      payload[flip->second - chunk.offset] ^= 1;
    }
    if (trouble.wrong_place) chunk.offset += 512;
    if (trouble.no_checksums) chunk.checksums.clear();
    chunk.payload = absl::Cord(payload);
    ++stream.messages;
    pending_.push_back(read_event::ChunkArrived{action.stream, std::move(chunk)});
  }
  void Do(const read_action::CloseStream& action) {
    ASSERT_EQ(streams_.erase(action.stream), 1U);
    --open_streams_;
    pending_.push_back(read_event::StreamEnded{action.stream, absl::CancelledError("closed")});
  }
  void Do(const read_action::Deliver& action) {
    got += std::string(action.bytes);
    got_by_operation_[action.operation] += std::string(action.bytes);
  }
  void Do(const read_action::OperationDone& action) {
    EXPECT_FALSE(answers_.contains(action.operation));
    answers_[action.operation] = action.status;
  }
  void Do(const read_action::WakeAt& action) { wake_ = action.at; }
  void Do(const read_action::AskVisibleLength&) { ADD_FAILURE() << "a reader does not ask for that"; }

  uint64_t operation_ = 0;
  std::deque<ReadEvent> pending_;
  std::optional<MonotonicTime> wake_;
  std::map<uint64_t, Stream> streams_;
};

std::string Text(const absl::Status& status) { return std::string(status.message()); }

TEST(FileReaderTest, AnyRangeIsReadFromTheFirstReplica) {
  FakeReadCluster cluster(3 * kBlock + 700);
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    const uint64_t offset = random.Uniform(3 * kBlock + 900);
    const uint64_t length = random.Uniform(2 * kBlock);
    ASSERT_TRUE(cluster.Read(offset, length).ok());
    ASSERT_EQ(cluster.got, cluster.Expected(offset, length)) << offset << " " << length;
  }
  EXPECT_EQ(cluster.open_streams_, 0U);
  EXPECT_EQ(cluster.locates_, 0);
  for (const std::string& name : cluster.opened_) EXPECT_EQ(name, "dn1");
}

TEST(FileReaderTest, NothingIsReadAtOrBeyondTheEnd) {
  FakeReadCluster cluster(1000);
  for (const uint64_t offset : {uint64_t{1000}, uint64_t{1001}, UINT64_MAX}) {
    EXPECT_TRUE(cluster.Read(offset, UINT64_MAX).ok());
    EXPECT_EQ(cluster.got, "");
  }
  EXPECT_TRUE(cluster.Read(999, UINT64_MAX).ok());
  EXPECT_EQ(cluster.got, cluster.Expected(999, 1));
}

TEST(FileReaderTest, LocationsAreFetchedAsTheyAreNeeded) {
  FakeReadCluster cluster(20 * kBlock);
  cluster.settings_.locate_bytes = 4 * kBlock;
  cluster.Open(/*blocks_known=*/4);
  ASSERT_TRUE(cluster.Read(0, UINT64_MAX).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
  EXPECT_EQ(cluster.locates_, 4);
}

TEST(FileReaderTest, AnUnreachableDatanodeIsRemembered) {
  FakeReadCluster cluster(3 * kBlock);
  cluster.trouble_[1] = {.refuse = MakeError(ErrorReason::kUnreachable, "connection refused")};
  ASSERT_TRUE(cluster.Read(0, UINT64_MAX).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
  EXPECT_EQ(std::count(cluster.opened_.begin(), cluster.opened_.end(), "dn1"), 1);
}

TEST(FileReaderTest, AReplicaThatIsMissingSaysNothingAboutItsDatanode) {
  FakeReadCluster cluster(2 * kBlock);
  cluster.replicas_.erase({1, cluster.blocks_[0].block.id});
  ASSERT_TRUE(cluster.Read(0, UINT64_MAX).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
  EXPECT_THAT(cluster.opened_, testing::ElementsAre("dn1", "dn2", "dn1"));
}

TEST(FileReaderTest, ABreakInTheMiddleLosesNothing) {
  FakeReadCluster cluster(kBlock);
  cluster.trouble_[1] = {.break_after = 2, .once = true};
  ASSERT_TRUE(cluster.Read(100, 3000).ok());
  EXPECT_EQ(cluster.got, cluster.Expected(100, 3000));
  EXPECT_THAT(cluster.opened_, testing::ElementsAre("dn1", "dn1")) << "it had worked: one more chance";
}

TEST(FileReaderTest, ADatanodeThatBreaksAgainIsLeft) {
  FakeReadCluster cluster(kBlock);
  cluster.trouble_[1] = {.break_after = 1};
  cluster.trouble_[2] = {.break_after = 0};
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
}

TEST(FileReaderTest, ASilentDatanodeIsSoonLeftForAnother) {
  FakeReadCluster cluster(2 * kBlock);
  cluster.trouble_[1] = {.silent_after = 2};
  const MonotonicTime before = cluster.now_;
  ASSERT_TRUE(cluster.Read(0, 2 * kBlock).ok());
  EXPECT_EQ(cluster.now_ - before, std::chrono::seconds(5));
  EXPECT_EQ(cluster.got, cluster.contents_);
  EXPECT_THAT(cluster.opened_, testing::ElementsAre("dn1", "dn2", "dn2")) << "no second chance, nor for the next block";
}

TEST(FileReaderTest, TheLastReplicaIsWaitedForThoughItIsSilent) {
  FakeReadCluster cluster(kBlock);
  for (int i = 1; i <= 3; ++i) cluster.trouble_[i] = {.silent = true, .once = true};
  const MonotonicTime before = cluster.now_;
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_GE(cluster.now_ - before, std::chrono::seconds(5 + 5 + 60));
  EXPECT_LE(cluster.now_ - before, std::chrono::seconds(5 + 5 + 60 + 3)) << "then the locations are asked for anew";
  EXPECT_EQ(cluster.got, cluster.contents_);
}

TEST(FileReaderTest, PatienceWithOthersIsNotLongerThanTheTimeout) {
  FakeReadCluster cluster(kBlock, 3, {.stream_timeout = std::chrono::seconds(2)});
  cluster.trouble_[1] = {.silent = true};
  const MonotonicTime before = cluster.now_;
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_EQ(cluster.now_ - before, std::chrono::seconds(2));
}

TEST(FileReaderTest, EveryFlippedByteIsFoundReportedAndReadElsewhere) {
  for (uint64_t byte = 0; byte < kBlock; byte += 100) {
    FakeReadCluster cluster(kBlock);
    cluster.flipped_[{1, cluster.blocks_[0].block.id}] = byte;
    ASSERT_TRUE(cluster.Read(0, kBlock).ok());
    ASSERT_EQ(cluster.got, cluster.contents_) << byte;
    ASSERT_EQ(cluster.reports_.size(), 1U);
    EXPECT_EQ(cluster.reports_[0].block, cluster.blocks_[0].block);
    EXPECT_EQ(cluster.reports_[0].datanode, DatanodeUuid("uuid-1"));
    EXPECT_EQ(cluster.reports_[0].storage, StorageId("storage-1"));
    ASSERT_TRUE(cluster.Read(0, kBlock).ok());
    EXPECT_EQ(cluster.opened_.back(), "dn2") << "not asked again";
    EXPECT_EQ(cluster.reports_.size(), 1U);
  }
}

TEST(FileReaderTest, DifferentDamageInEveryReplicaIsReadAround) {
  FakeReadCluster cluster(kBlock);
  cluster.flipped_[{1, cluster.blocks_[0].block.id}] = 600;
  cluster.flipped_[{2, cluster.blocks_[0].block.id}] = 1800;
  cluster.flipped_[{3, cluster.blocks_[0].block.id}] = 4000;
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
  EXPECT_EQ(cluster.reports_.size(), 3U);
}

TEST(FileReaderTest, TheSameDamageInEveryReplicaIsAnErrorNotWrongBytes) {
  FakeReadCluster cluster(kBlock);
  for (int i = 1; i <= 3; ++i) cluster.flipped_[{i, cluster.blocks_[0].block.id}] = 1500;
  const absl::Status status = cluster.Read(0, kBlock);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBlockMissing);
  EXPECT_EQ(cluster.got, cluster.Expected(0, 1024)) << "the chunks before it are good";
  EXPECT_THAT(Text(status),
              AllOf(HasSubstr("Could not obtain block: blk_1073741824 file=/f"), HasSubstr("dn1:7066: checksum error"),
                    HasSubstr("dn2:7066: checksum error"), HasSubstr("dn3:7066: checksum error")));
}

TEST(FileReaderTest, AShortReplicaIsCompletedFromAnother) {
  FakeReadCluster cluster(kBlock);
  for (const size_t size : {size_t{0}, size_t{100}, size_t{1024}, size_t{1500}}) {
    cluster.reader_.reset();
    cluster.replicas_[{1, cluster.blocks_[0].block.id}] = cluster.contents_.substr(0, size);
    ASSERT_TRUE(cluster.Read(0, kBlock).ok()) << size;
    EXPECT_EQ(cluster.got, cluster.contents_);
    ASSERT_TRUE(cluster.Read(2000, 10).ok()) << size;
    EXPECT_EQ(cluster.got, cluster.Expected(2000, 10));
  }
}

TEST(FileReaderTest, NonsenseFromADatanodeIsAFailureOfItsReplica) {
  for (const bool place : {false, true}) {
    FakeReadCluster cluster(kBlock);
    cluster.trouble_[1] = {.wrong_place = place, .no_checksums = !place};
    ASSERT_TRUE(cluster.Read(0, kBlock).ok());
    EXPECT_EQ(cluster.got, cluster.contents_);
  }
}

TEST(FileReaderTest, WhenAllFailLocationsAreFetchedAnewThreeTimesThenEachReplicaIsListed) {
  FakeReadCluster cluster(kBlock, 2);
  cluster.trouble_[1] = {.refuse = MakeError(ErrorReason::kUnreachable, "connection refused")};
  cluster.trouble_[2] = {.refuse = MakeError(ErrorReason::kReplicaNotFound, "no such replica")};
  const MonotonicTime before = cluster.now_;
  const absl::Status status = cluster.Read(0, kBlock);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBlockMissing);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("file=/f"), HasSubstr("dn1:7066: connection refused"),
                                  HasSubstr("dn2:7066: no such replica")));
  EXPECT_EQ(cluster.locates_, 3);
  EXPECT_EQ(cluster.opened_.size(), 8U);
  EXPECT_GE(cluster.now_ - before, std::chrono::seconds(9));
  EXPECT_LE(cluster.now_ - before, std::chrono::seconds(27));
  EXPECT_EQ(cluster.open_streams_, 0U);
}

TEST(FileReaderTest, ABlockWithoutAnyReplicaSaysSo) {
  FakeReadCluster cluster(kBlock, 0);
  const absl::Status status = cluster.Read(0, kBlock);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBlockMissing);
  EXPECT_THAT(Text(status), HasSubstr("no datanode that is alive has a replica"));
}

TEST(FileReaderTest, AReplicaThatMovedIsFoundAfterTheRefresh) {
  FakeReadCluster cluster(kBlock, 1);
  cluster.trouble_[1] = {.refuse = MakeError(ErrorReason::kUnreachable, "connection refused")};
  cluster.before_locate_ = [&] {
    cluster.blocks_[0].locations.push_back(TestLocation(4));
    cluster.replicas_[{4, cluster.blocks_[0].block.id}] = cluster.contents_;
  };
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
  EXPECT_EQ(cluster.locates_, 1);
}

TEST(FileReaderTest, AnExpiredTokenIsRefreshedAtOnce) {
  FakeReadCluster cluster(kBlock);
  for (int i = 1; i <= 3; ++i) cluster.trouble_[i] = {.needs_token = "token-2"};
  cluster.before_locate_ = [&] { cluster.blocks_[0].token = "token-2"; };
  const MonotonicTime before = cluster.now_;
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_EQ(cluster.now_, before);
  EXPECT_THAT(cluster.opened_, testing::ElementsAre("dn1", "dn1"));
}

TEST(FileReaderTest, ARemovedFileIsAClearError) {
  FakeReadCluster cluster(2 * kBlock);
  ASSERT_TRUE(cluster.Read(0, 10).ok());
  cluster.replicas_.clear();
  cluster.locate_error_ = MakeError(ErrorReason::kFileNotFound, "File does not exist: /f");
  const absl::Status status = cluster.Read(kBlock, 10);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileNotFound);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("File does not exist: /f"), HasSubstr("while it was being read")));
}

TEST(FileReaderTest, AnotherBlockListIsAClearError) {
  for (const bool shorter : {false, true}) {
    FakeReadCluster cluster(2 * kBlock);
    cluster.Open();
    cluster.replicas_.clear();
    cluster.before_locate_ = [&] {
      if (shorter) {
        cluster.blocks_.resize(1);
      } else {
        cluster.blocks_[1].block.id = BlockId(99 * 16);
      }
    };
    const absl::Status status = cluster.Read(kBlock, 10);
    EXPECT_EQ(ReasonOf(status), ErrorReason::kIo);
    EXPECT_THAT(Text(status), HasSubstr("Blocklist for /f has changed!"));
  }
}

TEST(FileReaderTest, ANewerStampIsTakenFromTheRefresh) {
  FakeReadCluster cluster(kBlock);
  for (int i = 1; i <= 3; ++i)
    cluster.trouble_[i] = {.refuse = MakeError(ErrorReason::kStaleGenerationStamp, "the replica has gs_1002"),
                           .once = true};
  cluster.before_locate_ = [&] { cluster.blocks_[0].block.stamp = GenerationStamp(1002); };
  ASSERT_TRUE(cluster.Read(0, kBlock).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
}

TEST(FileReaderTest, BytesComeOnlyAsFarAsTheyAreWanted) {
  FakeReadCluster cluster(4 * kBlock);
  cluster.Open();
  cluster.Step(read_event::Read{.operation = 1, .offset = 0, .length = UINT64_MAX, .demand = 1500});
  while (cluster.RunOne()) {
  }
  EXPECT_EQ(cluster.got.size(), 2 * kMessage);
  EXPECT_EQ(cluster.receives_, 2);
  cluster.Step(read_event::Demand{.operation = 1, .bytes = 2 * kMessage});
  EXPECT_EQ(cluster.receives_, 2) << "that is there already";
  cluster.Step(read_event::Demand{.operation = 1, .bytes = UINT64_MAX});
  while (!cluster.answers_.contains(1)) ASSERT_TRUE(cluster.RunOne());
  EXPECT_EQ(cluster.got, cluster.contents_);
}

TEST(FileReaderTest, ACancelledReadIsNotAnsweredAndLeavesNoStream) {
  FakeReadCluster cluster(4 * kBlock);
  cluster.Open();
  cluster.Step(read_event::Read{.operation = 1, .offset = 0, .length = UINT64_MAX});
  ASSERT_TRUE(cluster.RunOne());
  EXPECT_EQ(cluster.open_streams_, 1U);
  cluster.Step(read_event::Cancel{1});
  while (cluster.RunOne()) {
  }
  EXPECT_EQ(cluster.open_streams_, 0U);
  EXPECT_TRUE(cluster.answers_.empty());
}

TEST(FileReaderTest, ManyReadsAtATimeDoNotMix) {
  FakeReadCluster cluster(8 * kBlock);
  cluster.Open();
  cluster.trouble_[1] = {.break_after = 3, .once = true};
  cluster.flipped_[{1, cluster.blocks_[2].block.id}] = 77;
  Random random(9);
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> ranges;
  for (uint64_t operation = 1; operation <= 50; ++operation) {
    ranges[operation] = {random.Uniform(8 * kBlock), random.Uniform(3 * kBlock)};
    cluster.Step(read_event::Read{operation, ranges[operation].first, ranges[operation].second});
  }
  while (cluster.answers_.size() < 50) ASSERT_TRUE(cluster.RunOne());
  for (const auto& [operation, range] : ranges) {
    EXPECT_TRUE(cluster.answers_[operation].ok());
    EXPECT_EQ(cluster.got_by_operation_[operation], cluster.Expected(range.first, range.second));
  }
}

TEST(FileReaderTest, TooManyReadsAtATimeAreRefused) {
  FakeReadCluster cluster(kBlock);
  cluster.settings_.max_operations = 2;
  cluster.Open();
  for (uint64_t operation = 1; operation <= 3; ++operation) cluster.Step(read_event::Read{operation, 0, 10});
  EXPECT_EQ(ReasonOf(cluster.answers_[3]), ErrorReason::kBusy);
}

TEST(FileReaderTest, BytesAnOpenBlockGainedSinceAreNotShown) {
  FakeReadCluster cluster(1000);
  cluster.Open();
  for (int i = 1; i <= 3; ++i) cluster.replicas_[{i, cluster.blocks_[0].block.id}] += std::string(3000, 'n');
  ASSERT_TRUE(cluster.Read(0, UINT64_MAX).ok());
  EXPECT_EQ(cluster.got, cluster.contents_);
}

// Random faults on at most two of three datanodes: always the right bytes.
TEST(FileReaderTest, RandomFaultsNeverChangeWhatIsRead) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    FakeReadCluster cluster(1 + random.Uniform(5 * kBlock));
    cluster.settings_.locate_bytes = kBlock * (1 + random.Uniform(4));
    cluster.Open(random.Uniform(3));
    const int good = static_cast<int>(1 + random.Uniform(3));
    for (int i = 1; i <= 3; ++i) {
      if (i == good) continue;
      switch (random.Uniform(5)) {
        case 0:
          cluster.trouble_[i] = {.refuse =
                                     MakeError(random.OneIn(2) ? ErrorReason::kUnreachable : ErrorReason::kBusy, "no")};
          break;
        case 1:
          cluster.trouble_[i] = {.break_after = random.Uniform(4), .once = random.OneIn(2)};
          break;
        case 2:
          cluster.trouble_[i] = {.silent = true, .once = random.OneIn(2)};
          break;
        case 3:
          for (const auto& block : cluster.blocks_)
            cluster.flipped_[{i, block.block.id}] = random.Uniform(block.block.length);
          break;
        default:
          for (const auto& block : cluster.blocks_)
            cluster.replicas_[{i, block.block.id}].resize(random.Uniform(block.block.length));
      }
    }
    for (int reads = 0; reads < 5; ++reads) {
      const uint64_t offset = random.Uniform(cluster.contents_.size() + 10);
      const uint64_t length = random.Uniform(3 * kBlock);
      const absl::Status status = cluster.Read(offset, length);
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_EQ(cluster.got, cluster.Expected(offset, length));
    }
    EXPECT_EQ(cluster.open_streams_, 0U);
  }
}

}  // namespace
}  // namespace dolmen::client
