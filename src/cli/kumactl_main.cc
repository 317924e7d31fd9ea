#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/kumactl.h"

int main(int argc, char** argv) {
  kuma::base::SetLogLevel(kuma::base::LogLevel::kOff);
  const kuma::runtime::SystemClock clock;
  const char* home = std::getenv("HOME");
  kuma::cli::Environment environment{.out = std::cout,
                                     .err = std::cerr,
                                     .in = std::cin,
                                     .home = home != nullptr ? home : ".",
                                     .clock = clock};
  return kuma::cli::Run(std::vector<std::string>(argv + 1, argv + argc), environment);
}
