// What clients ask the namenode. Names and rules are HDFS's ClientProtocol; each request names a path as an absolute,
// already normalised string ("/a/b"), and, where a file is open, also the inode id, which wins over the path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/protocol/types.h"

namespace dolmen::protocol {

// Identifies one call across its retries (contract C-9). A mutating call is executed at most once per (client_id,
// call_id).
struct CallId {
  std::string client_id;          // 16 random bytes per client object
  uint64_t call_id = 0;           // 1, 2, ... per client
  uint32_t attempt = 0;           // 0 for the first sending
  uint64_t first_unanswered = 0;  // every call below it was answered to the caller: its record may be forgotten
  int64_t age_ms = 0;  // since the first attempt was sent; a retry older than the records is "outcome unknown"
  friend bool operator==(const CallId&, const CallId&) = default;
};

// ---- mutations -------------------------------------------------------------------------------------------------

struct MkdirsRequest {
  std::string path;
  uint16_t permission = 0755;
  bool create_parents = true;
  friend bool operator==(const MkdirsRequest&, const MkdirsRequest&) = default;
};
struct MkdirsReply {
  friend bool operator==(const MkdirsReply&, const MkdirsReply&) = default;
};

struct CreateRequest {
  std::string path;
  uint16_t permission = 0644;
  bool overwrite = false;
  bool create_parents = true;
  uint32_t replication = 3;
  uint64_t block_bytes = 128 << 20;
  std::string holder;  // lease holder: one name per client object
  friend bool operator==(const CreateRequest&, const CreateRequest&) = default;
};
struct CreateReply {
  FileStatus status;
  friend bool operator==(const CreateReply&, const CreateReply&) = default;
};

struct AddBlockRequest {
  std::string path;
  InodeId inode;
  std::string holder;
  std::optional<Block> previous;       // the file's last block with its final length; nothing for the first
  std::vector<DatanodeUuid> excluded;  // the client could not use them
  friend bool operator==(const AddBlockRequest&, const AddBlockRequest&) = default;
};
struct AddBlockReply {
  LocatedBlock block;
  friend bool operator==(const AddBlockReply&, const AddBlockReply&) = default;
};

struct AbandonBlockRequest {
  std::string path;
  InodeId inode;
  std::string holder;
  Block block;
  friend bool operator==(const AbandonBlockRequest&, const AbandonBlockRequest&) = default;
};
struct AbandonBlockReply {
  friend bool operator==(const AbandonBlockReply&, const AbandonBlockReply&) = default;
};

struct CompleteRequest {
  std::string path;
  InodeId inode;
  std::string holder;
  std::optional<Block> last;
  friend bool operator==(const CompleteRequest&, const CompleteRequest&) = default;
};
struct CompleteReply {
  // The namenode waits a bounded time for the minimum of replicas; false: not reported yet, ask again.
  bool closed = false;
  FileStatus status;  // when closed
  friend bool operator==(const CompleteReply&, const CompleteReply&) = default;
};

// Classic: boolean answer, moves into an existing directory. With options: errors, no "into" rule.
enum class RenameKind : uint8_t { kClassic = 1, kNoOverwrite = 2, kOverwrite = 3 };
struct RenameRequest {
  std::string source;
  std::string destination;
  RenameKind kind = RenameKind::kClassic;
  friend bool operator==(const RenameRequest&, const RenameRequest&) = default;
};
struct RenameReply {
  bool renamed = false;
  friend bool operator==(const RenameReply&, const RenameReply&) = default;
};

struct DeleteRequest {
  std::string path;
  bool recursive = false;
  friend bool operator==(const DeleteRequest&, const DeleteRequest&) = default;
};
struct DeleteReply {
  bool deleted = false;
  friend bool operator==(const DeleteReply&, const DeleteReply&) = default;
};

// Any of the fields may be absent: left as it is.
struct SetAttributesRequest {
  std::string path;
  std::optional<uint16_t> permission;
  std::optional<std::string> owner;
  std::optional<std::string> group;
  std::optional<WallTime> modified;
  std::optional<WallTime> accessed;
  friend bool operator==(const SetAttributesRequest&, const SetAttributesRequest&) = default;
};
struct SetAttributesReply {
  friend bool operator==(const SetAttributesReply&, const SetAttributesReply&) = default;
};

// Makes the lengths hflushed so far known and the block list durable (first flush of a block).
struct FsyncRequest {
  std::string path;
  InodeId inode;
  std::string holder;
  friend bool operator==(const FsyncRequest&, const FsyncRequest&) = default;
};
struct FsyncReply {
  friend bool operator==(const FsyncReply&, const FsyncReply&) = default;
};

// Moves the blocks of `sources`, in order, to the end of `target`; the sources are gone then.
struct ConcatRequest {
  std::string target;
  std::vector<std::string> sources;
  friend bool operator==(const ConcatRequest&, const ConcatRequest&) = default;
};
struct ConcatReply {
  friend bool operator==(const ConcatReply&, const ConcatReply&) = default;
};

struct SetReplicationRequest {
  std::string path;
  uint32_t replication = 3;
  friend bool operator==(const SetReplicationRequest&, const SetReplicationRequest&) = default;
};
struct SetReplicationReply {
  bool done = false;  // false: there is no such path, or it is a directory
  friend bool operator==(const SetReplicationReply&, const SetReplicationReply&) = default;
};

// Opens a closed file to write at its end.
struct AppendRequest {
  std::string path;
  std::string holder;
  bool new_block = false;              // begin a new block even if the last one has room
  std::vector<DatanodeUuid> excluded;  // the client could not use them
  friend bool operator==(const AppendRequest&, const AppendRequest&) = default;
};
struct AppendReply {
  FileStatus status;
  // The last block, to be filled up: its new stamp, its length, the pipeline. Nothing: go on with AddBlock.
  std::optional<LocatedBlock> last;
  GenerationStamp last_stamp;  // that its replicas have before the pipeline is set up (WriteSetup::append_to)
  friend bool operator==(const AppendReply&, const AppendReply&) = default;
};

struct TruncateRequest {
  std::string path;
  uint64_t length = 0;
  friend bool operator==(const TruncateRequest&, const TruncateRequest&) = default;
};
struct TruncateReply {
  bool done = false;  // false: the last block is being cut; the file is open until then
  friend bool operator==(const TruncateReply&, const TruncateReply&) = default;
};

// Takes a file from its writer.
struct RecoverLeaseRequest {
  std::string path;
  std::string holder;  // only from this one, or from nobody else; empty: from whoever holds it
  friend bool operator==(const RecoverLeaseRequest&, const RecoverLeaseRequest&) = default;
};
struct RecoverLeaseReply {
  bool closed = false;  // false: its last block is being recovered
  friend bool operator==(const RecoverLeaseReply&, const RecoverLeaseReply&) = default;
};

// The places in these lists are stored with answers: new ones go to the end.
using Mutation = std::variant<MkdirsRequest, CreateRequest, AddBlockRequest, AbandonBlockRequest, CompleteRequest,
                              RenameRequest, DeleteRequest, SetAttributesRequest, FsyncRequest, ConcatRequest,
                              SetReplicationRequest, AppendRequest, TruncateRequest, RecoverLeaseRequest>;
// Same order as Mutation.
using MutationReply = std::variant<MkdirsReply, CreateReply, AddBlockReply, AbandonBlockReply, CompleteReply,
                                   RenameReply, DeleteReply, SetAttributesReply, FsyncReply, ConcatReply,
                                   SetReplicationReply, AppendReply, TruncateReply, RecoverLeaseReply>;

// ---- calls that change only soft state (no retry record) ----------------------------------------------------------

struct RenewLeaseRequest {
  std::string holder;
  friend bool operator==(const RenewLeaseRequest&, const RenewLeaseRequest&) = default;
};
struct RenewLeaseReply {
  friend bool operator==(const RenewLeaseReply&, const RenewLeaseReply&) = default;
};

enum class SafeModeAction : uint8_t { kGet = 1, kEnter = 2, kLeave = 3 };
struct SetSafeModeRequest {
  SafeModeAction action = SafeModeAction::kGet;
  friend bool operator==(const SetSafeModeRequest&, const SetSafeModeRequest&) = default;
};
struct SetSafeModeReply {
  bool on = false;  // after the action
  friend bool operator==(const SetSafeModeReply&, const SetSafeModeReply&) = default;
};

// A reader found bytes that do not match their checksums. A hint until the datanode has verified itself (C-17).
struct ReportBadReplicaRequest {
  Block block;
  DatanodeUuid datanode;
  StorageId storage;
  friend bool operator==(const ReportBadReplicaRequest&, const ReportBadReplicaRequest&) = default;
};
struct ReportBadReplicaReply {
  friend bool operator==(const ReportBadReplicaReply&, const ReportBadReplicaReply&) = default;
};

// ---- queries -----------------------------------------------------------------------------------------------------

struct GetFileInfoRequest {
  std::string path;
  friend bool operator==(const GetFileInfoRequest&, const GetFileInfoRequest&) = default;
};
struct GetFileInfoReply {
  std::optional<FileStatus> status;  // nothing: no such path
  friend bool operator==(const GetFileInfoReply&, const GetFileInfoReply&) = default;
};

struct GetListingRequest {
  std::string path;
  std::string start_after;  // last name of the page before; empty for the first page
  uint32_t limit = 1000;    // 1..1000
  friend bool operator==(const GetListingRequest&, const GetListingRequest&) = default;
};
struct GetListingReply {
  bool exists = false;
  std::vector<FileStatus> entries;  // byte order of names; a file lists itself (name empty)
  bool has_more = false;
  friend bool operator==(const GetListingReply&, const GetListingReply&) = default;
};

struct GetBlockLocationsRequest {
  std::string path;
  uint64_t offset = 0;
  uint64_t length = UINT64_MAX;
  std::optional<InodeId> inode;  // reopen the same file after a rename; must match or kFileNotFound
  friend bool operator==(const GetBlockLocationsRequest&, const GetBlockLocationsRequest&) = default;
};
struct GetBlockLocationsReply {
  FileStatus status;                 // length = sum of committed blocks, and of what was committed of an open one
  std::vector<LocatedBlock> blocks;  // those that overlap the range, in order
  bool last_is_open = false;         // the file's last block is being written: ask a datanode for its visible length
  uint64_t open_offset = 0;          // where that block begins; it may have committed bytes from before an append
  friend bool operator==(const GetBlockLocationsReply&, const GetBlockLocationsReply&) = default;
};

struct GetFsStatsRequest {
  friend bool operator==(const GetFsStatsRequest&, const GetFsStatsRequest&) = default;
};
struct GetFsStatsReply {
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t remaining_bytes = 0;
  uint64_t under_replicated_blocks = 0;
  uint64_t corrupt_blocks = 0;
  uint64_t missing_blocks = 0;
  uint64_t missing_blocks_replication_one = 0;
  uint64_t pending_deletion_blocks = 0;
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t blocks = 0;
  bool safe_mode = false;
  std::string safe_mode_tip;  // why, and when it ends; empty when off
  friend bool operator==(const GetFsStatsReply&, const GetFsStatsReply&) = default;
};

enum class DatanodeLiveness : uint8_t { kLive = 1, kStale = 2, kDead = 3 };
struct DatanodeReportEntry {
  DatanodeInfo info;
  DatanodeLiveness liveness = DatanodeLiveness::kLive;
  std::vector<StorageReport> storages;
  uint32_t active_streams = 0;
  int64_t last_heartbeat_age_ms = 0;
  std::optional<int64_t> last_full_report_age_ms;  // nothing: never
  friend bool operator==(const DatanodeReportEntry&, const DatanodeReportEntry&) = default;
};
struct GetDatanodeReportRequest {
  friend bool operator==(const GetDatanodeReportRequest&, const GetDatanodeReportRequest&) = default;
};
struct GetDatanodeReportReply {
  std::vector<DatanodeReportEntry> datanodes;  // by uuid
  friend bool operator==(const GetDatanodeReportReply&, const GetDatanodeReportReply&) = default;
};

// What is below a path, the path itself included.
struct GetContentSummaryRequest {
  std::string path;
  friend bool operator==(const GetContentSummaryRequest&, const GetContentSummaryRequest&) = default;
};
struct GetContentSummaryReply {
  uint64_t length = 0;  // committed bytes of all files
  uint64_t files = 0;
  uint64_t directories = 0;       // the one asked for included
  uint64_t replicated_bytes = 0;  // bytes times replicas, over all storage types
  friend bool operator==(const GetContentSummaryReply&, const GetContentSummaryReply&) = default;
};

struct IsFileClosedRequest {
  std::string path;
  friend bool operator==(const IsFileClosedRequest&, const IsFileClosedRequest&) = default;
};
struct IsFileClosedReply {
  bool closed = false;
  friend bool operator==(const IsFileClosedReply&, const IsFileClosedReply&) = default;
};

struct OpenFileEntry {
  InodeId inode;
  std::string path;
  std::string holder;
  std::string client_host;
  friend bool operator==(const OpenFileEntry&, const OpenFileEntry&) = default;
};
// Files open for writing at or below `path`, by inode id. Superusers only.
struct ListOpenFilesRequest {
  std::string path = "/";
  InodeId after;          // `last` of the page before; none for the first page
  uint32_t limit = 1000;  // 1..1000 open files that are looked at, whether or not below `path`
  friend bool operator==(const ListOpenFilesRequest&, const ListOpenFilesRequest&) = default;
};
struct ListOpenFilesReply {
  std::vector<OpenFileEntry> files;  // may be empty although there are more
  InodeId last;                      // looked at
  bool has_more = false;
  friend bool operator==(const ListOpenFilesReply&, const ListOpenFilesReply&) = default;
};

enum class ChecksumType : uint8_t { kCrc32c = 1 };
struct GetServerDefaultsRequest {
  friend bool operator==(const GetServerDefaultsRequest&, const GetServerDefaultsRequest&) = default;
};
struct GetServerDefaultsReply {
  ClusterId cluster;
  uint64_t block_bytes = 0;
  uint32_t replication = 0;
  uint32_t bytes_per_checksum = 0;
  uint32_t packet_bytes = 0;
  int64_t lease_soft_limit_ms = 0;
  std::string version;
  ChecksumType checksum_type = ChecksumType::kCrc32c;
  friend bool operator==(const GetServerDefaultsReply&, const GetServerDefaultsReply&) = default;
};

// One page of a walk through a tree, depth first in byte order of names, on one published state. The next page begins
// behind the last entry of this one, also when that is gone by then.
struct CheckFilesRequest {
  std::string path;
  std::string after;            // path of the last entry of the page before; empty for the first page
  InodeId partial_inode;        // that entry's inode when some of its blocks are still to come, else none
  uint64_t first_block = 0;     // index of the first of these
  uint32_t entry_limit = 1000;  // 1..1000
  uint32_t block_limit = 5000;  // 1..10000
  friend bool operator==(const CheckFilesRequest&, const CheckFilesRequest&) = default;
};
enum class ReplicaCondition : uint8_t { kLive = 1, kStale = 2, kCorrupt = 3 };
struct CheckedReplica {
  uint32_t storage = 0;  // index in the page's storages
  ReplicaCondition condition = ReplicaCondition::kLive;
  friend bool operator==(const CheckedReplica&, const CheckedReplica&) = default;
};
struct CheckedBlock {
  Block block;
  bool under_construction = false;  // then `replicas` are its pipeline
  uint32_t replicas_wanted = 0;
  uint32_t racks = 0;         // that its live and stale replicas are on
  uint32_t racks_wanted = 0;  // that the placement rule asks for
  std::vector<CheckedReplica> replicas;
  friend bool operator==(const CheckedBlock&, const CheckedBlock&) = default;
};
struct CheckedEntry {
  std::string path;
  FileStatus status;
  uint64_t first_block = 0;  // index of blocks[0]
  std::vector<CheckedBlock> blocks;
  bool has_more_blocks = false;  // only of the last entry
  friend bool operator==(const CheckedEntry&, const CheckedEntry&) = default;
};
struct CheckFilesReply {
  bool exists = false;
  std::string block_pool;
  std::vector<ReplicaLocation> storages;
  std::vector<CheckedEntry> entries;
  bool has_more = false;
  friend bool operator==(const CheckFilesReply&, const CheckFilesReply&) = default;
};

using Query = std::variant<GetFileInfoRequest, GetListingRequest, GetBlockLocationsRequest, GetFsStatsRequest,
                           GetDatanodeReportRequest, GetServerDefaultsRequest, RenewLeaseRequest, SetSafeModeRequest,
                           ReportBadReplicaRequest, GetContentSummaryRequest, IsFileClosedRequest, ListOpenFilesRequest,
                           CheckFilesRequest>;
// Same order as Query.
using QueryReply =
    std::variant<GetFileInfoReply, GetListingReply, GetBlockLocationsReply, GetFsStatsReply, GetDatanodeReportReply,
                 GetServerDefaultsReply, RenewLeaseReply, SetSafeModeReply, ReportBadReplicaReply,
                 GetContentSummaryReply, IsFileClosedReply, ListOpenFilesReply, CheckFilesReply>;

}  // namespace dolmen::protocol
