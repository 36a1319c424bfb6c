// A line for the log, from code that does not write to it.
#pragma once

#include <string>

namespace dolmen::namenode {

struct Notice {
  std::string text;
  bool trouble = false;  // somebody should look at it
};

}  // namespace dolmen::namenode
