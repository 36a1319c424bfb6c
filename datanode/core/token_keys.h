// The keys under which access tokens are good here: the newest, and the one before it, so that tokens minted just
// before a change of key still work.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/access_token.h"

namespace dolmen::datanode {

// A value; externally synchronised.
class TokenKeys {
 public:
  static constexpr size_t kKept = 2;

  // A key that is known already becomes the newest.
  void Add(const TokenKey& key);
  bool empty() const { return keys_.empty(); }
  // OK when the token is good under one of the keys. Fails closed: without keys (not registered yet) nothing is good.
  // Error: kBadToken, as VerifyToken says it of the newest key.
  absl::Status Verify(std::string_view token, BlockId block, BlockAccess access, WallTime now) const;

 private:
  std::vector<TokenKey> keys_;  // newest first
};

}  // namespace dolmen::datanode
