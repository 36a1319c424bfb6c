// Stands in for dolmen-namenode and dolmen-datanode in tests of `dolmen local`: formats, binds no port but writes one,
// runs until it is told to stop. It refuses to run on an unformatted directory, or when a file "broken" is beside it.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    options[name] = name == "--format" || i + 1 == argc ? "" : argv[++i];
  }
  const std::filesystem::path self = argv[0];
  const std::string metadata = options["--metadata-dir"];
  if (std::filesystem::exists(self.parent_path() / "broken")) {
    std::fprintf(stderr, "one\ntwo\nthe disk is broken\n");
    return 3;
  }
  if (options.contains("--format")) {
    std::filesystem::create_directories(metadata);
    if (std::filesystem::exists(metadata + "/formatted")) return 4;
    std::ofstream(metadata + "/formatted") << getpid() << "\n";
    return 0;
  }
  if (self.filename() == "dolmen-namenode" && !std::filesystem::exists(metadata + "/formatted")) return 5;
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  // Ports that nobody binds: the given one, or one made of the process id.
  const int port = options["--port"] == "0" ? 10000 + getpid() % 50000 : std::stoi(options["--port"]);
  const std::string temporary = options["--port-file"] + ".tmp";
  std::ofstream(temporary) << port << "\n";
  std::filesystem::rename(temporary, options["--port-file"]);
  int signal = 0;
  sigwait(&stop, &signal);
  return 0;
}
