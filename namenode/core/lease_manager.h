// Who may write: soft state about lease holders. Renewals are never stored; after a start every holder found in the
// `open` family gets a fresh limit (HDFS's rule).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "namenode/core/operation.h"

namespace dolmen::namenode {

// One thread only. Bounded by the number of open files.
class LeaseManager final : public LeaseView {
 public:
  explicit LeaseManager(const CoreSettings& settings) : settings_(settings) {}

  // The time all judgements are made at; set once per batch and per tick.
  void SetNow(MonotonicTime now) { now_ = now; }

  void Open(const std::string& holder, InodeId inode);
  void Close(const std::string& holder, InodeId inode);
  // Renews all files of the holder; unknown holders are ignored, as HDFS does.
  void Renew(const std::string& holder);

  // LeaseView. An unknown holder has expired: whoever it was, it is not writing.
  bool SoftLimitExpired(const std::string& holder) const override;

  struct Expired {
    std::string holder;
    InodeId inode;
  };
  // Files whose holder has been silent beyond the hard limit, at most `limit`, oldest holders first.
  std::vector<Expired> HardExpired(size_t limit) const;
  size_t holder_count() const { return holders_.size(); }

 private:
  struct Holder {
    MonotonicTime renewed;
    std::set<InodeId> inodes;
  };
  const CoreSettings& settings_;
  MonotonicTime now_{};
  std::map<std::string, Holder> holders_;
};

}  // namespace dolmen::namenode
