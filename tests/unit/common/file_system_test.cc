// One contract, three filesystems.
#include "common/file_system.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <map>
#include <memory>

#include "common/error.h"
#include "common/faulty_file_system.h"
#include "common/memory_file_system.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "tests/support/temp_dir.h"

namespace dolmen {
namespace {

enum class Kind { kPosix, kMemory, kFaultyOverMemory, kTrackingOverPosix };

std::string KindName(const ::testing::TestParamInfo<Kind>& info) {
  static const char* const kNames[] = {"Posix", "Memory", "FaultyOverMemory", "TrackingOverPosix"};
  return kNames[static_cast<int>(info.param)];
}

class FileSystemTest : public ::testing::TestWithParam<Kind> {
 protected:
  FileSystemTest() {
    switch (GetParam()) {
      case Kind::kPosix:
        base_ = MakePosixFileSystem();
        break;
      case Kind::kMemory:
        base_ = std::make_unique<MemoryFileSystem>();
        break;
      case Kind::kFaultyOverMemory:
        base_ = std::make_unique<MemoryFileSystem>();
        faulty_ = std::make_unique<FaultyFileSystem>(base_.get(), 1);
        break;
      case Kind::kTrackingOverPosix:
        base_ = MakePosixFileSystem();
        faulty_ = std::make_unique<FaultyFileSystem>(base_.get(), 1);
        faulty_->EnablePowerLossTracking();
        break;
    }
    EXPECT_TRUE(fs().CreateDirectories(Path("")).ok());
  }

  FileSystem& fs() { return faulty_ != nullptr ? *faulty_ : *base_; }
  std::string Path(const std::string& name) const { return JoinPath(dir_.path() + "/root", name); }

  std::unique_ptr<File> Open(const std::string& name, OpenMode mode = OpenMode::kCreateOrOpen) {
    absl::StatusOr<std::unique_ptr<File>> file = fs().Open(Path(name), mode);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  void Write(const std::string& name, std::string_view content) { EXPECT_TRUE(Open(name)->WriteAt(0, content).ok()); }
  std::string Read(const std::string& name) {
    const absl::StatusOr<std::string> content = ReadWholeFile(fs(), Path(name));
    return content.ok() ? *content : std::string(MessageOf(content.status()));
  }
  std::vector<std::string> List(const std::string& name) { return fs().List(Path(name)).value(); }
  bool Exists(const std::string& name) { return fs().Exists(Path(name)).value(); }

  TempDir dir_;
  std::unique_ptr<FileSystem> base_;
  std::unique_ptr<FaultyFileSystem> faulty_;
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemTest,
                         ::testing::Values(Kind::kPosix, Kind::kMemory, Kind::kFaultyOverMemory,
                                           Kind::kTrackingOverPosix),
                         KindName);

TEST_P(FileSystemTest, ReadsBackWhatWasWritten) {
  const std::unique_ptr<File> file = Open("f", OpenMode::kCreateNew);
  EXPECT_TRUE(file->WriteAt(0, "hello world").ok());
  EXPECT_TRUE(file->WriteAt(6, "there").ok());
  EXPECT_TRUE(file->Sync().ok());
  file->StartWriteback(0, 5);
  EXPECT_EQ(Read("f"), "hello there");
  EXPECT_EQ(file->Size().value(), 11u);
  EXPECT_EQ(fs().FileSize(Path("f")).value(), 11u);
}

TEST_P(FileSystemTest, ReadsShortOnlyAtTheEnd) {
  Write("f", "0123456789");
  const std::unique_ptr<File> file = Open("f", OpenMode::kRead);
  std::string out(6, '.');
  EXPECT_EQ(file->ReadAt(2, out).value(), 6u);
  EXPECT_EQ(out, "234567");
  EXPECT_EQ(file->ReadAt(8, out).value(), 2u);
  EXPECT_EQ(out.substr(0, 2), "89");
  EXPECT_EQ(file->ReadAt(10, out).value(), 0u);
  EXPECT_EQ(file->ReadAt(1000, out).value(), 0u);
  EXPECT_EQ(file->ReadAt(0, std::span<char>()).value(), 0u);
}

TEST_P(FileSystemTest, WritesPiecesOneAfterAnother) {
  const std::unique_ptr<File> file = Open("f");
  std::vector<std::string> parts(300);
  std::vector<std::string_view> pieces;
  std::string expected = "..";
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i] = std::string(i % 5, static_cast<char>('a' + i % 26));  // some are empty
    pieces.push_back(parts[i]);
    expected += parts[i];
  }
  EXPECT_TRUE(file->WriteAt(0, "..").ok());
  EXPECT_TRUE(file->WriteAt(2, std::span<const std::string_view>(pieces)).ok());
  EXPECT_EQ(Read("f"), expected);
  EXPECT_TRUE(file->WriteAt(0, std::span<const std::string_view>()).ok());
  const std::vector<std::string_view> empty(100);
  EXPECT_TRUE(file->WriteAt(1 << 20, std::span<const std::string_view>(empty)).ok());
  EXPECT_EQ(file->Size().value(), expected.size());
}

TEST_P(FileSystemTest, WritingPastTheEndLeavesZeros) {
  const std::unique_ptr<File> file = Open("f");
  EXPECT_TRUE(file->WriteAt(3, "x").ok());
  EXPECT_EQ(Read("f"), std::string("\0\0\0x", 4));
}

TEST_P(FileSystemTest, TruncateCutsAndGrows) {
  Write("f", "abcdef");
  const std::unique_ptr<File> file = Open("f", OpenMode::kReadWrite);
  EXPECT_TRUE(file->Truncate(2).ok());
  EXPECT_EQ(Read("f"), "ab");
  EXPECT_TRUE(file->Truncate(4).ok());
  EXPECT_EQ(Read("f"), std::string("ab\0\0", 4));
}

TEST_P(FileSystemTest, OpenModesKeepTheirPromises) {
  EXPECT_EQ(ReasonOf(fs().Open(Path("f"), OpenMode::kRead).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(fs().Open(Path("f"), OpenMode::kReadWrite).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(fs().Open(Path("no/f"), OpenMode::kCreateNew).status()), ErrorReason::kFileNotFound);
  Write("f", "x");
  const absl::Status exists = fs().Open(Path("f"), OpenMode::kCreateNew).status();
  EXPECT_EQ(ReasonOf(exists), ErrorReason::kFileAlreadyExists);
  EXPECT_TRUE(absl::IsAlreadyExists(exists));
  EXPECT_EQ(Open("f", OpenMode::kCreateOrOpen)->Size().value(), 1u);
  EXPECT_EQ(ReasonOf(Open("f", OpenMode::kRead)->WriteAt(0, "y")), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(fs().Open(Path("f/g"), OpenMode::kCreateNew).status()), ErrorReason::kIo);
}

TEST_P(FileSystemTest, ErrorsNameCallAndPath) {
  const absl::Status status = fs().Open(Path("missing"), OpenMode::kRead).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(MessageOf(status), "open " + Path("missing") + ": No such file or directory");
}

TEST_P(FileSystemTest, DirectoriesAreNotFiles) {
  EXPECT_TRUE(fs().CreateDirectories(Path("d")).ok());
  Write("f", "");
  for (const OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite, OpenMode::kCreateOrOpen}) {
    EXPECT_EQ(ReasonOf(fs().Open(Path("d"), mode).status()), ErrorReason::kIo);
  }
  EXPECT_EQ(ReasonOf(fs().FileSize(Path("d")).status()), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(fs().RemoveFile(Path("d"))), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(fs().RemoveDirectory(Path("f"))), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(fs().List(Path("f")).status()), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(fs().Rename(Path("f"), Path("d"))), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(fs().Rename(Path("d"), Path("f"))), ErrorReason::kIo);
  EXPECT_EQ(List(""), (std::vector<std::string>{"d", "f"}));
}

TEST_P(FileSystemTest, RenameReplacesAndKeepsOpenFilesUsable) {
  Write("old", "old");
  Write("new", "new");
  const std::unique_ptr<File> replaced = Open("old", OpenMode::kReadWrite);
  const std::unique_ptr<File> moved = Open("new", OpenMode::kReadWrite);
  EXPECT_TRUE(fs().Rename(Path("new"), Path("old")).ok());
  EXPECT_EQ(Read("old"), "new");
  EXPECT_FALSE(Exists("new"));
  EXPECT_TRUE(moved->WriteAt(3, "er").ok());
  EXPECT_TRUE(replaced->WriteAt(0, "XXX").ok());
  EXPECT_EQ(Read("old"), "newer");
  EXPECT_EQ(replaced->Size().value(), 3u);
  EXPECT_EQ(ReasonOf(fs().Rename(Path("new"), Path("x"))), ErrorReason::kFileNotFound);
  EXPECT_TRUE(fs().Rename(Path("old"), Path("old")).ok());
  EXPECT_EQ(Read("old"), "newer");
}

TEST_P(FileSystemTest, RenameMovesDirectoriesWithTheirContent) {
  EXPECT_TRUE(fs().CreateDirectories(Path("a/b")).ok());
  EXPECT_TRUE(fs().CreateDirectories(Path("c")).ok());
  Write("a/b/f", "x");
  EXPECT_TRUE(fs().Rename(Path("a"), Path("c/d")).ok());
  EXPECT_EQ(Read("c/d/b/f"), "x");
  EXPECT_FALSE(Exists("a"));
  EXPECT_EQ(ReasonOf(fs().Rename(Path("c"), Path("c/d/e"))), ErrorReason::kIo);
  EXPECT_TRUE(fs().CreateDirectories(Path("empty")).ok());
  EXPECT_EQ(ReasonOf(fs().Rename(Path("empty"), Path("c"))), ErrorReason::kIo);
  EXPECT_TRUE(fs().Rename(Path("c"), Path("empty")).ok());
  EXPECT_EQ(Read("empty/d/b/f"), "x");
}

TEST_P(FileSystemTest, RemovedFilesStayReadableWhileOpen) {
  Write("f", "still here");
  const std::unique_ptr<File> file = Open("f", OpenMode::kReadWrite);
  EXPECT_TRUE(fs().RemoveFile(Path("f")).ok());
  EXPECT_FALSE(Exists("f"));
  EXPECT_EQ(ReasonOf(fs().RemoveFile(Path("f"))), ErrorReason::kFileNotFound);
  EXPECT_TRUE(file->WriteAt(0, "S").ok());
  std::string out(10, '.');
  EXPECT_EQ(file->ReadAt(0, out).value(), 10u);
  EXPECT_EQ(out, "Still here");
  EXPECT_EQ(Open("f", OpenMode::kCreateNew)->Size().value(), 0u);
}

TEST_P(FileSystemTest, DirectoriesAreCreatedWithTheirParentsAndRemovedWhenEmpty) {
  EXPECT_TRUE(fs().CreateDirectories(Path("a/b/c")).ok());
  EXPECT_TRUE(fs().CreateDirectories(Path("a/b/c/")).ok());
  EXPECT_EQ(List("a/b"), std::vector<std::string>{"c"});
  EXPECT_EQ(ReasonOf(fs().RemoveDirectory(Path("a/b"))), ErrorReason::kIo);
  EXPECT_TRUE(fs().RemoveDirectory(Path("a/b/c")).ok());
  EXPECT_EQ(ReasonOf(fs().RemoveDirectory(Path("a/b/c"))), ErrorReason::kFileNotFound);
  Write("f", "");
  EXPECT_EQ(ReasonOf(fs().CreateDirectories(Path("f"))), ErrorReason::kFileAlreadyExists);
  EXPECT_EQ(ReasonOf(fs().CreateDirectories(Path("f/g"))), ErrorReason::kIo);
}

TEST_P(FileSystemTest, ADirectoryWithRemovedFilesIsEmpty) {
  EXPECT_TRUE(fs().CreateDirectories(Path("d")).ok());
  Write("d/f", "x");
  EXPECT_TRUE(fs().RemoveFile(Path("d/f")).ok());
  EXPECT_EQ(List("d"), std::vector<std::string>{});
  EXPECT_TRUE(fs().RemoveDirectory(Path("d")).ok());
  EXPECT_FALSE(Exists("d"));
}

TEST_P(FileSystemTest, ListsNamesInByteOrder) {
  for (const char* name : {"b", "a", "B", "10", "9", "\xC3\xA9", "a b"}) Write(name, "");
  EXPECT_EQ(List(""), (std::vector<std::string>{"10", "9", "B", "a", "a b", "b", "\xC3\xA9"}));
  EXPECT_EQ(ReasonOf(fs().List(Path("missing")).status()), ErrorReason::kFileNotFound);
}

TEST_P(FileSystemTest, ExistsIsTrueForFilesAndDirectories) {
  Write("f", "");
  EXPECT_TRUE(Exists("f"));
  EXPECT_TRUE(Exists(""));
  EXPECT_FALSE(Exists("g"));
  EXPECT_FALSE(Exists("f/g"));
}

TEST_P(FileSystemTest, SyncDirectoryNeedsADirectory) {
  EXPECT_TRUE(fs().SyncDirectory(Path("")).ok());
  EXPECT_EQ(ReasonOf(fs().SyncDirectory(Path("missing"))), ErrorReason::kFileNotFound);
}

TEST_P(FileSystemTest, SpaceIsPlausible) {
  const absl::StatusOr<DiskSpace> space = fs().Space(Path(""));
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_GT(space->capacity_bytes, 0u);
  EXPECT_LE(space->available_bytes, space->capacity_bytes);
}

TEST_P(FileSystemTest, ALockIsHeldOnceUntilItIsReleased) {
  absl::StatusOr<std::unique_ptr<FileLock>> lock = fs().Lock(Path("LOCK"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(ReasonOf(fs().Lock(Path("LOCK")).status()), ErrorReason::kBusy);
  EXPECT_TRUE(fs().Lock(Path("OTHER")).ok());
  lock->reset();
  EXPECT_TRUE(fs().Lock(Path("LOCK")).ok());
  EXPECT_TRUE(Exists("LOCK"));
}

TEST_P(FileSystemTest, WholeFilesAreReplacedDurably) {
  EXPECT_TRUE(WriteFileDurably(fs(), Path("config"), "first version").ok());
  EXPECT_TRUE(WriteFileDurably(fs(), Path("config"), "second").ok());
  EXPECT_EQ(Read("config"), "second");
  EXPECT_EQ(List(""), std::vector<std::string>{"config"});
  EXPECT_EQ(ReasonOf(WriteFileDurably(fs(), Path("no/config"), "x")), ErrorReason::kFileNotFound);
}

// Random operations against a map; all filesystems must agree with it.
TEST_P(FileSystemTest, AgreesWithAModelOverRandomOperations) {
  Random random(77);
  std::map<std::string, std::string> model;
  for (int step = 0; step < 600; ++step) {
    const std::string name = std::string(1, static_cast<char>('a' + random.Uniform(5)));
    const std::string other = std::string(1, static_cast<char>('a' + random.Uniform(5)));
    const bool present = model.contains(name);
    switch (random.Uniform(6)) {
      case 0:
      case 1: {
        const std::string data = random.Bytes(random.Uniform(2000));
        const uint64_t offset = random.Uniform(3000);
        const std::unique_ptr<File> file = Open(name);
        ASSERT_TRUE(file->WriteAt(offset, data).ok());
        std::string& expected = model[name];
        if (!data.empty()) expected.resize(std::max(expected.size(), offset + data.size()));
        expected.replace(std::min<size_t>(offset, expected.size()), data.size(), data);
        if (random.OneIn(3)) {
          ASSERT_TRUE(file->Sync().ok());
        }
        break;
      }
      case 2:
        ASSERT_EQ(fs().Rename(Path(name), Path(other)).ok(), present);
        if (present && name != other) {
          model[other] = std::move(model[name]);
          model.erase(name);
        }
        break;
      case 3:
        ASSERT_EQ(fs().RemoveFile(Path(name)).ok(), present);
        model.erase(name);
        break;
      case 4:
        if (present) {
          const uint64_t size = random.Uniform(3000);
          ASSERT_TRUE(Open(name)->Truncate(size).ok());
          model[name].resize(size);
        }
        break;
      default:
        ASSERT_TRUE(fs().SyncDirectory(Path("")).ok());
        break;
    }
    std::vector<std::string> names;
    for (const auto& [expected_name, content] : model) {
      names.push_back(expected_name);
      ASSERT_EQ(Read(expected_name), content) << "step " << step;
    }
    ASSERT_EQ(List(""), names) << "step " << step;
  }
}

TEST(Paths, AreJoinedAndSplit) {
  EXPECT_EQ(JoinPath("/a", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/a/", "b"), "/a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
  EXPECT_EQ(DirectoryOf("/a/b"), "/a");
  EXPECT_EQ(DirectoryOf("/a/b/"), "/a");
  EXPECT_EQ(DirectoryOf("/a"), "/");
  EXPECT_EQ(DirectoryOf("/"), "/");
  EXPECT_EQ(DirectoryOf("a"), ".");
}

TEST(PosixFileSystemTest, TooManyOpenFilesAreBusyAndNoFaultOfTheDisk) {
  const TempDir directory;
  const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
  const std::string path = JoinPath(directory.path(), "file");
  ASSERT_TRUE(fs->Open(path, OpenMode::kCreateNew).ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status opened = fs->Open(path, OpenMode::kRead).status();
  const absl::Status synced = fs->SyncDirectory(directory.path());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(ReasonOf(opened), ErrorReason::kBusy) << opened;
  EXPECT_EQ(ReasonOf(synced), ErrorReason::kBusy) << synced;
  EXPECT_TRUE(fs->Open(path, OpenMode::kRead).ok());
}

}  // namespace
}  // namespace dolmen
