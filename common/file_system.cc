#include "common/file_system.h"

#include <utility>

#include "common/error.h"

namespace dolmen {

absl::StatusOr<std::string> ReadWholeFile(FileSystem& fs, const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string content(size, '\0');
  DOLMEN_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, content));
  content.resize(got);
  return content;
}

absl::Status WriteFileDurably(FileSystem& fs, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, fs.Open(temporary, OpenMode::kCreateOrOpen));
    DOLMEN_RETURN_IF_ERROR(file->Truncate(0));
    DOLMEN_RETURN_IF_ERROR(file->WriteAt(0, content));
    DOLMEN_RETURN_IF_ERROR(file->Sync());
  }
  DOLMEN_RETURN_IF_ERROR(fs.Rename(temporary, path));
  return fs.SyncDirectory(DirectoryOf(path));
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string joined(directory);
  if (!joined.empty() && joined.back() != '/') joined += '/';
  joined += name;
  return joined;
}

std::string DirectoryOf(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

}  // namespace dolmen
