// MD5, by OpenSSL: for HDFS's file checksums only, which are defined by it. Protects against nobody.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace dolmen {

inline constexpr size_t kMd5Bytes = 16;

// Of all bytes given to Update, in order. One thread only; one use.
class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(const Md5&) = delete;
  Md5& operator=(const Md5&) = delete;

  void Update(std::string_view bytes);
  std::string Finish();  // kMd5Bytes

 private:
  struct Context;
  const std::unique_ptr<Context> context_;
};

}  // namespace dolmen
