#pragma once

// Child processes: Envoy, and its --version.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/log_output.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace kuma::dp {

// A running child. Whoever started it waits for it and closes the descriptors.
struct Child {
  pid_t pid = -1;
  int pid_fd = -1;  // readable once the child has ended
  int out = -1;     // read ends of its standard output and error, non-blocking
  int err = -1;
};

// Starts a program (absolute path) in a process group of its own, so that Ctrl-C reaches only us,
// with no signal blocked. It is killed when the calling thread ends, however that happens.
base::Result<Child> StartChild(const std::string& program,
                               const std::vector<std::string>& arguments);

// Runs a program to its end and returns its standard output. Blocks.
base::Result<std::string> RunForOutput(const std::string& program,
                                       const std::vector<std::string>& arguments);

// The exit code of a wait status as a shell has it: 128 + signal if it was killed.
int ExitCode(int wait_status);

// Copies whole lines from one descriptor to another one. Confined to the loop; Close before it is
// destroyed.
// Warnings and errors of Envoy that repeat (it says twice a second that the control plane is away) are
// written five times a minute, the rest is counted.
class LineCopier final : public net::FdWatcher {
 public:
  // Takes `from`, borrows `to`. Call on the loop.
  LineCopier(net::EventLoop& loop, int from, int to);
  LineCopier(const LineCopier&) = delete;
  LineCopier& operator=(const LineCopier&) = delete;

  void OnReady(uint32_t events) override;
  // Copies what is there, complete or not, and stops.
  void Close();

 private:
  void ReadAll();
  void WriteLines(std::string_view lines);  // whole ones
  void Write(std::string_view bytes);

  net::EventLoop& loop_;
  int from_;
  int to_;
  std::string partial_;
  base::RepeatLimit repeats_;
};

// What makes two warnings or errors of Envoy alike: "[warning][config] [source/common/config/x.cc:17]". Empty: another
// line, which is always written.
std::string_view KindOfEnvoyLine(std::string_view line);

}  // namespace kuma::dp
