// Repeated fields of any message that has a FromProto and ToProto. For the conversions' own source files: it includes
// all of their headers, because a template sees only the overloads declared before it.
#pragma once

#include <utility>
#include <vector>

#include "common/rpc/convert_client.h"
#include "common/rpc/convert_data.h"
#include "common/rpc/convert_datanode.h"
#include "common/rpc/convert_types.h"

namespace dolmen::rpc {

// All of a repeated field, at most `most`; errors name the field and the index.
template <typename Plain, typename Repeated>
absl::StatusOr<std::vector<Plain>> ListFromProto(std::string_view field, const Repeated& from, size_t most) {
  DOLMEN_RETURN_IF_ERROR(CheckCount(field, static_cast<size_t>(from.size()), most));
  std::vector<Plain> list;
  list.reserve(static_cast<size_t>(from.size()));
  for (const auto& entry : from) {
    absl::StatusOr<Plain> plain = FromProto(entry);
    if (!plain.ok()) return Annotate(plain.status(), absl::StrCat(ToAbsl(field), "[", list.size(), "]"));
    list.push_back(*std::move(plain));
  }
  return list;
}

template <typename Plain, typename Repeated>
void ListToProto(const std::vector<Plain>& from, Repeated* to) {
  to->Reserve(static_cast<int>(from.size()));
  for (const Plain& entry : from) ToProto(entry, to->Add());
}

}  // namespace dolmen::rpc
