// The batch being built: a view plus the changes decided so far. Readable like any MetaReader, so that a later
// operation of the batch sees the earlier ones.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "namenode/core/meta_store.h"

namespace dolmen::namenode {

// One thread only. `base` outlives this.
class MetaBatch final : public MetaReader {
 public:
  explicit MetaBatch(const MetaReader* base) : base_(base) {}

  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override;
  absl::Status Scan(Family family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const override;

  void Put(Family family, std::string key, std::string value);
  void Delete(Family family, std::string key);

  // Operations are all or nothing within the batch: everything since BeginOperation is kept or undone.
  void BeginOperation();
  void KeepOperation();
  void UndoOperation();

  size_t write_count() const { return changes_.size(); }
  uint64_t write_bytes() const { return write_bytes_; }
  // The changes, sorted by (family, key); leaves the batch empty.
  std::vector<MetaWrite> TakeWrites();

 private:
  using Key = std::pair<Family, std::string>;
  struct KeyLess {
    using is_transparent = void;
    bool operator()(const Key& a, const Key& b) const { return a < b; }
    bool operator()(const Key& a, const std::pair<Family, std::string_view>& b) const {
      return a.first != b.first ? a.first < b.first : std::string_view(a.second) < b.second;
    }
    bool operator()(const std::pair<Family, std::string_view>& a, const Key& b) const {
      return a.first != b.first ? a.first < b.first : a.second < std::string_view(b.second);
    }
  };
  using Changes = std::map<Key, std::optional<std::string>, KeyLess>;
  struct Undo {
    Key key;
    bool was_changed = false;               // it had a change before
    std::optional<std::string> old_change;  // and this was it
  };
  void Record(Family family, std::string key, std::optional<std::string> value);

  const MetaReader* const base_;
  Changes changes_;
  uint64_t write_bytes_ = 0;
  bool in_operation_ = false;
  std::vector<Undo> undo_;
};

}  // namespace dolmen::namenode
