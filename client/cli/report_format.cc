#include "client/cli/report_format.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/format.h"

namespace dolmen::cli {
namespace {

void AppendBytes(std::string& text, const char* label, uint64_t bytes) {
  absl::StrAppend(&text, label, ": ", bytes, " (", ByteDescription(bytes), ")\n");
}

std::string FormatNode(const DatanodeReport& node) {
  // A node without capacity is shown as full.
  const auto percent = [&](uint64_t part, const char* without_capacity) {
    return node.capacity_bytes == 0 ? std::string(without_capacity)
                                    : Percent(static_cast<double>(part), static_cast<double>(node.capacity_bytes));
  };
  std::string text = absl::StrCat("Name: ", node.address);
  if (!node.host_name.empty()) absl::StrAppend(&text, " (", node.host_name, ")");
  absl::StrAppend(&text, "\nHostname: ", node.host_name, "\n");
  if (!node.rack.empty() && node.rack != "/default-rack") absl::StrAppend(&text, "Rack: ", node.rack, "\n");
  absl::StrAppend(&text, "Decommission Status : Normal\n");
  AppendBytes(text, "Configured Capacity", node.capacity_bytes);
  AppendBytes(text, "DFS Used", node.used_bytes);
  AppendBytes(text, "Non DFS Used", node.non_dfs_used_bytes);
  AppendBytes(text, "DFS Remaining", node.remaining_bytes);
  absl::StrAppend(&text, "DFS Used%: ", percent(node.used_bytes, "100.00%"), "\n");
  absl::StrAppend(&text, "DFS Remaining%: ", percent(node.remaining_bytes, "0.00%"), "\n");
  // There is no block cache: its size is always zero.
  AppendBytes(text, "Configured Cache Capacity", 0);
  AppendBytes(text, "Cache Used", 0);
  AppendBytes(text, "Cache Remaining", 0);
  absl::StrAppend(&text, "Cache Used%: 100.00%\nCache Remaining%: 0.00%\n");
  absl::StrAppend(&text, "Xceivers: ", node.active_streams, "\n");
  absl::StrAppend(&text, "Last contact: ", JavaDate(node.last_contact_ms), "\n");
  absl::StrAppend(&text, "Last Block Report: ",
                  node.last_full_report_ms.has_value() ? JavaDate(*node.last_full_report_ms) : "Never", "\n");
  absl::StrAppend(&text, "Num of Blocks: ", node.block_count, "\n");
  return text;
}

void AppendSection(std::string& text, const char* heading, const std::vector<const DatanodeReport*>& nodes,
                   bool asked_for) {
  if (nodes.empty() && !asked_for) return;
  absl::StrAppend(&text, heading, " (", nodes.size(), "):\n\n");
  for (const DatanodeReport* node : nodes) absl::StrAppend(&text, FormatNode(*node), "\n\n");
}

}  // namespace

std::string FormatReport(const ClusterStats& stats, const std::vector<DatanodeReport>& nodes,
                         const ReportSections& sections) {
  std::string text;
  if (stats.safe_mode) absl::StrAppend(&text, "Safe mode is ON\n");
  const uint64_t present = stats.used_bytes + stats.remaining_bytes;
  AppendBytes(text, "Configured Capacity", stats.capacity_bytes);
  AppendBytes(text, "Present Capacity", present);
  AppendBytes(text, "DFS Remaining", stats.remaining_bytes);
  AppendBytes(text, "DFS Used", stats.used_bytes);
  absl::StrAppend(&text, "DFS Used%: ",
                  present == 0 ? "0.00%" : Percent(static_cast<double>(stats.used_bytes), static_cast<double>(present)),
                  "\n");
  absl::StrAppend(&text, "Replicated Blocks:\n", "\tUnder replicated blocks: ", stats.under_replicated_blocks,
                  "\n\tBlocks with corrupt replicas: ", stats.corrupt_blocks,
                  "\n\tMissing blocks: ", stats.missing_blocks,
                  "\n\tMissing blocks (with replication factor 1): ", stats.missing_blocks_replication_one,
                  "\n\tPending deletion blocks: ", stats.pending_deletion_blocks, "\n");
  // There is no erasure coding: these are always zero.
  absl::StrAppend(&text, "Erasure Coded Block Groups: \n", "\tLow redundancy block groups: 0\n",
                  "\tBlock groups with corrupt internal blocks: 0\n", "\tMissing block groups: 0\n",
                  "\tPending deletion blocks: 0\n");
  absl::StrAppend(&text, "\n", std::string(49, '-'), "\n");

  std::vector<const DatanodeReport*> live;
  std::vector<const DatanodeReport*> dead;
  for (const DatanodeReport& node : nodes) (node.liveness == NodeLiveness::kDead ? dead : live).push_back(&node);
  const bool all = sections.all();
  if (all || sections.live) AppendSection(text, "Live datanodes", live, sections.live);
  if (all || sections.dead) AppendSection(text, "Dead datanodes", dead, sections.dead);
  AppendSection(text, "Decommissioning datanodes", {}, sections.decommissioning);
  AppendSection(text, "Entering maintenance datanodes", {}, sections.entering_maintenance);
  AppendSection(text, "In maintenance datanodes", {}, sections.in_maintenance);
  return text;
}

std::string FormatTopology(const std::vector<DatanodeReport>& nodes) {
  std::map<std::string, std::set<std::string>> racks;
  for (const DatanodeReport& node : nodes) {
    std::string name = node.host_name.empty() ? node.address : absl::StrCat(node.address, " (", node.host_name, ")");
    racks[node.rack].insert(std::move(name));
  }
  std::string text;
  for (const auto& [rack, names] : racks) {
    absl::StrAppend(&text, "Rack: ", rack, "\n");
    for (const std::string& name : names) absl::StrAppend(&text, "   ", name, "\n");
    text += "\n";
  }
  return text;
}

std::string OpenFilesHeader() {
  return absl::StrCat(PadRight("Client Host", 20), "\t", PadRight("Client Name", 20), "\tOpen File Path\n");
}

std::string FormatOpenFile(const OpenFile& file) {
  return absl::StrCat(PadRight(file.client_host, 20), "\t", PadRight(file.client_name, 20), "\t",
                      PadLeft(file.path, 20), "\n");
}

}  // namespace dolmen::cli
