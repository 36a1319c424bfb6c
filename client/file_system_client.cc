#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "client/append_stream.h"
#include "client/check_files.h"
#include "client/core/public_values.h"
#include "client/datanode_info.h"
#include "client/dolmen/client.h"
#include "client/file_checksum.h"
#include "client/input_stream.h"
#include "client/output_stream.h"
#include "client/runtime.h"
#include "client/user_name.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/protocol/data_transfer.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/shape.h"

namespace dolmen {
namespace {

using client::Runtime;
using client::ToPublic;

absl::Status BadOption(const std::string& what) {
  return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("Bad client option ", what));
}

absl::Status CheckOptions(const ClientOptions& options) {
  const auto positive = [](const char* name, std::chrono::milliseconds value) {
    if (value.count() > 0) return absl::OkStatus();
    return BadOption(absl::StrCat(name, " = ", value.count(), " ms: it must be above 0"));
  };
  DOLMEN_RETURN_IF_ERROR(positive("rpc_timeout", options.rpc_timeout));
  DOLMEN_RETURN_IF_ERROR(positive("connect_timeout", options.connect_timeout));
  DOLMEN_RETURN_IF_ERROR(positive("stream_timeout", options.stream_timeout));
  if (options.packet_bytes < (64 << 10) || options.packet_bytes > protocol::kMaxPacketBytes ||
      options.packet_bytes % kBytesPerChecksum != 0) {
    return BadOption(absl::StrCat("packet_bytes = ", options.packet_bytes, ": 65536 to 1048576 in steps of 512"));
  }
  if (options.window_packets < 1 || options.window_packets > 64) {
    return BadOption(absl::StrCat("window_packets = ", options.window_packets, ": 1 to 64"));
  }
  if (options.read_ahead_bytes > (64 << 20)) {
    return BadOption(absl::StrCat("read_ahead_bytes = ", options.read_ahead_bytes, ": 0 to 67108864"));
  }
  return absl::OkStatus();
}

// The names travel in one message, which may have 4 MiB.
absl::Status CheckConcatFits(const std::vector<std::string>& sources) {
  constexpr size_t kMaxSourceBytes = 3 << 20;
  size_t bytes = 0;
  for (const std::string& source : sources) bytes += source.size();
  if (sources.size() <= rpc::kMaxConcatSources && bytes <= kMaxSourceBytes) return absl::OkStatus();
  return MakeError(
      ErrorReason::kIllegalArgument,
      absl::StrCat("concat: ", sources.size(), " source files with names of ", bytes, " bytes; one call takes at most ",
                   rpc::kMaxConcatSources, " and ", kMaxSourceBytes, ": concatenate them in several calls"));
}

std::string FirstAddress(const protocol::DatanodeInfo& datanode) {
  if (datanode.addresses.empty()) return datanode.uuid.value();
  return rpc::HostAndPort(datanode.addresses.front().host, datanode.addresses.front().port);
}

DatanodeReport ToPublic(const protocol::DatanodeReportEntry& from, WallTime now) {
  DatanodeReport to;
  to.uuid = from.info.uuid.value();
  to.address = FirstAddress(from.info);
  to.host_name = from.info.host_name;
  to.rack = from.info.rack.empty() ? "/default-rack" : from.info.rack;
  switch (from.liveness) {
    case protocol::DatanodeLiveness::kLive:
      to.liveness = NodeLiveness::kLive;
      break;
    case protocol::DatanodeLiveness::kStale:
      to.liveness = NodeLiveness::kStale;
      break;
    case protocol::DatanodeLiveness::kDead:
      to.liveness = NodeLiveness::kDead;
      break;
  }
  for (const protocol::StorageReport& storage : from.storages) {
    to.capacity_bytes += storage.capacity_bytes;
    to.used_bytes += storage.used_bytes;
    to.remaining_bytes += storage.remaining_bytes;
    to.block_count += storage.block_count;
  }
  const uint64_t ours = to.used_bytes + to.remaining_bytes;
  to.non_dfs_used_bytes = to.capacity_bytes > ours ? to.capacity_bytes - ours : 0;
  to.active_streams = from.active_streams;
  to.last_contact_ms = now.ms - from.last_heartbeat_age_ms;
  if (from.last_full_report_age_ms.has_value()) to.last_full_report_ms = now.ms - *from.last_full_report_age_ms;
  return to;
}

class FileSystemClientImpl final : public FileSystemClient {
 public:
  FileSystemClientImpl(std::string user, const ClientOptions& options, client::NamenodeChannel::Options namenode,
                       std::string holder, uint64_t seed)
      : user_(std::move(user)), runtime_(options, std::move(namenode), std::move(holder), seed) {}

  absl::Status Mkdirs(const std::string& path, uint16_t permission, bool create_parents) override {
    return Mutate<protocol::MkdirsReply>(
               protocol::MkdirsRequest{.path = path, .permission = permission, .create_parents = create_parents},
               absl::StrCat("mkdir ", path))
        .status();
  }

  absl::StatusOr<std::unique_ptr<OutputStream>> Create(const std::string& path, const CreateOptions& options) override {
    if (options.block_bytes % kBytesPerChecksum != 0) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("Invalid values: dfs.bytes-per-checksum (=", kBytesPerChecksum,
                                    ") must divide block size (=", options.block_bytes, ")."));
    }
    DOLMEN_ASSIGN_OR_RETURN(const protocol::GetServerDefaultsReply defaults, Defaults());
    protocol::CreateRequest request{.path = path,
                                    .permission = options.permission,
                                    .overwrite = options.overwrite,
                                    .create_parents = options.create_parents,
                                    .replication = options.replication > 0 ? options.replication : defaults.replication,
                                    .block_bytes = options.block_bytes > 0 ? options.block_bytes : defaults.block_bytes,
                                    .holder = runtime_.leases()->holder()};
    DOLMEN_ASSIGN_OR_RETURN(const protocol::CreateReply reply,
                            Mutate<protocol::CreateReply>(std::move(request), absl::StrCat("create ", path)));
    const uint64_t block_bytes = reply.status.block_bytes;
    if (block_bytes == 0 || block_bytes % kBytesPerChecksum != 0) {
      return MakeError(ErrorReason::kIo,
                       absl::StrCat("create ", path, ": the namenode answered a block size of ", block_bytes));
    }
    return client::MakeOutputStream(&runtime_, {.path = path,
                                                .inode = reply.status.inode,
                                                .holder = runtime_.leases()->holder(),
                                                .block_bytes = block_bytes,
                                                .sync_on_close = options.sync_on_close});
  }

  absl::StatusOr<std::unique_ptr<OutputStream>> Append(const std::string& path, const AppendOptions& options) override {
    DOLMEN_RETURN_IF_ERROR(Defaults().status());  // how long a lease lasts without renewal
    return client::OpenForAppend(&runtime_, path, options);
  }

  absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path) override {
    return client::OpenInputStream(&runtime_, path);
  }

  absl::StatusOr<FileChecksum> GetFileChecksum(const std::string& path, uint64_t length) override {
    return client::GetFileChecksum(&runtime_, path, length);
  }

  absl::Status CheckFiles(const std::string& path, const std::function<bool(const CheckedEntry&)>& visit) override {
    return client::CheckFiles(&runtime_, path, visit);
  }

  absl::Status Concat(const std::string& target, const std::vector<std::string>& sources) override {
    DOLMEN_RETURN_IF_ERROR(CheckConcatFits(sources));
    return Mutate<protocol::ConcatReply>(protocol::ConcatRequest{.target = target, .sources = sources},
                                         absl::StrCat("concat ", target))
        .status();
  }

  absl::StatusOr<bool> SetReplication(const std::string& path, uint32_t replication) override {
    DOLMEN_ASSIGN_OR_RETURN(
        const protocol::SetReplicationReply reply,
        Mutate<protocol::SetReplicationReply>(protocol::SetReplicationRequest{.path = path, .replication = replication},
                                              absl::StrCat("setrep ", path)));
    return reply.done;
  }

  absl::StatusOr<bool> IsFileClosed(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::IsFileClosedReply reply,
                            Ask<protocol::IsFileClosedReply>(protocol::IsFileClosedRequest{.path = path},
                                                             absl::StrCat("see whether ", path, " is closed")));
    return reply.closed;
  }

  absl::StatusOr<ContentSummary> GetContentSummary(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::GetContentSummaryReply reply,
                            Ask<protocol::GetContentSummaryReply>(protocol::GetContentSummaryRequest{.path = path},
                                                                  absl::StrCat("get content summary of ", path)));
    return ContentSummary{.length = reply.length,
                          .file_count = reply.files,
                          .directory_count = reply.directories,
                          .space_consumed = reply.replicated_bytes};
  }

  absl::Status ListOpenFiles(const std::string& path, const std::function<bool(const OpenFile&)>& visit) override {
    protocol::ListOpenFilesRequest request{.path = path};
    while (true) {
      DOLMEN_ASSIGN_OR_RETURN(protocol::ListOpenFilesReply reply,
                              Ask<protocol::ListOpenFilesReply>(request, "list open files"));
      for (protocol::OpenFileEntry& file : reply.files) {
        const bool go_on = visit({.inode = file.inode.value(),
                                  .path = std::move(file.path),
                                  .client_name = std::move(file.holder),
                                  .client_host = std::move(file.client_host)});
        if (!go_on) return absl::OkStatus();
      }
      if (!reply.has_more || reply.last <= request.after) return absl::OkStatus();
      request.after = reply.last;
    }
  }

  absl::StatusOr<bool> Truncate(const std::string& path, uint64_t length) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::TruncateReply reply,
                            Mutate<protocol::TruncateReply>(protocol::TruncateRequest{.path = path, .length = length},
                                                            absl::StrCat("truncate ", path)));
    return reply.done;
  }

  absl::StatusOr<bool> RecoverLease(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::RecoverLeaseReply reply,
                            Mutate<protocol::RecoverLeaseReply>(protocol::RecoverLeaseRequest{.path = path},
                                                                absl::StrCat("recover the lease of ", path)));
    return reply.closed;
  }

  absl::StatusOr<bool> Rename(const std::string& source, const std::string& destination) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::RenameReply reply,
                            RenameAs(source, destination, protocol::RenameKind::kClassic));
    return reply.renamed;
  }

  absl::Status RenameExact(const std::string& source, const std::string& destination, bool overwrite) override {
    return RenameAs(source, destination,
                    overwrite ? protocol::RenameKind::kOverwrite : protocol::RenameKind::kNoOverwrite)
        .status();
  }

  absl::StatusOr<bool> Delete(const std::string& path, bool recursive) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::DeleteReply reply,
                            Mutate<protocol::DeleteReply>(protocol::DeleteRequest{.path = path, .recursive = recursive},
                                                          absl::StrCat("delete ", path)));
    return reply.deleted;
  }

  absl::StatusOr<std::optional<FileStatus>> GetFileInfo(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(
        const protocol::GetFileInfoReply reply,
        Ask<protocol::GetFileInfoReply>(protocol::GetFileInfoRequest{.path = path}, absl::StrCat("stat ", path)));
    if (!reply.status.has_value()) return std::optional<FileStatus>();
    return ToPublic(*reply.status);
  }

  absl::Status List(const std::string& path, const std::function<bool(const FileStatus&)>& visit) override {
    protocol::GetListingRequest request{.path = path};
    while (true) {
      DOLMEN_ASSIGN_OR_RETURN(const protocol::GetListingReply reply,
                              Ask<protocol::GetListingReply>(request, absl::StrCat("list ", path)));
      if (!reply.exists) return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File ", path, " does not exist."));
      for (const protocol::FileStatus& entry : reply.entries) {
        if (!visit(ToPublic(entry))) return absl::OkStatus();
      }
      if (!reply.has_more || reply.entries.empty()) return absl::OkStatus();
      request.start_after = reply.entries.back().name;
    }
  }

  absl::StatusOr<std::vector<BlockLocation>> GetBlockLocations(const std::string& path, uint64_t offset,
                                                               uint64_t length) override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::GetBlockLocationsReply reply,
                            Ask<protocol::GetBlockLocationsReply>(
                                protocol::GetBlockLocationsRequest{.path = path, .offset = offset, .length = length},
                                absl::StrCat("locate ", path)));
    std::vector<BlockLocation> locations;
    for (const protocol::LocatedBlock& block : reply.blocks) {
      BlockLocation location{.offset = block.offset,
                             .length = block.block.length,
                             .block_id = block.block.id.value(),
                             .generation_stamp = block.block.stamp.value(),
                             .corrupt = block.corrupt};
      for (const protocol::ReplicaLocation& replica : block.locations)
        location.hosts.push_back(FirstAddress(replica.datanode));
      locations.push_back(std::move(location));
    }
    return locations;
  }

  absl::Status SetPermission(const std::string& path, uint16_t permission) override {
    return SetAttributes({.path = path, .permission = permission}, "chmod ");
  }
  absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group) override {
    protocol::SetAttributesRequest request{.path = path};
    if (!owner.empty()) request.owner = owner;
    if (!group.empty()) request.group = group;
    return SetAttributes(std::move(request), "chown ");
  }
  absl::Status SetTimes(const std::string& path, std::optional<int64_t> modified_ms,
                        std::optional<int64_t> accessed_ms) override {
    protocol::SetAttributesRequest request{.path = path};
    if (modified_ms.has_value()) request.modified = WallTime{*modified_ms};
    if (accessed_ms.has_value()) request.accessed = WallTime{*accessed_ms};
    return SetAttributes(std::move(request), "set times of ");
  }

  absl::StatusOr<ClusterStats> GetStats() override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::GetFsStatsReply reply,
                            Ask<protocol::GetFsStatsReply>(protocol::GetFsStatsRequest(), "get stats"));
    return ClusterStats{.capacity_bytes = reply.capacity_bytes,
                        .used_bytes = reply.used_bytes,
                        .remaining_bytes = reply.remaining_bytes,
                        .under_replicated_blocks = reply.under_replicated_blocks,
                        .corrupt_blocks = reply.corrupt_blocks,
                        .missing_blocks = reply.missing_blocks,
                        .missing_blocks_replication_one = reply.missing_blocks_replication_one,
                        .pending_deletion_blocks = reply.pending_deletion_blocks,
                        .files = reply.files,
                        .directories = reply.directories,
                        .blocks = reply.blocks,
                        .safe_mode = reply.safe_mode,
                        .safe_mode_tip = reply.safe_mode_tip};
  }

  absl::StatusOr<std::vector<DatanodeReport>> GetDatanodeReport() override {
    DOLMEN_ASSIGN_OR_RETURN(
        const protocol::GetDatanodeReportReply reply,
        Ask<protocol::GetDatanodeReportReply>(protocol::GetDatanodeReportRequest(), "get datanode report"));
    const WallTime now = runtime_.clock().WallNow();
    std::vector<DatanodeReport> reports;
    for (const protocol::DatanodeReportEntry& entry : reply.datanodes) reports.push_back(ToPublic(entry, now));
    return reports;
  }

  absl::StatusOr<DatanodeLocalInfo> GetDatanodeLocalInfo(const std::string& address) override {
    return client::AskDatanode(address, runtime_.options().connect_timeout, runtime_.namenode()->unary());
  }

  absl::StatusOr<ServerDefaults> GetServerDefaults() override {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::GetServerDefaultsReply reply, Defaults());
    return ServerDefaults{.cluster_id = reply.cluster.value(),
                          .block_bytes = reply.block_bytes,
                          .replication = reply.replication,
                          .bytes_per_checksum = reply.bytes_per_checksum,
                          .packet_bytes = reply.packet_bytes,
                          .checksum_type = "CRC32C",
                          .version = reply.version};
  }

  absl::StatusOr<bool> SetSafeMode(SafeMode action) override {
    protocol::SetSafeModeRequest request;
    request.action = action == SafeMode::kEnter   ? protocol::SafeModeAction::kEnter
                     : action == SafeMode::kLeave ? protocol::SafeModeAction::kLeave
                                                  : protocol::SafeModeAction::kGet;
    DOLMEN_ASSIGN_OR_RETURN(const protocol::SetSafeModeReply reply,
                            Ask<protocol::SetSafeModeReply>(request, "set safe mode"));
    return reply.on;
  }

  const std::string& user() const override { return user_; }
  std::string HomeDirectory() const override { return absl::StrCat("/user/", user_); }
  const std::string& authority() const override { return runtime_.authority(); }

 private:
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Mutate(Request request, std::string what) {
    return runtime_.namenode()->MutateAndWait<Reply>(std::move(request), std::move(what));
  }
  template <typename Reply, typename Request>
  absl::StatusOr<Reply> Ask(Request request, std::string what) {
    return runtime_.namenode()->QueryAndWait<Reply>(std::move(request), std::move(what));
  }
  absl::StatusOr<protocol::RenameReply> RenameAs(const std::string& source, const std::string& destination,
                                                 protocol::RenameKind kind) {
    return Mutate<protocol::RenameReply>(
        protocol::RenameRequest{.source = source, .destination = destination, .kind = kind},
        absl::StrCat("rename ", source, " to ", destination));
  }
  absl::Status SetAttributes(protocol::SetAttributesRequest request, const char* verb) {
    std::string what = absl::StrCat(verb, request.path);
    return Mutate<protocol::SetAttributesReply>(std::move(request), std::move(what)).status();
  }
  // Asked once, then remembered.
  absl::StatusOr<protocol::GetServerDefaultsReply> Defaults() {
    {
      MutexLock lock(&mutex_);
      if (defaults_.has_value()) return *defaults_;
    }
    DOLMEN_ASSIGN_OR_RETURN(
        const protocol::GetServerDefaultsReply reply,
        Ask<protocol::GetServerDefaultsReply>(protocol::GetServerDefaultsRequest(), "get server defaults"));
    runtime_.leases()->SetSoftLimit(std::chrono::milliseconds(reply.lease_soft_limit_ms));
    MutexLock lock(&mutex_);
    defaults_ = reply;
    return reply;
  }

  const std::string user_;
  Runtime runtime_;
  Mutex mutex_;
  std::optional<protocol::GetServerDefaultsReply> defaults_ ABSL_GUARDED_BY(mutex_);
};

// One name per client object, telling where it runs.
std::string HolderName(Random* random) {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return absl::StrCat("DolmenClient_", host, "_", getpid(), "_", absl::Hex(random->Next(), absl::kZeroPad16));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileSystemClient>> FileSystemClient::Connect(std::string_view uri,
                                                                            ClientOptions options) {
  DOLMEN_ASSIGN_OR_RETURN(const DolmenUri parsed, ParseDolmenUri(uri));
  DOLMEN_RETURN_IF_ERROR(CheckOptions(options));
  Random random(SeedFromOs());
  const std::string user = client::ClaimedUser(options.user);
  client::NamenodeChannel::Options namenode{.host = parsed.host, .port = parsed.port, .user = user};
  namenode.retry.call_timeout = options.rpc_timeout;
  namenode.retry.connect_timeout = std::min(options.connect_timeout, options.rpc_timeout);
  namenode.retry.attempt_timeout = std::min<Duration>(namenode.retry.attempt_timeout, options.rpc_timeout);
  return std::make_unique<FileSystemClientImpl>(user, options, std::move(namenode), HolderName(&random), random.Next());
}

}  // namespace dolmen
