// The files of the relay skeleton: data, and its checksums beside it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "common/protocol/data_transfer.h"

namespace dolmen::bench {

// One thread only.
class RelayFile {
 public:
  // `direct`: O_DIRECT through one aligned buffer; otherwise the page cache, with early writeback.
  static absl::StatusOr<std::unique_ptr<RelayFile>> Create(const std::string& path, bool direct);
  ~RelayFile();

  // `payload` of all but the last one is a multiple of 4 KiB.
  absl::Status Append(const absl::Cord& payload, const std::string& checksums);
  // fdatasync of both files.
  absl::Status Sync();

 private:
  RelayFile() = default;
  absl::Status AppendDirect(const absl::Cord& payload);
  absl::Status AppendCached(const absl::Cord& payload);

  int data_ = -1;
  int checksums_ = -1;
  char* aligned_ = nullptr;  // O_DIRECT only
  uint64_t length_ = 0;
  uint64_t writeback_ = 0;
};

// Reads a file in pieces of `chunk_bytes` with their checksums; `send` false: the receiver is gone.
absl::Status SendFile(const std::string& path, uint64_t chunk_bytes,
                      const std::function<bool(const protocol::ReadChunk&)>& send);

}  // namespace dolmen::bench
