// -stat's format language.
#pragma once

#include <string>
#include <string_view>

#include "client/dolmen/client.h"

namespace dolmen::cli {

// `format` with %a %A %b %F %g %n %o %r %u %x %X %y %Y replaced. `name` is the last component of the path. An unknown
// letter prints itself, so "%%" prints "%"; a '%' at the end prints nothing.
std::string FormatStat(std::string_view format, const FileStatus& status, std::string_view name);

}  // namespace dolmen::cli
