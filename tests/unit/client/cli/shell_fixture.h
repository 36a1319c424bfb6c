// A shell on a fake file system: run command lines, look at what they print.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/app.h"
#include "client/cli/command_text.h"
#include "tests/support/fake_file_system_client.h"

namespace dolmen::cli {

struct Printed {
  int code = 0;
  std::string out;
  std::string err;
};

class ShellFixture : public ::testing::Test {
 protected:
  ShellFixture() {
    setenv("TZ", "UTC", 1);
    tzset();
  }

  // Splits at spaces; `input` is standard input.
  Printed Run(std::string_view line, std::string_view input = {}) {
    std::vector<std::string> words;
    std::istringstream stream{std::string(line)};
    for (std::string word; stream >> word;) words.push_back(word);
    return RunWords(std::move(words), input);
  }

  Printed RunWords(std::vector<std::string> words, std::string_view input = {}) {
    int pipe_fds[2];
    if (pipe(pipe_fds) != 0) return {};
    // Small inputs fit into the pipe.
    if (write(pipe_fds[1], input.data(), input.size()) != static_cast<ssize_t>(input.size())) ADD_FAILURE();
    close(pipe_fds[1]);
    std::ostringstream out;
    std::ostringstream err;
    const App app{
        .connector = [this](std::string_view uri, const ClientOptions& options) { return Connect(uri, options); },
        .environment = [this](const char* name) -> const char* {
          const auto found = environment_.find(name);
          return found == environment_.end() ? nullptr : found->second.c_str();
        },
        .streams = {.out = out, .err = err, .input_fd = pipe_fds[0], .output_fd = output_fd_, .terminal = terminal_},
        .version = "1.2.3",
        .run_daemon =
            [this](const std::string& program, const std::vector<std::string>& args) {
              daemon_ = {program};
              daemon_.insert(daemon_.end(), args.begin(), args.end());
              return 42;
            },
        .catch_interrupts = [this] { return &interrupted_; },
        .sleep =
            [this](std::chrono::milliseconds time) {
              slept_.push_back(time);
              if (while_asleep_) while_asleep_();
            }};
    const int code = RunApp(app, std::move(words));
    close(pipe_fds[0]);
    return Printed{code, out.str(), err.str()};
  }

  void ExpectRun(std::string_view line, int code, std::string_view out, std::string_view err) {
    const Printed printed = Run(line);
    EXPECT_EQ(printed.out, out) << line;
    EXPECT_EQ(printed.err, err) << line;
    EXPECT_EQ(printed.code, code) << line;
  }
  // A usage error: the message, the list of commands, the command's usage; 255.
  void ExpectUsage(std::string_view line, std::string_view first_line, const char* command) {
    const Printed printed = Run(line);
    EXPECT_EQ(printed.err, std::string(first_line) + "\n" + CommandList(/*help=*/false) +
                               (command == nullptr ? "" : UsageLine(*FindCommandText(command))))
        << line;
    EXPECT_EQ(printed.out, "") << line;
    EXPECT_EQ(printed.code, 255) << line;
  }

  // Commands in a row keep one file system; the session owns only a handle to it.
  absl::StatusOr<std::unique_ptr<FileSystemClient>> Connect(std::string_view uri, const ClientOptions& options);

  testing::FakeFileSystemClient fs_;
  std::vector<std::string> connected_;
  ClientOptions client_options_;
  std::map<std::string, std::string> environment_;
  std::vector<std::string> daemon_;
  std::atomic<bool> interrupted_{false};
  std::vector<std::chrono::milliseconds> slept_;  // instead of really sleeping
  std::function<void()> while_asleep_;
  int output_fd_ = -1;  // not owned, as `terminal_`
  int terminal_ = -1;
};

// Forwards to a file system that outlives it.
class BorrowedClient final : public FileSystemClient {
 public:
  BorrowedClient(FileSystemClient& fs, std::string authority) : fs_(fs), authority_(std::move(authority)) {}
  absl::Status Mkdirs(const std::string& path, uint16_t permission, bool parents) override {
    return fs_.Mkdirs(path, permission, parents);
  }
  absl::StatusOr<std::unique_ptr<OutputStream>> Create(const std::string& path, const CreateOptions& options) override {
    return fs_.Create(path, options);
  }
  absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path) override { return fs_.Open(path); }
  absl::StatusOr<std::unique_ptr<OutputStream>> Append(const std::string& path, const AppendOptions& options) override {
    return fs_.Append(path, options);
  }
  absl::StatusOr<bool> Truncate(const std::string& path, uint64_t length) override {
    return fs_.Truncate(path, length);
  }
  absl::Status Concat(const std::string& target, const std::vector<std::string>& sources) override {
    return fs_.Concat(target, sources);
  }
  absl::StatusOr<bool> SetReplication(const std::string& path, uint32_t replication) override {
    return fs_.SetReplication(path, replication);
  }
  absl::StatusOr<bool> RecoverLease(const std::string& path) override { return fs_.RecoverLease(path); }
  absl::StatusOr<bool> IsFileClosed(const std::string& path) override { return fs_.IsFileClosed(path); }
  absl::StatusOr<ContentSummary> GetContentSummary(const std::string& path) override {
    return fs_.GetContentSummary(path);
  }
  absl::StatusOr<FileChecksum> GetFileChecksum(const std::string& path, uint64_t length) override {
    return fs_.GetFileChecksum(path, length);
  }
  absl::Status ListOpenFiles(const std::string& path, const std::function<bool(const OpenFile&)>& visit) override {
    return fs_.ListOpenFiles(path, visit);
  }
  absl::Status CheckFiles(const std::string& path, const std::function<bool(const CheckedEntry&)>& visit) override {
    return fs_.CheckFiles(path, visit);
  }
  absl::StatusOr<bool> Rename(const std::string& a, const std::string& b) override { return fs_.Rename(a, b); }
  absl::Status RenameExact(const std::string& a, const std::string& b, bool overwrite) override {
    return fs_.RenameExact(a, b, overwrite);
  }
  absl::StatusOr<bool> Delete(const std::string& path, bool recursive) override { return fs_.Delete(path, recursive); }
  absl::StatusOr<std::optional<FileStatus>> GetFileInfo(const std::string& path) override {
    return fs_.GetFileInfo(path);
  }
  absl::Status List(const std::string& path, const std::function<bool(const FileStatus&)>& visit) override {
    return fs_.List(path, visit);
  }
  absl::StatusOr<std::vector<BlockLocation>> GetBlockLocations(const std::string& path, uint64_t offset,
                                                               uint64_t length) override {
    return fs_.GetBlockLocations(path, offset, length);
  }
  absl::Status SetPermission(const std::string& path, uint16_t mode) override { return fs_.SetPermission(path, mode); }
  absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group) override {
    return fs_.SetOwner(path, owner, group);
  }
  absl::Status SetTimes(const std::string& path, std::optional<int64_t> modified,
                        std::optional<int64_t> accessed) override {
    return fs_.SetTimes(path, modified, accessed);
  }
  absl::StatusOr<ClusterStats> GetStats() override { return fs_.GetStats(); }
  absl::StatusOr<std::vector<DatanodeReport>> GetDatanodeReport() override { return fs_.GetDatanodeReport(); }
  absl::StatusOr<DatanodeLocalInfo> GetDatanodeLocalInfo(const std::string& address) override {
    return fs_.GetDatanodeLocalInfo(address);
  }
  absl::StatusOr<ServerDefaults> GetServerDefaults() override { return fs_.GetServerDefaults(); }
  absl::StatusOr<bool> SetSafeMode(SafeMode action) override { return fs_.SetSafeMode(action); }
  const std::string& user() const override { return fs_.user(); }
  std::string HomeDirectory() const override { return fs_.HomeDirectory(); }
  const std::string& authority() const override { return authority_; }

 private:
  FileSystemClient& fs_;
  const std::string authority_;
};

inline absl::StatusOr<std::unique_ptr<FileSystemClient>> ShellFixture::Connect(std::string_view uri,
                                                                               const ClientOptions& options) {
  connected_.emplace_back(uri);
  client_options_ = options;
  return std::make_unique<BorrowedClient>(fs_, std::string(uri.substr(uri.find("//") + 2)));
}

}  // namespace dolmen::cli
