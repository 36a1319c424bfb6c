#include "namenode/core/retry_sessions.h"

#include <algorithm>

#include "common/error.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {
namespace {

absl::StatusOr<SessionRecord> LoadSession(const OperationContext& context, const std::string& client_id) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                          context.batch->Get(Family::kRetries, keys::Session(client_id)));
  if (!bytes.has_value()) return SessionRecord{};
  return DecodeSession(*bytes);
}

absl::Status OutcomeUnknown(const protocol::CallId& id) {
  return MakeError(ErrorReason::kOutcomeUnknown,
                   absl::StrCat("call ", id.call_id, " (attempt ", id.attempt,
                                ") was sent too long ago: its record is gone, and it may or may not have been executed; "
                                "look before doing it again"));
}

}  // namespace

absl::StatusOr<RetryLookup> LookUpRetry(const OperationContext& context, const protocol::CallId& id,
                                        const protocol::Mutation& request) {
  RetryLookup lookup;
  if (id.client_id.empty()) return lookup;
  DOLMEN_ASSIGN_OR_RETURN(SessionRecord session, LoadSession(context, id.client_id));
  for (SessionRecord::Answer& stored : session.answers) {
    if (stored.call_id != id.call_id) continue;
    if (stored.request_digest != DigestOf(request)) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("call id ", id.call_id, " was already used by this client for another request"));
    }
    DOLMEN_ASSIGN_OR_RETURN(Answer answer, DecodeAnswer(stored.answer));
    lookup.answer = std::move(answer);
    return lookup;
  }
  if (id.call_id < session.forgotten_below) return OutcomeUnknown(id);
  if (id.attempt > 0 && id.age_ms >= context.settings->retry_retention.count()) return OutcomeUnknown(id);
  const auto still_open = std::count_if(session.answers.begin(), session.answers.end(),
                                        [&](const auto& stored) { return stored.call_id >= id.first_unanswered; });
  if (static_cast<uint64_t>(still_open) >= context.settings->max_open_answers_per_session) {
    return MakeError(ErrorReason::kBusy, absl::StrCat("this client has ", still_open,
                                                      " calls whose answers it has not confirmed; wait for some"));
  }
  return lookup;
}

absl::Status StoreAnswer(OperationContext& context, const protocol::CallId& id, const protocol::Mutation& request,
                         const Answer& answer) {
  if (id.client_id.empty()) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(SessionRecord session, LoadSession(context, id.client_id));
  session.forgotten_below = std::max(session.forgotten_below, std::min(id.first_unanswered, id.call_id));
  session.last_used = context.now;
  std::erase_if(session.answers, [&](const auto& stored) { return stored.call_id < session.forgotten_below; });
  const auto place = std::lower_bound(session.answers.begin(), session.answers.end(), id.call_id,
                                      [](const auto& stored, uint64_t call_id) { return stored.call_id < call_id; });
  session.answers.insert(place, {id.call_id, DigestOf(request), EncodeAnswer(answer)});
  context.batch->Put(Family::kRetries, keys::Session(id.client_id), EncodeSession(session));
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
