#include "client/core/lease_renewal.h"

#include <algorithm>

#include "common/check.h"
#include "common/error.h"

namespace dolmen::client {

void LeaseRenewal::FileOpened(MonotonicTime now) {
  if (open_files_++ == 0) {
    last_success_ = now;
    last_failure_.reset();
  }
}

void LeaseRenewal::FileClosed() {
  DOLMEN_CHECK(open_files_ > 0, "more files closed than opened");
  --open_files_;
}

std::optional<MonotonicTime> LeaseRenewal::NextRenewal() const {
  if (open_files_ == 0 || under_way_) return std::nullopt;
  if (last_failure_.has_value()) return *last_failure_ + settings_.retry_interval;
  return last_success_ + settings_.soft_limit / 2;
}

void LeaseRenewal::OnSent(MonotonicTime now) {
  under_way_ = true;
  sent_at_ = now;
}

void LeaseRenewal::OnAnswer(const absl::Status& status, MonotonicTime now) {
  if (!under_way_) return;
  under_way_ = false;
  if (status.ok()) {
    last_success_ = std::max(last_success_, sent_at_);
    last_failure_.reset();
  } else {
    last_failure_ = now;
  }
}

absl::Status LeaseRenewal::Verdict(MonotonicTime now) const {
  if (open_files_ == 0 || now - last_success_ < settings_.hard_limit) return absl::OkStatus();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(settings_.hard_limit).count();
  return MakeError(ErrorReason::kLeaseExpired, absl::StrCat("Lease timeout of ", seconds, " seconds expired."));
}

}  // namespace dolmen::client
