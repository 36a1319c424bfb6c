#include "tests/bench/rpc_driver.h"

#include "client/user_name.h"
#include "common/random.h"
#include "common/rpc/channel_arguments.h"

namespace dolmen::bench {

RpcDriver::RpcDriver(uint16_t port, int connections, uint64_t seed) : user_(client::ClaimedUser("")) {
  Random random(seed);
  for (int i = 0; i < connections; ++i) {
    auto connection = std::make_unique<Connection>();
    connection->stub = v1::ClientNamenode::NewStub(rpc::MakeControlChannel("127.0.0.1", port));
    connection->client_id = random.Bytes(16);
    connections_.push_back(std::move(connection));
  }
}

RpcDriver::~RpcDriver() {
  queue_.Shutdown();
  void* tag;
  bool ok;
  while (queue_.Next(&tag, &ok)) {
  }
}

void RpcDriver::FillHeader(Connection* connection, uint64_t* call_id, v1::CallHeader* header) const {
  *call_id = connection->next_call_id++;
  connection->open.insert(*call_id);
  header->set_user(user_);
  header->set_client_id(connection->client_id);
  header->set_call_id(*call_id);
  header->set_first_unanswered(*connection->open.begin());
}

}  // namespace dolmen::bench
