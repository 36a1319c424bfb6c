// Much data: files of mixed sizes and a tree of many small files, written and read back by several threads, then again
// after a kill -9 of all processes. What a file holds is a function of its path and the offset, so nothing is
// remembered but the sizes, and those are a function of the seed.
//
//   crash.bulk_test [--bytes=67108864] [--files=1000] [--threads=8] [--seed=1]
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <thread>

#include "common/mutex.h"
#include "common/random.h"
#include "tests/crash/read_back.h"
#include "tests/support/arguments.h"
#include "tests/support/external_cluster.h"

namespace dolmen::testing {
namespace {

constexpr int kDatanodes = 3;
constexpr uint64_t kLargestFile = uint64_t{1} << 30;
constexpr uint64_t kFilesPerDirectory = 100;
constexpr std::chrono::minutes kRestartLimit{5};

uint64_t bytes = 64 << 20;
uint64_t files = 1000;
uint64_t threads = 8;
uint64_t seed = 1;

struct File {
  std::string path;
  uint64_t size = 0;
};

// Sizes from 1 byte to 1 GiB, every order of magnitude as often as any other, until the sum is reached.
std::vector<File> BigFiles() {
  Random random(seed);
  std::vector<File> list;
  const double largest = std::log(static_cast<double>(std::min(kLargestFile, std::max<uint64_t>(bytes / 4, 2))));
  for (uint64_t left = bytes; left > 0;) {
    const uint64_t size = std::min(left, static_cast<uint64_t>(std::exp(random.Fraction() * largest)));
    list.push_back({absl::StrCat("/bulk/big/file", list.size()), size});
    left -= size;
  }
  return list;
}
// Mostly empty to 4 KiB, some to 64 KiB; three levels of directories.
std::vector<File> TreeFiles() {
  Random random(seed + 1);
  std::vector<File> list;
  for (uint64_t i = 0; i < files; ++i) {
    const uint64_t directory = i / kFilesPerDirectory;
    const uint64_t size = random.OneIn(50) ? random.Uniform(64 << 10) : random.Uniform(4 << 10);
    list.push_back({absl::StrCat("/bulk/tree/", directory / 100, "/", directory % 100, "/file", i), size});
  }
  return list;
}
uint64_t SizeOf(const std::vector<File>& list) {
  uint64_t sum = 0;
  for (const File& file : list) sum += file.size;
  return sum;
}

class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }

 private:
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

void Print(const char* what, const std::vector<File>& list, double seconds) {
  const double megabytes = static_cast<double>(SizeOf(list)) / 1e6;
  printf("%-34s %7zu files %10.1f MB %8.1f s %8.1f MB/s %8.1f files/s\n", what, list.size(), megabytes, seconds,
         megabytes / seconds, static_cast<double>(list.size()) / seconds);
  fflush(stdout);
}

// Does `work` for every file, on several threads; the first error stops all.
absl::Status ForEach(const std::vector<File>& list, uint64_t thread_count,
                     const std::function<absl::Status(const File&)>& work) {
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  Mutex mutex;
  absl::Status failure;
  std::vector<std::thread> workers;
  for (uint64_t i = 0; i < thread_count; ++i) {
    workers.emplace_back([&] {
      for (size_t at = next++; at < list.size() && !failed; at = next++) {
        absl::Status done = work(list[at]);
        if (done.ok()) continue;
        failed = true;
        MutexLock lock(&mutex);
        failure.Update(Annotate(done, list[at].path));
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  return failure;
}

absl::Status WriteFile(FileSystemClient& client, const File& file) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<OutputStream> out, client.Create(file.path, {}));
  const Pattern pattern = Pattern::Of(file.path);
  constexpr uint64_t kPiece = 1 << 20;
  for (uint64_t at = 0; at < file.size; at += kPiece)
    DOLMEN_RETURN_IF_ERROR(out->Write(pattern.Bytes(at, std::min(kPiece, file.size - at))));
  return out->Close();
}

// What the directories list against what was written: every name, its length, and nothing else.
absl::Status CheckListings(FileSystemClient& client, const std::string& directory,
                           std::map<std::string, uint64_t>* left) {
  std::vector<std::string> directories;
  absl::Status wrong;
  DOLMEN_RETURN_IF_ERROR(client.List(directory, [&](const FileStatus& entry) {
    const std::string path = absl::StrCat(directory, "/", entry.name);
    if (entry.is_directory) {
      directories.push_back(path);
      return true;
    }
    const auto expected = left->find(path);
    if (expected == left->end() || expected->second != entry.length || entry.under_construction) {
      wrong = absl::DataLossError(absl::StrCat(path, " is listed with ", entry.length, " bytes"));
      return false;
    }
    left->erase(expected);
    return true;
  }));
  DOLMEN_RETURN_IF_ERROR(wrong);
  for (const std::string& one : directories) DOLMEN_RETURN_IF_ERROR(CheckListings(client, one, left));
  return absl::OkStatus();
}

class Bulk : public ::testing::Test {
 protected:
  void Compare(const char* when) {
    for (const std::vector<File>* list : {&big_, &tree_}) {
      const Stopwatch watch;
      const absl::Status same = ForEach(*list, threads, [&](const File& file) {
        return ExpectContent(*client_, file.path, Pattern::Of(file.path), file.size);
      });
      ASSERT_TRUE(same.ok()) << when << ": " << same;
      Print(absl::StrCat(when, list == &big_ ? ": mixed sizes" : ": tree").c_str(), *list, watch.Seconds());
    }
    std::map<std::string, uint64_t> left;
    for (const std::vector<File>* list : {&big_, &tree_})
      for (const File& file : *list) left[file.path] = file.size;
    const size_t count = left.size();
    const Stopwatch watch;
    const absl::Status listed = CheckListings(*client_, "/bulk", &left);
    ASSERT_TRUE(listed.ok()) << when << ": " << listed;
    ASSERT_TRUE(left.empty()) << when << ": " << left.size() << " files are not listed, e.g. " << left.begin()->first;
    printf("%s: all %zu names and lengths listed in %.1f s\n", when, count, watch.Seconds());
  }

  const std::vector<File> big_ = BigFiles();
  const std::vector<File> tree_ = TreeFiles();
  std::unique_ptr<FileSystemClient> client_;
};

TEST_F(Bulk, EverythingComesBackAlsoAfterAllProcessesWereKilled) {
  ExternalCluster cluster({.datanodes = kDatanodes});
  // Each file of the tree takes a block of the local file system for its data and one for its checksums.
  const uint64_t needed = kDatanodes * (bytes + bytes / 64 + SizeOf(tree_) + files * (12 << 10)) + (uint64_t{1} << 30);
  const uint64_t available = std::filesystem::space(cluster.directory()).available;
  ASSERT_GE(available, needed) << "three replicas need " << needed << " bytes of free space in " << cluster.directory()
                               << "; set TMPDIR to a larger disk or give a smaller --bytes";
  ASSERT_TRUE(cluster.Start());
  client_ = cluster.Connect();

  for (const std::vector<File>* list : {&big_, &tree_}) {
    const Stopwatch watch;
    const absl::Status written = ForEach(*list, threads, [&](const File& file) { return WriteFile(*client_, file); });
    ASSERT_TRUE(written.ok()) << written;
    Print(list == &big_ ? "written: mixed sizes" : "written: tree", *list, watch.Seconds());
  }
  ASSERT_NO_FATAL_FAILURE(Compare("read back"));

  for (int i = 0; i < kDatanodes; ++i) cluster.datanode(i).Signal(SIGKILL);
  cluster.KillNamenode();
  for (int i = 0; i < kDatanodes; ++i) cluster.KillDatanode(i);
  const Stopwatch restart;
  ASSERT_TRUE(cluster.StartNamenode());
  const double namenode = restart.Seconds();
  for (int i = 0; i < kDatanodes; ++i) ASSERT_TRUE(cluster.StartDatanode(i));
  ASSERT_TRUE(cluster.WaitWritable(kDatanodes, kRestartLimit));
  printf("all processes killed; the namenode answers after %.1f s, the cluster can be written to after %.1f s\n",
         namenode, restart.Seconds());
  ASSERT_NO_FATAL_FAILURE(Compare("after the kill"));

  ClusterStats stats;
  EXPECT_TRUE(Eventually(
      [&] {
        auto answer = client_->GetStats();
        if (answer.ok()) stats = *answer;
        return answer.ok() && stats.under_replicated_blocks + stats.missing_blocks + stats.corrupt_blocks == 0;
      },
      kRestartLimit))
      << stats.under_replicated_blocks << " blocks under-replicated, " << stats.missing_blocks << " missing, "
      << stats.corrupt_blocks << " corrupt";
  EXPECT_EQ(stats.files, big_.size() + tree_.size());
}

}  // namespace
}  // namespace dolmen::testing

int main(int argc, char** argv) {
  using namespace dolmen::testing;
  return RunAllTestsWith(argc, argv, {{"bytes", &bytes}, {"files", &files}, {"threads", &threads}, {"seed", &seed}});
}
