#include "namenode/namenode_server.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <utility>

#include "common/coding.h"
#include "common/error.h"
#include "common/random.h"

namespace dolmen::namenode {
namespace {

constexpr size_t kTokenSecretBytes = 32;
constexpr size_t kMaxQueuedQueries = 20'000;
// More than may wait for replicas (max_waiting_operations), so that those alone never shut others out.
constexpr int kMaxClientCalls = 16'384;
constexpr std::chrono::seconds kShutdownGrace{1};

}  // namespace

absl::StatusOr<TokenKey> LoadOrMakeTokenKey(FileSystem& fs, const std::string& metadata_dir) {
  const std::string path = JoinPath(metadata_dir, "token.key");
  absl::StatusOr<std::string> secret = ReadWholeFile(fs, path);
  if (!secret.ok() && ReasonOf(secret.status()) == ErrorReason::kFileNotFound) {
    // Straight from the OS: a generator seeded with 64 bits would make a key of 64 bits.
    secret.emplace();
    while (secret->size() < kTokenSecretBytes) AppendLittleEndian64(&*secret, SeedFromOs());
    const mode_t before = umask(0077);
    const absl::Status written = WriteFileDurably(fs, path, *secret);
    umask(before);
    DOLMEN_RETURN_IF_ERROR(written, "making the token key");
  }
  if (!secret.ok()) return secret.status();
  if (secret->size() != kTokenSecretBytes) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat(path, " holds ", secret->size(), " bytes instead of ",
                                                         kTokenSecretBytes, ": remove it, and a new key is made"));
  }
  return TokenKey{.id = 1, .secret = *std::move(secret)};
}

absl::StatusOr<std::unique_ptr<NamenodeServer>> NamenodeServer::Start(FileSystem* fs, NamenodeServerOptions options) {
  std::unique_ptr<NamenodeServer> server(new NamenodeServer(std::move(options)));
  const NamenodeServerOptions& opts = server->options_;

  std::unique_ptr<GroupMappingFile> groups;
  if (!opts.group_mapping_file.empty()) {
    DOLMEN_ASSIGN_OR_RETURN(groups, GroupMappingFile::Open(fs, opts.group_mapping_file, &server->clock_));
  }
  MetadataDirectory::Options directory_options;
  directory_options.store.sizes.block_cache_bytes = opts.block_cache_bytes;
  DOLMEN_ASSIGN_OR_RETURN(server->directory_, MetadataDirectory::Open(*fs, opts.metadata_dir, server->clock_.WallNow(),
                                                                      SeedFromOs(), std::move(directory_options)));
  MetadataDirectory& directory = *server->directory_;
  DOLMEN_ASSIGN_OR_RETURN(TokenKey token_key, LoadOrMakeTokenKey(*fs, opts.metadata_dir));

  const protocol::NamenodeIdentity identity{directory.info().cluster, directory.counters().epoch,
                                            directory.incarnation()};
  auto core = std::make_unique<NamenodeCore>(
      NamenodeCoreOptions{opts.core, directory.info(), directory.counters(), identity, token_key, SeedFromOs()},
      directory.store()->View(), directory.replicas());
  DOLMEN_RETURN_IF_ERROR(core->Recover(server->clock_.Now()), "reading the state that a start needs");
  const NamenodeCore& description = *core;

  server->board_ = std::make_unique<GuardedBoard>(identity);
  server->queries_ = std::make_unique<WorkerPool>(opts.query_threads, kMaxQueuedQueries);
  server->callers_ = std::make_unique<CallerResolver>(&server->clock_, directory.info().superuser,
                                                      directory.info().supergroup, std::move(groups));
  server->core_ = std::make_unique<CoreThread>(std::move(core), directory.store(), &server->clock_,
                                               server->board_.get(), opts.on_stop);
  if (opts.create_home_directories) {
    server->homes_ =
        std::make_unique<HomeDirectories>(server->core_.get(), &server->clock_, opts.core, directory.info().superuser);
  }
  server->clients_ =
      std::make_unique<ClientService>(server->core_.get(), directory.replicas(), server->callers_.get(),
                                      server->homes_.get(), server->queries_.get(), &server->clock_, description);
  server->datanodes_ =
      std::make_unique<DatanodeService>(server->core_.get(), server->board_.get(), &server->clock_, identity);
  server->core_->Start();

  server->server_ = std::make_unique<rpc::UnaryServer>();
  rpc::UnaryQueue* const clients = server->server_->AddQueue("clients", {.max_calls = kMaxClientCalls});
  rpc::UnaryQueue* const datanodes = server->server_->AddQueue("datanodes", {});
  server->clients_->AddTo(server->server_.get(), clients, datanodes);
  server->datanodes_->AddTo(server->server_.get(), datanodes);
  DOLMEN_ASSIGN_OR_RETURN(server->port_, server->server_->Listen(opts.bind_host, opts.port));
  return server;
}

NamenodeServer::~NamenodeServer() { Stop(); }

void NamenodeServer::Stop() {
  if (server_) server_->Shutdown(kShutdownGrace);
  if (queries_) queries_->Stop();
  if (core_) core_->Stop();
}

}  // namespace dolmen::namenode
