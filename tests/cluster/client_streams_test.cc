// The client library's threads, streams and channels against small servers of the test: what the simulation of its
// machines cannot show.
#include <thread>

#include "client/dolmen/client.h"
#include "client_fixture.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/eventually.h"
#include "tests/support/loopback_port.h"

namespace dolmen::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

class ClientStreamsTest : public ClientFixture {};

TEST_F(ClientStreamsTest, FilesOfAllSizesComeBack) {
  Random random(1);
  int number = 0;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{511}, size_t{512}, size_t{513}, size_t{1} << 20,
                            (size_t{1} << 20) + 1, size_t{10} << 20}) {
    const std::string content = random.Bytes(size);
    const std::string path = absl::StrCat("/f", ++number);
    ASSERT_TRUE(Write(path, content, 100'000).ok());
    const absl::StatusOr<std::string> back = Read(path, 70'000);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_TRUE(*back == content) << size;
  }
  EXPECT_EQ(namenode_.OpenFiles(), 0U);
  MutexLock lock(&disk_.mutex);
  for (const auto& [key, replica] : disk_.replicas) EXPECT_TRUE(replica.finalized);
}

TEST_F(ClientStreamsTest, PositionalReadsFromManyThreadsDoNotMix) {
  const std::string content = Random(2).Bytes(5 << 20);
  ASSERT_TRUE(Write("/f", content).ok());
  absl::StatusOr<std::unique_ptr<InputStream>> in = client_->Open("/f");
  ASSERT_TRUE(in.ok());
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Random random(100 + t);
      for (int i = 0; i < 50; ++i) {
        const uint64_t offset = random.Uniform(content.size() + 100);
        std::vector<char> out(random.Uniform(200'000));
        const absl::StatusOr<size_t> got = (*in)->ReadAt(offset, out);
        const std::string expected = offset < content.size() ? content.substr(offset, out.size()) : "";
        if (!got.ok() || std::string_view(out.data(), *got) != expected) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ClientStreamsTest, SeeksAndSequentialReadsKeepOnePosition) {
  const std::string content = Random(3).Bytes(6 << 20);
  ASSERT_TRUE(Write("/f", content).ok());
  for (const uint64_t read_ahead : {uint64_t{0}, uint64_t{100'000}, uint64_t{4} << 20}) {
    ClientOptions options;
    options.read_ahead_bytes = read_ahead;
    Connect(options);
    absl::StatusOr<std::unique_ptr<InputStream>> in = client_->Open("/f");
    ASSERT_TRUE(in.ok());
    Random random(4);
    uint64_t position = 0;
    for (int i = 0; i < 300; ++i) {
      if (random.OneIn(4)) {
        position = random.OneIn(2) ? std::min<uint64_t>(content.size(), position + random.Uniform(100'000))
                                   : random.Uniform(content.size() + 1);
        ASSERT_TRUE((*in)->Seek(position).ok());
      }
      std::vector<char> out(1 + random.Uniform(150'000));
      const absl::StatusOr<size_t> got = (*in)->Read(out);
      ASSERT_TRUE(got.ok());
      ASSERT_EQ(*got == 0, position == content.size());
      ASSERT_EQ(std::string_view(out.data(), *got), std::string_view(content).substr(position, *got));
      position += *got;
      ASSERT_EQ((*in)->Position(), position);
    }
    EXPECT_EQ(Text((*in)->Seek(content.size() + 1)), "Cannot seek after EOF");
    ASSERT_TRUE((*in)->Close().ok());
    char byte;
    EXPECT_EQ(ReasonOf((*in)->Read({&byte, 1}).status()), ErrorReason::kCancelled);
    EXPECT_EQ(ReasonOf((*in)->ReadAt(0, {&byte, 1}).status()), ErrorReason::kCancelled);
  }
}

TEST_F(ClientStreamsTest, FlushedBytesAreVisibleToNewReaders) {
  absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Create("/f", {});
  ASSERT_TRUE(out.ok());
  std::string content;
  for (int i = 0; i < 5; ++i) {
    const std::string more = Random(i).Bytes(300'001);
    content += more;
    ASSERT_TRUE((*out)->Write(more).ok());
    ASSERT_TRUE((i % 2 == 0 ? (*out)->Flush() : (*out)->Sync()).ok());
    const absl::StatusOr<std::string> seen = Read("/f");
    ASSERT_TRUE(seen.ok()) << seen.status();
    EXPECT_TRUE(*seen == content);
  }
  EXPECT_EQ((*out)->Position(), content.size());
  EXPECT_TRUE((*out)->Close().ok());
  EXPECT_TRUE((*out)->Close().ok());
  EXPECT_EQ(ReasonOf((*out)->Write("more")), ErrorReason::kCancelled);
}

TEST_F(ClientStreamsTest, LostAnswersAreAskedForAgainAndNothingIsDoneTwice) {
  namenode_.lose_answers = 3;  // create, addBlock, complete
  ASSERT_TRUE(Write("/f", "hello").ok());
  EXPECT_EQ(namenode_.executed, 3);
  EXPECT_EQ(*Read("/f"), "hello");
  namenode_.lose_answers = 1;
  EXPECT_TRUE(*client_->Delete("/f", false));
}

TEST_F(ClientStreamsTest, ADatanodeThatRefusesOrIsGoneIsReplaced) {
  datanodes_[0]->refuse_setups = 1;
  ASSERT_TRUE(Write("/f1", "one").ok());
  datanodes_[0]->Stop();
  ASSERT_TRUE(Write("/f2", "two").ok());
  EXPECT_EQ(*Read("/f1"), "one");
  EXPECT_EQ(*Read("/f2"), "two");
}

TEST_F(ClientStreamsTest, ABrokenPipelineIsAClearErrorAndStays) {
  datanodes_[0]->break_write_after = 2;
  absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Create("/f", {.block_bytes = 64 << 20});
  ASSERT_TRUE(out.ok());
  ASSERT_TRUE((*out)->Write("some").ok());
  ASSERT_TRUE((*out)->Flush().ok());
  absl::Status status;
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 40 && status.ok(); ++i) status = (*out)->Write(piece);
  if (status.ok()) status = (*out)->Flush();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kPipelineFailed) << status;
  EXPECT_THAT(Text(status),
              AllOf(HasSubstr("/f"), HasSubstr(absl::StrCat(datanodes_[0]->Location().datanode.addresses[0].port)),
                    HasSubstr("going away")));
  EXPECT_EQ((*out)->Close(), status);
}

TEST_F(ClientStreamsTest, AReadGoesOnWhenItsDatanodeGoesAway) {
  const std::string content = Random(5).Bytes(8 << 20);
  ASSERT_TRUE(Write("/f", content).ok());
  absl::StatusOr<std::unique_ptr<InputStream>> in = client_->Open("/f");
  ASSERT_TRUE(in.ok());
  std::string got;
  std::vector<char> buffer(100'000);
  while (got.size() < content.size()) {
    const absl::StatusOr<size_t> read = (*in)->Read(buffer);
    ASSERT_TRUE(read.ok()) << read.status();
    got.append(buffer.data(), *read);
    if (got.size() > (2 << 20)) datanodes_[0]->Stop();
  }
  EXPECT_TRUE(got == content);
  EXPECT_GT(datanodes_[1]->reads, 0);
}

TEST_F(ClientStreamsTest, ACorruptReplicaIsReportedAndReadElsewhere) {
  const std::string content = Random(6).Bytes(3 << 20);
  ASSERT_TRUE(Write("/f", content).ok());
  {
    MutexLock lock(&disk_.mutex);
    for (auto& [key, replica] : disk_.replicas) replica.flipped = key.first == "dn1";
  }
  EXPECT_TRUE(*Read("/f") == content);
  EXPECT_TRUE(Eventually([&] { return namenode_.reports == 3; }));  // one per block
}

TEST_F(ClientStreamsTest, AppendsOfAllSizesMakeOneFile) {
  Random random(5);
  constexpr size_t kBlock = 1 << 20;
  std::string content;
  ASSERT_TRUE(Write("/f", content).ok());
  for (const size_t size : {size_t{0}, size_t{1}, size_t{511}, size_t{0}, size_t{512}, size_t{100}, kBlock, 2 * kBlock,
                            size_t{700}, 2 * kBlock - 700 - 1124, size_t{1}, size_t{0}}) {
    SCOPED_TRACE(absl::StrCat(size, " bytes behind ", content.size()));
    const bool has_room = content.size() % kBlock != 0;
    const int reopened = datanodes_[0]->reopened;
    absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Append("/f", {});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ(datanodes_[0]->reopened - reopened, has_room ? 1 : 0) << "when Append returns, the block is open";
    EXPECT_EQ((*out)->Position(), content.size());
    const std::string more = random.Bytes(size);
    ASSERT_TRUE((*out)->Write(more).ok());
    content += more;
    EXPECT_EQ((*out)->Position(), content.size());
    const absl::Status closed = (*out)->Close();
    ASSERT_TRUE(closed.ok()) << closed;
    const absl::StatusOr<std::string> back = Read("/f");
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_TRUE(*back == content);
  }
  EXPECT_EQ(content.size() % kBlock, 1U) << "a full last block was among them";
  EXPECT_EQ(namenode_.OpenFiles(), 0U);
  EXPECT_EQ(namenode_.recoveries, 0);
}

TEST_F(ClientStreamsTest, AnAppendWhoseSetupFailsIsTriedWithoutThatDatanode) {
  for (const size_t size : {size_t{512}, size_t{700}}) {
    const std::string path = absl::StrCat("/f", size);
    const std::string content = Random(6).Bytes(size);
    ASSERT_TRUE(Write(path, content).ok());
    const int writes = datanodes_[1]->writes;
    namenode_.recoveries = 0;
    datanodes_[0]->refuse_setups = 1;
    namenode_.lose_answers = 3;
    absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Append(path, {});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ(namenode_.recoveries, 1);
    EXPECT_EQ(datanodes_[1]->writes, writes + 1);
    ASSERT_TRUE((*out)->Write("more").ok());
    ASSERT_TRUE((*out)->Close().ok());
    EXPECT_EQ(*Read(path), content + "more");
  }
}

TEST_F(ClientStreamsTest, AnAppendThatNoDatanodeTakesTellsEachAndGivesTheFileBack) {
  ASSERT_TRUE(Write("/f", "hello").ok());
  for (const auto& datanode : datanodes_) datanode->refuse_setups = 2;
  const absl::Status status = client_->Append("/f", {}).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kPipelineFailed);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("attempt 1"), HasSubstr("attempt 4"), HasSubstr("the disk is full")));
  EXPECT_EQ(namenode_.recoveries, 4);
  ASSERT_TRUE(Eventually([&] { return !(*client_->GetFileInfo("/f"))->under_construction; }));
  for (const auto& datanode : datanodes_) datanode->refuse_setups = 0;
  EXPECT_EQ(ReasonOf(client_->Append("/missing", {}).status()), ErrorReason::kFileNotFound);
  absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Append("/f", {});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(ReasonOf(client_->Append("/f", {}).status()), ErrorReason::kAlreadyBeingCreated);
  ASSERT_TRUE((*out)->Close().ok());
  EXPECT_EQ(*Read("/f"), "hello");
}

TEST_F(ClientStreamsTest, ABadPartialChunkIsReadElsewhereBeforeItIsRepeated) {
  ASSERT_TRUE(Write("/f", "hello").ok());
  {
    MutexLock lock(&disk_.mutex);
    for (auto& [key, replica] : disk_.replicas) replica.flipped = key.first == "dn1";
  }
  absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Append("/f", {});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_TRUE(Eventually([&] { return namenode_.reports == 1; }));
  ASSERT_TRUE((*out)->Write(" again").ok());
  ASSERT_TRUE((*out)->Close().ok());
  MutexLock lock(&disk_.mutex);
  for (const auto& [key, replica] : disk_.replicas) EXPECT_EQ(replica.bytes, "hello again");
}

TEST_F(ClientStreamsTest, OfSeveralAddressesTheOneThatAnswersIsUsed) {
  const LoopbackPort silent(LoopbackPort::Kind::kSilent);
  for (auto& datanode : datanodes_) {
    datanode->AddAddress({.network = "docker", .host = "127.0.0.1", .port = 1});  // refused
    datanode->AddAddress({.network = "silent", .host = "127.0.0.1", .port = silent.number()});
  }
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(Write("/f", "hello").ok());
  EXPECT_EQ(*Read("/f"), "hello");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
}

TEST_F(ClientStreamsTest, WhenNoAddressAnswersEachIsNamedWithItsReason) {
  for (auto& datanode : datanodes_) {
    datanode->AddAddress({.network = "docker", .host = "127.0.0.1", .port = 1});
    datanode->Stop();
  }
  const absl::Status status = Write("/f", "hello");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(Text(status), AllOf(HasSubstr("attempt 3"), HasSubstr("127.0.0.1:1 (docker): Connection refused"),
                                  HasSubstr("(default): Connection refused")));
}

TEST_F(ClientStreamsTest, LeasesAreRenewedWhileFilesAreOpen) {
  namenode_.soft_limit_ms = 200;
  absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Create("/f", {});
  ASSERT_TRUE(out.ok());
  EXPECT_TRUE(Eventually([&] { return namenode_.renewals >= 3; }));
  ASSERT_TRUE((*out)->Close().ok());
}

TEST_F(ClientStreamsTest, StreamsAndClientsMayGoAwayAtAnyTime) {
  const std::string content = Random(7).Bytes(8 << 20);
  ASSERT_TRUE(Write("/f", content).ok());
  Random random(8);
  for (int i = 0; i < 40; ++i) {
    Connect({});
    absl::StatusOr<std::unique_ptr<InputStream>> in = client_->Open("/f");
    ASSERT_TRUE(in.ok());
    std::vector<char> buffer(1 + random.Uniform(100'000));
    for (uint64_t reads = random.Uniform(5); reads > 0; --reads) ASSERT_TRUE((*in)->Read(buffer).ok());
    absl::StatusOr<std::unique_ptr<OutputStream>> out = client_->Create(absl::StrCat("/out", i), {});
    ASSERT_TRUE(out.ok());
    ASSERT_TRUE((*out)->Write(std::string_view(content).substr(0, random.Uniform(content.size()))).ok());
    if (random.OneIn(3)) (*out)->Abort();
  }
}

TEST_F(ClientStreamsTest, TheClaimedUserIsSent) {
  ClientOptions options;
  options.user = "alice";
  Connect(options);
  EXPECT_EQ(client_->user(), "alice");
  EXPECT_EQ(client_->HomeDirectory(), "/user/alice");
  ASSERT_TRUE(client_->GetFileInfo("/").ok());
  MutexLock lock(&namenode_.mutex);
  EXPECT_TRUE(namenode_.users.contains("alice"));
}

TEST_F(ClientStreamsTest, ANamenodeThatRestartsIsFoundAgain) {
  ASSERT_TRUE(Write("/f", "hello").ok());
  const int port = namenode_.port();
  namenode_.Stop();
  std::thread later([&] { namenode_.Start(port); });
  EXPECT_EQ(*Read("/f"), "hello");
  later.join();
}

}  // namespace
}  // namespace dolmen::testing
