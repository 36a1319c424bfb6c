#include "client/core/text.h"

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace dolmen::client {

std::string SecondsText(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

std::string AddressText(const protocol::DatanodeInfo& datanode) {
  if (datanode.addresses.empty()) return datanode.uuid.value();
  const protocol::Address& first = datanode.addresses.front();
  return absl::StrCat(first.host, ":", first.port);
}

std::string PipelineText(const std::vector<protocol::ReplicaLocation>& locations) {
  std::string text = "[";
  for (const protocol::ReplicaLocation& location : locations) {
    if (text.size() > 1) text += ", ";
    text += AddressText(location.datanode);
  }
  return text + "]";
}

}  // namespace dolmen::client
