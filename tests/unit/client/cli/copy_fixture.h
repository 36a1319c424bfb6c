// A shell on a fake file system and a directory of local files.
#pragma once

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/temp_dir.h"
#include "tests/unit/client/cli/shell_fixture.h"

namespace dolmen::cli {

class CopyFixture : public ShellFixture {
 protected:
  CopyFixture() { umask(022); }
  std::string Local(const std::string& name) const { return dir_.path() + "/" + name; }
  void WriteLocal(const std::string& name, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(Local(name)).parent_path());
    std::ofstream(Local(name), std::ios::binary) << content;
  }
  std::string ReadLocal(const std::string& name) const {
    std::ifstream in(Local(name), std::ios::binary);
    if (!in) return "(missing)";
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  std::vector<std::string> LocalNames() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      names.push_back(std::filesystem::relative(entry.path(), dir_.path()).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  // Gives another job the time to write that; returns all the same if none does. Once: a job reads more than once.
  void WaitOnceForLocal(const std::string& name, const std::string& content) {
    if (waited_.exchange(true)) return;
    for (int i = 0; i < 100 && ReadLocal(name) != content; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  // %s in the line and in what is expected is the local directory.
  void ExpectPrints(std::string line, int code, std::string out, std::string err, std::string_view input = {}) {
    for (std::string* text : {&line, &out, &err}) {
      for (size_t at = text->find("%s"); at != std::string::npos; at = text->find("%s")) {
        text->replace(at, 2, dir_.path());
      }
    }
    const Printed printed = Run(line, input);
    EXPECT_EQ(printed.out, out) << line;
    EXPECT_EQ(printed.err, err) << line;
    EXPECT_EQ(printed.code, code) << line;
  }
  void ExpectRun(std::string line, int code, std::string err, std::string_view input = {}) {
    ExpectPrints(std::move(line), code, "", std::move(err), input);
  }
  // A usage error: the message first, and 255.
  void ExpectUsage(const std::string& line, const std::string& message) {
    const Printed printed = Run(line);
    EXPECT_EQ(printed.out, "") << line;
    EXPECT_EQ(printed.err.substr(0, printed.err.find('\n')), message) << line;
    EXPECT_EQ(printed.code, 255) << line;
  }

  TempDir dir_;
  std::atomic<bool> waited_{false};
};

}  // namespace dolmen::cli
