// The lines of -count.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"

namespace dolmen::cli {

// Which groups of columns a line has.
struct CountStyle {
  bool quotas = false;                     // -q: before the counts
  bool quotas_only = false;                // -u: instead of the counts
  std::vector<std::string> storage_types;  // -t with -q or -u: their quotas instead of all that
  bool human_sizes = false;                // -h
  bool erasure_coding = false;             // -e
  bool snapshots = false;                  // -s
  // Whether a line tells anything that has to be counted.
  bool counts() const { return !quotas_only && storage_types.empty(); }
};

// The value of -t: "" and "all" mean every type that can have a quota, otherwise a comma list in any case.
// Error (usage): an unknown type, in Java's words.
absl::StatusOr<std::vector<std::string>> ParseStorageTypes(std::string_view text);

// Without a newline. There are no quotas, erasure coding or snapshots here, so those columns say "none", "inf",
// "Replicated" and 0 for everything.
std::string CountHeader(const CountStyle& style);
std::string CountLine(const CountStyle& style, const ContentSummary& summary, std::string_view shown);

}  // namespace dolmen::cli
