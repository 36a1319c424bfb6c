#include "common/md5.h"

#include <openssl/evp.h>

#include "common/check.h"

namespace dolmen {

struct Md5::Context {
  EVP_MD_CTX* const evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Md5::Md5() : context_(std::make_unique<Context>()) {
  DOLMEN_CHECK(context_->evp != nullptr && EVP_DigestInit_ex(context_->evp, EVP_md5(), nullptr) == 1,
               "OpenSSL has no MD5");
}

Md5::~Md5() = default;

void Md5::Update(std::string_view bytes) {
  DOLMEN_CHECK(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1, "MD5 failed");
}

std::string Md5::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  DOLMEN_CHECK(EVP_DigestFinal_ex(context_->evp, digest, &size) == 1 && size == kMd5Bytes, "MD5 failed");
  return std::string(reinterpret_cast<const char*>(digest), size);
}

}  // namespace dolmen
