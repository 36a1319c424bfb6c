#include "common/access_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/check.h"
#include "common/coding.h"
#include "common/error.h"

namespace dolmen {
namespace {

// version byte, key id varint, user (length-prefixed), block id u64, accesses byte, expiry in ms i64; then the MAC.
constexpr uint8_t kTokenVersion = 1;
constexpr size_t kMacBytes = 32;
constexpr size_t kSecretBytes = 32;
// Clocks of namenode and datanode may differ by this much (specified: S-1).
constexpr int64_t kSkewMs = 5 * 60 * 1000;

std::string MacOf(const TokenKey& key, std::string_view fields) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int mac_bytes = 0;
  const unsigned char* done =
      HMAC(EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()),
           reinterpret_cast<const unsigned char*>(fields.data()), fields.size(), mac, &mac_bytes);
  DOLMEN_CHECK(done != nullptr && mac_bytes == kMacBytes, "HMAC-SHA-256 failed");
  return std::string(reinterpret_cast<const char*>(mac), mac_bytes);
}

absl::Status Bad(std::string_view why) {
  return MakeError(ErrorReason::kBadToken, absl::StrCat("access token refused: ", ToAbsl(why)));
}

std::string_view NameOf(BlockAccess access) {
  switch (access) {
    case BlockAccess::kRead:
      return "reading";
    case BlockAccess::kWrite:
      return "writing";
    case BlockAccess::kCopy:
      return "copying";
  }
  return "this access";
}

}  // namespace

std::string MintToken(const TokenKey& key, const TokenGrant& grant) {
  DOLMEN_CHECK(key.secret.size() == kSecretBytes, "a token key has 32 bytes");
  std::string token;
  token.push_back(static_cast<char>(kTokenVersion));
  AppendVarint(&token, key.id);
  AppendLengthPrefixed(&token, grant.user);
  AppendLittleEndian64(&token, grant.block.value());
  token.push_back(static_cast<char>(grant.accesses));
  AppendLittleEndian64(&token, static_cast<uint64_t>(grant.expires.ms));
  token += MacOf(key, token);
  return token;
}

absl::Status VerifyToken(const TokenKey& key, std::string_view token, BlockId block, BlockAccess access, WallTime now) {
  if (key.secret.size() != kSecretBytes) return Bad("this server has no token key yet; it gets one when it registers");
  if (token.empty()) return Bad("it is missing; ask the namenode for the block's locations again");
  if (token.size() <= kMacBytes) return Bad("it is too short to be one");
  const std::string_view fields = token.substr(0, token.size() - kMacBytes);
  ByteReader reader(fields);
  const uint8_t version = reader.Byte();
  TokenGrant grant;
  grant.key_id = reader.Varint();
  grant.user = std::string(reader.LengthPrefixed());
  grant.block = BlockId(reader.LittleEndian64());
  grant.accesses = reader.Byte();
  grant.expires.ms = static_cast<int64_t>(reader.LittleEndian64());
  if (!reader.Finish("token").ok() || version != kTokenVersion) return Bad("its form is unknown");
  if (grant.key_id != key.id) {
    return Bad(absl::StrCat("it was made under key ", grant.key_id, ", this server checks with key ", key.id,
                            "; ask the namenode for the block's locations again"));
  }
  const std::string mac = MacOf(key, fields);
  if (CRYPTO_memcmp(mac.data(), token.data() + fields.size(), kMacBytes) != 0) return Bad("its signature is wrong");
  if (grant.block != block) {
    return Bad(absl::StrCat("it is for ", grant.block.ToString(), ", not for ", block.ToString()));
  }
  if ((grant.accesses & static_cast<uint8_t>(access)) == 0) {
    return Bad(absl::StrCat("it does not allow ", ToAbsl(NameOf(access)), " ", block.ToString()));
  }
  // A signed expiry is one the namenode wrote, so the difference cannot overflow by an attacker's choice.
  if (now.ms > grant.expires.ms && now.ms - grant.expires.ms > kSkewMs) {
    return Bad(absl::StrCat("it expired ", now.ms - grant.expires.ms,
                            " ms ago; ask the namenode for the block's locations again"));
  }
  return absl::OkStatus();
}

}  // namespace dolmen
