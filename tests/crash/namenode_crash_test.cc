// kill -9 of the namenode under a load of create, mkdir, rename, delete, concat and setReplication (F-040, F-044). The
// expected state lives in this process, outside of the victim: what was acknowledged must be there, what was refused
// must not, and a call that was under way when the namenode died gets its one true answer from the restarted one (C-9).
//
//   crash.namenode_crash_test [--cycles=20] [--seed=N]
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "common/error.h"
#include "common/fault_point.h"
#include "common/mutex.h"
#include "common/random.h"
#include "tests/support/arguments.h"
#include "tests/support/external_cluster.h"
#include "tests/support/whole_file.h"

namespace dolmen::testing {
namespace {

constexpr int kWorkers = 8;
constexpr uint64_t kOperationsBetweenKills = 1000;

uint64_t cycles = 20;
uint64_t seed = 0;  // 0: drawn

// One client with a directory of its own, and what that directory must hold. The namenode's answers are checked too:
// an operation executed twice would answer false or "exists" the second time.
class Worker {
 public:
  Worker(int number, std::unique_ptr<FileSystemClient> client)
      : directory_(absl::StrCat("/worker", number)), client_(std::move(client)), random_(seed + number + 1) {}

  absl::Status Prepare() { return client_->Mkdirs(directory_); }

  // One random operation; an error here is a broken promise.
  absl::Status Step() {
    const uint64_t choice = random_.Uniform(25);
    if (choice < 8 || names_.empty()) return CreateFile("");
    if (choice < 10) return MakeDirectory();
    if (choice < 16) return RenameOne();
    if (choice < 20) return DeleteOne();
    if (choice < 22) return CreateFile(random_.Bytes(random_.Between(1, 3 * kBlockBytes)));
    if (choice < 24) return ConcatSome();
    return SetReplicationOfOne();
  }

  // The namenode's listing, and the bytes that concat moved, against what is expected.
  absl::Status Verify() {
    std::map<std::string, FileStatus> found;
    absl::Status listed = client_->List(directory_, [&](const FileStatus& entry) {
      found[entry.name] = entry;
      return true;
    });
    if (!listed.ok()) return listed;
    for (const auto& [name, entry] : names_) {
      const auto status = found.find(name);
      if (status == found.end()) return absl::DataLossError(absl::StrCat("acknowledged ", Path(name), " is lost"));
      if (entry.is_directory) continue;
      if (status->second.replication != entry.replication) {
        return absl::DataLossError(
            absl::StrCat(Path(name), " has replication ", status->second.replication, ", not ", entry.replication));
      }
      if (entry.is_unsure) continue;
      if (status->second.length != entry.content.size()) {
        return absl::DataLossError(
            absl::StrCat(Path(name), " has ", status->second.length, " bytes instead of ", entry.content.size()));
      }
      if (!entry.is_concatenated) continue;
      DOLMEN_ASSIGN_OR_RETURN(const std::string content, ReadWhole(*client_, Path(name)));
      if (content != entry.content) return absl::DataLossError(absl::StrCat(Path(name), " has other bytes"));
    }
    for (const auto& [name, status] : found)
      if (!names_.contains(name)) return absl::DataLossError(absl::StrCat(Path(name), " should not exist"));
    return absl::OkStatus();
  }
  size_t size() const { return names_.size(); }
  uint64_t concatenated() const { return concatenated_; }
  uint64_t refused() const { return refused_; }

 private:
  static constexpr uint64_t kBlockBytes = 512;
  struct Entry {
    bool is_directory = false;
    uint32_t replication = 1;
    std::string content;
    bool is_unsure = false;  // its write failed: it may have any front of its bytes
    bool is_concatenated = false;
  };

  std::string Fresh() { return absl::StrCat("n", ++last_name_); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Pick() {
    auto at = names_.lower_bound(absl::StrCat("n", random_.Uniform(last_name_ + 1)));
    return at == names_.end() ? names_.begin()->first : at->first;
  }
  // While the namenode waits for the datanode after its start it refuses everything, and nothing was done.
  static bool IsRefusedForNow(const absl::Status& status) { return ReasonOf(status) == ErrorReason::kSafeMode; }
  absl::Status Failed(const absl::Status& status, const std::string& what) {
    if (!IsRefusedForNow(status)) return Annotate(status, what);
    ++refused_;
    return absl::OkStatus();
  }

  absl::Status CreateFile(std::string content) {
    const std::string name = Fresh();
    auto out = client_->Create(Path(name), {.replication = 1, .block_bytes = kBlockBytes});
    if (!out.ok()) return Failed(out.status(), "create " + Path(name));
    names_[name] = {.content = std::move(content)};
    Entry& entry = names_[name];
    absl::Status written = entry.content.empty() ? absl::OkStatus() : (*out)->Write(entry.content);
    if (written.ok()) written = (*out)->Close();
    if (written.ok()) return absl::OkStatus();
    entry.is_unsure = true;
    // The datanode may not be back yet.
    const ErrorReason reason = ReasonOf(written);
    const bool honest = IsRefusedForNow(written) || reason == ErrorReason::kNoDatanodes ||
                        reason == ErrorReason::kNotReplicatedYet || reason == ErrorReason::kPipelineFailed;
    if (!honest) return Annotate(written, "write " + Path(name));
    ++refused_;
    return absl::OkStatus();
  }
  absl::Status MakeDirectory() {
    const std::string name = Fresh();
    if (absl::Status made = client_->Mkdirs(Path(name)); !made.ok()) return Failed(made, "mkdirs " + Path(name));
    names_[name] = {.is_directory = true};
    return absl::OkStatus();
  }
  absl::Status RenameOne() {
    const std::string from = Pick();
    const std::string to = Fresh();
    auto renamed = client_->Rename(Path(from), Path(to));
    if (!renamed.ok()) return Failed(renamed.status(), "rename " + Path(from));
    if (!*renamed)
      return absl::DataLossError(absl::StrCat("rename of ", Path(from), " answered false: executed twice or lost"));
    auto entry = names_.extract(from);
    entry.key() = to;
    names_.insert(std::move(entry));
    return absl::OkStatus();
  }
  absl::Status DeleteOne() {
    const std::string name = Pick();
    auto deleted = client_->Delete(Path(name), true);
    if (!deleted.ok()) return Failed(deleted.status(), "delete " + Path(name));
    if (!*deleted)
      return absl::DataLossError(absl::StrCat("delete of ", Path(name), " answered false: executed twice or lost"));
    names_.erase(name);
    return absl::OkStatus();
  }
  // Two or three files that have bytes: the first takes those of the others.
  absl::Status ConcatSome() {
    std::vector<std::string> names;
    for (const auto& [name, entry] : names_) {
      if (names.size() == 3) break;
      if (!entry.is_directory && !entry.is_unsure && !entry.content.empty() && random_.OneIn(2)) names.push_back(name);
    }
    if (names.size() < 2) return CreateFile(random_.Bytes(1));
    std::vector<std::string> sources;
    for (size_t i = 1; i < names.size(); ++i) sources.push_back(Path(names[i]));
    if (absl::Status done = client_->Concat(Path(names[0]), sources); !done.ok())
      return Failed(done, "concat " + Path(names[0]));
    Entry& target = names_[names[0]];
    target.is_concatenated = true;
    for (size_t i = 1; i < names.size(); ++i) {
      target.content += names_[names[i]].content;
      names_.erase(names[i]);
    }
    ++concatenated_;
    return absl::OkStatus();
  }
  absl::Status SetReplicationOfOne() {
    const std::string name = Pick();
    Entry& entry = names_[name];
    const uint32_t replication = static_cast<uint32_t>(random_.Between(1, 3));
    auto done = client_->SetReplication(Path(name), replication);
    if (!done.ok()) return Failed(done.status(), "set replication of " + Path(name));
    if (*done == entry.is_directory) return absl::DataLossError(absl::StrCat("setReplication of ", Path(name)));
    if (*done) entry.replication = replication;
    return absl::OkStatus();
  }

  const std::string directory_;
  const std::unique_ptr<FileSystemClient> client_;
  Random random_;
  uint64_t last_name_ = 0;
  uint64_t concatenated_ = 0;
  uint64_t refused_ = 0;
  std::map<std::string, Entry> names_;
};

// Workers on threads, stopped between two operations for verification.
class Load {
 public:
  explicit Load(const ExternalCluster& cluster) {
    ClientOptions options;
    options.connect_timeout = std::chrono::seconds(60);
    for (int i = 0; i < kWorkers; ++i) workers_.push_back(std::make_unique<Worker>(i, cluster.Connect(options)));
  }
  ~Load() { Pause(); }

  absl::Status Prepare() {
    for (auto& worker : workers_)
      if (absl::Status prepared = worker->Prepare(); !prepared.ok()) return prepared;
    return absl::OkStatus();
  }
  void Resume() {
    running_ = true;
    for (auto& worker : workers_) {
      threads_.emplace_back([this, &worker] {
        while (running_) {
          const uint64_t refused = worker->refused();
          if (absl::Status step = worker->Step(); !step.ok()) {
            MutexLock lock(&mutex_);
            failure_.Update(step);
            return;
          }
          if (worker->refused() == refused) ++acknowledged_;
        }
      });
    }
  }
  void Pause() {
    running_ = false;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  absl::Status failure() {
    MutexLock lock(&mutex_);
    return failure_;
  }
  absl::Status Verify() {
    for (auto& worker : workers_)
      if (absl::Status verified = worker->Verify(); !verified.ok()) return verified;
    return absl::OkStatus();
  }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t concatenated() const {
    uint64_t sum = 0;
    for (const auto& worker : workers_) sum += worker->concatenated();
    return sum;
  }
  size_t names() const {
    size_t sum = 0;
    for (const auto& worker : workers_) sum += worker->size();
    return sum;
  }

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> running_{false};
  std::atomic<uint64_t> acknowledged_{0};
  Mutex mutex_;
  absl::Status failure_;
};

TEST(NamenodeCrash, NothingAcknowledgedIsLostAndNothingIsDoneTwice) {
  if (seed == 0) seed = SeedFromOs() % 1'000'000;
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  ExternalCluster::Options options{.datanodes = 1};
  options.namenode_flags.push_back("--namenode-default-replication=1");
  ExternalCluster cluster(options);
  ASSERT_TRUE(cluster.Start());
  Load load(cluster);
  ASSERT_TRUE(load.Prepare().ok());

  // Each window of the commit is opened in turn by a fault point that ends the process there; every other cycle is a
  // plain kill -9 at a random moment.
  const std::vector<std::string> windows = {"namenode.commit.before_log", "namenode.commit.after_log",
                                            "namenode.commit.after_sync", "namenode.commit.before_reply"};
  std::map<std::string, int> kills;
  Random random(seed);
  for (uint64_t cycle = 0; cycle < cycles; ++cycle) {
    const bool at_fault_point = cycle % 2 == 1;
    const std::string window = windows[(cycle / 2) % windows.size()];
    const uint64_t before = load.acknowledged();
    load.Resume();
    ASSERT_TRUE(
        Eventually([&] { return load.acknowledged() - before >= kOperationsBetweenKills || !load.failure().ok(); },
                   std::chrono::seconds(120)))
        << "only " << load.acknowledged() - before << " operations in cycle " << cycle;
    ASSERT_TRUE(load.failure().ok()) << load.failure();
    cluster.KillNamenode();
    if (at_fault_point) {
      // Up again with the trap set, under the same load; it dies there, then comes back for good.
      cluster.LaunchNamenode({{"DOLMEN_FAULT_POINTS", absl::StrCat(window, "=exit@", random.Between(2, 200))}});
      const std::optional<int> status = cluster.namenode().Wait(std::chrono::seconds(60));
      ASSERT_TRUE(status.has_value()) << "the fault point " << window << " was never reached";
      ASSERT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == kInjectedExitCode) << *status;
      ++kills[window];
    } else {
      ++kills["kill -9"];
    }
    ASSERT_TRUE(cluster.StartNamenode());
    ASSERT_TRUE(cluster.WaitWritable(1));
    load.Pause();
    ASSERT_TRUE(load.failure().ok()) << "cycle " << cycle << ": " << load.failure();
    const absl::Status verified = load.Verify();
    ASSERT_TRUE(verified.ok()) << "cycle " << cycle << ": " << verified;
  }
  printf("namenode crash cycles: %llu, operations acknowledged: %llu, %llu of them concat, names at the end: %zu\n",
         static_cast<unsigned long long>(cycles), static_cast<unsigned long long>(load.acknowledged()),
         static_cast<unsigned long long>(load.concatenated()), load.names());
  EXPECT_GT(load.concatenated(), 0u);
  for (const auto& [window, count] : kills) printf("  %-32s %d\n", window.c_str(), count);
  if (cycles >= 2 * windows.size()) {
    for (const std::string& window : windows) EXPECT_GT(kills[window], 0) << window << " was never hit";
  }
}

// A copy under way waits for the namenode to be back and out of safe mode, which it enters at every start.
TEST(NamenodeCrash, PuttingATreeGoesOnAfterARestart) {
  ExternalCluster::Options options{.datanodes = 3};
  options.namenode_flags.push_back("--namenode-safe-mode-extension-ms=2000");
  ExternalCluster cluster(options);
  ASSERT_TRUE(cluster.Start());
  const std::string tree = cluster.directory() + "/tree", back = cluster.directory() + "/back";
  constexpr int kFiles = 1500;
  for (int i = 0; i < kFiles; ++i) {
    const std::string directory = absl::StrCat(tree, "/d", i / 100);
    std::filesystem::create_directories(directory);
    std::ofstream(absl::StrCat(directory, "/f", i)) << "file " << i << std::string(i, '.');
  }
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {ExternalCluster::Binary("dolmen"), "dfs", "-fs", cluster.uri()});
    return std::make_unique<ChildProcess>(words, cluster.Log("shell"));
  };
  const auto client = cluster.Connect();
  const auto put = run({"-put", tree, "/tree"});
  ASSERT_TRUE(Eventually([&] { return client->GetFileInfo("/tree/d1").value_or(std::nullopt).has_value(); },
                         std::chrono::seconds(60)));
  cluster.KillNamenode();
  ASSERT_TRUE(put->Running()) << "the copy was through before the kill";
  ASSERT_TRUE(cluster.StartNamenode());
  const std::optional<int> status = put->Wait(std::chrono::seconds(120));
  ASSERT_TRUE(status.has_value() && WIFEXITED(*status) && WEXITSTATUS(*status) == 0)
      << ExternalCluster::ReadFile(cluster.Log("shell"));
  ASSERT_EQ(run({"-get", "/tree", back})->Wait(std::chrono::seconds(60)), 0);
  ChildProcess compare({"/usr/bin/diff", "-r", tree, back}, cluster.Log("diff"));
  EXPECT_EQ(compare.Wait(std::chrono::seconds(60)), 0) << ExternalCluster::ReadFile(cluster.Log("diff"));
}

}  // namespace
}  // namespace dolmen::testing

int main(int argc, char** argv) {
  return dolmen::testing::RunAllTestsWith(argc, argv,
                                          {{"cycles", &dolmen::testing::cycles}, {"seed", &dolmen::testing::seed}});
}
