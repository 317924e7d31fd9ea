#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/kumactl.h"

namespace {

size_t TerminalWidth() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

int main(int argc, char** argv) {
  kuma::base::SetLogLevel(kuma::base::LogLevel::kOff);
  const kuma::runtime::SystemClock clock;
  const char* home = std::getenv("HOME");
  kuma::cli::Environment environment{.out = std::cout,
                                     .err = std::cerr,
                                     .in = std::cin,
                                     .home = home != nullptr ? home : ".",
                                     .clock = clock,
                                     .width = TerminalWidth()};
  return kuma::cli::Run(std::vector<std::string>(argv + 1, argv + argc), environment);
}
