// The Dolmen client library: connect, name files, read and write them. This header is all an application needs;
// <dolmen/error.h> tells errors apart.
//
//   absl::StatusOr<std::unique_ptr<dolmen::FileSystemClient>> fs =
//       dolmen::FileSystemClient::Connect("dolmen://localhost:7020", {});
//   absl::StatusOr<std::unique_ptr<dolmen::OutputStream>> out = (*fs)->Create("/tmp/hello", {});
//   (*out)->Write("hello"); (*out)->Close();
//   absl::StatusOr<std::unique_ptr<dolmen::OutputStream>> more = (*fs)->Append("/tmp/hello", {});
//   (*more)->Write(", world"); (*more)->Close();
//
// Every call that can fail returns absl::Status or absl::StatusOr. The status message is one line a person can act on,
// in HDFS's words where HDFS has them; ReasonOf(status) tells programs apart what happened. Any call may fail with
// kUnreachable (no namenode at the address within the connect timeout), kDeadlineExceeded or kBusy; comments name the
// others. Calls that change something fail with kSafeMode while the namenode is in safe mode and with kAccessControl
// without the right to; they are executed at most once however often they were retried; when the outcome can't be known
// (the namenode did not answer within the deadline) the code is kUnknown or kDeadlineExceeded and says so.
//
// Times are milliseconds since 1970 UTC, sizes and offsets bytes. A complete program is in tests/example/.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"

namespace dolmen {

// How a client behaves. Checked by Connect.
struct ClientOptions {
  std::string user;  // claimed identity; empty: DOLMEN_USER, HADOOP_USER_NAME, then the OS user
  std::chrono::milliseconds rpc_timeout{60'000};      // of one call to the namenode, all retries included
  std::chrono::milliseconds connect_timeout{10'000};  // how long an unreachable namenode is tried before giving up
  std::chrono::milliseconds stream_timeout{60'000};  // a datanode silent for so long while it owes an answer has failed
  uint32_t packet_bytes = 1 << 20;                   // 64 KiB .. 1 MiB, multiple of 512: bytes per bulk packet
  uint32_t window_packets = 16;                      // 1..64: unacknowledged packets per write stream
  uint64_t read_ahead_bytes = 4 << 20;               // 0..64 MiB: sequential reads
};

// A file or directory, as it was when the namenode answered.
struct FileStatus {
  uint64_t inode = 0;               // its identity: stays through renames, never used again
  bool is_directory = false;        // else a file
  std::string name;                 // last component
  uint64_t length = 0;              // 0 for directories
  uint16_t permission = 0;          // 0777 bits and sticky 01000
  std::string owner;                // user
  std::string group;                // group
  int64_t modified_ms = 0;          // of a directory: when an entry came or went
  int64_t accessed_ms = 0;          // 0 for directories
  uint32_t replication = 0;         // 0 for directories
  uint64_t block_bytes = 0;         // 0 for directories
  uint32_t child_count = 0;         // directories
  bool under_construction = false;  // open for writing
};

// One block of a file and where it can be read.
struct BlockLocation {
  uint64_t offset = 0;             // of its first byte, in the file
  uint64_t length = 0;             // 0 while it is being written
  uint64_t block_id = 0;           // never used again
  uint64_t generation_stamp = 0;   // version of the block
  bool corrupt = false;            // no good replica is known
  std::vector<std::string> hosts;  // "host:port" of its datanodes, best first
};

// How Create makes a file.
struct CreateOptions {
  bool overwrite = false;      // replaces a file that is there
  bool create_parents = true;  // makes missing directories
  uint16_t permission = 0644;  // umask already applied
  uint32_t replication = 0;    // 0: the server's default (3)
  uint64_t block_bytes = 0;    // 0: the server's default (128 MiB); multiple of 512
  // Close waits until all replicas in the pipeline are durable. Off: closed files can vanish when all replica machines
  // lose power together.
  bool sync_on_close = true;
};

// How Append opens a file.
struct AppendOptions {
  bool new_block = false;     // begins a new block instead of filling up the last one
  bool sync_on_close = true;  // as in CreateOptions
};

// What is below a path, the path itself included.
struct ContentSummary {
  uint64_t length = 0;           // bytes of all files
  uint64_t file_count = 0;       // files
  uint64_t directory_count = 0;  // the directory asked for included
  uint64_t space_consumed = 0;   // bytes times replicas
};

// HDFS's file checksum: MD5 of the blocks' MD5s of the CRC32Cs of their 512-byte chunks. Equal for equal bytes in equal
// block sizes, here and in HDFS.
struct FileChecksum {
  uint32_t bytes_per_crc = 512;  // 0 of no bytes, as in HDFS
  uint64_t crc_per_block = 0;    // 0 for files of at most one block, as in HDFS
  std::string md5;               // 16 bytes
};

// A file that is open for writing.
struct OpenFile {
  uint64_t inode = 0;       // its identity
  std::string path;         // where it is now
  std::string client_name;  // lease holder
  std::string client_host;  // where the holder connected from
};

// What is known of one replica. Stale: its datanode was silent lately. Corrupt: not served any more.
enum class ReplicaCondition { kLive, kStale, kCorrupt };
// One replica, as CheckFiles sees it.
struct CheckedReplica {
  std::string datanode;                                  // uuid
  std::string address;                                   // "host:port"
  std::string rack;                                      // "/default-rack" when none
  std::string storage;                                   // id of the storage directory
  ReplicaCondition condition = ReplicaCondition::kLive;  // what is known of it
  std::string storage_type = "DISK";                     // DISK, SSD, ARCHIVE or RAM_DISK
};
// One block, as CheckFiles sees it.
struct CheckedBlock {
  uint64_t block_id = 0;                 // identity
  uint64_t generation_stamp = 0;         // version
  uint64_t length = 0;                   // 0 while it is being written
  bool under_construction = false;       // then `replicas` are the pipeline that writes it
  uint32_t replicas_wanted = 0;          // the file's replication
  uint32_t racks = 0;                    // that its live replicas are on
  uint32_t racks_wanted = 0;             // that the placement rule asks for
  std::vector<CheckedReplica> replicas;  // all that are known
};
// One file or directory met by CheckFiles.
struct CheckedEntry {
  std::string path;                  // in full
  FileStatus status;                 // as of GetFileInfo
  std::vector<CheckedBlock> blocks;  // files, in order
  std::string block_pool;            // id of the namespace's blocks, e.g. for texts
};

// Sums over the cluster.
struct ClusterStats {
  uint64_t capacity_bytes = 0;                  // of all storages
  uint64_t used_bytes = 0;                      // by replicas
  uint64_t remaining_bytes = 0;                 // that replicas may still use
  uint64_t under_replicated_blocks = 0;         // with fewer replicas than wanted
  uint64_t corrupt_blocks = 0;                  // with a corrupt replica and no good one
  uint64_t missing_blocks = 0;                  // without any good replica
  uint64_t missing_blocks_replication_one = 0;  // of them, those that should have just one
  uint64_t pending_deletion_blocks = 0;         // freed, on their way out
  uint64_t files = 0;                           // in the namespace
  uint64_t directories = 0;                     // in the namespace, the root included
  uint64_t blocks = 0;                          // in the namespace
  bool safe_mode = false;                       // nothing can be changed
  std::string safe_mode_tip;                    // why, and when it ends; empty when off
};

// Live: heard lately. Stale: silent for a while, used last. Dead: its replicas are made anew elsewhere.
enum class NodeLiveness { kLive, kStale, kDead };
// One datanode, as the namenode knows it.
struct DatanodeReport {
  std::string uuid;                             // identity; stays through restarts and new addresses
  std::string address;                          // "ip-or-host:port" of the first advertised address
  std::string host_name;                        // as it calls itself
  std::string rack;                             // "/default-rack" when none
  NodeLiveness liveness = NodeLiveness::kLive;  // by its heartbeats
  uint64_t capacity_bytes = 0;                  // of all its storages
  uint64_t used_bytes = 0;                      // by replicas
  uint64_t non_dfs_used_bytes = 0;              // by anything else
  uint64_t remaining_bytes = 0;                 // that replicas may still use
  uint64_t block_count = 0;                     // replicas
  uint32_t active_streams = 0;                  // reads and writes under way
  int64_t last_contact_ms = 0;                  // wall time
  std::optional<int64_t> last_full_report_ms;   // wall time; nothing: never
};

// What a datanode says of itself.
struct DatanodeLocalInfo {
  uint64_t uptime_seconds = 0;   // since its process started
  std::string software_version;  // of Dolmen
  std::string config_version;    // of the set of settings it understands
};

// What the namenode uses where a caller says nothing.
struct ServerDefaults {
  std::string cluster_id;           // minted by --format
  uint64_t block_bytes = 0;         // of new files
  uint32_t replication = 0;         // of new files
  uint32_t bytes_per_checksum = 0;  // 512
  uint32_t packet_bytes = 0;        // of data and checksums on their way to datanodes
  std::string checksum_type;        // "CRC32C"
  std::string version;              // of the namenode
};

// Reads one file. Its length is fixed at open; open again to see more. Thread-safe: ReadAt from any thread; Read and
// Seek share one position.
class InputStream {
 public:
  virtual ~InputStream() = default;
  // Up to out.size() bytes at the position, which moves; 0 only at the end of the file (or for an empty `out`). Every
  // byte was verified against its checksum; a bad or unreachable replica is reported and another one read.
  // Errors: kBlockMissing listing each replica and why; kCancelled after Close.
  virtual absl::StatusOr<size_t> Read(std::span<char> out) = 0;
  // As Read at `offset`, without moving the position; 0 at or beyond the end.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) = 0;
  // 0 <= offset <= length; "Cannot seek after EOF" otherwise.
  virtual absl::Status Seek(uint64_t offset) = 0;
  // Where the next Read begins.
  virtual uint64_t Position() const = 0;
  // Of the file when it was opened.
  virtual uint64_t Length() const = 0;
  // Ends the streams to datanodes; reads under way end with kCancelled. Idempotent, OK always.
  virtual absl::Status Close() = 0;
};

// Writes one file. Externally synchronised. The first failure stays: every later call returns it. A stream that failed
// or is destroyed without Close leaves the file open: its lease ends by itself, but only once this client has no other
// file open or is gone; RecoverLease ends it at once.
class OutputStream {
 public:
  virtual ~OutputStream() = default;
  // Takes all of `data` (copies once, computing checksums); may wait for the window. No promise until Flush/Sync/Close.
  // Errors, of all calls here: kPipelineFailed naming the datanode that failed; kNoDatanodes listing each and why;
  // kLeaseExpired when the file was taken over or deleted; kNoSpace.
  virtual absl::Status Write(std::string_view data) = 0;
  // hflush: all bytes so far are acknowledged by every datanode of the pipeline; new readers see them.
  virtual absl::Status Flush() = 0;
  // hsync: Flush, and on disk on every datanode of the pipeline.
  virtual absl::Status Sync() = 0;
  // Flush, finalize, complete: the file's length is fixed and the minimum of replicas is durable. Idempotent.
  virtual absl::Status Close() = 0;
  // Gives the file up: the block being written is abandoned unless bytes of it were flushed or there before; the lease
  // stays until it expires, is recovered, or the file is deleted.
  virtual void Abort() = 0;
  // Where the next byte goes: bytes written so far, those there before an Append included.
  virtual uint64_t Position() const = 0;
};

// One connection to one cluster. Thread-safe; streams it made must not outlive it.
// Paths are absolute ("/a/b") and already normalised (NormalizePath below does what HDFS clients do).
class FileSystemClient {
 public:
  // `uri` is "dolmen://host:port" (the path part is ignored; port default 7020). Does not wait for the namenode: the
  // first call does. Errors: kInvalidArgument for a bad uri or option.
  static absl::StatusOr<std::unique_ptr<FileSystemClient>> Connect(std::string_view uri, ClientOptions options);
  virtual ~FileSystemClient() = default;

  // Makes a directory; OK when it is there already. `permission`: 0777 bits and sticky 01000, the umask already
  // applied. Errors: kFileAlreadyExists for a file at `path`; kParentNotDirectory; kFileNotFound for a missing parent
  // unless `create_parents`; kInvalidPath, kNameTooLong, kDirectoryFull.
  virtual absl::Status Mkdirs(const std::string& path, uint16_t permission = 0755, bool create_parents = true) = 0;
  // Makes a file and opens it for writing; the name is there from now on, the bytes by and by (see OutputStream).
  // Errors: those of Mkdirs; kFileAlreadyExists; kAlreadyBeingCreated and kRecoveryInProgress while another client
  // writes it; kIo for a block size or replication out of the server's bounds.
  virtual absl::StatusOr<std::unique_ptr<OutputStream>> Create(const std::string& path,
                                                               const CreateOptions& options) = 0;
  // Opens a file to read it. Errors: kFileNotFound "File does not exist: <path>" / "Path is not a file: <path>".
  virtual absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path) = 0;
  // Opens a closed file to write at its end; positions count from its beginning. Returns when the datanodes of its last
  // block have it open; a datanode that can't is done without. Errors: kFileNotFound; kFileAlreadyExists for a
  // directory; kAlreadyBeingCreated while somebody writes it, this client included (a stream of its own that failed:
  // RecoverLease first); kRecoveryInProgress while the namenode recovers or cuts it; kNotReplicatedYet when its last
  // block has too few replicas at hand; kBlockMissing when the end of that block can't be read; kPipelineFailed listing
  // every attempt with its datanodes. After an error its bytes are as they were; it may stay open, held by the
  // namenode, until its last block is recovered (IsFileClosed).
  virtual absl::StatusOr<std::unique_ptr<OutputStream>> Append(const std::string& path,
                                                               const AppendOptions& options) = 0;
  // Cuts a closed file. True: done. False: its last block is being cut; the file stays open and shows the bytes of that
  // block until then, and IsFileClosed says when it is done. Errors: kFileNotFound, for directories too;
  // kIllegalArgument when `length` is above the file's, or more than 10,000 blocks lie behind it (the message names the
  // length for a first step); kAlreadyBeingCreated while somebody writes it or it is being cut to another length;
  // kRecoveryInProgress while the namenode recovers it.
  virtual absl::StatusOr<bool> Truncate(const std::string& path, uint64_t length) = 0;
  // Moves the blocks of `sources`, in order, to the end of `target`; the sources are gone then. All closed, distinct,
  // in one directory. Errors: kFileNotFound; kIllegalArgument in HDFS's words for files that don't fit together.
  virtual absl::Status Concat(const std::string& target, const std::vector<std::string>& sources) = 0;
  // How many replicas each block of a file shall have; false for directories and, as in HDFS, for what does not exist.
  // Copies are made or removed in the background. Errors: kIo for a number out of the server's bounds.
  virtual absl::StatusOr<bool> SetReplication(const std::string& path, uint32_t replication) = 0;
  // Takes a file from its writer, alive or not: what that flushed stays, its later calls fail. True: it is closed.
  // False: its last block is being recovered, usually for a few seconds (5 minutes when every datanode that answers was
  // restarted and another is silent; until then the file can only be read); ask IsFileClosed, or call again, which
  // waits up to 4 s. Errors: kFileNotFound, for directories too.
  virtual absl::StatusOr<bool> RecoverLease(const std::string& path) = 0;
  // Whether nobody has the file open for writing. Errors: kFileNotFound, for directories too.
  virtual absl::StatusOr<bool> IsFileClosed(const std::string& path) = 0;
  // Sums over a tree, in time that does not depend on its size. Errors: kFileNotFound.
  virtual absl::StatusOr<ContentSummary> GetContentSummary(const std::string& path) = 0;
  // Of the first `length` bytes; of an open file as a reader who opens it now would see it. Errors: kFileNotFound "Path
  // is not a file: <path>" for a directory, as in HDFS; kBlockMissing listing each replica of a block and why.
  virtual absl::StatusOr<FileChecksum> GetFileChecksum(const std::string& path, uint64_t length = UINT64_MAX) = 0;
  // Calls `visit` for each file that is open for writing at or below `path`, by inode id, until it returns false.
  // Errors: kAccessControl when the user is not a superuser.
  virtual absl::Status ListOpenFiles(const std::string& path, const std::function<bool(const OpenFile&)>& visit) = 0;
  // Calls `visit` for `path` and everything below it, depth first in byte order of names, until it returns false: pages
  // of a walk that the namenode does, each on one published state. Errors: kFileNotFound.
  virtual absl::Status CheckFiles(const std::string& path, const std::function<bool(const CheckedEntry&)>& visit) = 0;
  // HDFS's classic rename: false where HDFS answers false; moves into an existing directory. Errors: kInvalidPath,
  // kNameTooLong, kDirectoryFull.
  virtual absl::StatusOr<bool> Rename(const std::string& source, const std::string& destination) = 0;
  // HDFS's rename with options: errors instead of false; no "into" rule. Errors: kFileNotFound; kFileAlreadyExists
  // without `overwrite`; kDirectoryNotEmpty; kParentNotDirectory; kIo where a file meets a directory.
  virtual absl::Status RenameExact(const std::string& source, const std::string& destination, bool overwrite) = 0;
  // Deletes at once and for good; space comes back in the background. False when the path does not exist (or is "/").
  // Errors: kDirectoryNotEmpty unless `recursive`.
  virtual absl::StatusOr<bool> Delete(const std::string& path, bool recursive) = 0;
  // Nothing when the path does not exist.
  virtual absl::StatusOr<std::optional<FileStatus>> GetFileInfo(const std::string& path) = 0;
  // Calls `visit` for each entry in byte order of names, page by page, until it returns false. A file lists itself with
  // an empty name. Errors: kFileNotFound when the path does not exist.
  virtual absl::Status List(const std::string& path, const std::function<bool(const FileStatus&)>& visit) = 0;
  // The blocks that overlap `length` bytes from `offset` on, in order. Errors: kFileNotFound, for directories too.
  virtual absl::StatusOr<std::vector<BlockLocation>> GetBlockLocations(const std::string& path, uint64_t offset,
                                                                       uint64_t length) = 0;
  // `permission`: 0777 bits and sticky 01000. Errors: kFileNotFound.
  virtual absl::Status SetPermission(const std::string& path, uint16_t permission) = 0;
  // Empty: leave as it is. Errors: kFileNotFound; kAccessControl for an owner unless the user is a superuser, and for a
  // group the user does not belong to.
  virtual absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group) = 0;
  // Milliseconds since 1970; nothing: leave as it is. Errors: kFileNotFound.
  virtual absl::Status SetTimes(const std::string& path, std::optional<int64_t> modified_ms,
                                std::optional<int64_t> accessed_ms) = 0;

  // Sums over the cluster, as the namenode knows them now.
  virtual absl::StatusOr<ClusterStats> GetStats() = 0;
  // All datanodes that ever registered, by uuid.
  virtual absl::StatusOr<std::vector<DatanodeReport>> GetDatanodeReport() = 0;
  // Asks the datanode at "host:port" itself; the namenode is not asked. Errors: kUnreachable naming the address when no
  // datanode answers there within the connect timeout; kInvalidArgument for a bad address.
  virtual absl::StatusOr<DatanodeLocalInfo> GetDatanodeLocalInfo(const std::string& address) = 0;
  // Asked of the namenode once, then remembered.
  virtual absl::StatusOr<ServerDefaults> GetServerDefaults() = 0;
  // Asks, or changes it (superusers only).
  enum class SafeMode { kGet, kEnter, kLeave };
  // Whether safe mode is on after the action. Errors: kAccessControl.
  virtual absl::StatusOr<bool> SetSafeMode(SafeMode action) = 0;

  // Who this client says it is.
  virtual const std::string& user() const = 0;
  // "/user/<user>"; whether it exists is not asked.
  virtual std::string HomeDirectory() const = 0;
  // "host:port" of the namenode.
  virtual const std::string& authority() const = 0;
};

// What HDFS clients do to a path before it is sent: resolves `path` against `home` when relative, removes double and
// trailing slashes, "." and "..". Errors: kInvalidPath for NUL, invalid UTF-8, empty. Thread-safe.
absl::StatusOr<std::string> NormalizePath(std::string_view path, std::string_view home);

// The parts of "dolmen://host[:port][/path]".
struct DolmenUri {
  std::string host;      // name or address; IPv6 without brackets
  uint16_t port = 7020;  // of the namenode
  std::string path;      // empty or begins with '/'
};
// Takes a URI apart. Errors: kInvalidArgument naming what is wrong. Thread-safe.
absl::StatusOr<DolmenUri> ParseDolmenUri(std::string_view uri);

}  // namespace dolmen
