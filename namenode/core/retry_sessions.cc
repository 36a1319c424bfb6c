#include "namenode/core/retry_sessions.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {
namespace {

absl::Status OutcomeUnknown(const protocol::CallId& id) {
  return MakeError(
      ErrorReason::kOutcomeUnknown,
      absl::StrCat("call ", id.call_id, " (attempt ", id.attempt,
                   ") was sent too long ago: its record is gone, and it may or may not have been executed; "
                   "look before doing it again"));
}

// The first answer of a call >= `call_id`.
template <typename Answers>
auto FirstFrom(Answers& answers, uint64_t call_id) {
  return std::lower_bound(answers.begin(), answers.end(), call_id,
                          [](const SessionRecord::Answer& stored, uint64_t id) { return stored.call_id < id; });
}

}  // namespace

absl::StatusOr<RetrySessions::Session*> RetrySessions::Load(const std::string& client_id) {
  const auto found = sessions_.find(client_id);
  if (found != sessions_.end()) return &found->second;
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> stored,
                          published_.Get(Family::kRetries, keys::Session(client_id)));
  Session session;
  if (stored.has_value()) {
    DOLMEN_ASSIGN_OR_RETURN(session.record, DecodeSession(*stored), "the session of a client");
    bytes_ += stored->size();
  }
  return &sessions_.emplace(client_id, std::move(session)).first->second;
}

absl::StatusOr<RetryLookup> RetrySessions::LookUp(const protocol::CallId& id, const protocol::Mutation& request) {
  RetryLookup lookup;
  if (id.client_id.empty()) return lookup;
  DOLMEN_ASSIGN_OR_RETURN(Session * session, Load(id.client_id));
  const SessionRecord& record = session->record;
  if (id.call_id < record.forgotten_below) return OutcomeUnknown(id);
  const auto stored = FirstFrom(record.answers, id.call_id);
  if (stored != record.answers.end() && stored->call_id == id.call_id) {
    if (stored->request_digest != DigestOf(request)) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("call id ", id.call_id, " was already used by this client for another request"));
    }
    DOLMEN_ASSIGN_OR_RETURN(Answer answer, DecodeAnswer(stored->answer), "the stored answer of a retried call");
    lookup.answer = std::move(answer);
    return lookup;
  }
  if (id.attempt > 0 && id.age_ms >= settings_.retry_retention.count()) return OutcomeUnknown(id);
  const auto still_open =
      record.answers.end() - FirstFrom(record.answers, std::max(id.first_unanswered, record.forgotten_below));
  if (static_cast<uint64_t>(still_open) >= settings_.max_open_answers_per_session) {
    return MakeError(ErrorReason::kBusy, absl::StrCat("this client has ", still_open,
                                                      " calls whose answers it has not confirmed; wait for some"));
  }
  return lookup;
}

void RetrySessions::Store(const protocol::CallId& id, const protocol::Mutation& request, const Answer& answer) {
  if (id.client_id.empty()) return;
  const auto found = sessions_.find(id.client_id);
  DOLMEN_CHECK(found != sessions_.end(), "an answer is stored for a call that was not looked up");
  SessionRecord& record = found->second.record;
  record.forgotten_below = std::max(record.forgotten_below, std::min(id.first_unanswered, id.call_id));
  record.last_used = now_;
  SessionRecord::Answer stored{id.call_id, DigestOf(request), EncodeAnswer(answer)};
  bytes_ += stored.answer.size();
  record.answers.insert(FirstFrom(record.answers, id.call_id), std::move(stored));
  found->second.changed = true;
}

void RetrySessions::WriteTo(MetaBatch* batch) {
  for (auto& [client_id, session] : sessions_) {
    if (!session.changed) continue;
    auto& answers = session.record.answers;
    answers.erase(answers.begin(), FirstFrom(answers, session.record.forgotten_below));
    batch->Put(Family::kRetries, keys::Session(client_id), EncodeSession(session.record));
  }
  sessions_.clear();
  bytes_ = 0;
}

}  // namespace dolmen::namenode
