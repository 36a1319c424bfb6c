// A cluster of real processes for crash tests: one namenode and N datanodes, each of which can be killed and started
// again on its own directory and port.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "build_paths.h"
#include "client/dolmen/client.h"
#include "tests/support/child_process.h"
#include "tests/support/eventually.h"
#include "tests/support/free_port.h"
#include "tests/support/temp_dir.h"

namespace dolmen::testing {

// One thread only.
class ExternalCluster {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;
  struct Options {
    int datanodes = 3;
    // Test profile: short intervals, small blocks allowed.
    std::vector<std::string> namenode_flags = {
        "--namenode-heartbeat-interval-ms=100", "--namenode-stale-after-ms=1000",
        "--namenode-dead-after-ms=3000",        "--namenode-min-block-bytes=512",
        "--namenode-safe-mode-extension-ms=0",  "--namenode-redundancy-interval-ms=100",
        "--namenode-lease-soft-limit-ms=2000",  "--namenode-lease-hard-limit-ms=5000"};
    std::vector<std::string> datanode_flags;
  };

  explicit ExternalCluster(Options options) : options_(std::move(options)) {
    datanodes_.resize(options_.datanodes);
    // Chosen here: a port must still be free when its owner comes back.
    namenode_port_ = FreePort();
    for (int i = 0; i < options_.datanodes; ++i) datanode_ports_.push_back(FreePort());
    ChildProcess format({Binary("dolmen-namenode"), "--format", "--metadata-dir", MetadataDir()}, Log("format"));
    const std::optional<int> status = format.Wait(std::chrono::seconds(60));
    EXPECT_TRUE(status.has_value() && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << ReadFile(Log("format"));
  }

  // Starts what is not running and waits until the cluster can be written to.
  [[nodiscard]] bool Start(const Environment& namenode_environment = {}) {
    if (!StartNamenode(namenode_environment)) return false;
    for (int i = 0; i < options_.datanodes; ++i)
      if (!StartDatanode(i)) return false;
    return WaitWritable(options_.datanodes);
  }

  [[nodiscard]] bool StartNamenode(const Environment& environment = {}) {
    if (namenode_ && namenode_->Running()) return true;
    LaunchNamenode(environment);
    return WaitPort("namenode", namenode_.get(), &namenode_port_);
  }
  // Starts the process and does not wait: for one that may die while it starts.
  void LaunchNamenode(const Environment& environment) {
    std::filesystem::remove(PortFile("namenode"));
    std::vector<std::string> argv = {Binary("dolmen-namenode"),    "--metadata-dir", MetadataDir(),       "--port",
                                     absl::StrCat(namenode_port_), "--port-file",    PortFile("namenode")};
    argv.insert(argv.end(), options_.namenode_flags.begin(), options_.namenode_flags.end());
    namenode_ = std::make_unique<ChildProcess>(argv, Log("namenode"), environment);
  }
  [[nodiscard]] bool StartDatanode(int index, const Environment& environment = {}) {
    if (datanodes_[index] && datanodes_[index]->Running()) return true;
    LaunchDatanode(index, environment);
    return WaitPort(DatanodeName(index), datanodes_[index].get(), &datanode_ports_[index]);
  }
  // Starts the process and does not wait: for one that may die while it starts.
  void LaunchDatanode(int index, const Environment& environment) {
    const std::string name = DatanodeName(index);
    std::filesystem::remove(PortFile(name));
    std::vector<std::string> argv = {Binary("dolmen-datanode"),
                                     "--data-dirs",
                                     DataDir(index),
                                     "--namenode",
                                     absl::StrCat("127.0.0.1:", namenode_port_),
                                     "--port",
                                     absl::StrCat(datanode_ports_[index]),
                                     "--port-file",
                                     PortFile(name)};
    argv.insert(argv.end(), options_.datanode_flags.begin(), options_.datanode_flags.end());
    std::filesystem::create_directories(DataDir(index));
    datanodes_[index] = std::make_unique<ChildProcess>(argv, Log(name), environment);
  }
  void KillNamenode() { namenode_->Kill(); }
  void KillDatanode(int index) { datanodes_[index]->Kill(); }
  ChildProcess& namenode() { return *namenode_; }
  ChildProcess& datanode(int index) { return *datanodes_[index]; }

  // Its index; -1 when it is nobody's.
  int DatanodeWithPort(int port) const {
    const auto found = std::find(datanode_ports_.begin(), datanode_ports_.end(), port);
    return found == datanode_ports_.end() ? -1 : static_cast<int>(found - datanode_ports_.begin());
  }

  std::string uri() const { return absl::StrCat("dolmen://127.0.0.1:", namenode_port_); }
  std::unique_ptr<FileSystemClient> Connect(ClientOptions options = {}) const {
    auto client = FileSystemClient::Connect(uri(), std::move(options));
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
  // Safe mode off and `live` datanodes.
  [[nodiscard]] bool WaitWritable(int live, std::chrono::seconds limit = std::chrono::seconds(60)) const {
    std::unique_ptr<FileSystemClient> client = Connect();
    return Eventually(
        [&] {
          auto stats = client->GetStats();
          if (!stats.ok() || stats->safe_mode) return false;
          auto report = client->GetDatanodeReport();
          if (!report.ok()) return false;
          int count = 0;
          for (const DatanodeReport& node : *report) count += node.liveness == NodeLiveness::kLive ? 1 : 0;
          return count >= live;
        },
        limit);
  }

  std::string MetadataDir() const { return directory_.path() + "/metadata"; }
  std::string DataDir(int index) const { return absl::StrCat(directory_.path(), "/data", index); }
  std::string Log(const std::string& name) const { return directory_.path() + "/" + name + ".log"; }
  const std::string& directory() const { return directory_.path(); }
  static std::string Binary(const std::string& name) { return std::string(DOLMEN_BIN_DIR) + "/" + name; }
  static std::string ReadFile(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }

 private:
  static std::string DatanodeName(int index) { return absl::StrCat("datanode", index); }
  std::string PortFile(const std::string& name) const { return directory_.path() + "/" + name + ".port"; }
  bool WaitPort(const std::string& name, ChildProcess* process, int* port) {
    const bool bound = Eventually(
        [&] {
          const std::string text = ReadFile(PortFile(name));
          if (text.empty()) return !process->Running();
          *port = std::atoi(text.c_str());
          return true;
        },
        std::chrono::seconds(60));
    if (!bound || !process->Running()) {
      ADD_FAILURE() << name << " did not start:\n" << ReadFile(Log(name));
      return false;
    }
    return true;
  }

  const Options options_;
  TempDir directory_;
  int namenode_port_ = 0;
  std::vector<int> datanode_ports_;
  std::unique_ptr<ChildProcess> namenode_;
  std::vector<std::unique_ptr<ChildProcess>> datanodes_;
};

}  // namespace dolmen::testing
