#include "datanode/datanode_server.h"

#include <unistd.h>

#include <algorithm>

#include "common/error.h"
#include "common/random.h"
#include "common/rpc/unary_server.h"
#include "datanode/service/data_service.h"
#include "datanode/service/namenode_link.h"
#include "datanode/service/work_queue.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(20);  // deadlines of streams and connections (chosen)
constexpr Duration kHousekeeping = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kServerGrace{0};  // streams are ended by us, not waited for

std::string OwnHostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

// Where others reach this datanode when no address was given.
protocol::Address DefaultAddress(const std::string& bind_host, uint16_t port) {
  const bool any = bind_host == "0.0.0.0" || bind_host == "::" || bind_host == "[::]";
  return {.network = "default", .host = any ? OwnHostName() : bind_host, .port = port};
}

}  // namespace

class DatanodeServer::Grpc {
 public:
  explicit Grpc(Node* node) : service_(node), server_(rpc::Traffic::kData) { server_.AddService(&service_); }

  absl::StatusOr<uint16_t> Listen(const std::string& host, uint16_t port) { return server_.Listen(host, port); }
  void MakeLink(Node* node, const DatanodeOptions& options, SessionOptions session, NamenodeLink::OnStop on_stop) {
    link_ = std::make_unique<NamenodeLink>(node, options.namenode_host, options.namenode_port, std::move(session),
                                           SeedFromOs(), std::move(on_stop));
  }
  NamenodeLink* link() { return link_.get(); }
  void StopLink() {
    if (link_ != nullptr) link_->Stop();
  }
  void StopServer() { server_.Shutdown(kServerGrace); }

 private:
  DataService service_;
  rpc::UnaryServer server_;
  std::unique_ptr<NamenodeLink> link_;
};

DatanodeServer::DatanodeServer(const Clock* clock, Duration stop_timeout)
    : clock_(clock), stop_timeout_(stop_timeout) {}

absl::StatusOr<std::unique_ptr<DatanodeServer>> DatanodeServer::Start(
    FileSystem* fs, const Clock* clock, DatanodeOptions options, std::function<void(const absl::Status&)> on_fatal) {
  std::unique_ptr<DatanodeServer> server(new DatanodeServer(clock, options.stop_timeout));
  server->on_fatal_ = std::move(on_fatal);
  Random random(SeedFromOs());
  {
    ParallelTasks scans("volume-scan", std::max<size_t>(1, options.store.directories.size()) - 1, clock);
    DOLMEN_ASSIGN_OR_RETURN(server->store_, BlockStore::Open(fs, options.store, &random, clock->Now(),
                                                             [&scans](std::vector<std::function<void()>> tasks) {
                                                               scans.Run(std::move(tasks));
                                                             }));
  }
  options.node.hop.self = server->store_->identity().datanode;
  server->node_ = std::make_unique<Node>(server->store_.get(), options.node, clock, random.Next());
  server->grpc_ = std::make_unique<Grpc>(server->node_.get());

  // Streams may come as soon as it listens; without a key none is let in.
  SessionOptions session = options.session;
  session.info.uuid = options.node.hop.self;
  if (session.info.host_name.empty()) session.info.host_name = OwnHostName();
  if (session.info.rack.empty()) session.info.rack = "/default-rack";
  DOLMEN_ASSIGN_OR_RETURN(server->port_, server->grpc_->Listen(options.bind_host, options.port));
  for (protocol::Address& address : session.info.addresses) {
    if (address.port == 0) address.port = server->port_;
  }
  if (session.info.addresses.empty()) session.info.addresses = {DefaultAddress(options.bind_host, server->port_)};
  DatanodeServer* const raw = server.get();
  server->grpc_->MakeLink(server->node_.get(), options, std::move(session),
                          [raw](const absl::Status& why) { raw->Fatal(why); });
  server->node_->SetReporter(
      [link = server->grpc_->link()](const StorageId& storage, const protocol::ReportedReplica& replica) {
        link->Report(storage, replica);
      });
  server->grpc_->link()->Start();
  server->timers_ = std::thread([raw] { raw->RunTimers(); });
  return server;
}

DatanodeServer::~DatanodeServer() { Stop(); }

bool DatanodeServer::registered() const { return grpc_->link() != nullptr && grpc_->link()->registered(); }

void DatanodeServer::Fatal(const absl::Status& why) {
  if (!fatal_told_.exchange(true) && on_fatal_) on_fatal_(why);
}

void DatanodeServer::RunTimers() {
  MonotonicTime next_housekeeping = clock_->Now();
  MutexLock lock(&timer_mutex_);
  while (!timers_stopping_) {
    timer_mutex_.Unlock();
    node_->Tick();
    if (clock_->Now() >= next_housekeeping) {
      next_housekeeping = clock_->Now() + kHousekeeping;
      node_->Housekeeping();
      const std::vector<protocol::StorageReport> storages = store_->StorageReports();
      if (std::all_of(storages.begin(), storages.end(), [](const auto& storage) { return storage.failed; })) {
        Fatal(MakeError(ErrorReason::kIo, "all volumes failed; replace the disks and restart"));
      }
    }
    timer_mutex_.Lock();
    if (!timers_stopping_) timer_stop_.WaitFor(&timer_mutex_, kTick);
  }
}

bool DatanodeServer::Stop() {
  if (stopped_) return true;
  stopped_ = true;
  if (node_ == nullptr) return true;
  bool quiet = true;
  if (grpc_ != nullptr) {
    grpc_->StopLink();
    node_->CancelAll();  // first: the server waits for its calls
    grpc_->StopServer();
    node_->CancelAll();
    // The timers go on meanwhile: they end what waits for a connection.
    quiet = node_->WaitUntilQuiet(stop_timeout_);
  }
  {
    MutexLock lock(&timer_mutex_);
    timers_stopping_ = true;
    timer_stop_.SignalAll();
  }
  if (timers_.joinable()) timers_.join();
  node_->peers().Close();
  node_->relay_peers().Close();
  if (!quiet) return false;
  node_->StopWorkers();
  grpc_.reset();
  node_.reset();
  store_.reset();
  return true;
}

}  // namespace dolmen::datanode
