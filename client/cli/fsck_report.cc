#include "client/cli/fsck_report.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace dolmen::cli {
namespace {

constexpr uint64_t kMinReplication = 1;  // HDFS's dfs.namenode.replication.min
constexpr uint64_t kEmptyLineEvery = 1000;
constexpr uint64_t kDotEvery = 100;

// "BP-...:blk_1073741824_1001".
std::string BlockText(const CheckedEntry& file, const CheckedBlock& block) {
  return absl::StrCat(file.block_pool, ":blk_", block.block_id, "_", block.generation_stamp);
}

std::string PercentText(uint64_t part, uint64_t whole) {
  if (whole == 0) return "";
  return absl::StrCat(" (", JavaFloat(static_cast<float>(part * 100) / static_cast<float>(whole)), " %)");
}

// HDFS locates the complete blocks of a file; the one that is being written counts only when there is no other.
uint64_t LocatedBlockCount(const CheckedEntry& entry) {
  const uint64_t complete = static_cast<uint64_t>(std::count_if(
      entry.blocks.begin(), entry.blocks.end(), [](const CheckedBlock& block) { return !block.under_construction; }));
  return complete > 0 ? complete : entry.blocks.size();
}

const char* DetailText(ReplicaCondition condition) {
  switch (condition) {
    case ReplicaCondition::kLive:
      return "(LIVE)";
    case ReplicaCondition::kStale:
      return "(STALE_NODE)";
    case ReplicaCondition::kCorrupt:
      break;
  }
  return "(CORRUPT)";
}

}  // namespace

std::string JavaFloat(float value) {
  char text[64];
  const bool plain = value == 0 || (std::fabs(value) >= 1e-3f && std::fabs(value) < 1e7f);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const std::to_chars_result done = std::to_chars(text, text + sizeof text, value, format);
  std::string shortest(text, done.ptr);
  if (plain) return shortest.find('.') == std::string::npos ? shortest + ".0" : shortest;
  // "1.5e-04" -> "1.5E-4", "1e+07" -> "1.0E7".
  const size_t e = shortest.find('e');
  std::string mantissa = shortest.substr(0, e);
  if (mantissa.find('.') == std::string::npos) mantissa += ".0";
  std::string exponent = shortest.substr(e + 2);
  exponent.erase(0, std::min(exponent.find_first_not_of('0'), exponent.size() - 1));
  return absl::StrCat(mantissa, "E", shortest[e + 1] == '-' ? "-" : "", exponent);
}

BlockVerdict Judge(const CheckedBlock& block) {
  BlockVerdict verdict;
  for (const CheckedReplica& replica : block.replicas) {
    verdict.live += replica.condition == ReplicaCondition::kCorrupt ? 0 : 1;
  }
  if (block.under_construction) return verdict;
  verdict.corrupt = verdict.live == 0 && !block.replicas.empty();
  verdict.missing = block.replicas.empty();
  return verdict;
}

std::string FsckReport::Add(const CheckedEntry& entry, bool* is_bad) {
  *is_bad = false;
  std::string out;
  if ((directories_ + files_) % kEmptyLineEvery == 0) out += "\n";
  if (!entry.status.is_directory) {
    absl::StrAppend(&out, AddFile(entry, is_bad));
    return out;
  }
  if (options_.files) absl::StrAppend(&out, entry.path, " <dir>\n");
  ++directories_;
  return out;
}

void FsckReport::CountBlock(const CheckedEntry& entry, const CheckedBlock& block, const BlockVerdict& verdict) {
  const uint64_t target = entry.status.replication;
  replicas_ += verdict.live;
  expected_replicas_ += target;
  if (verdict.live < kMinReplication) {
    ++under_minimum_;
  } else {
    ++minimally_replicated_;
  }
  if (verdict.live > target) ++over_replicated_;
  if (verdict.corrupt) {
    ++corrupt_blocks_;
    corrupt_bytes_ += block.length;
  }
  if (verdict.missing) {
    ++missing_blocks_;
    missing_bytes_ += block.length;
  }
}

std::string FsckReport::AddFile(const CheckedEntry& entry, bool* is_bad) {
  const FileStatus& status = entry.status;
  const uint64_t block_count = LocatedBlockCount(entry);
  if (status.under_construction && !options_.open_for_write) {
    ++open_files_;
    open_bytes_ += status.length;
    open_blocks_ += block_count;
    return "";
  }
  ++files_;
  bytes_ += status.length;
  blocks_ += block_count;
  std::string out;
  if (status.under_construction || options_.files) {
    absl::StrAppend(&out, entry.path, " ", status.length, " bytes, replicated: replication=", status.replication, ", ",
                    block_count, " block(s)", status.under_construction ? ", OPENFORWRITE: " : ": ");
  } else if (files_ % kDotEvery == 0) {
    out += ".";
  }

  uint64_t missing = 0, missing_bytes = 0, corrupt = 0, corrupt_bytes = 0, under_replicated = 0, badly_placed = 0;
  std::string details;
  uint64_t index = 0;
  for (const CheckedBlock& block : entry.blocks) {
    const std::string name = BlockText(entry, block);
    const BlockVerdict verdict = Judge(block);
    if (block.under_construction) {
      absl::StrAppend(&details, "\nUnder Construction Block:\n", index, ". ", name, " len=", block.length,
                      " Expected_repl=", block.replicas.size(), ReplicaList(block));
      continue;
    }
    CountBlock(entry, block, verdict);
    if (verdict.corrupt) {
      ++corrupt;
      corrupt_bytes += block.length;
      absl::StrAppend(&out, "\n", entry.path, ": CORRUPT blockpool ", entry.block_pool, " block blk_", block.block_id,
                      "\n");
    }
    if (verdict.live < status.replication && verdict.live > 0) {
      missing_replicas_ += status.replication - verdict.live;
      ++under_replicated_;
      ++under_replicated;
      if (!options_.files) absl::StrAppend(&out, "\n", entry.path, ": ");
      absl::StrAppend(&out, " Under replicated ", name, ". Target Replicas is ", status.replication, " but found ",
                      verdict.live, " live replica(s), 0 decommissioned replica(s), 0 decommissioning replica(s)",
                      options_.maintenance ? ", 0 entering maintenance replica(s) and 0 in maintenance replica(s)" : "",
                      ".\n");
    }
    if (block.racks_wanted > 1 && block.racks < block.racks_wanted) {
      ++badly_placed_;
      ++badly_placed;
      if (!options_.files) {
        if (under_replicated == 0) out += "\n";
        absl::StrAppend(&out, entry.path, ": ");
      }
      absl::StrAppend(&out, " Replica placement policy is violated for ", name,
                      ". Block should be additionally replicated on ", block.racks_wanted - block.racks,
                      " more rack(s). Total number of racks in the cluster: ", cluster_.racks, "\n");
    }
    absl::StrAppend(&details, index, ". ", name, " len=", block.length);
    if (verdict.missing) {
      details += " MISSING!";
      ++missing;
      missing_bytes += block.length;
    } else {
      absl::StrAppend(&details, " Live_repl=", verdict.live, ReplicaList(block));
    }
    details += "\n";
    ++index;
  }

  const std::string missing_text = absl::StrCat(" MISSING ", missing, " blocks of total size ", missing_bytes, " B");
  const std::string corrupt_text = absl::StrCat(" CORRUPT ", corrupt, " blocks of total size ", corrupt_bytes, " B");
  if (missing > 0 || corrupt > 0) {
    ++corrupt_files_;
    *is_bad = !status.under_construction;
    if (options_.files) {
      if (missing > 0) absl::StrAppend(&out, missing_text, "\n");
      if (corrupt > 0) absl::StrAppend(&out, corrupt_text, "\n");
    } else {
      if (missing > 0) absl::StrAppend(&out, "\n", entry.path, ":", missing_text, ".");
      if (corrupt > 0) absl::StrAppend(&out, "\n", entry.path, ":", corrupt_text, ".");
    }
  }
  if (!options_.files) return out;
  if (missing == 0 && corrupt == 0 && under_replicated == 0 && badly_placed == 0) out += " OK\n";
  if (options_.blocks) absl::StrAppend(&out, details, "\n");
  return out;
}

std::string FsckReport::ReplicaList(const CheckedBlock& block) const {
  if (!options_.locations && !options_.racks && !options_.replica_details && !options_.upgrade_domains) return "";
  std::vector<std::string> items;
  for (const CheckedReplica& replica : block.replicas) {
    items.push_back(absl::StrCat(options_.racks ? absl::StrCat(replica.rack, "/", replica.address)
                                                : absl::StrCat("DatanodeInfoWithStorage[", replica.address, ",",
                                                               replica.storage, ",", replica.storage_type, "]"),
                                 options_.replica_details ? DetailText(replica.condition) : "",
                                 options_.upgrade_domains ? "(ud=undefined)" : ""));
  }
  return absl::StrCat("  [", absl::StrJoin(items, ", "), "]");
}

std::string FsckReport::CorruptSection() const {
  if (corrupt_files_ == 0 && under_minimum_ == 0) return "";
  std::string out = "\n  ********************************";
  if (under_minimum_ > 0) {
    absl::StrAppend(&out, "\n  UNDER MIN REPL'D BLOCKS:\t", under_minimum_, PercentText(under_minimum_, blocks_),
                    "\n  MINIMAL BLOCK REPLICATION:\t", kMinReplication);
  }
  if (corrupt_files_ > 0) {
    absl::StrAppend(&out, "\n  CORRUPT FILES:\t", corrupt_files_);
    if (missing_bytes_ > 0) {
      absl::StrAppend(&out, "\n  MISSING BLOCKS:\t", missing_blocks_, "\n  MISSING SIZE:\t\t", missing_bytes_, " B");
    }
    if (corrupt_blocks_ > 0) {
      absl::StrAppend(&out, "\n  CORRUPT BLOCKS: \t", corrupt_blocks_, "\n  CORRUPT SIZE:\t\t", corrupt_bytes_, " B");
    }
  }
  return out + "\n  ********************************";
}

std::string FsckReport::Summary() const {
  std::string out =
      absl::StrCat("\nStatus: ", healthy() ? "HEALTHY" : "CORRUPT", "\n Number of data-nodes:\t",
                   cluster_.live_datanodes, "\n Number of racks:\t\t", cluster_.racks, "\n Total dirs:\t\t\t",
                   directories_, "\n Total symlinks:\t\t0\n\nReplicated Blocks:\n Total size:\t", bytes_, " B");
  if (open_bytes_ != 0) absl::StrAppend(&out, " (Total open files size: ", open_bytes_, " B)");
  absl::StrAppend(&out, "\n Total files:\t", files_);
  if (open_files_ != 0) absl::StrAppend(&out, " (Files currently being written: ", open_files_, ")");
  absl::StrAppend(&out, "\n Total blocks (validated):\t", blocks_);
  if (blocks_ > 0) absl::StrAppend(&out, " (avg. block size ", bytes_ / blocks_, " B)");
  if (open_blocks_ != 0) absl::StrAppend(&out, " (Total open file blocks (not validated): ", open_blocks_, ")");
  const float average = blocks_ == 0 ? 0.0f : static_cast<float>(replicas_) / static_cast<float>(blocks_);
  absl::StrAppend(&out, CorruptSection(), "\n Minimally replicated blocks:\t", minimally_replicated_,
                  PercentText(minimally_replicated_, blocks_), "\n Over-replicated blocks:\t", over_replicated_,
                  PercentText(over_replicated_, blocks_));
  absl::StrAppend(&out, "\n Under-replicated blocks:\t", under_replicated_, PercentText(under_replicated_, blocks_),
                  "\n Mis-replicated blocks:\t\t", badly_placed_, PercentText(badly_placed_, blocks_),
                  "\n Default replication factor:\t", cluster_.default_replication, "\n Average block replication:\t",
                  JavaFloat(average));
  absl::StrAppend(&out, "\n Missing blocks:\t\t", missing_blocks_, "\n Corrupt blocks:\t\t", corrupt_blocks_,
                  "\n Missing replicas:\t\t", missing_replicas_, PercentText(missing_replicas_, expected_replicas_),
                  "\n Blocks queued for replication:\t0\n");
  // Nothing is erasure coded.
  out +=
      "\nErasure Coded Block Groups:\n Total size:\t0 B\n Total files:\t0\n Total block groups (validated):\t0\n"
      " Minimally erasure-coded block groups:\t0\n Over-erasure-coded block groups:\t0\n"
      " Under-erasure-coded block groups:\t0\n Unsatisfactory placement block groups:\t0\n"
      " Average block group size:\t0.0\n Missing block groups:\t\t0\n Corrupt block groups:\t\t0\n"
      " Missing internal blocks:\t0\n Blocks queued for replication:\t0\n";
  return out;
}

}  // namespace dolmen::cli
