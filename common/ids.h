// Strong identifier types. Mixing two kinds does not compile; none converts to an integer by itself.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"

namespace dolmen {

// A 64-bit id of one kind. 0 means "none" for every kind. All ids handed out are < 2^63 (DESIGN, schema).
template <typename Tag>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }
  constexpr bool is_none() const { return value_ == 0; }
  constexpr StrongId Next() const { return StrongId(value_ + 1); }

  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const StrongId& id) { return out << Tag::kPrefix << id.value_; }
  template <typename H>
  friend H AbslHashValue(H state, const StrongId& id) {
    return H::combine(std::move(state), id.value_);
  }
  // The form used in logs and error texts, e.g. "blk_1073741824".
  std::string ToString() const { return absl::StrCat(Tag::kPrefix, value_); }

 private:
  uint64_t value_ = 0;
};

struct InodeIdTag {
  static constexpr const char* kPrefix = "inode_";
};
struct BlockIdTag {
  static constexpr const char* kPrefix = "blk_";
};
struct GenerationStampTag {
  static constexpr const char* kPrefix = "gs_";
};
struct CommitNumberTag {
  static constexpr const char* kPrefix = "commit_";
};
struct EpochTag {
  static constexpr const char* kPrefix = "epoch_";
};

using InodeId = StrongId<InodeIdTag>;
using BlockId = StrongId<BlockIdTag>;
using GenerationStamp = StrongId<GenerationStampTag>;
using CommitNumber = StrongId<CommitNumberTag>;
using Epoch = StrongId<EpochTag>;

// First ids ever handed out (HDFS's numbers; specified).
inline constexpr InodeId kRootInode{16385};
inline constexpr BlockId kFirstBlockId{uint64_t{1} << 30};
inline constexpr GenerationStamp kFirstGenerationStamp{1001};
// The low 4 bits of a block id are reserved for erasure-coded groups, so plain block ids step by 16.
inline constexpr uint64_t kBlockIdStep = 16;

// A string id of one kind (uuids as 36-character text; cluster id "CID-<uuid>").
template <typename Tag>
class StrongName {
 public:
  StrongName() = default;
  explicit StrongName(std::string value) : value_(std::move(value)) {}

  const std::string& value() const { return value_; }
  bool is_none() const { return value_.empty(); }

  friend auto operator<=>(const StrongName&, const StrongName&) = default;
  friend std::ostream& operator<<(std::ostream& out, const StrongName& name) { return out << name.value_; }
  template <typename H>
  friend H AbslHashValue(H state, const StrongName& name) {
    return H::combine(std::move(state), name.value_);
  }

 private:
  std::string value_;
};

struct DatanodeUuidTag {};
struct StorageIdTag {};
struct ClusterIdTag {};
using DatanodeUuid = StrongName<DatanodeUuidTag>;
using StorageId = StrongName<StorageIdTag>;
using ClusterId = StrongName<ClusterIdTag>;

}  // namespace dolmen
