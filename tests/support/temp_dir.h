// A directory of its own for a test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "common/check.h"

namespace dolmen {

// A fresh, empty, uniquely named directory; removed with all it holds by the destructor.
class TempDir {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "dolmen-test-XXXXXX").string()) {
    DOLMEN_CHECK(mkdtemp(path_.data()) != nullptr, path_);
  }
  ~TempDir() {
    std::error_code ignored;  // what cannot be removed is left behind; the test has its verdict already
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace dolmen
