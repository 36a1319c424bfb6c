// Block access tokens (S-1): a MAC under a key the namenode gives datanodes at registration, so that file permissions
// hold for data too. Checked before any disk access, compared in constant time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/ids.h"

namespace dolmen {

enum class BlockAccess : uint8_t { kRead = 1, kWrite = 2, kCopy = 4 };

// What a token grants. Tokens are opaque bytes to clients: fields, then HMAC-SHA-256 over them.
struct TokenGrant {
  std::string user;
  BlockId block;
  uint8_t accesses = 0;  // BlockAccess bits
  WallTime expires;
  uint64_t key_id = 0;
};

// A 256-bit key and its number.
struct TokenKey {
  uint64_t id = 0;
  std::string secret;  // 32 bytes
};

std::string MintToken(const TokenKey& key, const TokenGrant& grant);  // grant.key_id is set from the key
// OK only for an intact token under `key` that grants `access` to `block` and is not expired (5 min skew allowed).
// Error: kBadToken, saying which of these failed but never what the MAC should be.
absl::Status VerifyToken(const TokenKey& key, std::string_view token, BlockId block, BlockAccess access, WallTime now);

}  // namespace dolmen
