// The `dolmen` command: finds the tool among its words and runs it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/cli/session.h"

namespace dolmen::cli {

// What differs between the real process and a test.
struct App {
  Connector connector;
  Environment environment;
  Streams streams;
  std::string version;
  // Replaces this process by a daemon beside it ("dolmen-namenode") with these arguments; returns only on failure.
  std::function<int(const std::string& program, const std::vector<std::string>& args)> run_daemon;
  // Asked for before a copy: from now on SIGINT and SIGTERM set the returned flag. May be empty.
  std::function<const std::atomic<bool>*()> catch_interrupts;
  Sleeper sleep = nullptr;  // nullptr: really sleeps
};

// `args`: the words after the program's name. Returns the exit code.
int RunApp(const App& app, std::vector<std::string> args);

}  // namespace dolmen::cli
