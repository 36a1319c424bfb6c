#include "client/cli/local_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/cli/local_io.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kChecksumChunk = 512;

// CRC-32 (the polynomial of zlib, which Hadoop's local checksum files use).
constexpr std::array<uint32_t, 256> MakeCrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = MakeCrcTable();

void AppendBigEndian(std::string& text, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
}

std::string ChecksumPath(const std::string& path) {
  return ChildPath(ParentPath(path), absl::StrCat(".", ToAbsl(BaseName(path)), ".crc"));
}

// Collects one CRC per 512 bytes.
class ChunkChecksums {
 public:
  ChunkChecksums() {
    content_ = std::string("crc\0", 4);
    AppendBigEndian(content_, kChecksumChunk);
  }
  void Add(std::string_view data) {
    for (const char c : data) {
      crc_ = kCrcTable[(crc_ ^ static_cast<uint8_t>(c)) & 0xFF] ^ (crc_ >> 8);
      if (++in_chunk_ == kChecksumChunk) EndChunk();
    }
  }
  const std::string& Finish() {
    if (in_chunk_ > 0) EndChunk();
    return content_;
  }

 private:
  void EndChunk() {
    AppendBigEndian(content_, ~crc_);
    crc_ = 0xFFFFFFFFu;
    in_chunk_ = 0;
  }

  std::string content_;
  uint32_t crc_ = 0xFFFFFFFFu;
  size_t in_chunk_ = 0;
};

class LocalReader final : public Reader {
 public:
  LocalReader(int fd, std::string path) : fd_(fd), reader_(fd, std::move(path)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override { return reader_.Read(out); }

 private:
  const UniqueFd fd_;
  FdReader reader_;
};

class LocalWriter final : public Writer {
 public:
  LocalWriter(int fd, std::string path, bool checksums) : fd_(fd), path_(std::move(path)) {
    if (checksums) checksums_.emplace();
  }

  absl::Status Write(std::string_view data) override {
    DOLMEN_RETURN_IF_ERROR(WriteAll(fd_.get(), data, path_));
    if (checksums_.has_value()) checksums_->Add(data);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    if (close(fd_.release()) != 0) return LocalError(path_, errno);
    if (!checksums_.has_value()) return absl::OkStatus();
    const std::string path = ChecksumPath(AbsoluteLocalPath(path_));
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.get() < 0) return LocalError(path, errno);
    return WriteAll(fd.get(), checksums_->Finish(), path);
  }

  void Abort() override {}

 private:
  UniqueFd fd_;
  const std::string path_;
  std::optional<ChunkChecksums> checksums_;
};

class LocalTree final : public Tree {
 public:
  explicit LocalTree(LocalTreeOptions options) : options_(options) {}

  absl::StatusOr<std::optional<NodeInfo>> Stat(const std::string& path) override {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      return LocalError(path, errno);
    }
    return NodeInfo{.is_directory = S_ISDIR(st.st_mode),
                    .is_regular = S_ISREG(st.st_mode),
                    .length = static_cast<uint64_t>(st.st_size),
                    .permission = static_cast<uint16_t>(st.st_mode & 01777),
                    .modified_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1'000'000,
                    .accessed_ms = st.st_atim.tv_sec * 1000 + st.st_atim.tv_nsec / 1'000'000,
                    .device = st.st_dev,
                    .inode = st.st_ino,
                    .uid = st.st_uid,
                    .gid = st.st_gid};
  }

  absl::StatusOr<std::vector<NamedInfo>> List(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (directory == nullptr) return LocalError(path, errno);
    std::vector<NamedInfo> entries;
    while (true) {
      errno = 0;
      const dirent* entry = readdir(directory.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") entries.push_back(NamedInfo{.name = std::string(name)});
    }
    if (errno != 0) return LocalError(path, errno);
    std::sort(entries.begin(), entries.end(), [](const NamedInfo& a, const NamedInfo& b) { return a.name < b.name; });
    for (NamedInfo& entry : entries) {
      // What can't be looked up is reported when it is its turn to be copied.
      absl::StatusOr<std::optional<NodeInfo>> info = Stat(ChildPath(path, entry.name));
      if (info.ok()) entry.info = *std::move(info);
    }
    return entries;
  }

  absl::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path) override {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return LocalError(path, errno);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);  // a hint; pipes refuse it
    return std::make_unique<LocalReader>(fd, path);
  }

  absl::StatusOr<std::unique_ptr<Writer>> Create(const std::string& path, bool) override {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return LocalError(path, errno);
    return std::make_unique<LocalWriter>(fd, path, options_.write_checksum_files);
  }

  absl::Status MakeDirectory(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error ? LocalError(path, error.value()) : absl::OkStatus();
  }

  absl::Status Rename(const Node& temporary, const Node& target, bool overwrite) override {
    const int result =
        overwrite ? rename(temporary.path.c_str(), target.path.c_str()) : RenameNoReplace(temporary.path, target.path);
    if (result != 0) {
      if (!overwrite && errno == EEXIST) return FileExists(target.shown);
      return PathError(PathMessage{
          .operation = "rename", .path = temporary.shown, .target = target.shown, .error = std::strerror(errno)});
    }
    if (options_.write_checksum_files) {
      const std::string from = ChecksumPath(AbsoluteLocalPath(temporary.path));
      if (rename(from.c_str(), ChecksumPath(AbsoluteLocalPath(target.path)).c_str()) != 0)
        return LocalError(from, errno);
    }
    return absl::OkStatus();
  }

  void Discard(const std::string& path, const absl::Status&) override {
    unlink(path.c_str());
    if (options_.write_checksum_files) unlink(ChecksumPath(AbsoluteLocalPath(path)).c_str());
  }

  absl::Status Remove(const Node& node) override {
    if (remove(node.path.c_str()) == 0) return absl::OkStatus();
    if (errno == ENOTEMPTY || errno == EEXIST) {
      return MakeError(ErrorReason::kDirectoryNotEmpty,
                       absl::StrCat("Directory file:", AbsoluteLocalPath(node.path), " is not empty"));
    }
    return PathError(PathMessage{.operation = "remove", .path = node.shown, .error = std::strerror(errno)});
  }

  absl::Status SetAttributes(const std::string& path, const NodeInfo& info, AttributeSet which) override {
    if (which.times) DOLMEN_RETURN_IF_ERROR(SetLocalTimes(path, info.modified_ms, info.accessed_ms));
    if (which.owner) DOLMEN_RETURN_IF_ERROR(SetLocalOwner(path, info.owner, info.group));
    if (which.mode) DOLMEN_RETURN_IF_ERROR(SetLocalMode(path, info.permission));
    return absl::OkStatus();
  }

  NodeInfo WithOwnerNames(const NodeInfo& info) override {
    NodeInfo named = info;
    named.owner = UserName(info.uid);
    named.group = GroupName(info.gid);
    return named;
  }

  std::string AbsolutePath(const std::string& path) const override { return AbsoluteLocalPath(path); }
  std::string Qualified(const std::string& path) const override {
    return absl::StrCat("file://", AbsoluteLocalPath(path));
  }

 private:
  const LocalTreeOptions options_;
};

}  // namespace

absl::StatusOr<size_t> FdReader::Read(std::span<char> out) {
  const ssize_t count = read(fd_, out.data(), out.size());
  if (count >= 0) return static_cast<size_t>(count);
  if (errno == EINTR) return InterruptedError();
  return MakeError(absl::StatusCode::kFailedPrecondition, ErrorReason::kIo,
                   absl::StrCat(name_, " (", std::strerror(errno), ")"));
}

std::unique_ptr<Tree> MakeLocalTree(LocalTreeOptions options) { return std::make_unique<LocalTree>(options); }

absl::StatusOr<Node> LookUpLocal(Tree& tree, const std::string& typed) {
  if (typed.empty()) return UsageError("Can not create a Path from an empty string");
  Node node{.shown = typed, .path = typed};
  const size_t colon = typed.find(":/");
  if (colon != std::string::npos && colon > 0 && typed.find('/') == colon + 1) {
    if (typed.compare(0, colon, "file") != 0) {
      return UsageError(absl::StrCat("Wrong FS: ", typed, ", expected: file:///"));
    }
    std::string_view rest = std::string_view(typed).substr(colon + 1);
    if (rest.starts_with("//")) {
      rest.remove_prefix(2);
      if (!rest.starts_with('/')) return UsageError(absl::StrCat("Wrong FS: ", typed, ", expected: file:///"));
    }
    node.path = std::string(rest);
  }
  DOLMEN_ASSIGN_OR_RETURN(node.info, tree.Stat(node.path));
  return node;
}

Node ChildNode(const Node& directory, std::string_view name) {
  return Node{.shown = ShownChild(directory.shown, name), .path = ChildPath(directory.path, name)};
}

}  // namespace dolmen::cli
