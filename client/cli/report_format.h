// The texts of `dfsadmin -report`, -printTopology and -listOpenFiles.
#pragma once

#include <string>
#include <vector>

#include "client/dolmen/client.h"

namespace dolmen::cli {

// The sections asked for; none means all, of which the empty ones are left out.
struct ReportSections {
  bool live = false;
  bool dead = false;
  bool decommissioning = false;
  bool entering_maintenance = false;
  bool in_maintenance = false;
  bool all() const { return !live && !dead && !decommissioning && !entering_maintenance && !in_maintenance; }
};

// Nodes appear in the order given. Stale nodes count as live.
std::string FormatReport(const ClusterStats& stats, const std::vector<DatanodeReport>& nodes,
                         const ReportSections& sections);

// Each rack with its nodes, dead ones too, both in name order.
std::string FormatTopology(const std::vector<DatanodeReport>& nodes);

std::string OpenFilesHeader();
std::string FormatOpenFile(const OpenFile& file);

}  // namespace dolmen::cli
