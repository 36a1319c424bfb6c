#include "common/error.h"
#include "tests/unit/client/cli/shell_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::HasSubstr;

class AdminTest : public ShellFixture {};

TEST_F(AdminTest, TopologyOfTheCluster) {
  fs_.datanodes = {{.address = "127.0.0.1:7067", .host_name = "h", .rack = "/r1"},
                   {.address = "127.0.0.1:7066", .host_name = "h", .rack = "/r1"}};
  ExpectRun("dfsadmin -printTopology", 0, "Rack: /r1\n   127.0.0.1:7066 (h)\n   127.0.0.1:7067 (h)\n\n", "");
  fs_.datanodes.clear();
  ExpectRun("dfsadmin -printTopology", 0, "", "");
  ExpectRun("dfsadmin -printTopology x", 255, "", "Usage: hdfs dfsadmin [-printTopology]\n");
  ExpectRun("dfsadmin -fs nonsense -printTopology", 255, "",
            "printTopology: the default file system 'nonsense' is not of the form dolmen://host:port\n");
}

TEST_F(AdminTest, ADatanodeIsAskedByItsAddress) {
  fs_.local_infos["dn1:7066"] = {.uptime_seconds = 77, .software_version = "1.2", .config_version = "datanode-1"};
  ExpectRun("dfsadmin -getDatanodeInfo dn1:7066", 0, "Uptime: 77, Software version: 1.2, Config version: datanode-1\n",
            "");
  ExpectRun("dfsadmin -getDatanodeInfo dn2:7066", 255, "",
            "getDatanodeInfo: Datanode unreachable. dn2:7066: Connection refused\n");
  const std::string usage = "Usage: hdfs dfsadmin [-getDatanodeInfo <datanode_host:ipc_port>]\n";
  ExpectRun("dfsadmin -getDatanodeInfo", 255, "", usage);
  ExpectRun("dfsadmin -getDatanodeInfo a:1 b:1", 255, "", usage);
  for (const std::string word : {"dn1", "dn1:", "dn1:x", "dn1:70000", ":7066", "[::1]", "dn1:7066/", "d n:1"}) {
    const Printed printed = RunWords({"dfsadmin", "-getDatanodeInfo", word});
    EXPECT_EQ(printed.err, "getDatanodeInfo: Does not contain a valid host:port authority: " + word + "\n" + usage);
    EXPECT_EQ(printed.code, 255);
  }
  EXPECT_EQ(RunWords({"dfsadmin", "-getDatanodeInfo", "[::1]:7066"}).err,
            "getDatanodeInfo: Datanode unreachable. [::1]:7066: Connection refused\n");
}

TEST_F(AdminTest, OpenFilesBelowAPath) {
  fs_.open_files = {{.path = "/a/f", .client_name = "client", .client_host = "127.0.0.1"},
                    {.path = "/b", .client_name = "client", .client_host = "127.0.0.1"}};
  const std::string header = "Client Host         \tClient Name         \tOpen File Path\n";
  const std::string front = "127.0.0.1           \tclient              \t";
  const std::string both = header + front + "                /a/f\n" + front + "                  /b\n";
  ExpectRun("dfsadmin -listOpenFiles", 0, both, "");
  ExpectRun("dfsadmin -listOpenFiles -path /a/./", 0, header + front + "                /a/f\n", "");
  EXPECT_EQ(RunWords({"dfsadmin", "-listOpenFiles", "-path", " "}).out, both);
  ExpectRun("dfsadmin -listOpenFiles -blockingDecommission", 0, header, "");
}

TEST_F(AdminTest, OpenFilesErrors) {
  const std::string usage = "Usage: hdfs dfsadmin [-listOpenFiles [-blockingDecommission] [-path <path>]]\n";
  ExpectRun("dfsadmin -listOpenFiles /a", 255, "", usage);
  ExpectRun("dfsadmin -listOpenFiles -path", 255, "", "listOpenFiles: option -path requires 1 argument.\n" + usage);
  fs_.fail = [](const std::string& operation, const std::string&) {
    if (operation != "ListOpenFiles") return absl::OkStatus();
    return MakeError(ErrorReason::kAccessControl, "Access denied for user ann. Superuser privilege is required");
  };
  const Printed denied = Run("dfsadmin -listOpenFiles");
  EXPECT_EQ(denied.code, 255);
  EXPECT_THAT(denied.out, ::testing::EndsWith("Path\nList open files failed.\n"));
  EXPECT_EQ(denied.err, "listOpenFiles: Access denied for user ann. Superuser privilege is required\n");
}

TEST_F(AdminTest, HelpAndUsageNameEveryCommand) {
  const std::string all = Run("dfsadmin -help").out;
  const std::string usage = Run("dfsadmin").err;
  for (const std::string name : {"-printTopology", "-getDatanodeInfo", "-listOpenFiles", "-report", "-safemode"}) {
    EXPECT_THAT(all, HasSubstr(name)) << name;
    EXPECT_THAT(usage, HasSubstr("\t[" + name)) << name;
    EXPECT_THAT(Run("dfsadmin -help " + name.substr(1)).out, ::testing::StartsWith(name));
  }
}

TEST_F(AdminTest, SafeModeIsWaitedFor) {
  fs_.stats.safe_mode = true;
  while_asleep_ = [this] { fs_.stats.safe_mode = slept_.size() < 3; };
  ExpectRun("dfsadmin -safemode wait", 0, "Safe mode is OFF\n", "");
  EXPECT_EQ(slept_.size(), 3u);
}

}  // namespace
}  // namespace dolmen::cli
