// Small pieces of error texts that several machines share.
#pragma once

#include <string>

#include "common/clock.h"
#include "common/protocol/types.h"

namespace dolmen::client {

// "10.0 s".
std::string SecondsText(Duration duration);
// "host:port" of the first advertised address; the uuid when there is none.
std::string AddressText(const protocol::DatanodeInfo& datanode);
// "[host:port, host:port]".
std::string PipelineText(const std::vector<protocol::ReplicaLocation>& locations);

}  // namespace dolmen::client
