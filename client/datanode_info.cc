#include "client/datanode_info.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/transport_error.h"
#include "client/waiter.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::client {
namespace {

using Answer = absl::StatusOr<v1::LocalInfoReply>;

// Whatever went wrong, no datanode was there.
absl::Status Unreachable(const std::string& address, std::chrono::milliseconds timeout, const absl::Status& status) {
  std::string why(MessageOf(status));
  if (status.code() == absl::StatusCode::kDeadlineExceeded)
    why = absl::StrCat("no answer within ", timeout.count(), " ms");
  if (status.code() == absl::StatusCode::kUnimplemented) why = "whoever answers is not a datanode";
  return MakeError(ErrorReason::kUnreachable, absl::StrCat(address, ": ", why));
}

}  // namespace

absl::StatusOr<DatanodeLocalInfo> AskDatanode(const std::string& address, std::chrono::milliseconds timeout,
                                              rpc::UnaryClient* unary) {
  DOLMEN_ASSIGN_OR_RETURN(const DolmenUri uri, ParseDolmenUri(absl::StrCat("dolmen://", address)));
  const auto stub = v1::DataTransfer::NewStub(rpc::MakeDataChannel(uri.host, uri.port));
  const auto waiter = std::make_shared<Waiter<Answer>>();
  unary->Call(stub.get(), &v1::DataTransfer::Stub::PrepareAsyncGetLocalInfo, v1::LocalInfoRequest(),
              {.timeout = timeout}, [waiter](Answer answer) { waiter->Set(std::move(answer)); });
  Answer answer = waiter->Get();
  if (!answer.ok()) return Unreachable(address, timeout, FromTransport(answer.status()));
  return DatanodeLocalInfo{.uptime_seconds = answer->uptime_seconds(),
                           .software_version = answer->software_version(),
                           .config_version = answer->config_version()};
}

}  // namespace dolmen::client
