// Forgetting the stored answers of clients that have been silent for the retention time.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {
namespace {

// From one expired record in so many on, the next step follows at once. Below that, records that are still needed are
// most of what is stored, and going through them faster would be for little.
constexpr size_t kFewInHowMany = 20;

}  // namespace

absl::StatusOr<bool> ExpireSessions(OperationContext& context, std::string* cursor,
                                    std::optional<WallTime> unused_since) {
  const size_t limit = std::max<size_t>(context.settings->reap_entries_per_step, 1);
  const WallTime used_before =
      unused_since.value_or(WallTime{context.now.ms - context.settings->retry_retention.count()});
  std::string start = *cursor;
  if (!start.empty()) start.push_back('\0');  // the first key after it
  std::vector<std::string> expired;
  std::string last;
  size_t seen = 0;
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(
      context.batch->Scan(Family::kRetries, start, "", [&](std::string_view key, std::string_view value) {
        absl::StatusOr<SessionRecord> session = DecodeSession(value);
        failed = session.status();
        if (!failed.ok()) return false;
        if (session->last_used < used_before) expired.emplace_back(key);
        last = key;
        return ++seen < limit;
      }));
  DOLMEN_RETURN_IF_ERROR(failed);
  const size_t expired_count = expired.size();
  for (std::string& key : expired) context.batch->Delete(Family::kRetries, std::move(key));
  *cursor = seen < limit ? std::string() : std::move(last);
  return expired_count > 0 && expired_count * kFewInHowMany >= seen;
}

}  // namespace dolmen::namenode::ops
