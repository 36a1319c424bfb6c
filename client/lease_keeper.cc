#include "client/lease_keeper.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace dolmen::client {

uint64_t LeaseKeeper::FileOpened(std::function<void(absl::Status)> on_lost) {
  uint64_t file = 0;
  {
    MutexLock lock(&mutex_);
    file = next_file_++;
    files_.emplace(file, std::move(on_lost));
    renewal_.FileOpened(loop_->clock()->Now());
  }
  Arm();
  return file;
}

void LeaseKeeper::FileClosed(uint64_t file) {
  MutexLock lock(&mutex_);
  if (files_.erase(file) == 0) return;
  renewal_.FileClosed();
  if (!files_.empty()) return;
  loop_->CancelTimer(timer_);
  timer_ = 0;
}

void LeaseKeeper::SetSoftLimit(Duration soft_limit) {
  if (soft_limit <= Duration::zero()) return;
  {
    MutexLock lock(&mutex_);
    soft_limit_ = soft_limit;
    renewal_.SetSoftLimit(soft_limit);
  }
  Arm();
}

void LeaseKeeper::Arm() {
  MutexLock lock(&mutex_);
  const std::optional<MonotonicTime> next = renewal_.NextRenewal();
  if (!next.has_value()) return;
  loop_->CancelTimer(timer_);
  timer_ = loop_->RunAt(*next, [this] { OnTimer(); });
}

void LeaseKeeper::OnTimer() {
  std::map<uint64_t, std::function<void(absl::Status)>> lost;
  absl::Status verdict;
  Duration timeout{};
  {
    MutexLock lock(&mutex_);
    const MonotonicTime now = loop_->clock()->Now();
    timer_ = 0;
    const std::optional<MonotonicTime> next = renewal_.NextRenewal();
    if (!next.has_value()) return;
    verdict = renewal_.Verdict(now);
    if (!verdict.ok()) {
      lost.swap(files_);
      for (size_t i = 0; i < lost.size(); ++i) renewal_.FileClosed();
    } else if (*next <= now) {
      renewal_.OnSent(now);
      timeout = std::max<Duration>(std::chrono::seconds(1), soft_limit_ / 4);
    }
  }
  for (const auto& [file, on_lost] : lost) on_lost(verdict);
  if (!lost.empty()) return;
  if (timeout == Duration::zero()) return Arm();
  namenode_->Query(
      protocol::RenewLeaseRequest{.holder = holder_}, "renew lease",
      [this](const absl::StatusOr<protocol::QueryReply>& reply) {
        {
          MutexLock lock(&mutex_);
          renewal_.OnAnswer(reply.status(), loop_->clock()->Now());
        }
        Arm();
      },
      timeout);
}

}  // namespace dolmen::client
