#include "common/md5.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace dolmen {
namespace {

std::string Hex(const std::string& bytes) { return absl::BytesToHexString(bytes); }

// RFC 1321, appendix A.5.
TEST(Md5Test, GivesTheSpecifiedDigests) {
  EXPECT_EQ(Hex(Md5().Finish()), "d41d8cd98f00b204e9800998ecf8427e");
  Md5 abc;
  abc.Update("abc");
  EXPECT_EQ(Hex(abc.Finish()), "900150983cd24fb0d6963f7d28e17f72");
  Md5 digits;
  for (int i = 0; i < 8; ++i) digits.Update("1234567890");
  EXPECT_EQ(Hex(digits.Finish()), "57edf4a22be3c955ac49da2e2107b67a");
}

}  // namespace
}  // namespace dolmen
