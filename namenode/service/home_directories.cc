#include "namenode/service/home_directories.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/queries.h"

namespace dolmen::namenode {
namespace {

constexpr char kParent[] = "/user";
constexpr uint16_t kParentPermission = 0755;
constexpr uint16_t kHomePermission = 0700;

ClientMutation MakeDirectory(const std::string& owner, const std::string& host, std::string path, uint16_t permission) {
  // The owner of a new directory is who makes it; the namenode acts for the user with its own rights. Without a client
  // id nothing is kept for retries.
  return {
      .caller = {.user = owner, .is_superuser = true, .host = host},
      .request = protocol::MkdirsRequest{.path = std::move(path), .permission = permission, .create_parents = false}};
}

}  // namespace

HomeDirectories::HomeDirectories(CoreThread* core, const Clock* clock, const CoreSettings& settings,
                                 std::string superuser)
    : core_(core), clock_(clock), settings_(settings), superuser_(std::move(superuser)) {}

bool HomeDirectories::IsSettled(const std::string& user) const {
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mutex_);
  const auto found = known_.find(user);
  return found != known_.end() && (!found->second.has_value() || now < *found->second);
}

absl::StatusOr<bool> HomeDirectories::Exists(const std::string& path) const {
  const Caller superuser{.user = superuser_, .is_superuser = true};
  DOLMEN_ASSIGN_OR_RETURN(const protocol::GetFileInfoReply reply,
                          GetFileInfo(*core_->published().meta, settings_, superuser, {.path = path}));
  return reply.status.has_value();
}

void HomeDirectories::Make(const std::string& user, const std::string& host, std::function<void()> then) {
  std::string home = absl::StrCat(kParent, "/", user);
  const absl::StatusOr<bool> exists = Exists(home);
  if (!exists.ok() || *exists) {
    Settle(user, exists.status());
    return then();
  }
  // The core thread decides them in this order; the first one fails only if the second one does.
  if (!Exists(kParent).value_or(false)) {
    core_->Submit(MakeDirectory(superuser_, host, kParent, kParentPermission), [](const Answer&, CommitNumber) {});
  }
  core_->Submit(MakeDirectory(user, host, std::move(home), kHomePermission),
                [this, user, then = std::move(then)](const Answer& answer, CommitNumber) {
                  if (answer.ok()) spdlog::info("made the home directory of user {}", user);
                  Settle(user, answer.status());
                  then();
                });
}

void HomeDirectories::Settle(const std::string& user, const absl::Status& made) {
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mutex_);
  if (known_.size() >= kMaxKnown) known_.clear();
  std::optional<MonotonicTime>& retry_at = known_[user];
  retry_at.reset();
  if (made.ok()) return;
  retry_at = now + kRetryAfter;
  // Anybody may claim any name: not a line for each.
  if (now < next_warning_) return;
  next_warning_ = now + kRetryAfter;
  spdlog::warn("the home directory of user {} was not made: {}", user, MessageOf(made));
}

}  // namespace dolmen::namenode
