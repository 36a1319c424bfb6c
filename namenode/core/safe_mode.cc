#include "namenode/core/safe_mode.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dolmen::namenode {

uint64_t SafeMode::BlockThreshold() const {
  return static_cast<uint64_t>(std::floor(static_cast<double>(total_blocks_) * settings_.safe_mode_threshold));
}

bool SafeMode::ThresholdsReached() const {
  if (settings_.safe_mode_threshold > 1) return false;
  return safe_blocks() >= BlockThreshold() && live_datanodes_ >= settings_.safe_mode_min_datanodes;
}

void SafeMode::Tick(MonotonicTime now, bool counts_settled) {
  if (!starting_up_) return;
  const bool reached = ThresholdsReached() && counts_settled;
  if (!extension_ends_.has_value()) {
    if (!reached) return;
    const Duration extension = total_blocks_ == 0 ? Duration(0) : Duration(settings_.safe_mode_extension);
    extension_ends_ = now + extension;
  }
  if (reached && now >= *extension_ends_) starting_up_ = false;
}

std::string SafeMode::Tip(MonotonicTime now) const {
  if (!on()) return "";
  if (resources_low_) {
    return "Resources are low on NN. Please add or free up more resources; safe mode will be turned off automatically "
           "once they are available.";
  }
  if (manual_) {
    return "It was turned on manually. Use \"hdfs dfsadmin -safemode leave\" to turn safe mode off.";
  }
  std::string tip;
  const uint64_t threshold = BlockThreshold();
  const std::string of_total =
      absl::StrFormat("the threshold %.4f of total blocks %d.", settings_.safe_mode_threshold, total_blocks_);
  if (safe_blocks() < threshold) {
    absl::StrAppend(&tip, "The reported blocks ", safe_blocks(), " needs additional ", threshold - safe_blocks(),
                    " blocks to reach ", of_total, "\n");
  } else {
    absl::StrAppend(&tip, "The reported blocks ", safe_blocks(), " has reached ", of_total, " ");
  }
  const uint32_t minimum = settings_.safe_mode_min_datanodes;
  if (minimum == 0) {
    absl::StrAppend(&tip, "The minimum number of live datanodes is not required. ");
  } else if (live_datanodes_ < minimum) {
    absl::StrAppend(&tip, "The number of live datanodes ", live_datanodes_, " needs an additional ",
                    minimum - live_datanodes_, " live datanodes to reach the minimum number ", minimum, ".\n");
  } else {
    absl::StrAppend(&tip, "The number of live datanodes ", live_datanodes_, " has reached the minimum number ", minimum,
                    ". ");
  }
  if (extension_ends_.has_value() && ThresholdsReached()) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(std::max(Duration(0), *extension_ends_ - now));
    absl::StrAppend(&tip, "In safe mode extension. Safe mode will be turned off automatically in ", left.count(),
                    " seconds.");
  } else if (settings_.safe_mode_threshold > 1) {
    absl::StrAppend(&tip, "Use \"hdfs dfsadmin -safemode leave\" to turn safe mode off.");
  } else {
    absl::StrAppend(&tip, "Safe mode will be turned off automatically once the thresholds have been reached.");
  }
  return tip;
}

}  // namespace dolmen::namenode
