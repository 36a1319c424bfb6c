#include "datanode/storage/volume_identity.h"

#include <charconv>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

constexpr std::string_view kFirstLine = "# Dolmen datanode volume";
constexpr std::string_view kCrcKey = "crc32c=";

absl::Status Damaged(std::string_view what) {
  return MakeError(ErrorReason::kDamaged, absl::StrCat("volume identity: ", ToAbsl(what)));
}

// Fields in the order of the file; each must be there once.
class Fields {
 public:
  static absl::StatusOr<Fields> Parse(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
      const size_t end = text.find('\n');
      if (end == std::string_view::npos) return Damaged("the last line is cut off");
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (line.starts_with('#')) continue;
      const size_t equals = line.find('=');
      if (equals == std::string_view::npos) return Damaged(absl::StrCat("not key=value: ", ToAbsl(line)));
      if (!fields.values_.emplace(line.substr(0, equals), line.substr(equals + 1)).second) {
        return Damaged(absl::StrCat("twice: ", ToAbsl(line)));
      }
    }
    return fields;
  }

  absl::StatusOr<std::string> Text(std::string_view key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return Damaged(absl::StrCat("missing: ", ToAbsl(key)));
    return found->second;
  }

  absl::StatusOr<uint64_t> Number(std::string_view key) const {
    DOLMEN_ASSIGN_OR_RETURN(const std::string text, Text(key));
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      return Damaged(absl::StrCat("not a number: ", ToAbsl(key), "=", text));
    }
    return value;
  }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

std::string FromHex(const std::string& hex) { return absl::HexStringToBytes(hex); }

}  // namespace

std::string_view StorageTypeName(protocol::StorageType type) {
  switch (type) {
    case protocol::StorageType::kDisk:
      return "DISK";
    case protocol::StorageType::kSsd:
      return "SSD";
    case protocol::StorageType::kArchive:
      return "ARCHIVE";
    case protocol::StorageType::kRamDisk:
      return "RAM_DISK";
  }
  return "DISK";
}

absl::StatusOr<protocol::StorageType> ParseStorageType(std::string_view name) {
  for (const auto type : {protocol::StorageType::kDisk, protocol::StorageType::kSsd, protocol::StorageType::kArchive,
                          protocol::StorageType::kRamDisk}) {
    if (name == StorageTypeName(type)) return type;
  }
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat("unknown storage type ", ToAbsl(name), "; use DISK, SSD, ARCHIVE or RAM_DISK"));
}

std::string EncodeVolumeIdentity(const VolumeIdentity& identity) {
  std::string text = absl::StrCat(
      ToAbsl(kFirstLine), "\n", "layout_version=", identity.layout_version, "\n",
      "cluster_id=", identity.cluster.value(), "\n", "datanode_uuid=", identity.datanode.value(), "\n",
      "storage_id=", identity.storage.value(), "\n", "storage_type=", ToAbsl(StorageTypeName(identity.type)), "\n",
      "highest_epoch=", identity.highest_epoch.value(), "\n");
  absl::StrAppend(&text, "highest_incarnation=", absl::BytesToHexString(identity.highest_incarnation), "\n",
                  "seen_block=", identity.seen.block.value(), "\n", "seen_stamp=", identity.seen.stamp.value(), "\n",
                  "block_bound=", identity.bound.block.value(), "\n", "stamp_bound=", identity.bound.stamp.value(),
                  "\n");
  absl::StrAppend(&text, ToAbsl(kCrcKey), absl::Hex(Crc32c(text), absl::kZeroPad8), "\n");
  return text;
}

absl::StatusOr<VolumeIdentity> DecodeVolumeIdentity(std::string_view text) {
  const size_t crc_line = text.rfind(kCrcKey);
  if (crc_line == std::string_view::npos || !text.starts_with(kFirstLine)) {
    return Damaged("not a VERSION file of a Dolmen datanode");
  }
  const std::string_view body = text.substr(0, crc_line);
  if (text.substr(crc_line) !=
      FromAbsl(absl::StrCat(ToAbsl(kCrcKey), absl::Hex(Crc32c(body), absl::kZeroPad8), "\n"))) {
    return Damaged("the content does not match its crc32c line");
  }
  DOLMEN_ASSIGN_OR_RETURN(const Fields fields, Fields::Parse(body));
  VolumeIdentity identity;
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t layout, fields.Number("layout_version"));
  if (layout != kLayoutVersion) {
    return Damaged(absl::StrCat("layout version ", layout, ", this program reads ", kLayoutVersion));
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::string cluster, fields.Text("cluster_id"));
  DOLMEN_ASSIGN_OR_RETURN(const std::string datanode, fields.Text("datanode_uuid"));
  DOLMEN_ASSIGN_OR_RETURN(const std::string storage, fields.Text("storage_id"));
  DOLMEN_ASSIGN_OR_RETURN(const std::string type, fields.Text("storage_type"));
  DOLMEN_ASSIGN_OR_RETURN(identity.type, ParseStorageType(type));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t epoch, fields.Number("highest_epoch"));
  DOLMEN_ASSIGN_OR_RETURN(const std::string incarnation, fields.Text("highest_incarnation"));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t seen_block, fields.Number("seen_block"));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t seen_stamp, fields.Number("seen_stamp"));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t block_bound, fields.Number("block_bound"));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t stamp_bound, fields.Number("stamp_bound"));
  if (datanode.empty() || storage.empty()) return Damaged("datanode_uuid or storage_id is empty");
  identity.cluster = ClusterId(cluster);
  identity.datanode = DatanodeUuid(datanode);
  identity.storage = StorageId(storage);
  identity.highest_epoch = Epoch(epoch);
  identity.highest_incarnation = FromHex(incarnation);
  identity.seen = {BlockId(seen_block), GenerationStamp(seen_stamp)};
  identity.bound = {BlockId(block_bound), GenerationStamp(stamp_bound)};
  return identity;
}

}  // namespace dolmen::datanode
