#include "tests/bench/small_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/mutex.h"

namespace dolmen::bench {
namespace {

// Calls `one` for every number below the count, spread over the threads. The first failure ends all and is returned.
absl::Status OnThreads(const SmallFiles& files, const std::function<absl::Status(uint64_t)>& one) {
  Mutex mutex;
  absl::Status first;
  const auto failed = [&] {
    MutexLock lock(&mutex);
    return !first.ok();
  };
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < files.threads; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = t; i < files.count && !failed(); i += files.threads) {
        absl::Status done = one(i);
        if (done.ok()) continue;
        MutexLock lock(&mutex);
        if (first.ok()) first = std::move(done);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return first;
}

std::string Name(const std::string& directory, uint64_t i) { return absl::StrCat(directory, "/small", i); }

absl::Status Failed(const char* what, const std::string& path) {
  return MakeError(ErrorReason::kIo, absl::StrCat(what, " ", path, ": ", std::strerror(errno)));
}

absl::Status CopyTo(const std::string& directory, uint64_t i, const std::string& content) {
  const std::string path = Name(directory, i);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return Failed("opening", path);
  const bool written = write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const bool synced = written && fsync(file) == 0;
  close(file);
  if (!synced) return Failed("writing", path);
  const int parent = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool named = parent >= 0 && fsync(parent) == 0;
  if (parent >= 0) close(parent);
  return named ? absl::OkStatus() : Failed("syncing", directory);
}

}  // namespace

absl::Status WriteSmallFiles(const SmallFiles& files, const std::string& root, FileSystemClient* client) {
  const std::string content(files.bytes, 's');
  return OnThreads(files, [&](uint64_t i) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<OutputStream> file, client->Create(Name(root, i), {}));
    DOLMEN_RETURN_IF_ERROR(file->Write(content));
    return file->Close();
  });
}

absl::Status ReadSmallFiles(const SmallFiles& files, const std::string& root, FileSystemClient* client) {
  return OnThreads(files, [&](uint64_t i) -> absl::Status {
    const std::string path = Name(root, i);
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> file, client->Open(path));
    std::string content(files.bytes + 1, 0);
    size_t size = 0;
    while (size < content.size()) {
      DOLMEN_ASSIGN_OR_RETURN(const size_t got, file->Read(std::span(content.data() + size, content.size() - size)));
      if (got == 0) break;
      size += got;
    }
    if (size != files.bytes) return MakeError(ErrorReason::kIo, absl::StrCat(path, " has ", size, " bytes"));
    return file->Close();
  });
}

absl::Status CopySmallFiles(const SmallFiles& files, const std::vector<std::string>& directories) {
  const std::string content(files.bytes, 's');
  return OnThreads(files, [&](uint64_t i) -> absl::Status {
    for (const std::string& directory : directories) DOLMEN_RETURN_IF_ERROR(CopyTo(directory, i, content));
    return absl::OkStatus();
  });
}

absl::Status ReadCopies(const SmallFiles& files, const std::string& directory) {
  return OnThreads(files, [&](uint64_t i) -> absl::Status {
    const std::string path = Name(directory, i);
    std::string content(files.bytes, 0);
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return Failed("opening", path);
    const bool whole = read(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
    close(file);
    return whole ? absl::OkStatus() : Failed("reading", path);
  });
}

}  // namespace dolmen::bench
