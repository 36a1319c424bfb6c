// At most once (contract C-9): the answers of calls whose caller may still ask again, stored in the same batch as their
// effects. Why a retry can never be executed twice:
//   - its answer is stored while the client's `first_unanswered` is not above it: found, and given again;
//   - the watermark passed it: refused as "outcome unknown" (nobody waits for it any more);
//   - the session's record was dropped after `retry_retention` of silence: a retry that old is refused by its age.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "namenode/core/meta_batch.h"
#include "namenode/core/records.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// What is known of a call before it is decided.
struct RetryLookup {
  std::optional<Answer> answer;  // decided before: give this again, change nothing
};

// The sessions that one batch meets: each is decoded at its client's first call and written once, however many calls of
// that client the batch has. One thread only. `published` and `settings` outlive this.
class RetrySessions {
 public:
  // `now`: the batch's time.
  RetrySessions(const MetaReader* published, const CoreSettings* settings, WallTime now)
      : published_(*published), settings_(*settings), now_(now) {}

  // Errors: kOutcomeUnknown as above; kIllegalArgument when the id was used for another request; kBusy when the session
  // holds too many open answers; kDamaged and kIo from the store. Calls without a client id are never known.
  absl::StatusOr<RetryLookup> LookUp(const protocol::CallId& id, const protocol::Mutation& request);

  // Keeps the answer of a call that LookUp did not know, and forgets those below the call's watermark. Cannot fail, so
  // that there is never anything to undo.
  void Store(const protocol::CallId& id, const protocol::Mutation& request, const Answer& answer);

  // About what WriteTo will write.
  uint64_t bytes() const { return bytes_; }
  // Puts the sessions that changed into the batch: once, after the last call was decided.
  void WriteTo(MetaBatch* batch);

 private:
  struct Session {
    SessionRecord record;  // answers below forgotten_below leave it in WriteTo
    bool changed = false;
  };
  absl::StatusOr<Session*> Load(const std::string& client_id);

  const MetaReader& published_;
  const CoreSettings& settings_;
  const WallTime now_;
  std::map<std::string, Session> sessions_;  // by client id
  uint64_t bytes_ = 0;
};

}  // namespace dolmen::namenode
