// `dolmen fsck`: HDFS's report of files and their blocks. The walk is the namenode's, page by page; what it finds is
// printed as it comes.
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/format.h"
#include "client/cli/fsck_report.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr int kExitHealthy = 0;
constexpr int kExitCorrupt = 1;
constexpr int kExitOther = 255;
constexpr uint64_t kFlushEvery = 100;  // entries (chosen)

constexpr std::string_view kUsage =
    "Usage: hdfs fsck <path> [-list-corruptfileblocks | [-move | -delete | -openforwrite] "
    "[-files [-blocks [-locations | -racks | -replicaDetails | -upgradedomains]]]] "
    "[-includeSnapshots] [-showprogress] [-storagepolicies] [-maintenance] [-blockId <blk_Id>] [-replicate]\n"
    "\t<path>\tstart checking from this path\n"
    "\t-move\tmove corrupted files to /lost+found\n"
    "\t-delete\tdelete corrupted files\n"
    "\t-files\tprint out files being checked\n"
    "\t-openforwrite\tprint out files opened for write\n"
    "\t-includeSnapshots\tinclude snapshot data if the given path indicates a snapshottable directory or there are "
    "snapshottable directories under it\n"
    "\t-list-corruptfileblocks\tprint out list of missing blocks and files they belong to\n"
    "\t-files -blocks\tprint out block report\n"
    "\t-files -blocks -locations\tprint out locations for every block\n"
    "\t-files -blocks -racks\tprint out network topology for data-node locations\n"
    "\t-files -blocks -replicaDetails\tprint out each replica details \n"
    "\t-files -blocks -upgradedomains\tprint out upgrade domains for every block\n"
    "\t-storagepolicies\tprint out storage policy summary for the blocks\n"
    "\t-maintenance\tprint out maintenance state node details\n"
    "\t-showprogress\tDeprecated. Progress is now shown by default\n"
    "\t-blockId\tprint out which file this blockId belongs to, locations (nodes, racks) of this block, and other "
    "diagnostics info (under replicated, corrupted or not, etc)\n"
    "\t-replicate initiate replication work to make mis-replicated blocks satisfy block placement policy\n\n"
    "Please Note:\n\n"
    "\t1. By default fsck ignores files opened for write, use -openforwrite to report such files. They are usually  "
    "tagged CORRUPT or HEALTHY depending on their block allocation status\n"
    "\t2. Option -includeSnapshots should not be used for comparing stats, should be used only for HEALTH check, as "
    "this may contain duplicates if the same file present in both original fs tree and inside snapshots.\n\n";

struct FsckLine {
  FsckOptions options;
  bool list_corrupt = false;
  bool delete_corrupt = false;
  std::string typed_path = "/";
  std::vector<std::string> query;  // the words of the "Connecting" line
};

int WrongUsage(Session& session, std::string_view problem) {
  if (!problem.empty()) session.err() << "fsck: " << problem << "\n";
  session.err() << kUsage << GenericOptionsText();
  return kExitOther;
}

int Refuse(Session& session, std::string_view option, std::string_view instead) {
  session.err() << "fsck: " << option << " is not supported: " << instead << "\n";
  return kExitOther;
}

// The exit code when the words are no order to run.
std::optional<int> Parse(Session& session, const std::vector<std::string>& args, FsckLine* line) {
  const std::map<std::string_view, std::pair<bool*, const char*>> flags = {
      {"-files", {&line->options.files, "files=1"}},
      {"-blocks", {&line->options.blocks, "blocks=1"}},
      {"-locations", {&line->options.locations, "locations=1"}},
      {"-racks", {&line->options.racks, "racks=1"}},
      {"-replicaDetails", {&line->options.replica_details, "replicadetails=1"}},
      {"-upgradedomains", {&line->options.upgrade_domains, "upgradedomains=1"}},
      {"-openforwrite", {&line->options.open_for_write, "openforwrite=1"}},
      {"-maintenance", {&line->options.maintenance, "maintenance=1"}},
      {"-delete", {&line->delete_corrupt, "delete=1"}},
      {"-list-corruptfileblocks", {&line->list_corrupt, "listcorruptfileblocks=1"}}};
  if (args.empty()) return WrongUsage(session, "");
  bool has_path = false;
  for (const std::string& word : args) {
    if (const auto flag = flags.find(word); flag != flags.end()) {
      *flag->second.first = true;
      line->query.emplace_back(flag->second.second);
    } else if (word == "-includeSnapshots") {
      line->query.emplace_back("includeSnapshots=1");  // there are none
    } else if (word == "-showprogress") {
      session.err()
          << "The fsck switch -showprogress is deprecated and no longer has any effect. Progress is now shown "
             "by default.\n";
    } else if (word == "-move") {
      return Refuse(session, word, "save what can be read with `dolmen dfs -get`, then use -delete");
    } else if (word == "-storagepolicies") {
      return Refuse(session, word, "there are no storage policies");
    } else if (word == "-blockId") {
      return Refuse(session, word, "use -files -blocks -locations on the file");
    } else if (word == "-replicate") {
      return Refuse(session, word, "the namenode mends the placement of replicas by itself");
    } else if (word.starts_with('-')) {
      return WrongUsage(session, absl::StrCat("Illegal option '", word, "'"));
    } else if (has_path) {
      return WrongUsage(session, absl::StrCat("can only operate on one path at a time '", word, "'"));
    } else {
      has_path = true;
      line->typed_path = word;
    }
  }
  return std::nullopt;
}

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The address of this machine that the namenode sees; a socket is asked, nothing is sent. 127.0.0.1 when in doubt.
std::string OwnAddress(const std::string& authority) {
  const size_t colon = authority.rfind(':');
  std::string host = authority.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string port = colon == std::string::npos ? "7020" : authority.substr(colon + 1);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  std::string own = "127.0.0.1";
  if (host == "localhost" || getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return own;
  const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[NI_MAXHOST];
  if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
      getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) ==
          0) {
    own = text;
  }
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  return own;
}

std::string UrlEncoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '.' || c == '-' || c == '*' || c == '_') {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      constexpr char kDigits[] = "0123456789ABCDEF";
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

class Fsck {
 public:
  Fsck(Session& session, const FsckLine& line, FileSystemClient* fs, std::string path)
      : out_(session.out()), line_(line), fs_(fs), path_(std::move(path)) {}

  int Run() {
    const auto started = std::chrono::steady_clock::now();
    out_ << "FSCK started by " << fs_->user() << " (auth:SIMPLE) from /" << OwnAddress(fs_->authority()) << " for path "
         << path_ << " at " << JavaDate(NowMs()) << "\n";
    const absl::StatusOr<std::optional<bool>> healthy = Check();
    const auto ended = [&] {
      const auto took = std::chrono::steady_clock::now() - started;
      out_ << "FSCK ended at " << JavaDate(NowMs()) << " in "
           << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " milliseconds\n";
    };
    if (healthy.ok() && !healthy->has_value()) {
      out_ << "\n\nPath '" << path_ << "' does not exist\n";
      return kExitHealthy;
    }
    ended();
    absl::Status failure = healthy.status();
    // Told at the end, so that all else is there.
    if (failure.ok() && internal_errors_) {
      failure = MakeError(ErrorReason::kIo, "fsck encountered internal errors!");
      ended();
    }
    if (!failure.ok()) {
      out_ << ShownMessage(failure) << "\n\n\nFsck on path '" << path_ << "' FAILED\n";
      return kExitOther;
    }
    out_ << "\n\nThe filesystem under path '" << path_ << "' is " << (**healthy ? "HEALTHY" : "CORRUPT") << "\n";
    return **healthy ? kExitHealthy : kExitCorrupt;
  }

  int ListCorrupt() {
    uint64_t count = 0;
    const absl::Status walked = fs_->CheckFiles(path_, [&](const CheckedEntry& entry) {
      for (const CheckedBlock& block : entry.blocks) {
        if (!Judge(block).bad()) continue;
        if (++count == 1) out_ << "The list of corrupt blocks under path '" << line_.typed_path << "' are:\n";
        out_ << "blk_" << block.block_id << "\t" << entry.path << "\n";
      }
      if (++visited_ % kFlushEvery == 0) out_.flush();
      return true;
    });
    if (!walked.ok() && ReasonOf(walked) != ErrorReason::kFileNotFound) {
      out_ << "Failed to open path '" << path_ << "': " << ShownMessage(walked) << "\n";
      return kExitOther;
    }
    out_ << "The filesystem under path '" << line_.typed_path << "' has " << count << " CORRUPT blocks\n";
    return count == 0 ? kExitHealthy : kExitOther;
  }

 private:
  // Prints the entries and the summary. Nothing: the path does not exist.
  absl::StatusOr<std::optional<bool>> Check() {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<DatanodeReport> nodes, fs_->GetDatanodeReport());
    DOLMEN_ASSIGN_OR_RETURN(const ServerDefaults defaults, fs_->GetServerDefaults());
    FsckReport::Cluster cluster{.default_replication = defaults.replication};
    std::set<std::string> racks;
    for (const DatanodeReport& node : nodes) {
      if (node.liveness == NodeLiveness::kDead) continue;
      ++cluster.live_datanodes;
      racks.insert(node.rack);
    }
    cluster.racks = racks.size();
    FsckReport report(line_.options, cluster);
    const absl::Status walked = fs_->CheckFiles(path_, [&](const CheckedEntry& entry) {
      bool is_bad = false;
      out_ << report.Add(entry, &is_bad);
      if (is_bad && line_.delete_corrupt) Delete(entry);
      if (++visited_ % kFlushEvery == 0) out_.flush();
      return true;
    });
    if (ReasonOf(walked) == ErrorReason::kFileNotFound && visited_ == 0) return std::optional<bool>();
    DOLMEN_RETURN_IF_ERROR(walked);
    out_ << report.Summary();
    return std::optional<bool>(report.healthy());
  }

  // Looks once more before: the blocks may have come back since the page was made.
  void Delete(const CheckedEntry& entry) {
    bool still_bad = false;
    absl::Status done = fs_->CheckFiles(entry.path, [&](const CheckedEntry& now) {
      if (now.status.inode != entry.status.inode || now.status.under_construction) return false;
      for (const CheckedBlock& block : now.blocks) still_bad |= Judge(block).bad();
      return false;
    });
    if (done.ok() && still_bad) done = fs_->Delete(entry.path, /*recursive=*/false).status();
    if (done.ok() || ReasonOf(done) == ErrorReason::kFileNotFound) return;
    out_ << "\n" << entry.path << ": error deleting the corrupted file: " << ShownMessage(done) << "\n";
    internal_errors_ = true;
  }

  std::ostream& out_;
  const FsckLine& line_;
  FileSystemClient* const fs_;
  const std::string path_;
  uint64_t visited_ = 0;
  bool internal_errors_ = false;
};

struct Place {
  FileSystemClient* fs = nullptr;
  std::string path;
};

// Asks the namenode something, so that an unreachable one is told as such.
absl::StatusOr<Place> Find(Session& session, const std::string& typed) {
  DOLMEN_ASSIGN_OR_RETURN(const PathText text, ParsePathText(typed));
  Place place;
  DOLMEN_ASSIGN_OR_RETURN(place.fs, session.FileSystemFor(text));
  DOLMEN_ASSIGN_OR_RETURN(place.path, NormalizePath(text.path.empty() ? "/" : text.path, place.fs->HomeDirectory()));
  DOLMEN_RETURN_IF_ERROR(place.fs->GetFileInfo(place.path).status());
  return place;
}

}  // namespace

int RunFsck(Session& session, std::vector<std::string> args) {
  FsckLine line;
  if (const std::optional<int> code = Parse(session, args, &line); code.has_value()) return *code;
  const absl::StatusOr<Place> place = Find(session, line.typed_path);
  if (!place.ok()) {
    session.err() << "FileSystem is inaccessible due to:\n" << ShownMessage(place.status()) << "\nDFSck exiting.\n";
    return kExitHealthy;  // as in HDFS
  }
  line.query.insert(line.query.begin(), "ugi=" + place->fs->user());
  line.query.push_back("path=" + UrlEncoded(place->path));
  session.err() << "Connecting to namenode via dolmen://" << place->fs->authority() << "/fsck?"
                << absl::StrJoin(line.query, "&") << "\n";
  Fsck fsck(session, line, place->fs, place->path);
  const int code = line.list_corrupt ? fsck.ListCorrupt() : fsck.Run();
  session.out().flush();
  return code;
}

}  // namespace dolmen::cli
