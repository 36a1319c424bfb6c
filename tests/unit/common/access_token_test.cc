#include "common/access_token.h"

#include <gtest/gtest.h>

#include "common/error.h"

namespace dolmen {
namespace {

constexpr WallTime kNow{1'700'000'000'000};
constexpr int64_t kMinuteMs = 60'000;

TokenKey Key(uint64_t id = 7) { return {.id = id, .secret = "0123456789abcdef0123456789abcdef"}; }

TokenGrant ReadGrant() {
  return {.user = "hadoop",
          .block = kFirstBlockId,
          .accesses = static_cast<uint8_t>(BlockAccess::kRead),
          .expires = WallTime{kNow.ms + 10 * kMinuteMs}};
}

void ExpectRefused(const absl::Status& status, std::string_view why) {
  EXPECT_EQ(ReasonOf(status), ErrorReason::kBadToken) << status;
  EXPECT_NE(MessageOf(status).find(why), std::string_view::npos) << status;
}

TEST(AccessToken, AllowsWhatItGrants) {
  TokenGrant grant = ReadGrant();
  grant.accesses |= static_cast<uint8_t>(BlockAccess::kCopy);
  const std::string token = MintToken(Key(), grant);
  EXPECT_TRUE(VerifyToken(Key(), token, grant.block, BlockAccess::kRead, kNow).ok());
  EXPECT_TRUE(VerifyToken(Key(), token, grant.block, BlockAccess::kCopy, kNow).ok());
}

TEST(AccessToken, RefusesAnotherAccess) {
  ExpectRefused(VerifyToken(Key(), MintToken(Key(), ReadGrant()), kFirstBlockId, BlockAccess::kWrite, kNow), "writing");
}

TEST(AccessToken, RefusesAnotherBlock) {
  const BlockId other(kFirstBlockId.value() + kBlockIdStep);
  ExpectRefused(VerifyToken(Key(), MintToken(Key(), ReadGrant()), other, BlockAccess::kRead, kNow), other.ToString());
}

TEST(AccessToken, ExpiresAfterTheAllowedSkew) {
  const TokenGrant grant = ReadGrant();
  const std::string token = MintToken(Key(), grant);
  const WallTime last{grant.expires.ms + 5 * kMinuteMs};
  EXPECT_TRUE(VerifyToken(Key(), token, grant.block, BlockAccess::kRead, last).ok());
  ExpectRefused(VerifyToken(Key(), token, grant.block, BlockAccess::kRead, WallTime{last.ms + 1}), "expired");
}

TEST(AccessToken, RefusesAnotherKey) {
  const std::string token = MintToken(Key(), ReadGrant());
  ExpectRefused(VerifyToken(Key(8), token, kFirstBlockId, BlockAccess::kRead, kNow), "key 7");
  TokenKey forged = Key();
  forged.secret[0] = 'x';
  ExpectRefused(VerifyToken(forged, token, kFirstBlockId, BlockAccess::kRead, kNow), "signature");
}

TEST(AccessToken, RefusesEverySingleFlippedBit) {
  const std::string token = MintToken(Key(), ReadGrant());
  for (size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string changed = token;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    ExpectRefused(VerifyToken(Key(), changed, kFirstBlockId, BlockAccess::kRead, kNow), "refused");
  }
}

TEST(AccessToken, RefusesEveryCutAndAnythingAppended) {
  const std::string token = MintToken(Key(), ReadGrant());
  for (size_t size = 0; size < token.size(); ++size) {
    ExpectRefused(VerifyToken(Key(), token.substr(0, size), kFirstBlockId, BlockAccess::kRead, kNow), "refused");
  }
  ExpectRefused(VerifyToken(Key(), token + '\0', kFirstBlockId, BlockAccess::kRead, kNow), "refused");
}

TEST(AccessToken, IsRefusedWhileTheServerHasNoKey) {
  ExpectRefused(VerifyToken(TokenKey{}, MintToken(Key(), ReadGrant()), kFirstBlockId, BlockAccess::kRead, kNow),
                "no token key");
}

// RFC 4231 has no 32-byte key, so the value below was computed with another implementation (Python's hmac).
TEST(AccessToken, IsFieldsAndAnHmacOverThem) {
  const std::string token = MintToken(Key(), ReadGrant());
  ASSERT_EQ(token.size(), 1 + 1 + 7 + 8 + 1 + 8 + 32u);
  EXPECT_EQ(token.substr(0, 9), std::string("\x01\x07\x06hadoop"));
  std::string hex;
  for (const char c : token.substr(token.size() - 32)) {
    static constexpr char kHex[] = "0123456789abcdef";
    hex += kHex[static_cast<unsigned char>(c) >> 4];
    hex += kHex[static_cast<unsigned char>(c) & 15];
  }
  EXPECT_EQ(hex, "826e0183b1b104543af42729c21c60b03a728fd03c732fd1923c629702b44518");
}

}  // namespace
}  // namespace dolmen
