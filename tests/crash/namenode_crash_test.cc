// kill -9 of the namenode under a load of create, mkdir, rename and delete (F-040, F-044). The expected state lives in
// this process, outside of the victim: what was acknowledged must be there, what was refused must not, and a call that
// was under way when the namenode died gets its one true answer from the restarted one (C-9).
//
//   crash.namenode_crash_test [--cycles=20] [--seed=N]
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "common/error.h"
#include "common/fault_point.h"
#include "common/mutex.h"
#include "common/random.h"
#include "tests/support/arguments.h"
#include "tests/support/external_cluster.h"

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
    const uint64_t choice = random_.Uniform(10);
    if (choice < 4 || names_.empty()) return CreateFile();
    if (choice < 5) return MakeDirectory();
    if (choice < 8) return RenameOne();
    return DeleteOne();
  }

  // The namenode's listing against the expected names.
  absl::Status Verify() {
    std::set<std::string> found;
    absl::Status listed = client_->List(directory_, [&](const FileStatus& entry) {
      found.insert(entry.name);
      return true;
    });
    if (!listed.ok()) return listed;
    for (const auto& [name, is_directory] : names_)
      if (!found.contains(name))
        return absl::DataLossError(absl::StrCat("acknowledged ", directory_, "/", name, " is lost"));
    for (const std::string& name : found)
      if (!names_.contains(name)) return absl::DataLossError(absl::StrCat(directory_, "/", name, " should not exist"));
    return absl::OkStatus();
  }
  size_t size() const { return names_.size(); }

 private:
  std::string Fresh() { return absl::StrCat("n", ++last_name_); }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Pick() {
    auto at = names_.lower_bound(absl::StrCat("n", random_.Uniform(last_name_ + 1)));
    return at == names_.end() ? names_.begin()->first : at->first;
  }

  absl::Status CreateFile() {
    const std::string name = Fresh();
    auto out = client_->Create(Path(name), {});
    if (!out.ok()) return Annotate(out.status(), "create " + Path(name));
    names_[name] = false;
    return Annotate((*out)->Close(), "close " + Path(name));
  }
  absl::Status MakeDirectory() {
    const std::string name = Fresh();
    if (absl::Status made = client_->Mkdirs(Path(name)); !made.ok()) return Annotate(made, "mkdirs " + Path(name));
    names_[name] = true;
    return absl::OkStatus();
  }
  absl::Status RenameOne() {
    const std::string from = Pick();
    const std::string to = Fresh();
    auto renamed = client_->Rename(Path(from), Path(to));
    if (!renamed.ok()) return Annotate(renamed.status(), "rename " + Path(from));
    if (!*renamed)
      return absl::DataLossError(absl::StrCat("rename of ", Path(from), " answered false: executed twice or lost"));
    names_[to] = names_[from];
    names_.erase(from);
    return absl::OkStatus();
  }
  absl::Status DeleteOne() {
    const std::string name = Pick();
    auto deleted = client_->Delete(Path(name), true);
    if (!deleted.ok()) return Annotate(deleted.status(), "delete " + Path(name));
    if (!*deleted)
      return absl::DataLossError(absl::StrCat("delete of ", Path(name), " answered false: executed twice or lost"));
    names_.erase(name);
    return absl::OkStatus();
  }

  const std::string directory_;
  const std::unique_ptr<FileSystemClient> client_;
  Random random_;
  uint64_t last_name_ = 0;
  std::map<std::string, bool> names_;
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
          if (absl::Status step = worker->Step(); !step.ok()) {
            MutexLock lock(&mutex_);
            failure_.Update(step);
            return;
          }
          ++acknowledged_;
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
  ExternalCluster cluster({.datanodes = 0});
  ASSERT_TRUE(cluster.StartNamenode());
  ASSERT_TRUE(cluster.WaitWritable(0));
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
    load.Pause();
    ASSERT_TRUE(load.failure().ok()) << "cycle " << cycle << ": " << load.failure();
    const absl::Status verified = load.Verify();
    ASSERT_TRUE(verified.ok()) << "cycle " << cycle << ": " << verified;
  }
  printf("namenode crash cycles: %llu, operations acknowledged: %llu, names at the end: %zu\n",
         static_cast<unsigned long long>(cycles), static_cast<unsigned long long>(load.acknowledged()), load.names());
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
  constexpr int kFiles = 600;
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
