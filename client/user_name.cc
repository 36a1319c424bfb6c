#include "client/user_name.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace dolmen::client {

std::string ClaimedUser(const std::string& option) {
  if (!option.empty()) return option;
  for (const char* variable : {"DOLMEN_USER", "HADOOP_USER_NAME"}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return value;
  }
  std::vector<char> buffer(16 << 10);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr &&
      *found->pw_name != '\0') {
    return found->pw_name;
  }
  return std::to_string(geteuid());
}

}  // namespace dolmen::client
