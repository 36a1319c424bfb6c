// DigestOf of records.h: every field of a request in the order of its declaration, optional fields after a 0 or 1.
#include <optional>
#include <variant>
#include <vector>

#include "namenode/core/digest.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {
namespace {

namespace p = ::dolmen::protocol;

class RequestDigest {
 public:
  void operator()(const p::MkdirsRequest& r) { Add(r.path, r.permission, r.create_parents); }
  void operator()(const p::CreateRequest& r) {
    Add(r.path, r.permission, r.overwrite, r.create_parents, r.replication, r.block_bytes, r.holder);
  }
  void operator()(const p::AddBlockRequest& r) { Add(r.path, r.inode, r.holder, r.previous, r.excluded); }
  void operator()(const p::AbandonBlockRequest& r) { Add(r.path, r.inode, r.holder, r.block); }
  void operator()(const p::CompleteRequest& r) { Add(r.path, r.inode, r.holder, r.last); }
  void operator()(const p::RenameRequest& r) { Add(r.source, r.destination, static_cast<uint64_t>(r.kind)); }
  void operator()(const p::DeleteRequest& r) { Add(r.path, r.recursive); }
  void operator()(const p::SetAttributesRequest& r) {
    Add(r.path, r.permission, r.owner, r.group, r.modified, r.accessed);
  }
  void operator()(const p::FsyncRequest& r) { Add(r.path, r.inode, r.holder); }
  void operator()(const p::ConcatRequest& r) {
    Add(r.target);
    Add(r.sources.size());
    for (const std::string& source : r.sources) Add(source);
  }
  void operator()(const p::SetReplicationRequest& r) { Add(r.path, r.replication); }
  void operator()(const p::AppendRequest& r) { Add(r.path, r.holder, r.new_block, r.excluded); }
  void operator()(const p::TruncateRequest& r) { Add(r.path, r.length); }
  void operator()(const p::RecoverLeaseRequest& r) { Add(r.path, r.holder); }

  template <typename... Fields>
  void Add(const Fields&... fields) {
    (One(fields), ...);
  }
  uint64_t value() const { return digest_.value(); }

 private:
  void One(uint64_t number) { digest_.Add(number); }
  void One(const std::string& text) { digest_.Add(std::string_view(text)); }
  void One(InodeId inode) { digest_.Add(inode.value()); }
  void One(WallTime time) { digest_.Add(static_cast<uint64_t>(time.ms)); }
  void One(const std::vector<DatanodeUuid>& datanodes) {
    Add(datanodes.size());
    for (const DatanodeUuid& datanode : datanodes) Add(datanode.value());
  }
  void One(const p::Block& block) { Add(block.id.value(), block.stamp.value(), block.length); }
  template <typename T>
  void One(const std::optional<T>& field) {
    digest_.Add(uint64_t{field.has_value()});
    if (field.has_value()) One(*field);
  }

  Digest digest_;
};

}  // namespace

uint64_t DigestOf(const protocol::Mutation& request) {
  RequestDigest digest;
  digest.Add(uint64_t{request.index()});
  std::visit(digest, request);
  return digest.value();
}

}  // namespace dolmen::namenode
