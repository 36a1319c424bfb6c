#include "common/daemon.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen {
namespace {

absl::Status BadUsage(std::string_view text) { return MakeError(ErrorReason::kIllegalArgument, text); }

bool IsLoopback(std::string_view host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

}  // namespace

absl::StatusOr<DaemonFlags> ParseDaemonFlags(const std::vector<std::string>& args, std::span<const ShortFlag> shorts) {
  DaemonFlags flags;
  for (size_t i = 0; i < args.size(); ++i) {
    const size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    if (args[i] == "--help" || args[i] == "-h") {
      flags.help = true;
    } else if (args[i] == "--print-config") {
      flags.print_config = true;
    } else if (name == "--config" || name == "--port-file") {
      std::string& file = name == "--config" ? flags.config_file : flags.port_file;
      if (equals != std::string::npos) {
        file = args[i].substr(equals + 1);
      } else if (++i < args.size()) {
        file = args[i];
      }
      if (file.empty()) return BadUsage(absl::StrCat(name, " needs a file name"));
    } else {
      std::string flag = args[i];
      for (const auto& [from, to] : shorts) {
        if (name == from) flag = std::string(to) + args[i].substr(name.size());
      }
      flags.settings.push_back(std::move(flag));
    }
  }
  return flags;
}

absl::Status LoadDaemonSettings(std::string_view program, const DaemonFlags& flags, Settings* settings) {
  if (!flags.config_file.empty()) DOLMEN_RETURN_IF_ERROR(settings->LoadTomlFile(flags.config_file));
  DOLMEN_RETURN_IF_ERROR(settings->LoadEnvironment(environ));
  const absl::StatusOr<std::vector<std::string>> rest = settings->LoadFlags(flags.settings);
  if (!rest.ok()) {
    return MakeError(ReasonOf(rest.status()), absl::StrCat(rest.status().message(), "; ", ToAbsl(program),
                                                           " --print-config lists all settings"));
  }
  if (rest->empty()) return absl::OkStatus();
  return BadUsage(absl::StrCat("unexpected argument '", rest->front(), "'; see ", ToAbsl(program), " --help"));
}

absl::Status StartLog(std::string_view component, const std::string& level_name) {
  const auto level = spdlog::level::from_str(level_name);
  if (level == spdlog::level::off && level_name != "off") {
    return BadUsage(absl::StrCat("log_level = '", level_name, "' is not valid; use trace, debug, info, warn or error"));
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt(std::string(component)));
  spdlog::set_level(level);
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::flush_on(spdlog::level::info);
  return absl::OkStatus();
}

absl::Status CheckBindHost(const Settings& settings, std::string_view component) {
  const std::string bind_host = absl::StrCat(ToAbsl(component), "_bind_host");
  const std::string allow_remote = absl::StrCat(ToAbsl(component), "_allow_remote");
  const std::string& host = settings.Text(bind_host);
  if (IsLoopback(host) || settings.Bool(allow_remote)) return absl::OkStatus();
  return BadUsage(absl::StrCat(bind_host, " is ", host,
                               ", but callers are not authenticated yet: anybody who reaches it can claim to be "
                               "anybody. Set ",
                               allow_remote, " if that is acceptable"));
}

void RaiseOpenFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  spdlog::warn("the limit of open files stays {}; raise it with ulimit -n if calls fail as busy", before);
}

absl::Status WritePortFile(FileSystem& fs, const std::string& path, uint16_t port) {
  return Annotate(WriteFileDurably(fs, path, absl::StrCat(port, "\n")), absl::StrCat("writing ", path));
}

int FailDaemon(std::string_view program, const absl::Status& why, int code) {
  const std::string text = absl::StrCat(ToAbsl(program), ": ", ToAbsl(MessageOf(why)), "\n");
  std::fputs(text.c_str(), stderr);
  return code;
}

}  // namespace dolmen
