// A whole namenode in this process, on a real directory and a real port, called as clients and datanodes call it.
#include "namenode/namenode_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/convert_client.h"
#include "common/rpc/convert_datanode.h"
#include "common/rpc/unary_client.h"
#include "proto/client_namenode.grpc.pb.h"
#include "proto/datanode_namenode.grpc.pb.h"
#include "tests/support/eventually.h"
#include "tests/support/temp_dir.h"

namespace dolmen::namenode {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One client object on a connection of its own. Thread-safe but for the fields.
class WireClient {
 public:
  explicit WireClient(uint16_t port, std::string client_user = "super")
      : user(std::move(client_user)),
        channel_(rpc::MakeControlChannel("127.0.0.1", port)),
        clients_(v1::ClientNamenode::NewStub(channel_)),
        datanodes_(v1::DatanodeNamenode::NewStub(channel_)),
        rpc_("test-client") {
    Random random(SeedFromOs());
    client_id = random.Bytes(16);
  }

  protocol::CallId NextCall() { return {.client_id = client_id, .call_id = ++last_call_}; }

  // Sends a message as it is; waits for the answer.
  template <typename WireReply, typename WireRequest, typename Stub>
  absl::StatusOr<WireReply> Send(Stub* stub,
                                 std::unique_ptr<grpc::ClientAsyncResponseReader<WireReply>> (Stub::*prepare)(
                                     grpc::ClientContext*, const WireRequest&, grpc::CompletionQueue*),
                                 const WireRequest& request) {
    Mutex mutex;
    CondVar answered;
    std::optional<absl::StatusOr<WireReply>> reply;
    rpc_.Call(stub, prepare, request, {.timeout = std::chrono::seconds(20)}, [&](absl::StatusOr<WireReply> got) {
      MutexLock lock(&mutex);
      reply = std::move(got);
      answered.SignalAll();
    });
    MutexLock lock(&mutex);
    while (!reply.has_value()) answered.Wait(&mutex);
    return *std::move(reply);
  }

#define DOLMEN_TEST_CALL(Op)                                                                              \
  absl::StatusOr<v1::Op##Reply> SendWire(const v1::Op##Request& request) {                                \
    return Send<v1::Op##Reply>(clients_.get(), &v1::ClientNamenode::Stub::PrepareAsync##Op, request);     \
  }                                                                                                       \
  absl::StatusOr<protocol::Op##Reply> Call(const protocol::CallId& id, const protocol::Op##Request& op) { \
    v1::Op##Request request = rpc::ToProto(op);                                                           \
    rpc::ToProto({.user = user, .id = id}, request.mutable_header());                                     \
    absl::StatusOr<v1::Op##Reply> reply = SendWire(request);                                              \
    if (!reply.ok()) return reply.status();                                                               \
    last_commit = reply->header().commit_number();                                                        \
    return rpc::FromProto(*reply);                                                                        \
  }                                                                                                       \
  absl::StatusOr<protocol::Op##Reply> Call(const protocol::Op##Request& op) { return Call(NextCall(), op); }
  DOLMEN_CLIENT_MUTATIONS(DOLMEN_TEST_CALL)
  DOLMEN_CLIENT_QUERIES(DOLMEN_TEST_CALL)
#undef DOLMEN_TEST_CALL

  absl::StatusOr<protocol::RegisterReply> Register(const protocol::RegisterRequest& request) {
    auto reply = Send<v1::RegisterReply>(datanodes_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncRegister,
                                         rpc::ToProto(request));
    if (!reply.ok()) return reply.status();
    return rpc::FromProto(*reply);
  }
  absl::StatusOr<protocol::HeartbeatReply> Heartbeat(const protocol::HeartbeatRequest& request) {
    auto reply = Send<v1::HeartbeatReply>(datanodes_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncHeartbeat,
                                          rpc::ToProto(request));
    if (!reply.ok()) return reply.status();
    return rpc::FromProto(*reply);
  }
  absl::StatusOr<protocol::ReportReply> Report(const protocol::IncrementalReportRequest& request) {
    auto reply = Send<v1::ReportReply>(datanodes_.get(), &v1::DatanodeNamenode::Stub::PrepareAsyncIncrementalReport,
                                       rpc::ToProto(request));
    if (!reply.ok()) return reply.status();
    return rpc::FromProto(*reply);
  }

  // Not waiting: for calls that are to hang.
  void CompleteLater(const protocol::CompleteRequest& op, std::function<void(absl::Status)> done) {
    v1::CompleteRequest request = rpc::ToProto(op);
    rpc::ToProto({.user = user, .id = NextCall()}, request.mutable_header());
    rpc_.Call(clients_.get(), &v1::ClientNamenode::Stub::PrepareAsyncComplete, request,
              {.timeout = std::chrono::seconds(60)},
              [done = std::move(done)](absl::StatusOr<v1::CompleteReply> reply) { done(reply.status()); });
  }

  std::string user;
  std::string client_id;
  uint64_t last_commit = 0;

 private:
  std::atomic<uint64_t> last_call_{0};
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ClientNamenode::Stub> clients_;
  std::unique_ptr<v1::DatanodeNamenode::Stub> datanodes_;
  rpc::UnaryClient rpc_;  // first to go: its calls use the stubs
};

class NamenodeServerTest : public ::testing::Test {
 protected:
  NamenodeServerTest() {
    core_settings_.min_block_bytes = 512;
    auto formatted = MetadataDirectory::Format(
        *fs_, directory_,
        {.superuser = "super", .supergroup = "no-such-group", .now = SystemClock().WallNow(), .seed = SeedFromOs()},
        {});
    EXPECT_TRUE(formatted.ok()) << formatted.status();
    Start();
  }
  ~NamenodeServerTest() override { client_.reset(); }

  NamenodeServerOptions Options() const {
    return {.metadata_dir = directory_, .port = 0, .block_cache_bytes = 8 << 20, .core = core_settings_};
  }
  void Start() {
    auto server = NamenodeServer::Start(fs_.get(), Options());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<WireClient>(server_->port());
    ASSERT_TRUE(Eventually([&] {
      auto stats = client_->Call(protocol::GetFsStatsRequest{});
      return stats.ok() && !stats->safe_mode;
    }));
  }
  void Restart() {
    client_.reset();
    server_->Stop();
    server_.reset();
    Start();
  }

  static protocol::CreateRequest Create(const std::string& path) {
    return {.path = path, .replication = 1, .block_bytes = 1024, .holder = "writer"};
  }
  std::vector<std::string> List(const std::string& path) {
    auto reply = client_->Call(protocol::GetListingRequest{.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    std::vector<std::string> names;
    if (reply.ok())
      for (const protocol::FileStatus& entry : reply->entries) names.push_back(entry.name);
    return names;
  }
  void ExpectAlive() {
    const std::string path = absl::StrCat("/alive", ++alive_);
    auto made = client_->Call(protocol::MkdirsRequest{.path = path});
    EXPECT_TRUE(made.ok()) << made.status();
    auto info = client_->Call(protocol::GetFileInfoRequest{.path = path});
    EXPECT_TRUE(info.ok() && info->status.has_value()) << info.status();
  }
  // A datanode with one disk; returns its session.
  uint64_t Join(const std::string& name) {
    auto reply = client_->Register({.cluster = server_->info().cluster,
                                    .info = {.uuid = DatanodeUuid(name),
                                             .host_name = name,
                                             .addresses = {{.network = "default", .host = "0.0.0.0", .port = 7066}},
                                             .rack = "/default-rack"},
                                    .storages = {{.id = StorageId("disk-" + name),
                                                  .capacity_bytes = uint64_t{1} << 40,
                                                  .remaining_bytes = uint64_t{1} << 40}}});
    EXPECT_TRUE(reply.ok()) << reply.status();
    if (!reply.ok()) return 0;
    EXPECT_EQ(reply->namenode.epoch, server_->epoch());
    EXPECT_EQ(reply->token_key_secret.size(), 32u);
    return reply->session;
  }

  TempDir temp_;
  const std::string directory_ = temp_.File("metadata");
  std::unique_ptr<FileSystem> fs_ = MakePosixFileSystem();
  CoreSettings core_settings_;
  std::unique_ptr<NamenodeServer> server_;
  std::unique_ptr<WireClient> client_;
  int alive_ = 0;
};

TEST_F(NamenodeServerTest, TheNamespaceWorksOverTheWire) {
  ASSERT_TRUE(client_->Call(protocol::MkdirsRequest{.path = "/a/b"}).ok());
  const uint64_t first_commit = client_->last_commit;
  auto created = client_->Call(Create("/a/f"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->status.owner, "super");
  EXPECT_TRUE(created->status.under_construction);
  EXPECT_GT(client_->last_commit, first_commit);
  EXPECT_THAT(List("/a"), ElementsAre("b", "f"));

  auto renamed = client_->Call(protocol::RenameRequest{.source = "/a/f", .destination = "/a/g"});
  ASSERT_TRUE(renamed.ok()) << renamed.status();
  EXPECT_TRUE(renamed->renamed);
  EXPECT_THAT(List("/a"), ElementsAre("b", "g"));
  auto info = client_->Call(protocol::GetFileInfoRequest{.path = "/a/g"});
  ASSERT_TRUE(info.ok() && info->status.has_value());
  EXPECT_EQ(info->status->inode, created->status.inode);

  ASSERT_TRUE(client_->Call(protocol::SetAttributesRequest{.path = "/a/b", .permission = 0700}).ok());
  EXPECT_EQ(client_->Call(protocol::GetFileInfoRequest{.path = "/a/b"})->status->permission, 0700);

  auto deleted = client_->Call(protocol::DeleteRequest{.path = "/a", .recursive = true});
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_TRUE(deleted->deleted);
  EXPECT_FALSE(client_->Call(protocol::GetFileInfoRequest{.path = "/a/g"})->status.has_value());
  EXPECT_FALSE(client_->Call(protocol::GetListingRequest{.path = "/a"})->exists);
  EXPECT_FALSE(client_->Call(protocol::DeleteRequest{.path = "/a"})->deleted);

  auto defaults = client_->Call(protocol::GetServerDefaultsRequest{});
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->cluster, server_->info().cluster);
}

TEST_F(NamenodeServerTest, ListingsComeInPages) {
  for (int i = 0; i < 25; ++i)
    ASSERT_TRUE(client_->Call(protocol::MkdirsRequest{.path = absl::StrCat("/d/", 100 + i)}).ok());
  std::vector<std::string> names;
  std::string after;
  int pages = 0;
  for (bool more = true; more && pages < 100; ++pages) {
    auto page = client_->Call(protocol::GetListingRequest{.path = "/d", .start_after = after, .limit = 10});
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_FALSE(page->entries.empty());
    for (const protocol::FileStatus& entry : page->entries) names.push_back(entry.name);
    after = names.back();
    more = page->has_more;
  }
  EXPECT_EQ(pages, 3);
  ASSERT_EQ(names.size(), 25u);
  EXPECT_EQ(names.front(), "100");
  EXPECT_EQ(names.back(), "124");
}

TEST_F(NamenodeServerTest, ErrorsKeepReasonAndTextOnTheWire) {
  auto refused = client_->Call(
      protocol::RenameRequest{.source = "/missing", .destination = "/b", .kind = protocol::RenameKind::kNoOverwrite});
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kFileNotFound) << refused.status();
  WireClient alice(server_->port(), "alice");
  auto denied = alice.Call(protocol::MkdirsRequest{.path = "/alice"});
  EXPECT_EQ(ReasonOf(denied.status()), ErrorReason::kAccessControl) << denied.status();
  EXPECT_THAT(std::string(MessageOf(denied.status())), HasSubstr("Permission denied: user=alice, access=WRITE"));
  EXPECT_EQ(ReasonOf(alice.Call(protocol::SetSafeModeRequest{protocol::SafeModeAction::kEnter}).status()),
            ErrorReason::kAccessControl);
}

TEST_F(NamenodeServerTest, BadRequestsGetAClearErrorAndTheServerLivesOn) {
  const auto mkdirs = [&](const std::string& path) {
    return client_->Call(protocol::MkdirsRequest{.path = path}).status();
  };
  const std::vector<std::string> bad_paths = {std::string("/a\0b", 4),
                                              "/a/../b",
                                              "/a/./b",
                                              "/a\xff\xfe",
                                              "relative",
                                              "",
                                              "/a//b",
                                              "/a/" + std::string(256, 'n'),
                                              "/" + std::string(7000, 'p') + "/x",
                                              std::string(40'000, '/')};
  for (const std::string& path : bad_paths) {
    const absl::Status refused = mkdirs(path);
    EXPECT_FALSE(refused.ok()) << path;
    EXPECT_THAT(ReasonOf(refused), AnyOf(ErrorReason::kInvalidPath, ErrorReason::kNameTooLong)) << refused;
    EXPECT_FALSE(MessageOf(refused).empty());
    for (char c : MessageOf(refused)) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20) << refused;
    EXPECT_FALSE(client_->Call(Create(path)).ok()) << path;
    // There is no such name, but asking for one that is too long to be made is no crime.
    const bool may_ask = ReasonOf(refused) == ErrorReason::kNameTooLong && path.size() < 32'000;
    auto info = client_->Call(protocol::GetFileInfoRequest{.path = path});
    EXPECT_EQ(info.ok(), may_ask) << path << ": " << info.status();
  }
  ExpectAlive();

  const auto header_refused = [&](const std::function<void(v1::CallHeader*)>& spoil) {
    v1::MkdirsRequest request = rpc::ToProto(protocol::MkdirsRequest{.path = "/never"});
    rpc::ToProto({.user = "super", .id = client_->NextCall()}, request.mutable_header());
    spoil(request.mutable_header());
    const absl::Status refused = client_->SendWire(request).status();
    EXPECT_FALSE(refused.ok());
    return std::string(MessageOf(refused));
  };
  EXPECT_THAT(header_refused([](v1::CallHeader* header) { header->clear_user(); }), HasSubstr("header.user"));
  EXPECT_THAT(header_refused([](v1::CallHeader* header) { header->set_user("a/b"); }), HasSubstr("no valid user"));
  EXPECT_THAT(header_refused([](v1::CallHeader* header) { header->clear_client_id(); }), HasSubstr("header.client_id"));
  EXPECT_THAT(header_refused([](v1::CallHeader* header) { header->set_client_id("short"); }), HasSubstr("16"));
  EXPECT_THAT(header_refused([](v1::CallHeader* header) { header->set_call_id(0); }), HasSubstr("header.call_id"));
  EXPECT_THAT(header_refused([](v1::CallHeader* header) { header->set_age_ms(-1); }), HasSubstr("header.age_ms"));
  v1::MkdirsRequest bare;
  bare.set_path("/never");
  EXPECT_FALSE(client_->SendWire(bare).ok()) << "no header at all";
  EXPECT_FALSE(client_->SendWire(v1::GetFileInfoRequest()).ok());
  EXPECT_FALSE(client_->SendWire(v1::RenewLeaseRequest()).ok());
  EXPECT_FALSE(client_->Call(protocol::GetFileInfoRequest{.path = "/never"})->status.has_value());

  EXPECT_FALSE(client_->Register({}).ok());
  EXPECT_FALSE(client_->Report({}).ok());
  auto stranger = client_->Heartbeat({.datanode = DatanodeUuid("nobody"), .session = 7});
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  EXPECT_TRUE(stranger->must_register);
  ExpectAlive();
}

TEST_F(NamenodeServerTest, AnErrorAboutTheLongestPathsStillTravels) {
  std::string path;
  for (int i = 0; i < 30; ++i) path += "/" + std::string(250, 'd');
  protocol::CreateRequest create = Create(path + "/f");
  create.create_parents = false;
  auto refused = client_->Call(create);
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kFileNotFound) << refused.status();
  ASSERT_TRUE(client_->Call(protocol::MkdirsRequest{.path = path}).ok());
  refused = client_->Call(Create(path));
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kFileAlreadyExists) << refused.status();
}

TEST_F(NamenodeServerTest, ARetryGetsTheFirstAnswerAlsoAfterARestart) {
  const protocol::CallId id = client_->NextCall();
  auto created = client_->Call(id, Create("/f"));
  ASSERT_TRUE(created.ok()) << created.status();
  protocol::CallId again = id;
  ++again.attempt;
  EXPECT_EQ(*client_->Call(again, Create("/f")), *created);
  Restart();
  EXPECT_EQ(*client_->Call(again, Create("/f")), *created);
  EXPECT_EQ(ReasonOf(client_->Call(again, Create("/other")).status()), ErrorReason::kIllegalArgument);
}

TEST_F(NamenodeServerTest, ARestartKeepsEverythingAndRaisesTheEpoch) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client_->Call(Create(absl::StrCat("/d/f", i))).ok());
  const std::vector<std::string> names = List("/d");
  const Epoch epoch = server_->epoch();
  const ClusterId cluster = server_->info().cluster;
  Restart();
  EXPECT_EQ(List("/d"), names);
  EXPECT_EQ(server_->epoch(), epoch.Next());
  EXPECT_EQ(server_->info().cluster, cluster);
  ExpectAlive();
}

TEST_F(NamenodeServerTest, ASecondServerOnTheSameDirectoryIsRefused) {
  auto second = NamenodeServer::Start(fs_.get(), Options());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(ReasonOf(second.status()), ErrorReason::kBusy);
  EXPECT_THAT(std::string(MessageOf(second.status())), HasSubstr(directory_));
  ExpectAlive();
}

TEST_F(NamenodeServerTest, APortInUseIsAClearErrorAndLeavesTheDirectoryFree) {
  const std::string other = temp_.File("other");
  ASSERT_TRUE(MetadataDirectory::Format(*fs_, other, {.superuser = "super", .supergroup = "g", .seed = 1}, {}).ok());
  NamenodeServerOptions options = Options();
  options.metadata_dir = other;
  options.port = server_->port();
  auto refused = NamenodeServer::Start(fs_.get(), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr(absl::StrCat(server_->port())));
  options.port = 0;
  EXPECT_TRUE(NamenodeServer::Start(fs_.get(), options).ok());
}

TEST_F(NamenodeServerTest, AnUnformattedDirectoryIsNotServed) {
  NamenodeServerOptions options = Options();
  options.metadata_dir = temp_.File("typo");
  auto refused = NamenodeServer::Start(fs_.get(), options);
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kFileNotFound) << refused.status();
  EXPECT_FALSE(*fs_->Exists(options.metadata_dir)) << "nothing was made";
}

TEST_F(NamenodeServerTest, TheTokenKeyIsPrivateAndKept) {
  auto key = LoadOrMakeTokenKey(*fs_, directory_);
  ASSERT_TRUE(key.ok()) << key.status();
  struct stat attributes {};
  ASSERT_EQ(stat((directory_ + "/token.key").c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_mode & 0777, 0600u);
  Restart();
  EXPECT_EQ(LoadOrMakeTokenKey(*fs_, directory_)->secret, key->secret);
  ASSERT_TRUE(WriteFileDurably(*fs_, directory_ + "/token.key", "short").ok());
  EXPECT_EQ(ReasonOf(LoadOrMakeTokenKey(*fs_, directory_).status()), ErrorReason::kDamaged);
}

TEST_F(NamenodeServerTest, AFileIsWrittenWithADatanodesReports) {
  const uint64_t session = Join("dn1");
  auto created = client_->Call(Create("/f"));
  ASSERT_TRUE(created.ok()) << created.status();
  const InodeId file = created->status.inode;
  auto added = client_->Call(protocol::AddBlockRequest{.path = "/f", .inode = file, .holder = "writer"});
  ASSERT_TRUE(added.ok()) << added.status();
  ASSERT_EQ(added->block.locations.size(), 1u);
  EXPECT_EQ(added->block.locations[0].datanode.addresses[0].host, "127.0.0.1") << "where it called from";
  auto key = LoadOrMakeTokenKey(*fs_, directory_);
  ASSERT_TRUE(key.ok());
  EXPECT_TRUE(
      VerifyToken(*key, added->block.token, added->block.block.id, BlockAccess::kWrite, SystemClock().WallNow()).ok());

  protocol::Block block = added->block.block;
  block.length = 700;
  auto reported = client_->Report({.datanode = DatanodeUuid("dn1"),
                                   .session = session,
                                   .entries = {{StorageId("disk-dn1"), {block, protocol::ReplicaState::kFinalized}}}});
  ASSERT_TRUE(reported.ok()) << reported.status();
  EXPECT_FALSE(reported->must_register);
  auto closed =
      client_->Call(protocol::CompleteRequest{.path = "/f", .inode = file, .holder = "writer", .last = block});
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_TRUE(closed->closed);

  WireClient reader(server_->port(), "reader");
  auto located = reader.Call(protocol::GetBlockLocationsRequest{.path = "/f"});
  ASSERT_TRUE(located.ok()) << located.status();
  ASSERT_EQ(located->blocks.size(), 1u);
  EXPECT_EQ(located->blocks[0].block, block);
  ASSERT_EQ(located->blocks[0].locations.size(), 1u);
  EXPECT_TRUE(VerifyToken(*key, located->blocks[0].token, block.id, BlockAccess::kRead, SystemClock().WallNow()).ok());
  EXPECT_FALSE(
      VerifyToken(*key, located->blocks[0].token, block.id, BlockAccess::kWrite, SystemClock().WallNow()).ok());
  auto heartbeat = reader.Heartbeat({.datanode = DatanodeUuid("dn1"), .session = session});
  ASSERT_TRUE(heartbeat.ok());
  EXPECT_FALSE(heartbeat->must_register);
}

TEST_F(NamenodeServerTest, StoppingWhileCallsAreUnderWayLosesNothingAcknowledged) {
  core_settings_.replica_wait = std::chrono::minutes(5);  // whatever the machine does meanwhile
  Restart();
  Join("dn1");
  auto created = client_->Call(Create("/waits"));
  ASSERT_TRUE(created.ok()) << created.status();
  auto added =
      client_->Call(protocol::AddBlockRequest{.path = "/waits", .inode = created->status.inode, .holder = "writer"});
  ASSERT_TRUE(added.ok()) << added.status();
  std::atomic<bool> ended{false};
  client_->CompleteLater(
      {.path = "/waits", .inode = created->status.inode, .holder = "writer", .last = added->block.block},
      [&](const absl::Status& status) {
        EXPECT_FALSE(status.ok()) << "nobody reported its replica";
        ended = true;
      });

  constexpr int kThreads = 4;
  std::atomic<bool> stopping{false};
  std::atomic<int> acknowledged{0};
  std::vector<std::vector<std::string>> made(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      WireClient own(server_->port());
      for (int i = 0; !stopping; ++i) {
        const std::string path = absl::StrCat("/t", t, "/d", i);
        if (!own.Call(protocol::MkdirsRequest{.path = path}).ok()) return;
        made[t].push_back(path);
        ++acknowledged;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return acknowledged > 100; }, std::chrono::seconds(30)));
  server_->Stop();
  stopping = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return ended.load(); }, std::chrono::seconds(30)));
  EXPECT_FALSE(client_->Call(protocol::GetServerDefaultsRequest{}).ok()) << "it is gone";

  Restart();
  for (const auto& paths : made) {
    for (const std::string& path : paths) {
      auto info = client_->Call(protocol::GetFileInfoRequest{.path = path});
      ASSERT_TRUE(info.ok()) << info.status();
      EXPECT_TRUE(info->status.has_value()) << path << " was acknowledged";
    }
  }
}

}  // namespace
}  // namespace dolmen::namenode
