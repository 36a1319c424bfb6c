#include "datanode/core/token_keys.h"

#include "common/error.h"

namespace dolmen::datanode {

void TokenKeys::Add(const TokenKey& key) {
  std::erase_if(keys_, [&](const TokenKey& known) { return known.id == key.id; });
  keys_.insert(keys_.begin(), key);
  if (keys_.size() > kKept) keys_.pop_back();
}

absl::Status TokenKeys::Verify(std::string_view token, BlockId block, BlockAccess access, WallTime now) const {
  absl::Status newest = MakeError(ErrorReason::kBadToken, "this datanode has no key yet: it is not registered");
  for (size_t i = 0; i < keys_.size(); ++i) {
    absl::Status verified = VerifyToken(keys_[i], token, block, access, now);
    if (verified.ok()) return verified;
    if (i == 0) newest = std::move(verified);
  }
  return newest;
}

}  // namespace dolmen::datanode
