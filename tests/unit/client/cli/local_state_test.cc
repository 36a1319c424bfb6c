#include "client/cli/local_state.h"

#include <gmock/gmock.h>

#include "client/cli/shell_error.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LocalOptionsTest, TakesValuesAfterASpaceOrAnEqualsSign) {
  const absl::StatusOr<LocalOptions> options = ParseLocalOptions(
      {"start", "--dir", "/d", "--datanodes=2", "--namenode-port", "0", "--datanode-port=9000", "--foreground"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->directory, "/d");
  EXPECT_EQ(options->datanodes, 2u);
  EXPECT_EQ(options->namenode_port, 0);
  EXPECT_EQ(options->datanode_port, 9000);
  EXPECT_TRUE(options->foreground);
  EXPECT_TRUE(ParseLocalOptions({"status", "--json"})->json);
}

TEST(LocalOptionsTest, BadWordsAreNamed) {
  const auto message = [](const std::vector<std::string>& args) {
    return std::string(ParseLocalOptions(args).status().message());
  };
  EXPECT_EQ(message({}), "say start, stop or status");
  EXPECT_EQ(message({"restart"}), "'restart' is none of start, stop, status");
  EXPECT_EQ(message({"stop", "--datanodes", "3"}), "stop: unknown word '--datanodes'");
  EXPECT_EQ(message({"start", "--datanodes", "0"}), "--datanodes 0: expected a number from 1 to 64");
  EXPECT_EQ(message({"start", "--namenode-port", "70000"}),
            "--namenode-port 70000: expected a port from 1 to 65535, or 0 for a free one");
  EXPECT_EQ(message({"start", "--dir"}), "--dir needs a value");
}

TEST(LocalStateTest, SurvivesTheRoundTrip) {
  const LocalState state{.namenode_port = 7020, .datanode_ports = {7066, 7067, 0}};
  EXPECT_EQ(*ParseLocalState(FormatLocalState(state)), state);
  const LocalState none{.namenode_port = 1};
  EXPECT_EQ(*ParseLocalState(FormatLocalState(none)), none);
}

TEST(LocalStateTest, DamageIsAnError) {
  for (const char* text :
       {"", "{", "{}", "[]", "{\"namenode_port\": 99999, \"datanode_ports\": []}",
        "{\"namenode_port\": 1, \"datanode_ports\": [1,]}", "{\"namenode_port\": 1, \"datanode_ports\": [1]} x"}) {
    EXPECT_FALSE(ParseLocalState(text).ok()) << text;
  }
}

TEST(LocalStateTest, PortsAreDefaultsThenRememberedThenGiven) {
  EXPECT_EQ(*PlanPorts({}, std::nullopt), (LocalState{.namenode_port = 7020, .datanode_ports = {7066, 7067, 7068}}));
  const LocalState remembered{.namenode_port = 1000, .datanode_ports = {2000, 2001}};
  EXPECT_EQ(*PlanPorts({}, remembered), remembered);
  EXPECT_EQ(*PlanPorts({.datanodes = 3}, remembered),
            (LocalState{.namenode_port = 1000, .datanode_ports = {2000, 2001, 7068}}));
  EXPECT_EQ(*PlanPorts({.namenode_port = 5, .datanode_port = 50}, remembered),
            (LocalState{.namenode_port = 5, .datanode_ports = {50, 51}}));
}

TEST(LocalStateTest, FreePortsArePickedOnceAndThenKept) {
  const LocalOptions free{.namenode_port = 0, .datanode_port = 0};
  EXPECT_EQ(*PlanPorts(free, std::nullopt), (LocalState{.namenode_port = 0, .datanode_ports = {0, 0, 0}}));
  const LocalState remembered{.namenode_port = 1000, .datanode_ports = {2000, 2001, 2002}};
  EXPECT_EQ(*PlanPorts(free, remembered), remembered);
}

TEST(LocalStateTest, FewerDatanodesAreRefused) {
  const absl::Status status =
      PlanPorts({.datanodes = 1}, LocalState{.namenode_port = 1, .datanode_ports = {2, 3}}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("there are 2 datanodes here; --datanodes 1"));
  EXPECT_FALSE(PlanPorts({.datanode_port = 65535}, std::nullopt).ok());
}

TEST(LocalStateTest, PortFilesAreReadOnlyWhenComplete) {
  EXPECT_EQ(*ParsePortFile("7020\n"), 7020);
  EXPECT_FALSE(ParsePortFile("").ok());
  EXPECT_FALSE(ParsePortFile("70").ok()) << "the writer may not be done";
  EXPECT_FALSE(ParsePortFile("0\n").ok());
  EXPECT_FALSE(ParsePortFile("x\n").ok());
}

TEST(ProcessRecordTest, SurvivesTheRoundTrip) {
  const ProcessRecord record{.pid = 4711, .start_ticks = 123456789};
  EXPECT_EQ(*ParseProcessRecord(FormatProcessRecord(record)), record);
  EXPECT_FALSE(ParseProcessRecord("").ok());
  EXPECT_FALSE(ParseProcessRecord("12").ok());
  EXPECT_FALSE(ParseProcessRecord("1 5").ok()) << "never signal init";
  EXPECT_FALSE(ParseProcessRecord("-5 5").ok()) << "never signal a process group";
}

TEST(ProcessRecordTest, ReadsProcStatWhateverTheNameHolds) {
  const absl::StatusOr<ObservedProcess> process = ParseProcStat(
      "4711 (a) b (c)) S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 987654 1000 200 18446744073709551615\n");
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(process->state, 'S');
  EXPECT_EQ(process->start_ticks, 987654u);
  EXPECT_FALSE(ParseProcStat("4711 (x) S 1").ok());
}

TEST(ProcessRecordTest, AReusedNumberIsAnotherProcess) {
  const ProcessRecord record{.pid = 10, .start_ticks = 500};
  const auto observed = [](char state, uint64_t ticks, std::string program) {
    return ObservedProcess{.state = state, .start_ticks = ticks, .program = std::move(program)};
  };
  EXPECT_TRUE(IsSameProcess(record, observed('S', 500, "dolmen-namenode"), "dolmen-namenode"));
  EXPECT_TRUE(IsSameProcess(record, observed('S', 500, "dolmen-namenode (deleted)"), "dolmen-namenode"));
  EXPECT_TRUE(IsSameProcess(record, observed('S', 500, ""), "dolmen-namenode"));
  EXPECT_FALSE(IsSameProcess(record, observed('S', 501, "dolmen-namenode"), "dolmen-namenode"));
  EXPECT_FALSE(IsSameProcess(record, observed('S', 500, "sshd"), "dolmen-namenode"));
  EXPECT_FALSE(IsSameProcess(record, observed('Z', 500, "dolmen-namenode"), "dolmen-namenode"));
  EXPECT_FALSE(IsSameProcess(record, std::nullopt, "dolmen-namenode"));
}

TEST(LocalStatusTest, TextAndJson) {
  LocalStatus status{.directory = "/h/\"x\""};
  EXPECT_EQ(status.state(), "stopped");
  EXPECT_EQ(FormatStatusJson(status), "{\"state\": \"stopped\", \"uri\": \"\", \"dir\": \"/h/\\\"x\\\"\"}\n");
  status.daemons = {{.name = "namenode", .state = DaemonState::kRunning, .pid = 10, .port = 7020, .log = "/l/n"},
                    {.name = "datanode-1", .state = DaemonState::kDead, .port = 7066, .log = "/l/d"}};
  EXPECT_EQ(status.state(), "partial");
  EXPECT_EQ(FormatStatusText(status),
            "partial: dolmen://localhost:7020 in /h/\"x\"\n"
            "  namenode: running, pid 10, port 7020, log /l/n\n"
            "  datanode-1: dead, port 7066, log /l/d\n");
  EXPECT_EQ(FormatStatusJson(status),
            "{\"state\": \"partial\", \"uri\": \"dolmen://localhost:7020\", \"dir\": \"/h/\\\"x\\\"\",\n"
            " \"namenode\": {\"name\": \"namenode\", \"state\": \"running\", \"pid\": 10, \"port\": 7020, \"log\": "
            "\"/l/n\"},\n"
            " \"datanodes\": [{\"name\": \"datanode-1\", \"state\": \"dead\", \"port\": 7066, \"log\": \"/l/d\"}]}\n");
  status.daemons[1].state = DaemonState::kRunning;
  EXPECT_EQ(status.state(), "running");
}

TEST(LocalStatusTest, LastLinesOfALog) {
  EXPECT_EQ(LastLines("a\nb\nc\n", 2, "  "), "  b\n  c\n");
  EXPECT_EQ(LastLines("a\nb", 5, ""), "a\nb\n");
  EXPECT_EQ(LastLines("a", 1, ""), "a\n");
  EXPECT_EQ(LastLines("", 3, ""), "");
}

}  // namespace
}  // namespace dolmen::cli
