#include "datanode/datanode_settings.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

constexpr uint16_t kNamenodePort = 7020;
constexpr int64_t kDatanodePort = 7066;

absl::Status BadValue(std::string_view setting, std::string_view value, std::string_view allowed) {
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat(ToAbsl(setting), " = '", ToAbsl(value), "' is not valid; ", ToAbsl(allowed)));
}

std::vector<std::string_view> SplitList(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

}  // namespace

std::vector<Setting> DatanodeSettingsTable() {
  return {
      {"datanode_data_dirs", std::string(), "Comma list of data directories, each maybe with its type: /a,[SSD]/b."},
      {"datanode_namenode_address", std::string("localhost:7020"), "host:port of the namenode."},
      {"datanode_bind_host", std::string("127.0.0.1"),
       "Address to listen on; anything but loopback needs datanode_allow_remote, because callers are not authenticated "
       "yet."},
      {"datanode_allow_remote", false,
       "Listen beyond loopback although identities are only claimed (\"simple\" security)."},
      {"datanode_port", kDatanodePort, "Port for block data; 0 takes a free one.", 0, 65535},
      {"datanode_advertised_addresses", std::string(),
       "Every way to reach this datanode, best first: network=host:port,...; empty: the address it listens on, or this "
       "host's name if that is 0.0.0.0 or ::."},
      {"datanode_host_name", std::string(), "Name of this host in reports; empty: what the system says."},
      {"datanode_rack", std::string("/default-rack"), "Rack of this host, for placement."},
      {"datanode_http_port", int64_t{0}, "HTTP port told to others; 0: none.", 0, 65535},
      {"datanode_kept_free_bytes", int64_t{0}, "Bytes of each volume that are left free.", 0},
      {"datanode_failed_volumes_tolerated", int64_t{0}, "How many data directories may be unusable at the start.", 0,
       1024},
      {"datanode_allow_new_data_dirs", false,
       "An empty directory beside ones in use is new, not a disk that is not mounted."},
      {"datanode_trash_grace_s", int64_t{300}, "How long deleted replicas are kept before they are unlinked.", 0,
       int64_t{86400} * 30},
      {"datanode_max_writers_per_volume", int64_t{128}, "Write streams per volume; further ones are told to retry.", 1,
       65536},
      {"datanode_max_readers_per_volume", int64_t{512}, "Read streams per volume; further ones are told to retry.", 1,
       65536},
      {"datanode_max_streams", int64_t{4096}, "Streams of the whole datanode.", 1, 65536},
      {"datanode_max_transfers", int64_t{4}, "Copies to other datanodes at once.", 1, 1024},
      {"datanode_max_relays", int64_t{128},
       "Calls passed on at once to datanodes that a client cannot reach itself; each takes up to 2 MiB of memory.", 0,
       65536},
      {"datanode_read_threads_per_volume", int64_t{2}, "Threads that read each volume.", 1, 64},
      {"datanode_sync_threads_per_volume", int64_t{4}, "Files synced side by side on each volume.", 1, 64},
      {"datanode_heartbeat_timeout_ms", int64_t{5000}, "A heartbeat without an answer for so long is given up.", 100,
       60'000},
      {"datanode_report_timeout_ms", int64_t{60'000}, "A report without an answer for so long is sent again.", 100,
       600'000},
      {"datanode_setup_timeout_ms", int64_t{10'000}, "Wait for the next datanode in a write, per hop behind.", 100,
       600'000},
      {"datanode_ack_timeout_ms", int64_t{30'000}, "Wait for an acknowledgement, per hop behind.", 100, 600'000},
      {"datanode_disk_timeout_ms", int64_t{60'000}, "A write that the disk does not finish in so long fails.", 100,
       3'600'000},
      {"datanode_disk_hang_timeout_s", int64_t{120}, "A disk call that takes longer takes its volume offline.", 1,
       86'400},
      {"datanode_idle_write_timeout_s", int64_t{3600}, "A writer that is silent for so long is gone.", 1,
       int64_t{86400} * 7},
      {"datanode_slow_reader_timeout_s", int64_t{300}, "A reader that takes nothing for so long is gone.", 1, 86'400},
      {"log_level", std::string("info"), "trace, debug, info, warn or error."},
  };
}

absl::StatusOr<protocol::Address> ParseHostPort(std::string_view text, uint16_t default_port) {
  protocol::Address address{.network = "default", .port = default_port};
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return BadValue("address", text, "write [IPv6]:port");
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return BadValue("address", text, "write [IPv6]:port");
    if (!rest.empty()) port = rest.substr(1);
  } else if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return BadValue("address", text, "write an IPv6 address as [IPv6]:port");
  }
  if (host.empty()) return BadValue("address", text, "write host:port");
  if (text.size() != host.size() && !(text.starts_with('[') && text.ends_with(']'))) {
    uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number == 0) {
      return BadValue("address", text, "the port is a number from 1 to 65535");
    }
    address.port = number;
  }
  address.host = std::string(host);
  return address;
}

absl::StatusOr<std::vector<protocol::Address>> ParseAddresses(std::string_view text) {
  std::vector<protocol::Address> addresses;
  for (const std::string_view part : SplitList(text)) {
    const size_t equals = part.find('=');
    const std::string_view place = equals == std::string_view::npos ? part : part.substr(equals + 1);
    DOLMEN_ASSIGN_OR_RETURN(protocol::Address address, ParseHostPort(place, 0), "datanode_advertised_addresses");
    if (equals != std::string_view::npos) address.network = std::string(part.substr(0, equals));
    addresses.push_back(std::move(address));
  }
  return addresses;
}

absl::StatusOr<std::vector<DataDirectory>> ParseDataDirectories(std::string_view text) {
  std::vector<DataDirectory> directories;
  for (std::string_view part : SplitList(text)) {
    DataDirectory directory;
    if (part.starts_with('[')) {
      const size_t close = part.find(']');
      if (close == std::string_view::npos) return BadValue("datanode_data_dirs", text, "write [TYPE]/path");
      DOLMEN_ASSIGN_OR_RETURN(directory.type, ParseStorageType(part.substr(1, close - 1)), "datanode_data_dirs");
      part.remove_prefix(close + 1);
    }
    while (part.size() > 1 && part.ends_with('/')) part.remove_suffix(1);
    if (part.empty()) return BadValue("datanode_data_dirs", text, "a directory has no name");
    directory.path = std::string(part);
    directories.push_back(std::move(directory));
  }
  if (directories.empty()) {
    return MakeError(ErrorReason::kIllegalArgument, "datanode_data_dirs is empty; give --data-dirs DIR1,DIR2");
  }
  return directories;
}

absl::StatusOr<DatanodeOptions> OptionsFromSettings(const Settings& settings) {
  const auto ms = [&](std::string_view name) -> Duration { return std::chrono::milliseconds(settings.Int(name)); };
  const auto seconds = [&](std::string_view name) -> Duration { return std::chrono::seconds(settings.Int(name)); };
  const auto count = [&](std::string_view name) { return static_cast<uint32_t>(settings.Int(name)); };

  DatanodeOptions options;
  DOLMEN_ASSIGN_OR_RETURN(options.store.directories, ParseDataDirectories(settings.Text("datanode_data_dirs")));
  options.store.kept_free_bytes = static_cast<uint64_t>(settings.Int("datanode_kept_free_bytes"));
  options.store.failed_volumes_tolerated = count("datanode_failed_volumes_tolerated");
  if (options.store.failed_volumes_tolerated >= options.store.directories.size()) {
    return BadValue("datanode_failed_volumes_tolerated", absl::StrCat(options.store.failed_volumes_tolerated),
                    "it must be less than the number of data directories");
  }
  options.store.allow_new_directories = settings.Bool("datanode_allow_new_data_dirs");
  options.store.trash_grace = seconds("datanode_trash_grace_s");

  DOLMEN_ASSIGN_OR_RETURN(const protocol::Address namenode,
                          ParseHostPort(settings.Text("datanode_namenode_address"), kNamenodePort),
                          "datanode_namenode_address");
  options.namenode_host = namenode.host;
  options.namenode_port = namenode.port;
  options.bind_host = settings.Text("datanode_bind_host");
  options.port = static_cast<uint16_t>(settings.Int("datanode_port"));

  DOLMEN_ASSIGN_OR_RETURN(options.session.info.addresses,
                          ParseAddresses(settings.Text("datanode_advertised_addresses")));
  options.session.info.host_name = settings.Text("datanode_host_name");
  options.session.info.rack = settings.Text("datanode_rack");
  if (!options.session.info.rack.starts_with('/')) {
    return BadValue("datanode_rack", options.session.info.rack, "a rack begins with /");
  }
  options.session.info.http_port = static_cast<uint16_t>(settings.Int("datanode_http_port"));
  options.session.heartbeat_timeout = ms("datanode_heartbeat_timeout_ms");
  options.session.report_timeout = ms("datanode_report_timeout_ms");

  options.node.limits.writers_per_volume = count("datanode_max_writers_per_volume");
  options.node.limits.readers_per_volume = count("datanode_max_readers_per_volume");
  options.node.limits.streams_in_all = count("datanode_max_streams");
  options.node.limits.transfers = count("datanode_max_transfers");
  options.node.limits.relays = count("datanode_max_relays");
  options.node.workers.read_threads = count("datanode_read_threads_per_volume");
  options.node.workers.sync_helpers = count("datanode_sync_threads_per_volume") - 1;
  options.node.hop.setup_timeout = ms("datanode_setup_timeout_ms");
  options.node.hop.ack_timeout = ms("datanode_ack_timeout_ms");
  options.node.hop.disk_timeout = ms("datanode_disk_timeout_ms");
  options.node.hop.idle_timeout = seconds("datanode_idle_write_timeout_s");
  options.node.disk_hang_timeout = seconds("datanode_disk_hang_timeout_s");
  options.node.reader_timeout = seconds("datanode_slow_reader_timeout_s");
  return options;
}

}  // namespace dolmen::datanode
