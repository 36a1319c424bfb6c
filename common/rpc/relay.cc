#include "common/rpc/relay.h"

#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "common/rpc/convert_types.h"
#include "grpcpp/support/client_interceptor.h"

namespace dolmen::rpc {
namespace {

namespace experimental = grpc::experimental;

constexpr char kRelayToKey[] = "dolmen-relay-to-bin";  // a v1::DatanodeInfo

class AddTarget final : public experimental::Interceptor {
 public:
  explicit AddTarget(std::string target) : target_(std::move(target)) {}

  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(kRelayToKey, target_);
    }
    methods->Proceed();
  }

 private:
  const std::string target_;
};

class AddTargetFactory final : public experimental::ClientInterceptorFactoryInterface {
 public:
  explicit AddTargetFactory(std::string target) : target_(std::move(target)) {}
  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override {
    return new AddTarget(target_);
  }

 private:
  const std::string target_;
};

}  // namespace

std::shared_ptr<grpc::Channel> MakeRelayedDataChannel(std::string_view host, uint16_t port,
                                                      const protocol::DatanodeInfo& target) {
  v1::DatanodeInfo wire;  // no more than it takes to reach it
  ToProto(protocol::DatanodeInfo{.uuid = target.uuid, .addresses = target.addresses}, &wire);
  ClientInterceptors interceptors;
  interceptors.push_back(std::make_unique<AddTargetFactory>(wire.SerializeAsString()));
  return MakeDataChannel(host, port, std::move(interceptors));
}

bool IsRelayed(const grpc::ServerContextBase& context) { return context.client_metadata().contains(kRelayToKey); }

absl::StatusOr<protocol::DatanodeInfo> RelayTarget(const grpc::ServerContextBase& context) {
  v1::DatanodeInfo wire;
  const auto found = context.client_metadata().find(kRelayToKey);
  if (found == context.client_metadata().end() ||
      !wire.ParseFromArray(found->second.data(), static_cast<int>(found->second.size()))) {
    return MakeError(ErrorReason::kIllegalArgument, "relay: the datanode to pass the call on to can't be read");
  }
  return FromProto(wire);
}

}  // namespace dolmen::rpc
