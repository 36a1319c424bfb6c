#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "client/cli/command_text.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/cli/shell_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ShellTest : public ShellFixture {};

// ---- the framework ----

TEST_F(ShellTest, NoCommandAndUnknownCommands) {
  const Printed nothing = Run("dfs");
  EXPECT_EQ(nothing.code, 255);
  EXPECT_EQ(nothing.err, CommandList(/*help=*/false));
  ExpectUsage("dfs -foo", "-foo: Unknown command", nullptr);
  ExpectUsage("dfs ls", "ls: Unknown command\nDid you mean -ls?  This command begins with a dash.", nullptr);
  ExpectUsage("dfs -help foo", "-help: `foo': Unknown command", "help");
}

TEST_F(ShellTest, UsageErrorsEndTheCommandWith255) {
  ExpectUsage("dfs -ls -Rh /", "-ls: Illegal option -Rh", "ls");
  ExpectUsage("dfs -mkdir", "-mkdir: Not enough arguments: expected 1 but got 0", "mkdir");
  ExpectUsage("dfs -ls a:b", "-ls: java.net.URISyntaxException: Relative path in absolute URI: a:b", "ls");
  ExpectUsage("dfs -ls /../..", "-ls: Pathname /../.. from /../.. is not a valid DFS filename.", "ls");
}

TEST_F(ShellTest, HelpAndUsageGoToStandardOutputWithoutConnecting) {
  ExpectRun("dfs -usage ls mv", 0,
            UsageLine(*FindCommandText("ls")) + "Usage: hadoop fs [generic options] -mv <src> ... <dst>\n", "");
  ExpectRun("dfs -help mkdir", 0, HelpText(*FindCommandText("mkdir")), "");
  ExpectRun("dfs -help", 0, CommandList(/*help=*/true), "");
  EXPECT_TRUE(connected_.empty());
}

TEST_F(ShellTest, DeprecatedCommandsSaySoAndWork) {
  fs_.PutFile("/d/f", "x");
  ExpectRun("dfs -rmr /d", 0, "Deleted /d\n", "rmr: DEPRECATED: Please use '-rm -r' instead.\n");
  const Printed listed = Run("dfs -lsr /missing");
  EXPECT_EQ(listed.err, "lsr: DEPRECATED: Please use 'ls -R' instead.\nlsr: `/missing': No such file or directory\n");
}

TEST_F(ShellTest, TheDefaultFileSystemComesFromManyPlaces) {
  Run("dfs -ls /");
  environment_["DOLMEN_FS"] = "dolmen://env";
  Run("dfs -ls /");
  Run("dfs -D fs.defaultFS=hdfs://prop:1 -ls /");
  Run("-fs dolmen://early:2 fs -D fs.defaultFS=dolmen://prop:1 -ls /");
  Run("dfs -ls dolmen://other:9/");
  EXPECT_THAT(connected_, ElementsAre("dolmen://localhost:7020", "dolmen://env:7020", "dolmen://prop:1",
                                      "dolmen://early:2", "dolmen://other:9"));
}

TEST_F(ShellTest, ASettingsFileIsReadWhenNamed) {
  const TempDir dir;
  const std::string file = dir.path() + "/client.toml";
  std::ofstream(file) << "fs = \"dolmen://file:5\"\nconnect_timeout_ms = 77\n";
  Run("dfs -conf " + file + " -ls /");
  EXPECT_THAT(connected_, ElementsAre("dolmen://file:5"));
  EXPECT_EQ(client_options_.connect_timeout.count(), 77);
  std::ofstream(file) << "nonsense = 1\n";
  const Printed bad = Run("dfs -conf " + file + " -ls /");
  EXPECT_EQ(bad.code, 255);
  EXPECT_THAT(bad.err, AllOf(StartsWith("dolmen: "), HasSubstr("nonsense")));
}

TEST_F(ShellTest, ASettingsFileThatCannotBeReadIsNamedWithItsOrigin) {
  const TempDir dir;
  const std::string missing = dir.path() + "/none.toml";
  ExpectRun("dfs -conf " + missing + " -ls /", 255, "",
            "dolmen: cannot read the settings file '" + missing + "' (given with -conf): No such file or directory\n");
  ExpectRun("-conf " + dir.path() + " dfsadmin -report", 255, "",
            "dolmen: cannot read the settings file '" + dir.path() + "' (given with -conf): Is a directory\n");
  EXPECT_EQ(RunWords({"dfs", "-conf", "", "-ls", "/"}).err,
            "dolmen: cannot read the settings file '' (given with -conf): No such file or directory\n");
  environment_["DOLMEN_CONF"] = missing;
  ExpectRun(
      "dfs -ls /", 255, "",
      "dolmen: cannot read the settings file '" + missing + "' (given by DOLMEN_CONF): No such file or directory\n");
  EXPECT_TRUE(connected_.empty());
  environment_.erase("DOLMEN_CONF");
  environment_["HOME"] = dir.path();
  std::filesystem::create_directories(dir.path() + "/.dolmen/client.toml");
  ExpectRun("dfs -ls /", 255, "",
            "dolmen: cannot read the settings file '" + dir.path() +
                "/.dolmen/client.toml' (found as no other was given): Is a directory\n");
}

TEST_F(ShellTest, BadSettingsAreOneLine) {
  ExpectRun("dfs -D fs.permissions.umask-mode=9x -ls /", 255, "",
            "dolmen: umask '9x': expected an octal number from 000 to 777, as 022, or what is kept, as "
            "u=rwx,g=rx,o=\n");
  ExpectRun("dfs -fs nonsense -ls /", 1, "",
            "ls: the default file system 'nonsense' is not of the form dolmen://host:port\n");
  EXPECT_EQ(Run("dfs -D some.other.property=1 -ls /").code, 0);
  EXPECT_EQ(Run("dfs -D nonsense=1 -ls /").code, 255);
}

TEST_F(ShellTest, HdfsIsAnotherNameForOurOwnAuthorityOnly) {
  fs_.PutFile("/x/f", "1");
  EXPECT_THAT(Run("dfs -ls hdfs://localhost:7020/x").out, EndsWith(" hdfs://localhost:7020/x/f\n"));
  EXPECT_THAT(Run("dfs -ls hdfs:///x").out, EndsWith(" hdfs:///x/f\n"));
  ExpectRun("dfs -ls hdfs://other:8020/x", 1, "",
            "ls: hdfs://other:8020 is not this file system (dolmen://localhost:7020); hdfs:// is only another name for "
            "it\n");
  ExpectRun("dfs -ls s3a://b/x", 1, "", "ls: No FileSystem for scheme \"s3a\"\n");
}

TEST_F(ShellTest, AnUnreachableNamenodeIsOneLinePerArgument) {
  fs_.fail = [](const std::string&, const std::string&) {
    return MakeError(ErrorReason::kUnreachable, "no answer from localhost:7020 within 10 s\ndetails");
  };
  ExpectRun("dfs -ls /", 1, "", "ls: no answer from localhost:7020 within 10 s\n");
  ExpectRun("dfsadmin -report", 255, "", "report: no answer from localhost:7020 within 10 s\n");
}

TEST_F(ShellTest, ToolsOfTheProgram) {
  ExpectRun("version", 0, "Dolmen 1.2.3\n", "");
  EXPECT_EQ(Run("namenode --port 0").code, 42);
  EXPECT_THAT(daemon_, ElementsAre("dolmen-namenode", "--port", "0"));
  EXPECT_EQ(Run("datanode").code, 42);
  EXPECT_THAT(daemon_, ElementsAre("dolmen-datanode"));
  EXPECT_EQ(Run("--help").code, 0);
  EXPECT_EQ(Run("").code, 255);
  ExpectRun("frob", 1, "", "dolmen: 'frob' is not a tool of it; `dolmen --help` lists them\n");
  for (const std::string command : {"ls", "-ls", "--ls"}) {
    ExpectRun(
        command, 1, "",
        "dolmen: '" + command + "' is not a tool of it; did you mean `dolmen dfs -ls`? `dolmen --help` lists them\n");
  }
}

// ---- ls ----

TEST_F(ShellTest, LsOfDirectoriesAndFiles) {
  fs_.PutFile("/dir/b", "12345");
  fs_.PutDirectory("/dir/a");
  ExpectRun("dfs -ls /dir", 0,
            "Found 2 items\n"
            "drwxr-xr-x   - ann supergroup          0 2021-04-25 10:11 /dir/a\n"
            "-rw-r--r--   3 ann supergroup          5 2021-04-25 10:11 /dir/b\n",
            "");
  ExpectRun("dfs -ls /dir/b", 0, "-rw-r--r--   3 ann supergroup          5 2021-04-25 10:11 /dir/b\n", "");
  ExpectRun("dfs -ls -d /dir", 0, "drwxr-xr-x   - ann supergroup          0 2021-04-25 10:11 /dir\n", "");
  ExpectRun("dfs -ls /dir/a", 0, "", "");
  ExpectRun("dfs -ls -C /dir", 0, "/dir/a\n/dir/b\n", "");
  ExpectRun("dfs -ls -C -r /dir", 0, "/dir/b\n/dir/a\n", "");
}

TEST_F(ShellTest, LsRecursiveVisitsADirectoryBeforeItsContents) {
  fs_.PutFile("/t/a/x", "1");
  fs_.PutFile("/t/b", "1");
  ExpectRun("dfs -ls -R -C /t", 0, "/t/a\n/t/a/x\n/t/b\n", "");
  ExpectRun("dfs -ls -R -C -r /t", 0, "/t/a\n/t/a/x\n/t/b\n", "");
}

TEST_F(ShellTest, LsShowsPathsInTheirTypedForm) {
  fs_.PutFile("/user/ann/d/f", "1");
  ExpectRun("dfs -ls -C", 0, "d\n", "");
  ExpectRun("dfs -ls -C d/", 0, "d/f\n", "");
  ExpectRun("dfs -ls -C ./d/../d", 0, "d/f\n", "");
  ExpectRun("dfs -ls -C /user/ann/d", 0, "/user/ann/d/f\n", "");
  ExpectRun("dfs -ls -C ../ann/d", 0, "d/f\n", "");
  ExpectRun("dfs -ls -C dolmen://localhost:7020/user/ann/d", 0, "dolmen://localhost:7020/user/ann/d/f\n", "");
  ExpectRun("dfs -ls -C dolmen://localhost:7020", 0, "dolmen://localhost:7020/user/ann/d\n", "");
}

TEST_F(ShellTest, LsReportsWhatIsMissingAndGoesOn) {
  fs_.PutFile("/f", "1");
  const Printed printed = Run("dfs -ls -C /missing /f /file* /*/*");
  EXPECT_EQ(printed.out, "/f\n");
  EXPECT_EQ(printed.err,
            "ls: `/file*': No such file or directory\n"
            "ls: `/*/*': No such file or directory\n"
            "ls: `/missing': No such file or directory\n");
  EXPECT_EQ(printed.code, 1);
  ExpectRun("dfs -ls", 1, "", "ls: `.': No such file or directory\n");
  ExpectRun("dfs -ls hdfs:///file*", 1, "", "ls: `hdfs:///file*': No such file or directory\n");
}

TEST_F(ShellTest, LsOfAForbiddenDirectoryShowsTheServersWords) {
  fs_.PutFile("/d/f", "1");
  fs_.fail = [](const std::string& operation, const std::string&) {
    if (operation != "List") return absl::OkStatus();
    return MakeError(ErrorReason::kAccessControl, "Permission denied: user=ann, access=READ_EXECUTE, inode=\"/d\":x");
  };
  ExpectRun("dfs -ls /d", 1, "", "ls: Permission denied: user=ann, access=READ_EXECUTE, inode=\"/d\":x\n");
}

TEST_F(ShellTest, LsColumnsGrowAcrossArguments) {
  fs_.PutFile("/a", "1");
  fs_.PutFile("/b", "1");
  fs_.Change("/b", [](FileStatus& status) { status.owner = "somebody-else"; });
  const Printed printed = Run("dfs -ls /a /b /a");
  EXPECT_EQ(printed.out,
            "-rw-r--r--   3 ann supergroup          1 2021-04-25 10:11 /a\n"
            "-rw-r--r--   3 somebody-else supergroup          1 2021-04-25 10:11 /b\n"
            "-rw-r--r--   3 ann           supergroup          1 2021-04-25 10:11 /a\n");
}

TEST_F(ShellTest, LsRefusesErasureCodingPolicies) {
  const Printed printed = Run("dfs -ls -e /");
  EXPECT_EQ(printed.code, 255);
  EXPECT_EQ(printed.err,
            "-ls: Fatal internal error\nFileSystem dolmen://localhost:7020 does not support Erasure Coding\n");
}

TEST_F(ShellTest, GlobsExpandComponentByComponent) {
  for (const char* path : {"/logs/2021-01/a.log", "/logs/2021-02/a.log", "/logs/2021-02/b.txt", "/logs/readme"}) {
    fs_.PutFile(path, "x");
  }
  ExpectRun("dfs -ls -C -d /logs/2021-*/*.log", 0, "/logs/2021-01/a.log\n/logs/2021-02/a.log\n", "");
  ExpectRun("dfs -ls -C -d /logs/*", 0, "/logs/2021-01\n/logs/2021-02\n/logs/readme\n", "");
  ExpectRun("dfs -ls -C -d /logs/*/b.txt", 0, "/logs/2021-02/b.txt\n", "");
  ExpectRun("dfs -ls -C -d /logs/{2021-02/b.txt,readme}", 0, "/logs/2021-02/b.txt\n/logs/readme\n", "");
  ExpectRun("dfs -ls -C -d /logs/2021-0[^1]", 0, "/logs/2021-02\n", "");
  ExpectRun("dfs -ls -C -d /logs/readm\\*", 1, "", "ls: `/logs/readm*': No such file or directory\n");
  ExpectRun("dfs -ls /logs/[a", 1, "", "ls: Illegal file pattern: Unclosed character class near index 1\n");
}

// ---- mkdir ----

TEST_F(ShellTest, MkdirMessages) {
  fs_.PutFile("/file", "x");
  ExpectRun("dfs -mkdir /dir", 0, "", "");
  ExpectRun("dfs -mkdir /dir", 1, "", "mkdir: `/dir': File exists\n");
  ExpectRun("dfs -mkdir -p /dir", 0, "", "");
  ExpectRun("dfs -mkdir /file", 1, "", "mkdir: `/file': Is not a directory\n");
  ExpectRun("dfs -mkdir -p /file", 1, "", "mkdir: `/file': Is not a directory\n");
  ExpectRun("dfs -mkdir /no/such", 1, "", "mkdir: `dolmen://localhost:7020/no': No such file or directory\n");
  ExpectRun("dfs -mkdir -p /no/such/place /other", 0, "", "");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/dir/", "/file", "/no/", "/no/such/", "/no/such/place/", "/other/"));
}

TEST_F(ShellTest, MkdirAppliesTheUmask) {
  ExpectRun("dfs -mkdir /a", 0, "", "");
  EXPECT_EQ(fs_.Status("/a").permission, 0755);
  ExpectRun("dfs -D fs.permissions.umask-mode=077 -mkdir /b", 0, "", "");
  ExpectRun("dfs -D fs.permissions.umask-mode=u=rwx,g=rx,o= -mkdir /kept", 0, "", "");
  EXPECT_EQ(fs_.Status("/kept").permission, 0750);
  EXPECT_EQ(fs_.Status("/b").permission, 0700);
}

TEST_F(ShellTest, MkdirInSafeModeShowsTheFirstLineOnly) {
  fs_.fail = [](const std::string& operation, const std::string& path) {
    if (operation != "Mkdirs") return absl::OkStatus();
    return MakeError(ErrorReason::kSafeMode,
                     absl::StrCat("Cannot create directory ", path, ". Name node is in safe mode.\nIt was turned on."));
  };
  ExpectRun("dfs -mkdir /test", 1, "", "mkdir: Cannot create directory /test. Name node is in safe mode.\n");
}

// ---- cat, stat, test ----

TEST_F(ShellTest, CatPrintsBytesAsTheyAre) {
  fs_.PutFile("/a", std::string("x\0y\n", 4));
  fs_.PutFile("/b", "z");
  fs_.PutDirectory("/d");
  ExpectRun("dfs -cat -ignoreCrc /a /b", 0, std::string("x\0y\nz", 5), "");
  ExpectRun("dfs -cat /d /missing /b", 1, "z",
            "cat: `/d': Is a directory\ncat: `/missing': No such file or directory\n");
}

TEST_F(ShellTest, StatTakesAFormatOnlyIfItHasAPercentSign) {
  fs_.PutFile("/user/ann/f", "12345");
  ExpectRun("dfs -stat f", 0, "2021-04-25 10:11:12\n", "");
  ExpectRun("dfs -stat %n:%b f", 0, "f:5\n", "");
  ExpectUsage("dfs -stat %n", "-stat: Not enough arguments: expected 1 but got 0", "stat");
  fs_.PutFile("/a%b", "1");
  ExpectUsage("dfs -stat /a%b", "-stat: Not enough arguments: expected 1 but got 0", "stat");
  ExpectUsage("dfs -stat -R /a%b", "-stat: Not enough arguments: expected 1 but got 0", "stat");
  ExpectRun("dfs -stat %n /a%b", 0, "a%b\n", "");
  ExpectRun("dfs -stat -R %n /user", 0, "user\nann\nf\n", "");
  ExpectRun("dfs -stat plain", 1, "", "stat: `plain': No such file or directory\n");
}

TEST_F(ShellTest, TestAnswersWithItsExitCode) {
  fs_.PutFile("/f", "x");
  fs_.PutFile("/empty", "");
  fs_.PutDirectory("/d");
  const auto code = [this](std::string_view line) {
    const Printed printed = Run(line);
    EXPECT_EQ(printed.out + printed.err, "") << line;
    return printed.code;
  };
  EXPECT_EQ(code("dfs -test -e /f"), 0);
  EXPECT_EQ(code("dfs -test -e /missing"), 1);
  EXPECT_EQ(code("dfs -test -d /d"), 0);
  EXPECT_EQ(code("dfs -test -d /f"), 1);
  EXPECT_EQ(code("dfs -test -f /f"), 0);
  EXPECT_EQ(code("dfs -test -f /d"), 1);
  EXPECT_EQ(code("dfs -test -s /f"), 0);
  EXPECT_EQ(code("dfs -test -s /empty"), 1);
  EXPECT_EQ(code("dfs -test -z /empty"), 0);
  EXPECT_EQ(code("dfs -test -z /d"), 0);
  EXPECT_EQ(code("dfs -test -z /f"), 1);
  ExpectUsage("dfs -test /f", "-test: No test flag given", "test");
  ExpectUsage("dfs -test -e -f /f", "-test: Only one test flag is allowed", "test");
}

TEST_F(ShellTest, TestOfAccess) {
  fs_.PutFile("/f", "x");
  EXPECT_EQ(Run("dfs -test -r /f").code, 0);
  EXPECT_EQ(Run("dfs -test -w /f").code, 0);
  fs_.Change("/f", [](FileStatus& status) { status.owner = "bob"; });
  EXPECT_EQ(Run("dfs -test -w /f").code, 0) << "ann owns the root";
  fs_.Change("/", [](FileStatus& status) { status.owner = "root"; });
  EXPECT_EQ(Run("dfs -test -w /f").code, 1);
  fs_.fail = [](const std::string& operation, const std::string&) {
    if (operation != "GetBlockLocations") return absl::OkStatus();
    return MakeError(ErrorReason::kAccessControl, "Permission denied: x");
  };
  EXPECT_EQ(Run("dfs -test -r /f").code, 1);
  EXPECT_EQ(Run("dfs -test -r /f").err, "");
}

// ---- rm ----

TEST_F(ShellTest, RmMessages) {
  for (const char* path : {"/d/a", "/d/b", "/f1", "/f2"}) fs_.PutFile(path, "x");
  ExpectRun("dfs -rm /d", 1, "", "rm: `/d': Is a directory\n");
  ExpectRun("dfs -rm /missing /f*", 1, "Deleted /f1\nDeleted /f2\n", "rm: `/missing': No such file or directory\n");
  ExpectRun("dfs -rm -f /missing /no*", 0, "", "");
  ExpectRun("dfs -rm -r -skipTrash hdfs:///d", 0, "Deleted hdfs:///d\n", "");
  ExpectRun("dfs -rm -r /", 1, "", "rm: `/': Input/output error\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre());
}

TEST_F(ShellTest, RmDoesNotDeleteWhatWasMeantForTheTrash) {
  fs_.PutFile("/f", "x");
  ExpectRun("dfs -D fs.trash.interval=60 -rm /f", 1, "",
            "rm: Failed to move to trash: dolmen://localhost:7020/f: there is no trash here (fs.trash.interval is "
            "60). Consider using -skipTrash option\n");
  ExpectRun("dfs -D fs.trash.interval=60 -rm -skipTrash /f", 0, "Deleted /f\n", "");
}

TEST_F(ShellTest, RmSafelyAsks) {
  for (const char* path : {"/d/a", "/d/s/b", "/d/c"}) fs_.PutFile(path, "x");
  const std::string_view line = "dfs -D hadoop.shell.safely.delete.limit.num.files=2 -rm -r -safely /d";
  const Printed no = Run(line, "what\nN\n");
  EXPECT_EQ(no.err,
            "Proceed deleting 3 files? (Y or N) Invalid input: what\n"
            "Proceed deleting 3 files? (Y or N) Delete aborted at user request.\n\n");
  EXPECT_EQ(no.code, 0);
  EXPECT_EQ(no.out, "");
  EXPECT_EQ(Run(line, "").out, "") << "no answer is no";
  EXPECT_EQ(Run(line, "yes\n").out, "Deleted /d\n");
}

// ---- mv ----

TEST_F(ShellTest, MvRules) {
  fs_.PutFile("/a", "1");
  fs_.PutFile("/b", "2");
  fs_.PutDirectory("/d/sub");
  ExpectRun("dfs -mv /a /b", 1, "", "mv: `/b': File exists\n");
  ExpectRun("dfs -mv /a /missing/x", 1, "",
            "mv: `/missing/x': No such file or directory: `dolmen://localhost:7020/missing/x'\n");
  ExpectRun("dfs -mv a x/y", 1, "", "mv: `x/y': No such file or directory: `dolmen://localhost:7020/user/ann/x/y'\n");
  ExpectRun("dfs -mv /nothing /d", 1, "", "mv: `/nothing': No such file or directory\n");
  ExpectRun("dfs -mv /a /b /nowhere", 1, "", "mv: `/nowhere': No such file or directory\n");
  ExpectRun("dfs -mv /a /d /b", 1, "", "mv: `/b': Is not a directory\n");
  ExpectRun("dfs -mv /d /d", 1, "", "mv: `/d' to `/d/d': is a subdirectory of itself\n");
  ExpectRun("dfs -mv /d /d/sub", 1, "", "mv: `/d' to `/d/sub/d': is a subdirectory of itself\n");
  ExpectRun("dfs -mv /a dolmen://elsewhere:7020/x", 1, "", "mv: `/a': Does not match target filesystem\n");
  ExpectRun("dfs -mv /a /b /d", 0, "", "");
  ExpectRun("dfs -mv /d/a /d/c", 0, "", "");
  ExpectRun("dfs -mv /d/c /d/b /d/x* /d/sub", 1, "", "mv: `/d/x*': No such file or directory\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/d/", "/d/sub/", "/d/sub/b", "/d/sub/c"));
  ExpectRun("dfs -mv /d/sub/b /d*/*", 1, "", "mv: `/d/sub/b': File exists\n");
  ExpectRun("dfs -mv /d/sub/b /d/sub/*", 1, "", "mv: `/d/sub/*': Too many matches\n");
}

// ---- dfsadmin ----

TEST_F(ShellTest, SafeModeWords) {
  ExpectRun("dfsadmin -safemode get", 0, "Safe mode is OFF\n", "");
  ExpectRun("dfsadmin -safemode ENTER", 0, "Safe mode is ON\n", "");
  ExpectRun("dfsadmin -safemode get", 0, "Safe mode is ON\n", "");
  ExpectRun("dfsadmin -safemode leave", 0, "Safe mode is OFF\n", "");
  ExpectRun("dfsadmin -safemode wait", 0, "Safe mode is OFF\n", "");
  ExpectRun("dfsadmin -safemode", 255, "", "Usage: hdfs dfsadmin [-safemode enter | leave | get | wait | forceExit]\n");
  ExpectRun("dfsadmin -safemode dance", 255, "",
            "Usage: hdfs dfsadmin [-safemode enter | leave | get | wait | forceExit]\n");
}

TEST_F(ShellTest, AdminUsage) {
  const Printed unknown = Run("dfsadmin -foo");
  EXPECT_EQ(unknown.code, 255);
  EXPECT_THAT(unknown.err, StartsWith("foo: Unknown command\nUsage: hdfs dfsadmin\n"
                                      "Note: Administrative commands can only be run as the HDFS superuser.\n"));
  EXPECT_THAT(Run("dfsadmin").err, StartsWith("Usage: hdfs dfsadmin\n"));
  EXPECT_THAT(Run("dfsadmin -report -lively").err, StartsWith("Usage: hdfs dfsadmin [-report]"));
  EXPECT_THAT(Run("dfsadmin -help safemode").out, StartsWith("-safemode <enter|leave"));
  EXPECT_EQ(Run("dfsadmin -help").code, 0);
}

TEST_F(ShellTest, ReportAsksTheCluster) {
  fs_.stats.capacity_bytes = 1024;
  fs_.datanodes = {DatanodeReport{.address = "127.0.0.1:7066", .host_name = "h"}};
  const Printed printed = Run("dfsadmin -report -live");
  EXPECT_THAT(printed.out, AllOf(HasSubstr("Configured Capacity: 1024 (1 KB)\n"), HasSubstr("Live datanodes (1):\n")));
  EXPECT_EQ(printed.code, 0);
}

TEST_F(ShellTest, LocalRefusesBadWordsAndFindsNothingInAnEmptyDirectory) {
  const TempDir dir;
  EXPECT_EQ(Run("local dance").code, 255);
  EXPECT_THAT(Run("local dance").err, StartsWith("dolmen local: 'dance' is none of start, stop, status\nUsage"));
  const Printed status = Run("local status --json --dir " + dir.path());
  EXPECT_EQ(status.code, 1);
  EXPECT_EQ(status.out, "{\"state\": \"stopped\", \"uri\": \"\", \"dir\": \"" + dir.path() + "\"}\n");
  EXPECT_EQ(Run("local stop --dir " + dir.path() + "/missing").out, "Nothing runs in " + dir.path() + "/missing.\n");
  EXPECT_EQ(Run("local start").err, "dolmen local: HOME is not set; say where with --dir\n");
}

}  // namespace
}  // namespace dolmen::cli
