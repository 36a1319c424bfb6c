// At most once (contract C-9): the answers of calls whose caller may still ask again, stored in the same batch as their
// effects. Why a retry can never be executed twice:
//   - its answer is stored while the client's `first_unanswered` is not above it: found, and given again;
//   - the watermark passed it: refused as "outcome unknown" (nobody waits for it any more);
//   - the session's record was dropped after `retry_retention` of silence: a retry that old is refused by its age.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "common/protocol/client_namenode.h"
#include "namenode/core/operation.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {

// What is known of a call before it is decided.
struct RetryLookup {
  std::optional<Answer> answer;  // decided before: give this again, change nothing
};

// Errors: kOutcomeUnknown as above; kIllegalArgument when the id was used for another request; kBusy when the session
// holds too many open answers. Calls without a client id are never looked up.
absl::StatusOr<RetryLookup> LookUpRetry(const OperationContext& context, const protocol::CallId& id,
                                        const protocol::Mutation& request);

// Stores the answer, and forgets those below the call's watermark.
absl::Status StoreAnswer(OperationContext& context, const protocol::CallId& id, const protocol::Mutation& request,
                         const Answer& answer);

}  // namespace dolmen::namenode
