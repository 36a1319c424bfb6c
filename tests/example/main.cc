// Writes a file, reads it back, lists its directory, and tells one error from another.
//   example dolmen://localhost:7020 /tmp/example
#include <dolmen/client.h>
#include <dolmen/error.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace {

absl::Status Run(const std::string& uri, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<dolmen::FileSystemClient>> connected = dolmen::FileSystemClient::Connect(uri, {});
  if (!connected.ok()) return connected.status();
  dolmen::FileSystemClient& fs = **connected;

  if (absl::Status made = fs.Mkdirs(directory); !made.ok()) return made;
  const std::string path = directory + "/greeting";
  absl::StatusOr<std::unique_ptr<dolmen::OutputStream>> out = fs.Create(path, {.overwrite = true});
  if (!out.ok()) return out.status();
  if (absl::Status written = (*out)->Write("Hello from outside.\n"); !written.ok()) return written;
  // Only now the file is complete, and on disk on its datanodes.
  if (absl::Status closed = (*out)->Close(); !closed.ok()) return closed;

  absl::StatusOr<std::unique_ptr<dolmen::InputStream>> in = fs.Open(path);
  if (!in.ok()) return in.status();
  std::vector<char> buffer(4096);
  for (;;) {
    absl::StatusOr<size_t> count = (*in)->Read(buffer);
    if (!count.ok()) return count.status();
    if (*count == 0) break;
    std::cout.write(buffer.data(), static_cast<std::streamsize>(*count));
  }

  absl::Status listed = fs.List(directory, [](const dolmen::FileStatus& entry) {
    std::cout << entry.name << ": " << entry.length << " bytes, " << entry.replication << " replicas\n";
    return true;
  });
  if (!listed.ok()) return listed;

  absl::Status missing = fs.Open(directory + "/nothing").status();
  if (dolmen::ReasonOf(missing) != dolmen::ErrorReason::kFileNotFound) return missing;
  std::cout << missing.message() << "\n";
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: example dolmen://HOST:PORT DIRECTORY\n";
    return 2;
  }
  if (absl::Status done = Run(argv[1], argv[2]); !done.ok()) {
    std::cerr << "example: " << done.message() << "\n";
    return 1;
  }
  return 0;
}
