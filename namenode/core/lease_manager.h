// Who may write: soft state about lease holders. Renewals are never stored; after a start every holder found in the
// `open` family gets a fresh limit (HDFS's rule).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "namenode/core/operation.h"

namespace dolmen::namenode {

// One thread only. Bounded by the number of open files; a tick costs nothing for holders that are not late.
class LeaseManager final : public LeaseView {
 public:
  explicit LeaseManager(const CoreSettings& settings) : settings_(settings) {}
  LeaseManager(const LeaseManager&) = delete;
  LeaseManager& operator=(const LeaseManager&) = delete;

  // The time all judgements are made at; set once per batch and per tick. When it was not set for longer than
  // stale_after, the namenode itself was paused: renewals may be waiting, and the pause is not held against anybody
  // (F-054, F-112).
  void SetNow(MonotonicTime now);

  // Renews, too: who opens a file is alive.
  void Open(const std::string& holder, InodeId inode);
  void Close(const std::string& holder, InodeId inode);
  // Renews all files of the holder; unknown holders are ignored, as HDFS does.
  void Renew(const std::string& holder);

  // LeaseView. An unknown holder has expired: whoever it was, it is not writing.
  bool SoftLimitExpired(const std::string& holder) const override;

  struct Expired {
    std::string holder;
    InodeId inode;
    friend bool operator==(const Expired&, const Expired&) = default;
  };
  // Files whose holder has been silent beyond the hard limit, at most `limit`, oldest holders first, then by name.
  std::vector<Expired> HardExpired(size_t limit) const;
  size_t holder_count() const { return holders_.size(); }

 private:
  struct Holder {
    MonotonicTime renewed;
    std::set<InodeId> inodes;
  };
  using Holders = std::map<std::string, Holder>;
  void SetRenewed(Holders::iterator holder, MonotonicTime at);

  const CoreSettings& settings_;
  MonotonicTime now_{};
  Holders holders_;
  std::set<std::pair<MonotonicTime, std::string_view>> by_age_;  // each holder once; names are the keys of holders_
};

}  // namespace dolmen::namenode
