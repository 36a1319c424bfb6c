#include "namenode/service/group_mapping.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/utf8.h"

namespace dolmen::namenode {
namespace {

constexpr size_t kMaxNameBytes = 255;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && ValidUtf8(name) &&
         name.find_first_of(std::string_view("\0/:", 3)) == std::string_view::npos;
}

// `kind`: "user" or "group".
absl::Status CheckName(std::string_view kind, std::string_view name) {
  if (IsName(name)) return absl::OkStatus();
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat("'", Printable(name.substr(0, kMaxNameBytes)), "' is no ", ToAbsl(kind),
                                ": names have 1 to ", kMaxNameBytes, " bytes of UTF-8 without '/' and ':'"));
}

absl::Status ParseLine(std::string_view line, GroupMapping* mapping) {
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("'", Printable(line.substr(0, kMaxNameBytes)),
                                                                 "' has no '=': expected user=group1,group2"));
  }
  const std::string user(Trimmed(line.substr(0, equals)));
  DOLMEN_RETURN_IF_ERROR(CheckName("user", user));
  std::vector<std::string> groups;
  std::string_view rest = Trimmed(line.substr(equals + 1));
  for (bool more = !rest.empty(); more;) {
    const size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    const std::string group(Trimmed(rest.substr(0, comma)));
    DOLMEN_RETURN_IF_ERROR(CheckName("group", group));
    if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    if (more) rest.remove_prefix(comma + 1);
  }
  if (!mapping->emplace(user, std::move(groups)).second) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("user '", user, "' was named before: give all groups on one line"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GroupMapping> ParseGroupMapping(std::string_view text, std::string_view file) {
  GroupMapping mapping;
  size_t number = 0;
  for (bool more = true; more;) {
    ++number;
    const size_t end = text.find('\n');
    more = end != std::string_view::npos;
    const std::string_view line = Trimmed(text.substr(0, end));
    if (more) text.remove_prefix(end + 1);
    if (line.empty() || line[0] == '#') continue;
    DOLMEN_RETURN_IF_ERROR(ParseLine(line, &mapping), absl::StrCat(ToAbsl(file), ":", number));
  }
  return mapping;
}

absl::StatusOr<std::unique_ptr<GroupMappingFile>> GroupMappingFile::Open(FileSystem* fs, std::string path,
                                                                         const Clock* clock) {
  std::unique_ptr<GroupMappingFile> file(new GroupMappingFile(fs, std::move(path), clock));
  DOLMEN_ASSIGN_OR_RETURN(std::string text, file->Read(), "reading the group mapping");
  DOLMEN_ASSIGN_OR_RETURN(GroupMapping mapping, ParseGroupMapping(text, file->path_));
  file->next_look_ns_ = (clock->Now() + kLookInterval).time_since_epoch().count();
  MutexLock lock(&file->mutex_);
  file->text_ = std::move(text);
  file->mapping_ = std::move(mapping);
  return file;
}

absl::StatusOr<std::string> GroupMappingFile::Read() const {
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t bytes, fs_.FileSize(path_));
  if (bytes > kMaxFileBytes) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat(path_, " has ", bytes, " bytes; a group mapping may have ", kMaxFileBytes));
  }
  return ReadWholeFile(fs_, path_);
}

bool GroupMappingFile::IsDue() const { return clock_.Now().time_since_epoch().count() >= next_look_ns_; }

bool GroupMappingFile::Refresh() {
  int64_t due = next_look_ns_;
  const MonotonicTime now = clock_.Now();
  if (now.time_since_epoch().count() < due) return false;
  // Whoever comes first looks; the others go on with what is known.
  if (!next_look_ns_.compare_exchange_strong(due, (now + kLookInterval).time_since_epoch().count())) return false;
  absl::StatusOr<std::string> text = Read();
  {
    MutexLock lock(&mutex_);
    if (text.ok() && problem_.empty() && *text == text_) return false;
  }
  absl::StatusOr<GroupMapping> mapping = text.ok() ? ParseGroupMapping(*text, path_) : text.status();
  const std::string problem(MessageOf(mapping.status()));
  MutexLock lock(&mutex_);
  if (!mapping.ok()) {
    if (problem != problem_) spdlog::error("the group mapping stays as it was: {}", problem);
    problem_ = problem;
    return false;
  }
  problem_.clear();
  text_ = *std::move(text);
  if (mapping_ == *mapping) return false;
  mapping_ = *std::move(mapping);
  spdlog::info("read the group mapping {} again: {} users", path_, mapping_.size());
  return true;
}

std::optional<std::vector<std::string>> GroupMappingFile::GroupsOf(const std::string& user) const {
  MutexLock lock(&mutex_);
  const auto found = mapping_.find(user);
  if (found == mapping_.end()) return std::nullopt;
  return found->second;
}

}  // namespace dolmen::namenode
