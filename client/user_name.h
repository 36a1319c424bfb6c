// Who the client claims to be.
#pragma once

#include <string>

namespace dolmen::client {

// `option` when given, then DOLMEN_USER, then HADOOP_USER_NAME, then the name of the process's effective user, then its
// number.
std::string ClaimedUser(const std::string& option);

}  // namespace dolmen::client
