#include "tests/bench/relay_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::bench {
namespace {

constexpr size_t kAlignment = 4096;
constexpr uint64_t kWritebackBytes = 8 << 20;  // as our datanodes

absl::Status Failed(const char* what) {
  return MakeError(ErrorReason::kIo, absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::Status WriteAt(int file, const char* data, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t done = pwrite(file, data, size, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return Failed("pwrite");
    data += done;
    size -= static_cast<size_t>(done);
    offset += static_cast<uint64_t>(done);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RelayFile>> RelayFile::Create(const std::string& path, bool direct) {
  std::unique_ptr<RelayFile> file(new RelayFile());
  constexpr int kNew = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  file->data_ = open(path.c_str(), kNew | (direct ? O_DIRECT : 0), 0644);
  if (file->data_ < 0) return Failed(direct ? "opening with O_DIRECT" : "opening");
  file->checksums_ = open((path + ".crc").c_str(), kNew, 0644);
  if (file->checksums_ < 0) return Failed("opening");
  if (direct) {
    file->aligned_ = static_cast<char*>(std::aligned_alloc(kAlignment, protocol::kMaxPacketBytes));
    if (file->aligned_ == nullptr) return Failed("aligned_alloc");
  }
  return file;
}

RelayFile::~RelayFile() {
  if (data_ >= 0) close(data_);
  if (checksums_ >= 0) close(checksums_);
  std::free(aligned_);
}

absl::Status RelayFile::Append(const absl::Cord& payload, const std::string& checksums) {
  const uint64_t chunks_before = length_ / kBytesPerChecksum;
  DOLMEN_RETURN_IF_ERROR(aligned_ != nullptr ? AppendDirect(payload) : AppendCached(payload));
  return WriteAt(checksums_, checksums.data(), checksums.size(), chunks_before * 4);
}

// A last piece that is not whole blocks is padded; the file is cut to its length afterwards.
absl::Status RelayFile::AppendDirect(const absl::Cord& payload) {
  size_t used = 0;
  for (const absl::string_view chunk : payload.Chunks()) {
    std::memcpy(aligned_ + used, chunk.data(), chunk.size());
    used += chunk.size();
  }
  const size_t padded = (used + kAlignment - 1) / kAlignment * kAlignment;
  std::memset(aligned_ + used, 0, padded - used);
  DOLMEN_RETURN_IF_ERROR(WriteAt(data_, aligned_, padded, length_));
  length_ += used;
  if (padded != used && ftruncate(data_, static_cast<off_t>(length_)) != 0) return Failed("ftruncate");
  return absl::OkStatus();
}

absl::Status RelayFile::AppendCached(const absl::Cord& payload) {
  std::vector<iovec> pieces;
  for (const absl::string_view chunk : payload.Chunks())
    pieces.push_back({const_cast<char*>(chunk.data()), chunk.size()});
  for (size_t first = 0; first < pieces.size(); first += IOV_MAX) {
    const size_t count = std::min<size_t>(pieces.size() - first, IOV_MAX);
    size_t expected = 0;
    for (size_t i = first; i < first + count; ++i) expected += pieces[i].iov_len;
    const ssize_t done = pwritev(data_, &pieces[first], static_cast<int>(count), static_cast<off_t>(length_));
    if (done < 0 || static_cast<size_t>(done) != expected) return Failed("pwritev");
    length_ += expected;
  }
  if (length_ - writeback_ >= kWritebackBytes) {
    // A hint: nothing depends on its success.
    (void)sync_file_range(data_, static_cast<off_t>(writeback_), static_cast<off_t>(length_ - writeback_),
                          SYNC_FILE_RANGE_WRITE);
    writeback_ = length_;
  }
  return absl::OkStatus();
}

absl::Status RelayFile::Sync() {
  if (fdatasync(data_) != 0 || fdatasync(checksums_) != 0) return Failed("fdatasync");
  return absl::OkStatus();
}

absl::Status SendFile(const std::string& path, uint64_t chunk_bytes,
                      const std::function<bool(const protocol::ReadChunk&)>& send) {
  struct Descriptor {
    ~Descriptor() {
      if (fd >= 0) close(fd);
    }
    int fd;
  };
  const Descriptor data{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const Descriptor checksums{open((path + ".crc").c_str(), O_RDONLY | O_CLOEXEC)};
  if (data.fd < 0 || checksums.fd < 0) return Failed("opening");
  for (uint64_t offset = 0;;) {
    // Freed by whoever lets go of the last slice; of a size that the allocator keeps for the next one.
    auto* const memory = static_cast<char*>(std::malloc(chunk_bytes));
    const ssize_t size = pread(data.fd, memory, chunk_bytes, static_cast<off_t>(offset));
    if (size <= 0) {
      std::free(memory);
      return size == 0 ? absl::OkStatus() : Failed("pread");
    }
    protocol::ReadChunk chunk{.offset = offset};
    chunk.payload = absl::MakeCordFromExternal(absl::string_view(memory, static_cast<size_t>(size)),
                                               [memory] { std::free(memory); });
    chunk.checksums.resize(ChecksumBytesFor(static_cast<uint64_t>(size)));
    const ssize_t read = pread(checksums.fd, chunk.checksums.data(), chunk.checksums.size(),
                               static_cast<off_t>(offset / kBytesPerChecksum * 4));
    if (read != static_cast<ssize_t>(chunk.checksums.size())) return Failed("pread of checksums");
    if (!send(chunk)) return MakeError(ErrorReason::kCancelled, "the reader is gone");
    offset += static_cast<uint64_t>(size);
  }
}

}  // namespace dolmen::bench
