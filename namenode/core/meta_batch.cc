#include "namenode/core/meta_batch.h"

#include <utility>

#include "common/check.h"
#include "common/error.h"

namespace dolmen::namenode {
namespace {

uint64_t BytesOf(std::string_view key, const std::optional<std::string>& value) {
  return key.size() + (value.has_value() ? value->size() : 0);
}

}  // namespace

absl::StatusOr<std::optional<std::string>> MetaBatch::Get(Family family, std::string_view key) const {
  const auto found = changes_.find(std::pair(family, key));
  if (found != changes_.end()) return found->second;
  return base_->Get(family, key);
}

absl::Status MetaBatch::Scan(Family family, std::string_view start, std::string_view end,
                             absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const {
  auto change = changes_.lower_bound(std::pair(family, start));
  const auto in_range = [&] {
    return change != changes_.end() && change->first.first == family &&
           (end.empty() || std::string_view(change->first.second) < end);
  };
  bool stopped = false;
  // Visits the changes before `limit` (all that are left without one).
  const auto visit_changes_before = [&](std::optional<std::string_view> limit) {
    while (!stopped && in_range() && (!limit.has_value() || std::string_view(change->first.second) < *limit)) {
      const auto& [where, value] = *change;
      ++change;
      if (value.has_value() && !visit(where.second, *value)) stopped = true;
    }
  };
  DOLMEN_RETURN_IF_ERROR(base_->Scan(family, start, end, [&](std::string_view key, std::string_view value) {
    visit_changes_before(key);
    if (stopped) return false;
    if (in_range() && change->first.second == key) {
      const std::optional<std::string>& changed = change->second;
      ++change;
      if (changed.has_value() && !visit(key, *changed)) stopped = true;
    } else if (!visit(key, value)) {
      stopped = true;
    }
    return !stopped;
  }));
  visit_changes_before(std::nullopt);
  return absl::OkStatus();
}

void MetaBatch::Put(Family family, std::string key, std::string value) {
  Record(family, std::move(key), std::move(value));
}

void MetaBatch::Delete(Family family, std::string key) { Record(family, std::move(key), std::nullopt); }

void MetaBatch::Record(Family family, std::string key, std::optional<std::string> value) {
  write_bytes_ += BytesOf(key, value);
  const auto found = changes_.find(std::pair(family, std::string_view(key)));
  if (found == changes_.end()) {
    if (in_operation_) undo_.push_back({.key = {family, key}, .was_changed = false, .old_change = std::nullopt});
    changes_.emplace(Key(family, std::move(key)), std::move(value));
    return;
  }
  write_bytes_ -= BytesOf(key, found->second);
  if (in_operation_) {
    undo_.push_back({.key = {family, std::move(key)}, .was_changed = true, .old_change = std::move(found->second)});
  }
  found->second = std::move(value);
}

void MetaBatch::BeginOperation() {
  DOLMEN_CHECK(!in_operation_, "operations of a batch do not nest");
  in_operation_ = true;
}

void MetaBatch::KeepOperation() {
  DOLMEN_CHECK(in_operation_, "KeepOperation without BeginOperation");
  in_operation_ = false;
  undo_.clear();
}

void MetaBatch::UndoOperation() {
  DOLMEN_CHECK(in_operation_, "UndoOperation without BeginOperation");
  in_operation_ = false;
  for (; !undo_.empty(); undo_.pop_back()) {
    Undo& undo = undo_.back();
    const auto found = changes_.find(undo.key);
    write_bytes_ -= BytesOf(found->first.second, found->second);
    if (undo.was_changed) {
      found->second = std::move(undo.old_change);
      write_bytes_ += BytesOf(found->first.second, found->second);
    } else {
      changes_.erase(found);
    }
  }
}

std::vector<MetaWrite> MetaBatch::TakeWrites() {
  DOLMEN_CHECK(!in_operation_, "TakeWrites in the middle of an operation");
  std::vector<MetaWrite> writes;
  writes.reserve(changes_.size());
  while (!changes_.empty()) {
    auto node = changes_.extract(changes_.begin());
    writes.push_back({node.key().first, std::move(node.key().second), std::move(node.mapped())});
  }
  write_bytes_ = 0;
  return writes;
}

}  // namespace dolmen::namenode
