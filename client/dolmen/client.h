// The Dolmen client library: connect, name files, read and write them. This header is all an application needs.
//
//   absl::StatusOr<std::unique_ptr<dolmen::FileSystemClient>> fs =
//   dolmen::FileSystemClient::Connect("dolmen://localhost:7020", {});
//   absl::StatusOr<std::unique_ptr<dolmen::OutputStream>> out = (*fs)->Create("/tmp/hello", {});
//   (*out)->Write("hello"); (*out)->Close();
//
// Every call that can fail returns absl::Status or absl::StatusOr. The status message is one line a person can act on,
// in HDFS's words where HDFS has them; ErrorReason (see ReasonOf in common/error.h) tells programs apart what happened.
// A call that changes something is executed at most once however often it was retried; when the outcome can't be known
// (the namenode did not answer within the deadline) the code is kUnknown or kDeadlineExceeded and says so.
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

struct ClientOptions {
  std::string user;  // claimed identity; empty: DOLMEN_USER, HADOOP_USER_NAME, then the OS user
  std::chrono::milliseconds rpc_timeout{60'000};      // of one call to the namenode, all retries included
  std::chrono::milliseconds connect_timeout{10'000};  // how long an unreachable namenode is tried before giving up
  std::chrono::milliseconds stream_timeout{60'000};  // a datanode silent for so long while it owes an answer has failed
  uint32_t packet_bytes = 1 << 20;                   // 64 KiB .. 1 MiB, multiple of 512: bytes per bulk packet
  uint32_t window_packets = 16;                      // 1..64: unacknowledged packets per write stream
  uint64_t read_ahead_bytes = 4 << 20;               // 0..64 MiB: sequential reads
};

struct FileStatus {
  uint64_t inode = 0;
  bool is_directory = false;
  std::string name;         // last component
  uint64_t length = 0;      // bytes; 0 for directories
  uint16_t permission = 0;  // 0777 bits and sticky 01000
  std::string owner;
  std::string group;
  int64_t modified_ms = 0;  // since 1970 UTC
  int64_t accessed_ms = 0;
  uint32_t replication = 0;  // 0 for directories
  uint64_t block_bytes = 0;  // 0 for directories
  uint32_t child_count = 0;  // directories
  bool under_construction = false;
};

struct BlockLocation {
  uint64_t offset = 0;  // in the file
  uint64_t length = 0;
  uint64_t block_id = 0;
  uint64_t generation_stamp = 0;
  bool corrupt = false;
  std::vector<std::string> hosts;  // "host:port"
};

struct CreateOptions {
  bool overwrite = false;
  bool create_parents = true;
  uint16_t permission = 0644;  // umask already applied
  uint32_t replication = 0;    // 0: the server's default (3)
  uint64_t block_bytes = 0;    // 0: the server's default (128 MiB); multiple of 512
  // Close waits until all replicas in the pipeline are durable. Off: closed files can vanish when all replica machines
  // lose power together.
  bool sync_on_close = true;
};

struct ClusterStats {
  uint64_t capacity_bytes = 0, used_bytes = 0, remaining_bytes = 0;
  uint64_t under_replicated_blocks = 0, corrupt_blocks = 0, missing_blocks = 0, missing_blocks_replication_one = 0;
  uint64_t pending_deletion_blocks = 0;
  uint64_t files = 0, directories = 0, blocks = 0;
  bool safe_mode = false;
  std::string safe_mode_tip;
};

enum class NodeLiveness { kLive, kStale, kDead };
struct DatanodeReport {
  std::string uuid;
  std::string address;  // "ip-or-host:port" of the first advertised address
  std::string host_name;
  std::string rack;  // "/default-rack" when none
  NodeLiveness liveness = NodeLiveness::kLive;
  uint64_t capacity_bytes = 0, used_bytes = 0, non_dfs_used_bytes = 0, remaining_bytes = 0, block_count = 0;
  uint32_t active_streams = 0;
  int64_t last_contact_ms = 0;                 // wall time
  std::optional<int64_t> last_full_report_ms;  // wall time; nothing: never
};

struct ServerDefaults {
  std::string cluster_id;
  uint64_t block_bytes = 0;
  uint32_t replication = 0;
  uint32_t bytes_per_checksum = 0;
  std::string version;
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
  virtual uint64_t Position() const = 0;
  virtual uint64_t Length() const = 0;
  virtual absl::Status Close() = 0;
};

// Writes one file. Externally synchronised. The first failure stays: every later call returns it. A stream that is
// destroyed without Close leaves the file open; its lease ends by itself.
class OutputStream {
 public:
  virtual ~OutputStream() = default;
  // Takes all of `data` (copies once, computing checksums); may wait for the window. No promise until Flush/Sync/Close.
  virtual absl::Status Write(std::string_view data) = 0;
  // hflush: all bytes so far are acknowledged by every datanode of the pipeline; new readers see them.
  virtual absl::Status Flush() = 0;
  // hsync: Flush, and on disk on every datanode of the pipeline.
  virtual absl::Status Sync() = 0;
  // Flush, finalize, complete: the file's length is fixed and the minimum of replicas is durable. Idempotent.
  virtual absl::Status Close() = 0;
  // Gives the file up: the last block is abandoned, the lease stays until it expires or the file is deleted.
  virtual void Abort() = 0;
  virtual uint64_t Position() const = 0;  // bytes written so far
};

// One connection to one cluster. Thread-safe; streams it made must not outlive it.
// Paths are absolute ("/a/b") and already normalised (NormalizePath below does what HDFS clients do).
class FileSystemClient {
 public:
  // `uri` is "dolmen://host:port" (the path part is ignored; port default 7020). Does not wait for the namenode: the
  // first call does. Errors: kInvalidArgument for a bad uri or option.
  static absl::StatusOr<std::unique_ptr<FileSystemClient>> Connect(std::string_view uri, ClientOptions options);
  virtual ~FileSystemClient() = default;

  virtual absl::Status Mkdirs(const std::string& path, uint16_t permission = 0755, bool create_parents = true) = 0;
  virtual absl::StatusOr<std::unique_ptr<OutputStream>> Create(const std::string& path,
                                                               const CreateOptions& options) = 0;
  // kFileNotFound "File does not exist: <path>" / "Path is not a file: <path>".
  virtual absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path) = 0;
  // HDFS's classic rename: false where HDFS answers false; moves into an existing directory.
  virtual absl::StatusOr<bool> Rename(const std::string& source, const std::string& destination) = 0;
  // HDFS's rename with options: errors instead of false; no "into" rule.
  virtual absl::Status RenameExact(const std::string& source, const std::string& destination, bool overwrite) = 0;
  // false when the path does not exist (or is "/").
  virtual absl::StatusOr<bool> Delete(const std::string& path, bool recursive) = 0;
  // Nothing when the path does not exist.
  virtual absl::StatusOr<std::optional<FileStatus>> GetFileInfo(const std::string& path) = 0;
  // Calls `visit` for each entry in byte order of names, page by page, until it returns false. A file lists itself with
  // an empty name. Error kFileNotFound when the path does not exist.
  virtual absl::Status List(const std::string& path, const std::function<bool(const FileStatus&)>& visit) = 0;
  virtual absl::StatusOr<std::vector<BlockLocation>> GetBlockLocations(const std::string& path, uint64_t offset,
                                                                       uint64_t length) = 0;
  virtual absl::Status SetPermission(const std::string& path, uint16_t permission) = 0;
  // Empty: leave as it is.
  virtual absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group) = 0;
  // Milliseconds since 1970; nothing: leave as it is.
  virtual absl::Status SetTimes(const std::string& path, std::optional<int64_t> modified_ms,
                                std::optional<int64_t> accessed_ms) = 0;

  virtual absl::StatusOr<ClusterStats> GetStats() = 0;
  virtual absl::StatusOr<std::vector<DatanodeReport>> GetDatanodeReport() = 0;
  virtual absl::StatusOr<ServerDefaults> GetServerDefaults() = 0;
  enum class SafeMode { kGet, kEnter, kLeave };
  // Whether safe mode is on after the action.
  virtual absl::StatusOr<bool> SetSafeMode(SafeMode action) = 0;

  virtual const std::string& user() const = 0;
  virtual std::string HomeDirectory() const = 0;     // "/user/<user>"
  virtual const std::string& authority() const = 0;  // "host:port"
};

// What HDFS clients do to a path before it is sent: resolves `path` against `home` when relative, removes double and
// trailing slashes, "." and "..". Errors (kInvalidPath): NUL, invalid UTF-8, empty.
absl::StatusOr<std::string> NormalizePath(std::string_view path, std::string_view home);

// Parses "dolmen://host[:port][/path]". Errors: kInvalidArgument naming what is wrong.
struct DolmenUri {
  std::string host;
  uint16_t port = 7020;
  std::string path;  // empty or begins with '/'
};
absl::StatusOr<DolmenUri> ParseDolmenUri(std::string_view uri);

}  // namespace dolmen
