// The stored records and their canonical codec: Encode(Decode(x)) == x for every x that Decode accepts. Byte layouts
// are in docs/formats/metadata.md, samples in tests/golden/.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/coding.h"
#include "common/ids.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/types.h"

namespace dolmen::namenode {

// How a file's blocks are kept safe. A tagged field, not an integer: erasure coding comes later.
struct Redundancy {
  enum class Kind : uint8_t { kReplicated = 1 };
  Kind kind = Kind::kReplicated;
  uint32_t replicas = 3;
  friend bool operator==(const Redundancy&, const Redundancy&) = default;
};

struct InodeRecord {
  InodeId id;
  bool is_directory = false;
  uint16_t permission = 0;
  std::string owner;
  std::string group;
  WallTime modified;
  WallTime accessed;
  CommitNumber changed_at;
  // Directories.
  uint64_t child_count = 0;
  // Files.
  Redundancy redundancy;
  uint64_t block_bytes = 0;  // preferred block size
  uint64_t length = 0;       // sum of committed block lengths
  uint64_t block_count = 0;  // entries in file_blocks, the open last block included
  bool under_construction = false;
  Extensions extensions;
  friend bool operator==(const InodeRecord&, const InodeRecord&) = default;
};

// Where an inode is: the value of `ids`.
struct ParentLink {
  InodeId parent;
  std::string name;
  friend bool operator==(const ParentLink&, const ParentLink&) = default;
};

enum class BlockState : uint8_t {
  kUnderConstruction = 1,  // being written: length unknown
  kCommitted = 2,          // length fixed by the writer, or by its recovery
};

struct BlockRecord {
  InodeId inode;
  uint64_t index = 0;
  GenerationStamp stamp;
  uint64_t length = 0;  // while under construction: what was committed of it before (0, or until it was appended to)
  BlockState state = BlockState::kUnderConstruction;
  uint32_t replicas_wanted = 0;  // copy of the file's redundancy, so that block work needs no path walk
  CommitNumber changed_at;
  Extensions extensions;
  friend bool operator==(const BlockRecord&, const BlockRecord&) = default;
};

struct OpenRecord {
  std::string holder;
  std::string client_host;
  struct Target {
    DatanodeUuid datanode;
    StorageId storage;
    friend bool operator==(const Target&, const Target&) = default;
  };
  std::vector<Target> last_pipeline;  // of the last block
  // The last block was closed with this stamp and the length of its record before it was opened again to append.
  std::optional<GenerationStamp> stamp_before_append;
  // The last block is being recovered: of the present attempt. The holder is the namenode (kNamenodeHolder).
  std::optional<GenerationStamp> recovery;
  // The file is being cut within its last block: `copy` will hold its first `length` bytes and take its place. The
  // holder is the namenode.
  struct Truncation {
    BlockId copy;
    uint64_t length = 0;
    friend bool operator==(const Truncation&, const Truncation&) = default;
  };
  std::optional<Truncation> truncation;
  Extensions extensions;  // but those that the fields above are kept in
  friend bool operator==(const OpenRecord&, const OpenRecord&) = default;
};

// A deleted root on its way to be freed.
struct DetachedRecord {
  InodeRecord inode;
  WallTime deleted_at;
  Extensions extensions;
  friend bool operator==(const DetachedRecord&, const DetachedRecord&) = default;
};

// Sums over a directory's whole subtree, itself not counted in `directories`.
struct TotalsRecord {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t bytes = 0;                                          // committed lengths
  std::map<protocol::StorageType, uint64_t> replicated_bytes;  // bytes x replicas, by type (kDisk unless a policy says)
  Extensions extensions;
  friend bool operator==(const TotalsRecord&, const TotalsRecord&) = default;
};

// The open answers of one client (contract C-9).
struct SessionRecord {
  uint64_t forgotten_below = 0;  // calls below it are forgotten: a retry of one is "outcome unknown"
  WallTime last_used;
  struct Answer {
    uint64_t call_id = 0;
    uint64_t request_digest = 0;  // same id with another request is an error
    std::string answer;           // EncodeAnswer
    friend bool operator==(const Answer&, const Answer&) = default;
  };
  std::vector<Answer> answers;  // by call id
  Extensions extensions;
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

// The singletons of kMeta, each under its own short key (key_codec.h).
struct NamespaceInfo {  // minted by --format
  uint32_t layout_version = 1;
  ClusterId cluster;
  uint64_t namespace_id = 0;
  std::string block_pool;
  WallTime formatted_at;
  std::string superuser;  // the user who formatted
  std::string supergroup;
  friend bool operator==(const NamespaceInfo&, const NamespaceInfo&) = default;
};
struct Counters {
  Epoch epoch;  // of the last start
  InodeId next_inode;
  BlockId next_block;
  GenerationStamp next_stamp;
  WallTime last_commit_time;
  uint64_t block_count = 0;            // entries in `blocks`
  uint64_t committed_block_count = 0;  // of them kCommitted: what safe mode waits for
  friend bool operator==(const Counters&, const Counters&) = default;
};

std::string EncodeInode(const InodeRecord& record);
absl::StatusOr<InodeRecord> DecodeInode(std::string_view bytes);
std::string EncodeParentLink(const ParentLink& record);
absl::StatusOr<ParentLink> DecodeParentLink(std::string_view bytes);
std::string EncodeBlock(const BlockRecord& record);
absl::StatusOr<BlockRecord> DecodeBlock(std::string_view bytes);
std::string EncodeOpen(const OpenRecord& record);
absl::StatusOr<OpenRecord> DecodeOpen(std::string_view bytes);
std::string EncodeDetached(const DetachedRecord& record);
absl::StatusOr<DetachedRecord> DecodeDetached(std::string_view bytes);
std::string EncodeTotals(const TotalsRecord& record);
absl::StatusOr<TotalsRecord> DecodeTotals(std::string_view bytes);
std::string EncodeSession(const SessionRecord& record);
absl::StatusOr<SessionRecord> DecodeSession(std::string_view bytes);
std::string EncodeNamespaceInfo(const NamespaceInfo& record);
absl::StatusOr<NamespaceInfo> DecodeNamespaceInfo(std::string_view bytes);
std::string EncodeCounters(const Counters& record);
absl::StatusOr<Counters> DecodeCounters(std::string_view bytes);

// A stored answer: a status (code, reason, text) or a reply.
using Answer = absl::StatusOr<protocol::MutationReply>;
std::string EncodeAnswer(const Answer& answer);
absl::StatusOr<Answer> DecodeAnswer(std::string_view bytes);
// Of the request's canonical encoding; for "same id, different request".
uint64_t DigestOf(const protocol::Mutation& request);

}  // namespace dolmen::namenode
