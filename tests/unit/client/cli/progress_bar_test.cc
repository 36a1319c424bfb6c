// The bar on a terminal of its own.
#include "client/cli/progress_bar.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/unit/client/cli/copy_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kErase[] = "\r\x1b[K";

// A terminal, and what was drawn on it.
class Terminal {
 public:
  Terminal() {
    const winsize size{.ws_row = 24, .ws_col = 60, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(openpty(&ours_, &theirs_, nullptr, nullptr, &size), 0);
    termios raw{};
    EXPECT_EQ(tcgetattr(theirs_, &raw), 0);
    cfmakeraw(&raw);
    EXPECT_EQ(tcsetattr(theirs_, TCSANOW, &raw), 0);
    EXPECT_EQ(fcntl(ours_, F_SETFL, O_NONBLOCK), 0);
  }
  ~Terminal() {
    close(ours_);
    close(theirs_);
  }
  int fd() const { return theirs_; }
  const std::string& Drawn() {
    char buffer[4096];
    for (ssize_t count = 0; (count = read(ours_, buffer, sizeof buffer)) > 0;) {
      drawn_.append(buffer, static_cast<size_t>(count));
    }
    return drawn_;
  }

 private:
  int ours_ = -1;
  int theirs_ = -1;
  std::string drawn_;
};

class ProgressBarTest : public CopyFixture {
 protected:
  ProgressBarTest() {
    environment_["TERM"] = "xterm";
    terminal_ = terminal.fd();
    fs_.PutFile("/f", std::string(3 << 20, 'x'));
  }
  // The next reads of /f take so long that the bar is drawn meanwhile.
  void ReadSlowly(std::chrono::milliseconds pause) {
    fs_.fail = [pause](const std::string& operation, const std::string&) {
      if (operation == "Read") std::this_thread::sleep_for(pause);
      return absl::OkStatus();
    };
  }

  Terminal terminal;
};

TEST_F(ProgressBarTest, ALongCopyIsShownAndErasedInTheEnd) {
  int reads = 0;
  fs_.fail = [&](const std::string& operation, const std::string&) {
    if (operation == "Read" && ++reads == 2) {
      EXPECT_TRUE(Eventually([&] { return terminal.Drawn().find("33%") != std::string::npos; }));
    }
    return absl::OkStatus();
  };
  ExpectRun("dfs -get /f %s/f", 0, "");
  EXPECT_THAT(terminal.Drawn(), StartsWith(kErase));
  EXPECT_THAT(terminal.Drawn(), HasSubstr(" 1 MB / 3 MB"));
  EXPECT_THAT(terminal.Drawn(), HasSubstr("33% ["));
  EXPECT_THAT(terminal.Drawn(), HasSubstr("/s  0:0"));
  EXPECT_THAT(terminal.Drawn(), EndsWith(kErase));
  EXPECT_THAT(terminal.Drawn(), Not(HasSubstr("\n")));
}

TEST_F(ProgressBarTest, AShortCopyShowsNothing) {
  fs_.PutFile("/small", "x");
  ExpectRun("dfs -get /small %s/f", 0, "");
  EXPECT_EQ(terminal.Drawn(), "");
}

TEST_F(ProgressBarTest, ItCanBeTurnedOff) {
  ReadSlowly(std::chrono::milliseconds(160));
  ExpectRun("dfs -get --no-progress /f %s/a", 0, "");
  ExpectRun("dfs -D progress=false -get /f %s/b", 0, "");
  environment_["TERM"] = "dumb";
  ExpectRun("dfs -get /f %s/c", 0, "");
  environment_.erase("TERM");
  ExpectRun("dfs -get /f %s/d", 0, "");
  EXPECT_EQ(terminal.Drawn(), "");
}

TEST_F(ProgressBarTest, EveryCopyingCommandTakesTheFlag) {
  WriteLocal("x", "1");
  for (const char* line :
       {"-put --no-progress %s/x /put", "-cp --no-progress /f /cp", "-getmerge --no-progress /f %s/m",
        "-moveFromLocal --no-progress %s/x /move", "-appendToFile --no-progress %s/m /app"}) {
    ExpectRun(std::string("dfs ") + line, 0, "");
  }
}

TEST_F(ProgressBarTest, MessagesDoNotMixWithTheLine) {
  Terminal other;
  ProgressBar bar(other.fd());
  bar.FileFound(100);
  ASSERT_TRUE(Eventually([&] { return !other.Drawn().empty(); }));
  bar.Print([&] { EXPECT_EQ(write(other.fd(), "message\n", 8), 8); });
  EXPECT_THAT(other.Drawn(), HasSubstr(std::string("0 B") + kErase + "message\n"));
}

TEST_F(ProgressBarTest, FilesThatEndEarlyLeaveThePercentageRight) {
  Terminal other;
  ProgressBar bar(other.fd());
  bar.FileFound(1000);
  bar.FileFound(1000);
  bar.AllFound();
  {
    FileProgress failed(&bar, 1000);
    failed.Copied(500);
  }
  {
    FileProgress grew(&bar, 1000);
    grew.Copied(1500);
  }
  ASSERT_TRUE(Eventually([&] { return other.Drawn().find("100%") != std::string::npos; })) << other.Drawn();
  EXPECT_THAT(other.Drawn(), HasSubstr("2/2 files  2.0 KB / 2.0 KB"));
}

TEST_F(ProgressBarTest, ATerminalThatGoesAwayDoesNotStopTheCopy) {
  {
    Terminal other;
    terminal_ = dup(other.fd());
  }
  ReadSlowly(std::chrono::milliseconds(250));
  ExpectRun("dfs -get /f %s/f", 0, "");
  EXPECT_EQ(ReadLocal("f").size(), 3u << 20);
  close(terminal_);
}

}  // namespace
}  // namespace dolmen::cli
