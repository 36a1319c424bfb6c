#include "client/cli/local_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kChecksumChunk = 512;

std::string Absolute(const std::string& path) {
  if (path.starts_with('/')) return LexicallyNormal(path);
  std::error_code ignored;  // without a working directory names are taken from the root
  const std::string directory = std::filesystem::current_path(ignored).string();
  return LexicallyNormal(absl::StrCat(directory, "/", path));
}

// "<absolute path> (<why>)", as Java reports files that can't be opened.
absl::Status LocalError(const std::string& path, int error) {
  return MakeError(absl::StatusCode::kFailedPrecondition, ErrorReason::kIo,
                   absl::StrCat(Absolute(path), " (", std::strerror(error), ")"));
}

class UniqueFd {
 public:
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return LocalError(path, errno);
    }
    data.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

// Like rename(2), but fails with EEXIST if there is something at `to`.
int RenameNoReplace(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // Not every file system can do it in one step.
  struct stat st {};
  if (lstat(to.c_str(), &st) == 0) {
    errno = EEXIST;
    return -1;
  }
  return errno == ENOENT ? rename(from.c_str(), to.c_str()) : -1;
}

std::string UserName(uid_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(uid);
}

std::string GroupName(gid_t gid) {
  std::array<char, 16384> buffer{};
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->gr_name;
  return std::to_string(gid);
}

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
    const std::string path = ChecksumPath(Absolute(path_));
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
      const std::string from = ChecksumPath(Absolute(temporary.path));
      if (rename(from.c_str(), ChecksumPath(Absolute(target.path)).c_str()) != 0) return LocalError(from, errno);
    }
    return absl::OkStatus();
  }

  void Discard(const std::string& path, const absl::Status&) override {
    unlink(path.c_str());
    if (options_.write_checksum_files) unlink(ChecksumPath(Absolute(path)).c_str());
  }

  absl::Status SetAttributes(const std::string& path, const NodeInfo& info) override {
    const auto time = [](int64_t ms) {
      const int64_t seconds = ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
      return timespec{.tv_sec = seconds, .tv_nsec = (ms - seconds * 1000) * 1'000'000};
    };
    const timespec times[2] = {time(info.accessed_ms), time(info.modified_ms)};
    if (utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) return LocalError(path, errno);
    DOLMEN_RETURN_IF_ERROR(SetOwner(path, info));
    if (chmod(path.c_str(), info.permission) != 0) return LocalError(path, errno);
    return absl::OkStatus();
  }

  NodeInfo WithOwnerNames(const NodeInfo& info) override {
    NodeInfo named = info;
    named.owner = UserName(info.uid);
    named.group = GroupName(info.gid);
    return named;
  }

  std::string AbsolutePath(const std::string& path) const override { return Absolute(path); }
  std::string Qualified(const std::string& path) const override { return absl::StrCat("file://", Absolute(path)); }

 private:
  absl::Status SetOwner(const std::string& path, const NodeInfo& info) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return LocalError(path, errno);
    if (UserName(st.st_uid) == info.owner && GroupName(st.st_gid) == info.group) return absl::OkStatus();
    std::array<char, 4096> buffer{};
    passwd user{};
    passwd* found_user = nullptr;
    if (getpwnam_r(info.owner.c_str(), &user, buffer.data(), buffer.size(), &found_user) != 0) found_user = nullptr;
    const uid_t uid = found_user != nullptr ? user.pw_uid : static_cast<uid_t>(-1);
    if (found_user == nullptr) return OwnerError(path, absl::StrCat("invalid user: '", info.owner, "'"));
    std::array<char, 16384> group_buffer{};
    group group_entry{};
    group* found_group = nullptr;
    if (getgrnam_r(info.group.c_str(), &group_entry, group_buffer.data(), group_buffer.size(), &found_group) != 0) {
      found_group = nullptr;
    }
    if (found_group == nullptr) return OwnerError(path, absl::StrCat("invalid group: '", info.group, "'"));
    if (chown(path.c_str(), uid, group_entry.gr_gid) != 0) return OwnerError(path, std::strerror(errno));
    return absl::OkStatus();
  }

  static absl::Status OwnerError(const std::string& path, const std::string& why) {
    return MakeError(absl::StatusCode::kFailedPrecondition, ErrorReason::kIo,
                     absl::StrCat("changing ownership of '", Absolute(path), "': ", why));
  }

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
