#include "datanode/core/volume_chooser.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::datanode {

absl::StatusOr<StorageId> VolumeChooser::Choose(std::span<const VolumeCandidate> volumes, const StorageId& wanted,
                                                uint64_t bytes) {
  std::vector<const VolumeCandidate*> fitting;
  std::string refused;
  for (const VolumeCandidate& volume : volumes) {
    if (!volume.online || volume.remaining_bytes < bytes) {
      absl::StrAppend(&refused, refused.empty() ? "" : "; ", volume.storage.value(), ": ");
      if (volume.online) {
        absl::StrAppend(&refused, volume.remaining_bytes, " bytes left");
      } else {
        absl::StrAppend(&refused, "offline");
      }
      continue;
    }
    if (volume.storage == wanted) return wanted;
    fitting.push_back(&volume);
  }
  if (fitting.empty()) {
    return MakeError(ErrorReason::kNoSpace, absl::StrCat("no volume has ", bytes, " bytes left: ", refused));
  }
  const auto by_space = [](const VolumeCandidate* a, const VolumeCandidate* b) {
    return a->remaining_bytes < b->remaining_bytes;
  };
  const auto [fullest, emptiest] = std::minmax_element(fitting.begin(), fitting.end(), by_space);
  if ((*emptiest)->remaining_bytes - (*fullest)->remaining_bytes > kBalancedWithin) {
    const uint64_t limit = (*fullest)->remaining_bytes + kBalancedWithin;
    const bool emptier = random_.Uniform(4) < kEmptierOfFour;
    std::erase_if(fitting, [&](const VolumeCandidate* volume) { return (volume->remaining_bytes > limit) != emptier; });
  }
  uint32_t fewest = UINT32_MAX;
  for (const VolumeCandidate* volume : fitting) fewest = std::min(fewest, volume->writers);
  std::erase_if(fitting, [&](const VolumeCandidate* volume) { return volume->writers != fewest; });
  return fitting[turn_++ % fitting.size()]->storage;
}

}  // namespace dolmen::datanode
