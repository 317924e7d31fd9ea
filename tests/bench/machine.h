#pragma once

// What the bench asks of the machine: child processes, their CPU time and memory, cores,
// descriptors. Linux only.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace kuma::bench {

// CPU time of a process, all its threads, also those that ended; nanosecond clock of the kernel.
double CpuSeconds(pid_t pid);
// By the name of the thread, digits at its end cut off; living threads only.
std::map<std::string, double> CpuSecondsByThread(pid_t pid);

// Kilobytes, from /proc/PID/smaps_rollup and smaps.
struct Memory {
  double rss = 0;
  double pss = 0;
  double heap = 0;    // private anonymous: malloc and slabs
  double stacks = 0;  // of threads, and the main one
  double file = 0;    // code and data of the binary and its libraries
};
Memory MemoryOf(pid_t pid);

// How many a process has open.
size_t DescriptorsOf(pid_t pid);

// The cores that this process may use.
std::vector<int> Cores();
// The calling thread and what it starts from now on. Empty: all of `Cores()` at start.
void RunOn(const std::vector<int>& cores);

// Raises the limit of descriptors as far as it goes, and returns it.
uint64_t RaiseDescriptorLimit();

uint16_t FreePort();

// A child process with its output in a file and a pipe to its input. Killed with its destructor.
class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child() { Kill(); }

  // `environment` is added to this process's own.
  static base::Result<Child> Start(const std::vector<std::string>& command,
                                   const std::map<std::string, std::string>& environment,
                                   const std::string& output_file);
  pid_t pid() const { return pid_; }
  bool alive();
  void WriteInput(const std::string& text);
  void Kill();
  // SIGTERM, and the exit code.
  int Terminate();
  // Waits for its end.
  int Wait();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
};

std::string ReadFile(const std::string& path);

}  // namespace kuma::bench
