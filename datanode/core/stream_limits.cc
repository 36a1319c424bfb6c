#include "datanode/core/stream_limits.h"

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

absl::Status Busy(std::string_view what, uint32_t limit) {
  return MakeError(ErrorReason::kBusy,
                   absl::StrCat("busy: ", limit, " ", ToAbsl(what), " are under way; retry shortly"));
}

}  // namespace

absl::Status StreamLimits::Acquire(StreamKind kind, const StorageId& storage) {
  if (streams_ >= options_.streams_in_all) return Busy("streams of this datanode", options_.streams_in_all);
  Counts& counts = volumes_[storage];
  switch (kind) {
    case StreamKind::kWrite:
      if (counts.writers >= options_.writers_per_volume)
        return Busy("writes to this volume", options_.writers_per_volume);
      ++counts.writers;
      break;
    case StreamKind::kRead:
      if (counts.readers >= options_.readers_per_volume)
        return Busy("reads of this volume", options_.readers_per_volume);
      ++counts.readers;
      break;
    case StreamKind::kTransfer:
      if (transfers_ >= options_.transfers) return Busy("copies to other datanodes", options_.transfers);
      ++transfers_;
      break;
    case StreamKind::kRelay:
      if (relays_ >= options_.relays) return Busy("calls passed on to other datanodes", options_.relays);
      ++relays_;
      break;
  }
  ++streams_;
  return absl::OkStatus();
}

void StreamLimits::Release(StreamKind kind, const StorageId& storage) {
  Counts& counts = volumes_[storage];
  uint32_t& count = kind == StreamKind::kWrite   ? counts.writers
                    : kind == StreamKind::kRead  ? counts.readers
                    : kind == StreamKind::kRelay ? relays_
                                                 : transfers_;
  DOLMEN_CHECK(count > 0 && streams_ > 0, "a stream was released twice");
  --count;
  --streams_;
}

uint32_t StreamLimits::writers(const StorageId& storage) const {
  const auto found = volumes_.find(storage);
  return found == volumes_.end() ? 0 : found->second.writers;
}

}  // namespace dolmen::datanode
