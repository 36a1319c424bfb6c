#include "common/faulty_file_system.h"

#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <map>
#include <thread>

#include "common/error.h"
#include "common/memory_file_system.h"
#include "common/posix_file_system.h"
#include "tests/support/temp_dir.h"

namespace dolmen {
namespace {

class FaultyRules : public ::testing::Test {
 protected:
  std::unique_ptr<File> Open(const std::string& path) {
    absl::StatusOr<std::unique_ptr<File>> file = fs_.Open(path, OpenMode::kCreateOrOpen);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }

  MemoryFileSystem base_;
  FaultyFileSystem fs_{&base_, 1};
};

TEST_F(FaultyRules, TheNthMatchingCallFailsAsOftenAsAsked) {
  const std::unique_ptr<File> data = Open("/blk_1");
  const std::unique_ptr<File> meta = Open("/blk_1.meta");
  const int rule = fs_.AddRule({.operation = FileOperation::kWrite, .path_contains = ".meta", .skip = 1, .times = 2});
  EXPECT_TRUE(data->WriteAt(0, "x").ok());
  EXPECT_TRUE(meta->WriteAt(0, "x").ok());
  EXPECT_EQ(fs_.fired(rule), 0u);
  const absl::Status failed = meta->WriteAt(0, "y");
  EXPECT_EQ(ReasonOf(failed), ErrorReason::kIo);
  EXPECT_NE(MessageOf(failed).find("/blk_1.meta: Input/output error"), std::string_view::npos);
  EXPECT_FALSE(meta->WriteAt(0, "y").ok());
  EXPECT_TRUE(data->WriteAt(0, "x").ok());
  EXPECT_EQ(ReadWholeFile(base_, "/blk_1.meta").value(), "x") << "a refused write does nothing";
  EXPECT_TRUE(meta->WriteAt(0, "y").ok());
  EXPECT_EQ(fs_.fired(rule), 2u);
  EXPECT_EQ(fs_.fired_total(), 2u);
}

TEST_F(FaultyRules, EveryOperationCanFail) {
  const std::unique_ptr<File> file = Open("/f");
  char byte = 0;
  const std::vector<std::pair<FileOperation, std::function<absl::Status()>>> calls = {
      {FileOperation::kOpen, [&] { return fs_.Open("/f", OpenMode::kRead).status(); }},
      {FileOperation::kRead, [&] { return file->ReadAt(0, std::span<char>(&byte, 1)).status(); }},
      {FileOperation::kWrite, [&] { return file->WriteAt(0, "x"); }},
      {FileOperation::kSync, [&] { return file->Sync(); }},
      {FileOperation::kTruncate, [&] { return file->Truncate(0); }},
      {FileOperation::kRename, [&] { return fs_.Rename("/f", "/f"); }},
      {FileOperation::kRemove, [&] { return fs_.RemoveFile("/f"); }},
      {FileOperation::kSyncDirectory, [&] { return fs_.SyncDirectory("/"); }},
      {FileOperation::kList, [&] { return fs_.List("/").status(); }},
      {FileOperation::kLock, [&] { return fs_.Lock("/L").status(); }},
      {FileOperation::kSpace, [&] { return fs_.Space("/").status(); }},
      {FileOperation::kCreateDirectory, [&] { return fs_.CreateDirectories("/d"); }},
  };
  for (const auto& [operation, call] : calls) {
    for (const auto& [fault, reason] :
         {std::pair(FileFault::kNoSpace, ErrorReason::kNoSpace), std::pair(FileFault::kBusy, ErrorReason::kBusy)}) {
      const int rule = fs_.AddRule({.operation = operation, .fault = fault});
      EXPECT_EQ(ReasonOf(call()), reason) << static_cast<int>(operation);
      EXPECT_EQ(fs_.fired(rule), 1u);
    }
  }
  for (const auto& [operation, call] : calls) {
    if (operation != FileOperation::kRename && operation != FileOperation::kRemove) {
      EXPECT_TRUE(call().ok()) << static_cast<int>(operation);
    }
  }
}

TEST_F(FaultyRules, ShortWritesLeaveHalf) {
  const std::unique_ptr<File> file = Open("/f");
  fs_.AddRule({.operation = FileOperation::kWrite, .fault = FileFault::kShortWrite});
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "12345678")), ErrorReason::kIo);
  EXPECT_EQ(ReadWholeFile(base_, "/f").value(), "1234");
}

TEST_F(FaultyRules, FlippedBitsAreOnTheDiskOrOnlyInTheAnswer) {
  const auto distance = [](std::string_view a, std::string_view b) {
    int bits = 0;
    for (size_t i = 0; i < a.size(); ++i) bits += std::popcount(static_cast<unsigned char>(a[i] ^ b[i]));
    return bits;
  };
  const std::string data(1000, 'd');
  const std::unique_ptr<File> file = Open("/f");
  ASSERT_TRUE(file->WriteAt(0, data).ok());
  fs_.AddRule({.operation = FileOperation::kRead, .fault = FileFault::kFlipBit});
  EXPECT_EQ(distance(ReadWholeFile(fs_, "/f").value(), data), 1);
  EXPECT_EQ(ReadWholeFile(fs_, "/f").value(), data);
  fs_.AddRule({.operation = FileOperation::kWrite, .fault = FileFault::kFlipBit});
  const std::string_view pieces[] = {std::string_view(data).substr(0, 400), std::string_view(data).substr(400)};
  ASSERT_TRUE(file->WriteAt(0, std::span<const std::string_view>(pieces)).ok());
  EXPECT_EQ(distance(ReadWholeFile(base_, "/f").value(), data), 1);
}

TEST_F(FaultyRules, ClearedRulesFireNoMoreAndKeepTheirCounts) {
  const int rule = fs_.AddRule({.operation = FileOperation::kOpen, .times = 100});
  EXPECT_FALSE(fs_.Open("/f", OpenMode::kCreateNew).ok());
  fs_.ClearRules();
  EXPECT_TRUE(fs_.Open("/f", OpenMode::kCreateNew).ok());
  EXPECT_EQ(fs_.fired(rule), 1u);
  EXPECT_EQ(fs_.fired_total(), 1u);
}

TEST_F(FaultyRules, DelaysLetTheCallPass) {
  fs_.AddRule({.operation = FileOperation::kOpen, .fault = FileFault::kDelay, .delay_ms = 20});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(fs_.Open("/f", OpenMode::kCreateNew).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(20));
}

TEST_F(FaultyRules, AreSharedByThreads) {
  TempDir dir;
  const std::unique_ptr<FileSystem> posix = MakePosixFileSystem();
  FaultyFileSystem shared(posix.get(), 1);
  const int rule = shared.AddRule({.operation = FileOperation::kWrite, .skip = 100, .times = 50});
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const auto file = shared.Open(dir.File(std::to_string(t)), OpenMode::kCreateNew).value();
      for (int i = 0; i < 100; ++i) failures += file->WriteAt(0, "x").ok() ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 50);
  EXPECT_EQ(shared.fired(rule), 50u);
}

// DropUnsynced over a real disk.
class PowerLossTracking : public ::testing::Test {
 protected:
  PowerLossTracking() { fs_.EnablePowerLossTracking(); }

  std::string Path(const std::string& name) const { return dir_.File(name); }
  void Write(const std::string& name, std::string_view content, bool sync) {
    const auto file = fs_.Open(Path(name), OpenMode::kCreateOrOpen).value();
    EXPECT_TRUE(file->WriteAt(0, content).ok());
    if (sync) {
      EXPECT_TRUE(file->Sync().ok());
    }
  }
  void SyncNames(const std::string& name = "") { EXPECT_TRUE(fs_.SyncDirectory(Path(name)).ok()); }
  void LosePower() {
    const absl::Status dropped = fs_.DropUnsynced();
    EXPECT_TRUE(dropped.ok()) << dropped;
  }
  // Of the disk itself: nothing hidden may remain.
  std::vector<std::string> Names(const std::string& name = "") { return posix_->List(Path(name)).value(); }
  std::string Read(const std::string& name) {
    const absl::StatusOr<std::string> content = ReadWholeFile(*posix_, Path(name));
    return content.ok() ? *content : "missing";
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> posix_ = MakePosixFileSystem();
  FaultyFileSystem fs_{posix_.get(), 1};
};

TEST_F(PowerLossTracking, SyncedFilesWithSyncedNamesStay) {
  Write("f", "data", true);
  SyncNames();
  LosePower();
  EXPECT_EQ(Read("f"), "data");
}

TEST_F(PowerLossTracking, FilesWithoutASyncedNameVanish) {
  Write("f", "data", true);
  LosePower();
  EXPECT_EQ(Names(), std::vector<std::string>{});
}

TEST_F(PowerLossTracking, UnsyncedContentGoesBackToTheLastSync) {
  Write("f", "0123456789", true);
  SyncNames();
  const auto file = fs_.Open(Path("f"), OpenMode::kReadWrite).value();
  EXPECT_TRUE(file->WriteAt(2, "abc").ok());
  EXPECT_TRUE(file->WriteAt(4, "XYZ").ok());
  EXPECT_TRUE(file->Truncate(5).ok());
  EXPECT_TRUE(file->WriteAt(3, "appended at the end").ok());
  EXPECT_EQ(Read("f"), "01aappended at the end");
  LosePower();
  EXPECT_EQ(Read("f"), "0123456789");
}

TEST_F(PowerLossTracking, ASyncedTruncationStays) {
  Write("f", "0123456789", true);
  SyncNames();
  const auto file = fs_.Open(Path("f"), OpenMode::kReadWrite).value();
  EXPECT_TRUE(file->Truncate(5).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->WriteAt(5, "x").ok());
  LosePower();
  EXPECT_EQ(Read("f"), "01234");
}

TEST_F(PowerLossTracking, AFailedSyncIsNotHealedByALaterOne) {
  Write("f", "old", true);
  SyncNames();
  const auto file = fs_.Open(Path("f"), OpenMode::kReadWrite).value();
  EXPECT_TRUE(file->WriteAt(0, "new").ok());
  fs_.AddRule({.operation = FileOperation::kSync});
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_TRUE(file->Sync().ok());
  LosePower();
  EXPECT_EQ(Read("f"), "old");
}

TEST_F(PowerLossTracking, RenamesAndRemovalsAreUndoneUntilTheDirectoryIsSynced) {
  for (const char* name : {"a", "b", "gone"}) Write(name, name, true);
  SyncNames();
  EXPECT_TRUE(fs_.Rename(Path("a"), Path("b")).ok());
  EXPECT_TRUE(fs_.RemoveFile(Path("gone")).ok());
  EXPECT_TRUE(fs_.Rename(Path("b"), Path("c")).ok());
  EXPECT_EQ(fs_.List(Path("")).value(), std::vector<std::string>{"c"});
  LosePower();
  EXPECT_EQ(Names(), (std::vector<std::string>{"a", "b", "gone"}));
  for (const char* name : {"a", "b", "gone"}) EXPECT_EQ(Read(name), name);

  EXPECT_TRUE(fs_.Rename(Path("a"), Path("b")).ok());
  EXPECT_TRUE(fs_.RemoveFile(Path("gone")).ok());
  SyncNames();
  LosePower();
  EXPECT_EQ(Names(), std::vector<std::string>{"b"});
  EXPECT_EQ(Read("b"), "a");
}

TEST_F(PowerLossTracking, UnsyncedBytesOfARenamedOrRemovedFileAreUndoneWithIt) {
  Write("a", "synced", true);
  Write("b", "SYNCED", true);
  SyncNames();
  Write("a", "dirty!", false);
  Write("b", "DIRTY!", false);
  EXPECT_TRUE(fs_.Rename(Path("a"), Path("c")).ok());
  EXPECT_TRUE(fs_.RemoveFile(Path("b")).ok());
  LosePower();
  EXPECT_EQ(Names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Read("a"), "synced");
  EXPECT_EQ(Read("b"), "SYNCED");
}

TEST_F(PowerLossTracking, ARenameBetweenDirectoriesIsStableOnceEitherIsSynced) {
  EXPECT_TRUE(fs_.CreateDirectories(Path("rbw")).ok());
  EXPECT_TRUE(fs_.CreateDirectories(Path("final")).ok());
  SyncNames();
  Write("rbw/blk_1", "data", true);
  EXPECT_TRUE(fs_.Rename(Path("rbw/blk_1"), Path("final/blk_1")).ok());
  SyncNames("final");
  LosePower();
  EXPECT_EQ(Names("rbw"), std::vector<std::string>{});
  EXPECT_EQ(Read("final/blk_1"), "data");
}

TEST_F(PowerLossTracking, AStableFileMovedIntoANewDirectoryIsNeverLost) {
  Write("f", "data", true);
  SyncNames();
  EXPECT_TRUE(fs_.CreateDirectories(Path("new/inner")).ok());
  EXPECT_TRUE(fs_.Rename(Path("f"), Path("new/inner/f")).ok());
  LosePower();
  EXPECT_EQ(Names(), std::vector<std::string>{"f"});
  EXPECT_TRUE(fs_.CreateDirectories(Path("new/inner")).ok());
  EXPECT_TRUE(fs_.Rename(Path("f"), Path("new/inner/f")).ok());
  SyncNames("new/inner");
  LosePower();
  EXPECT_EQ(Read("new/inner/f"), "data");
}

TEST_F(PowerLossTracking, ANewDirectoryTakesSyncedFilesAlong) {
  EXPECT_TRUE(fs_.CreateDirectories(Path("new/a")).ok());
  Write("new/a/f", "data", true);
  SyncNames("new/a");
  LosePower();
  EXPECT_EQ(Names(), std::vector<std::string>{});
}

TEST_F(PowerLossTracking, DirectoriesAreUndoneToo) {
  EXPECT_TRUE(fs_.CreateDirectories(Path("old/inner")).ok());
  SyncNames();
  SyncNames("old");
  EXPECT_TRUE(fs_.RemoveDirectory(Path("old/inner")).ok());
  EXPECT_TRUE(fs_.CreateDirectories(Path("new/a/b")).ok());
  Write("new/a/b/f", "x", true);
  EXPECT_TRUE(fs_.Rename(Path("new"), Path("moved")).ok());
  Write("moved/a/b/g", "y", false);
  LosePower();
  EXPECT_EQ(Names(), std::vector<std::string>{"old"});
  EXPECT_EQ(Names("old"), std::vector<std::string>{"inner"});
}

TEST_F(PowerLossTracking, GoesOnAfterALoss) {
  Write("f", "one", true);
  SyncNames();
  Write("f", "two", false);
  LosePower();
  Write("f", "six", true);
  Write("g", "lost", true);
  LosePower();
  EXPECT_EQ(Read("f"), "six");
  EXPECT_EQ(Names(), std::vector<std::string>{"f"});
}

// Random work with random syncs; after the loss everything equals a model that keeps only what was synced.
TEST_F(PowerLossTracking, AgreesWithAModelOfStableStorage) {
  struct Inode {
    std::string now;
    std::string stable;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  Random random(11);
  Names now;
  Names stable;
  for (int step = 0; step < 800; ++step) {
    const std::string name(1, static_cast<char>('a' + random.Uniform(4)));
    const std::string other(1, static_cast<char>('a' + random.Uniform(4)));
    switch (random.Uniform(8)) {
      case 0:
      case 1:
      case 2: {
        const auto file = fs_.Open(Path(name), OpenMode::kCreateOrOpen).value();
        auto& inode = now[name];
        if (inode == nullptr) inode = std::make_shared<Inode>();
        const uint64_t offset = random.Uniform(100);
        const std::string data = random.Bytes(1 + random.Uniform(100));
        ASSERT_TRUE(file->WriteAt(offset, data).ok());
        if (inode->now.size() < offset + data.size()) inode->now.resize(offset + data.size());
        inode->now.replace(offset, data.size(), data);
        if (random.OneIn(2)) {
          ASSERT_TRUE(file->Sync().ok());
          inode->stable = inode->now;
        }
        break;
      }
      case 3:
        if (now.contains(name) && name != other) {
          ASSERT_TRUE(fs_.Rename(Path(name), Path(other)).ok());
          now[other] = now[name];
          now.erase(name);
        }
        break;
      case 4:
        if (now.contains(name)) {
          ASSERT_TRUE(fs_.RemoveFile(Path(name)).ok());
          now.erase(name);
        }
        break;
      case 5:
        if (now.contains(name)) {
          const uint64_t size = random.Uniform(150);
          ASSERT_TRUE(fs_.Open(Path(name), OpenMode::kReadWrite).value()->Truncate(size).ok());
          now[name]->now.resize(size);
        }
        break;
      case 6:
        ASSERT_TRUE(fs_.SyncDirectory(dir_.path() + "/").ok());
        stable = now;
        break;
      default:
        if (!random.OneIn(5)) break;
        LosePower();
        now = stable;
        std::vector<std::string> names;
        for (const auto& [kept, inode] : now) {
          inode->now = inode->stable;
          names.push_back(kept);
          ASSERT_EQ(Read(kept), inode->now) << "step " << step;
        }
        ASSERT_EQ(this->Names(), names) << "step " << step;
        break;
    }
  }
}

}  // namespace
}  // namespace dolmen
