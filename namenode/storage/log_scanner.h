// Reads RocksDB's write-ahead logs before RocksDB does, to tell a torn tail (normal after a crash: what was being
// written was never acknowledged) from damage (synced commits are gone: refuse, contract C-19). RocksDB itself would
// either stop silently at the first bad record or refuse a torn tail too.
//
// Format of a log, by RocksDB: blocks of 32 KiB, the last one shorter; in a block records of a 7-byte header (masked
// CRC32C, 2 bytes length, 1 byte type) and payload; fewer than 7 bytes at the end of a block are padding. A commit is
// one write batch: one whole record, or a first, middle... and last one. Commits follow each other only when the one
// before is synced, so after a bad record the beginning of another commit can only mean damage.
//
// Not told apart: a bad byte in the very last commit of the last log looks as a torn tail does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/ids.h"

namespace dolmen::namenode {

struct LogFileScan {
  std::string path;
  uint64_t number = 0;  // of the file name
  uint64_t file_bytes = 0;
  uint64_t valid_bytes = 0;  // up to the end of the last whole commit
  uint64_t commits = 0;
};

struct LogScan {
  std::vector<LogFileScan> files;  // by number
  CommitNumber last_commit;        // the newest whole commit in them; none when there is none
};

// Reads all logs (<number>.log) in the directory of a database that nobody has open. Changes nothing.
// Errors: kDamaged with file and offset: a bad record with a later commit behind it, commits that do not follow each
// other, a record type that we never let RocksDB write (recycled or compressed logs), a record that is not one of our
// commits. Others as FileSystem.
absl::StatusOr<LogScan> ScanLogs(FileSystem& fs, const std::string& directory);

// Cuts each log back to its valid bytes, durably, so that RocksDB can be told to refuse whatever else is wrong, and so
// that no torn log is ever followed by a newer one.
absl::Status CutTornTails(FileSystem& fs, const LogScan& scan);

}  // namespace dolmen::namenode
