// The power-loss model of MemoryFileSystem: what is synced stays, everything else may or may not.
#include <gtest/gtest.h>

#include <set>

#include "common/error.h"
#include "common/memory_file_system.h"

namespace dolmen {
namespace {

constexpr uint64_t kSeeds = 200;

std::unique_ptr<File> Open(FileSystem& fs, const std::string& path, OpenMode mode = OpenMode::kCreateOrOpen) {
  absl::StatusOr<std::unique_ptr<File>> file = fs.Open(path, mode);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

std::string Read(FileSystem& fs, const std::string& path) {
  const absl::StatusOr<std::string> content = ReadWholeFile(fs, path);
  return content.ok() ? *content : "missing";
}

// A file whose name is stable.
std::unique_ptr<File> StableFile(MemoryFileSystem& fs, const std::string& path) {
  std::unique_ptr<File> file = Open(fs, path);
  EXPECT_TRUE(fs.SyncDirectory(DirectoryOf(path)).ok());
  return file;
}

// What every seed leaves at `path` after `prepare` and a power loss.
template <typename Prepare>
std::set<std::string> Outcomes(const std::string& path, Prepare prepare) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    prepare(fs);
    Random random(seed);
    fs.PowerLoss(random);
    outcomes.insert(Read(fs, path));
  }
  return outcomes;
}

TEST(MemoryPowerLoss, SyncedContentOfASyncedNameIsNeverLost) {
  const auto outcomes = Outcomes("/f", [](MemoryFileSystem& fs) {
    const std::unique_ptr<File> file = StableFile(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, "first").ok());
    EXPECT_TRUE(file->WriteAt(5, " second").ok());
    EXPECT_TRUE(file->Sync().ok());
  });
  EXPECT_EQ(outcomes, std::set<std::string>{"first second"});
}

TEST(MemoryPowerLoss, UnsyncedWritesAreKeptOrDroppedIndependently) {
  const auto outcomes = Outcomes("/f", [](MemoryFileSystem& fs) {
    const std::unique_ptr<File> file = StableFile(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, "----").ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(file->WriteAt(0, "A").ok());
    EXPECT_TRUE(file->WriteAt(3, "B").ok());
  });
  EXPECT_EQ(outcomes, (std::set<std::string>{"----", "A---", "---B", "A--B"}));
}

TEST(MemoryPowerLoss, AHoleLeftByALostAppendReadsAsZeros) {
  const auto outcomes = Outcomes("/f", [](MemoryFileSystem& fs) {
    const std::unique_ptr<File> file = StableFile(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, "ab").ok());
    EXPECT_TRUE(file->WriteAt(2, "cd").ok());
  });
  EXPECT_TRUE(outcomes.contains("")) << "both lost";
  EXPECT_TRUE(outcomes.contains("abcd")) << "both kept";
  EXPECT_TRUE(outcomes.contains(std::string("\0\0cd", 4))) << "only the second kept";
  EXPECT_TRUE(outcomes.contains(std::string("ab\0\0", 4))) << "second lost, its size kept";
  EXPECT_FALSE(outcomes.contains("missing"));
}

TEST(MemoryPowerLoss, LargeWritesAreTornOnlyBetweenSectors) {
  bool torn = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    const std::unique_ptr<File> file = StableFile(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, std::string(4096, 'o')).ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(file->WriteAt(100, std::string(3000, 'n')).ok());
    Random random(seed);
    fs.PowerLoss(random);
    const std::string content = Read(fs, "/f");
    ASSERT_EQ(content.size(), 4096u);
    std::set<char> states;
    for (size_t sector = 0; sector < 8; ++sector) {
      const size_t begin = std::max<size_t>(sector * 512, 100);
      const size_t end = std::min<size_t>(sector * 512 + 512, 3100);
      if (begin >= end) continue;
      const std::string part = content.substr(begin, end - begin);
      EXPECT_EQ(part, std::string(part.size(), part[0])) << "sector " << sector << " is mixed, seed " << seed;
      states.insert(part[0]);
    }
    torn |= states.size() == 2;
    EXPECT_EQ(content.substr(0, 100), std::string(100, 'o'));
    EXPECT_EQ(content.substr(3100), std::string(996, 'o'));
  }
  EXPECT_TRUE(torn);
}

TEST(MemoryPowerLoss, AnUnsyncedTruncationMayBeUndone) {
  const auto prepare = [](MemoryFileSystem& fs) {
    const std::unique_ptr<File> file = StableFile(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, "abcdef").ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(file->Truncate(2).ok());
  };
  EXPECT_EQ(Outcomes("/f", prepare), (std::set<std::string>{"ab", "abcdef"}));
  EXPECT_EQ(Outcomes("/f",
                     [&](MemoryFileSystem& fs) {
                       prepare(fs);
                       EXPECT_TRUE(Open(fs, "/f")->Sync().ok());
                     }),
            std::set<std::string>{"ab"});
}

TEST(MemoryPowerLoss, ASyncedFileIsLostWithItsUnsyncedName) {
  const auto outcomes = Outcomes("/f", [](MemoryFileSystem& fs) {
    const std::unique_ptr<File> file = Open(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, "data").ok());
    EXPECT_TRUE(file->Sync().ok());
  });
  EXPECT_EQ(outcomes, (std::set<std::string>{"data", "missing"}));
}

TEST(MemoryPowerLoss, ANewDirectoryNeedsItsParentSynced) {
  const auto prepare = [](MemoryFileSystem& fs) {
    EXPECT_TRUE(fs.CreateDirectories("/a").ok());
    EXPECT_TRUE(WriteFileDurably(fs, "/a/f", "data").ok());
  };
  EXPECT_EQ(Outcomes("/a/f", prepare), (std::set<std::string>{"data", "missing"}));
  EXPECT_EQ(Outcomes("/a/f",
                     [&](MemoryFileSystem& fs) {
                       prepare(fs);
                       EXPECT_TRUE(fs.SyncDirectory("/").ok());
                     }),
            std::set<std::string>{"data"});
}

TEST(MemoryPowerLoss, ARemovalMayBeUndoneUntilItIsSynced) {
  const auto prepare = [](MemoryFileSystem& fs) {
    EXPECT_TRUE(WriteFileDurably(fs, "/f", "data").ok());
    EXPECT_TRUE(fs.RemoveFile("/f").ok());
  };
  EXPECT_EQ(Outcomes("/f", prepare), (std::set<std::string>{"data", "missing"}));
  EXPECT_EQ(Outcomes("/f",
                     [&](MemoryFileSystem& fs) {
                       prepare(fs);
                       EXPECT_TRUE(fs.SyncDirectory("/").ok());
                     }),
            std::set<std::string>{"missing"});
}

TEST(MemoryPowerLoss, DurableReplacementLeavesTheOldOrTheNewContent) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    EXPECT_TRUE(WriteFileDurably(fs, "/f", "old").ok());
    // All of WriteFileDurably but its last step.
    const std::unique_ptr<File> file = Open(fs, "/f.tmp");
    EXPECT_TRUE(file->WriteAt(0, "new").ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(fs.Rename("/f.tmp", "/f").ok());
    Random random(seed);
    fs.PowerLoss(random);
    outcomes.insert(Read(fs, "/f"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"old", "new"}));
}

TEST(MemoryPowerLoss, RenamesBetweenDirectoriesAreAtomic) {
  std::set<std::vector<std::string>> outcomes;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    EXPECT_TRUE(fs.CreateDirectories("/rbw").ok());
    EXPECT_TRUE(fs.CreateDirectories("/final").ok());
    EXPECT_TRUE(fs.SyncDirectory("/").ok());
    EXPECT_TRUE(WriteFileDurably(fs, "/rbw/blk_1", "data").ok());
    EXPECT_TRUE(fs.Rename("/rbw/blk_1", "/final/blk_1").ok());
    if (seed % 2 == 1) {
      EXPECT_TRUE(fs.SyncDirectory(seed % 4 == 1 ? "/final" : "/rbw").ok());
    }
    Random random(seed);
    fs.PowerLoss(random);
    const std::vector<std::string> names = {Read(fs, "/rbw/blk_1"), Read(fs, "/final/blk_1")};
    if (seed % 2 == 1) {
      EXPECT_EQ(names, (std::vector<std::string>{"missing", "data"})) << seed;
    }
    outcomes.insert(names);
  }
  EXPECT_EQ(outcomes, (std::set<std::vector<std::string>>{{"missing", "data"}, {"data", "missing"}}));
}

TEST(MemoryPowerLoss, RenamesOfDifferentNamesPersistInAnyOrder) {
  std::set<std::vector<std::string>> outcomes;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    EXPECT_TRUE(WriteFileDurably(fs, "/a", "1").ok());
    EXPECT_TRUE(WriteFileDurably(fs, "/b", "2").ok());
    EXPECT_TRUE(fs.Rename("/a", "/a2").ok());
    EXPECT_TRUE(fs.Rename("/b", "/b2").ok());
    Random random(seed);
    fs.PowerLoss(random);
    outcomes.insert(fs.List("/").value());
  }
  EXPECT_EQ(outcomes.size(), 4u);
}

TEST(MemoryPowerLoss, AFileMovedTwiceIsNeverInTwoPlacesNorNowhere) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    EXPECT_TRUE(fs.CreateDirectories("/d").ok());
    EXPECT_TRUE(fs.SyncDirectory("/").ok());
    EXPECT_TRUE(WriteFileDurably(fs, "/a", "x").ok());
    EXPECT_TRUE(fs.Rename("/a", "/d/b").ok());
    EXPECT_TRUE(fs.Rename("/d/b", "/d/c").ok());
    if (seed % 3 == 0) {
      EXPECT_TRUE(fs.SyncDirectory("/d").ok());
    }
    Random random(seed);
    fs.PowerLoss(random);
    int found = 0;
    for (const char* path : {"/a", "/d/b", "/d/c"}) found += fs.Exists(path).value() ? 1 : 0;
    EXPECT_EQ(found, 1) << "seed " << seed;
  }
}

TEST(MemoryPowerLoss, AStableFileMovedIntoANewDirectoryIsNeverLost) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    EXPECT_TRUE(WriteFileDurably(fs, "/f", "x").ok());
    EXPECT_TRUE(fs.CreateDirectories("/new/inner").ok());
    EXPECT_TRUE(fs.Rename("/f", "/new/inner/f").ok());
    if (seed % 2 == 1) {
      EXPECT_TRUE(fs.SyncDirectory("/new/inner").ok());
    }
    Random random(seed);
    fs.PowerLoss(random);
    EXPECT_NE(fs.Exists("/f").value(), fs.Exists("/new/inner/f").value()) << "seed " << seed;
  }
}

TEST(MemoryPowerLoss, ADirectoryIsNotGoneWhileWhatWasMovedOutOfItIsStillInside) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    EXPECT_TRUE(fs.CreateDirectories("/d").ok());
    EXPECT_TRUE(fs.SyncDirectory("/").ok());
    EXPECT_TRUE(WriteFileDurably(fs, "/d/f", "x").ok());
    EXPECT_TRUE(fs.Rename("/d/f", "/f").ok());
    EXPECT_TRUE(fs.RemoveDirectory("/d").ok());
    Random random(seed);
    fs.PowerLoss(random);
    EXPECT_NE(fs.Exists("/f").value(), fs.Exists("/d/f").value()) << "seed " << seed;
  }
}

TEST(MemoryPowerLoss, OpenFilesAreDeadAndLocksFreeAfterwards) {
  MemoryFileSystem fs;
  const std::unique_ptr<File> file = StableFile(fs, "/f");
  const std::unique_ptr<FileLock> lock = fs.Lock("/LOCK").value();
  Random random(1);
  fs.PowerLoss(random);
  char byte = 0;
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "x")), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(file->Sync()), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(file->ReadAt(0, std::span<char>(&byte, 1)).status()), ErrorReason::kIo);
  EXPECT_TRUE(fs.Lock("/LOCK").ok());
}

TEST(MemoryPowerLoss, ACrashOfTheProcessKeepsEveryWrittenByte) {
  MemoryFileSystem fs;
  const std::unique_ptr<File> file = Open(fs, "/f");
  EXPECT_TRUE(file->WriteAt(0, "data").ok());
  fs.Crash();
  EXPECT_EQ(Read(fs, "/f"), "data");
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "x")), ErrorReason::kIo);
  // They are still unsynced.
  EXPECT_EQ(Outcomes("/f",
                     [](MemoryFileSystem& other) {
                       EXPECT_TRUE(Open(other, "/f")->WriteAt(0, "data").ok());
                       other.Crash();
                     })
                .count("missing"),
            1u);
}

TEST(MemoryPowerLoss, TheSameSeedGivesTheSameDisk) {
  const auto run = [] {
    MemoryFileSystem fs;
    Random work(5);
    for (int i = 0; i < 50; ++i) {
      const std::unique_ptr<File> file = Open(fs, "/" + std::to_string(work.Uniform(10)));
      EXPECT_TRUE(file->WriteAt(work.Uniform(5000), work.Bytes(work.Uniform(3000))).ok());
    }
    Random random(6);
    fs.PowerLoss(random);
    std::string all;
    const std::vector<std::string> names = fs.List("/").value();
    for (const std::string& name : names) all += name + ":" + Read(fs, "/" + name) + ";";
    return all;
  };
  EXPECT_EQ(run(), run());
}

TEST(MemoryDisk, RefusesToGrowBeyondItsCapacity) {
  MemoryFileSystem fs(1000);
  const std::unique_ptr<File> file = Open(fs, "/f");
  EXPECT_TRUE(file->WriteAt(0, std::string(600, 'x')).ok());
  const absl::Status full = file->WriteAt(600, std::string(401, 'x'));
  EXPECT_EQ(ReasonOf(full), ErrorReason::kNoSpace);
  EXPECT_EQ(file->Size().value(), 600u);
  EXPECT_EQ(ReasonOf(file->Truncate(2000)), ErrorReason::kNoSpace);
  EXPECT_TRUE(file->WriteAt(0, std::string(600, 'y')).ok()) << "overwriting needs no space";
  EXPECT_EQ(fs.Space("/").value().available_bytes, 400u);
  fs.set_capacity(2000);
  EXPECT_TRUE(file->WriteAt(600, std::string(401, 'x')).ok());
  EXPECT_EQ(fs.used_bytes(), 1001u);
  EXPECT_TRUE(file->Truncate(1).ok());
  EXPECT_EQ(fs.used_bytes(), 1u);
}

TEST(MemoryDisk, CountsRemovedFilesWhileTheyAreOpen) {
  MemoryFileSystem fs;
  std::unique_ptr<File> file = Open(fs, "/f");
  EXPECT_TRUE(file->WriteAt(0, "12345").ok());
  EXPECT_TRUE(fs.RemoveFile("/f").ok());
  EXPECT_EQ(fs.used_bytes(), 5u);
  file.reset();
  EXPECT_EQ(fs.used_bytes(), 0u);
  EXPECT_TRUE(Open(fs, "/a")->WriteAt(0, "123").ok());
  EXPECT_TRUE(Open(fs, "/b")->WriteAt(0, "12").ok());
  EXPECT_TRUE(fs.Rename("/a", "/b").ok());
  EXPECT_EQ(fs.used_bytes(), 3u);
}

TEST(MemoryDisk, RotChangesOneBitForGood) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    MemoryFileSystem fs;
    const std::unique_ptr<File> file = StableFile(fs, "/f");
    EXPECT_TRUE(file->WriteAt(0, "aaaa").ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(file->WriteAt(1, "a").ok());
    EXPECT_TRUE(fs.FlipBit("/f", 8).ok());
    EXPECT_EQ(Read(fs, "/f"), "a`aa");
    Random random(seed);
    fs.PowerLoss(random);
    EXPECT_EQ(Read(fs, "/f"), "a`aa") << seed;
  }
  MemoryFileSystem fs;
  EXPECT_EQ(ReasonOf(fs.FlipBit("/f", 0)), ErrorReason::kFileNotFound);
}

}  // namespace
}  // namespace dolmen
