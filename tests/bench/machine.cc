#include "tests/bench/machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/format.h"

extern char** environ;

namespace kuma::bench {

double CpuSeconds(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::map<std::string, double> CpuSecondsByThread(pid_t pid) {
  std::map<std::string, double> seconds;
  std::error_code error;
  const std::filesystem::path tasks = base::Format("/proc/{}/task", pid);
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::string name = ReadFile(task.path() / "comm");
    while (!name.empty() && (name.back() == '\n' || (name.back() >= '0' && name.back() <= '9') ||
                             name.back() == '-'))
      name.pop_back();
    std::istringstream schedstat(ReadFile(task.path() / "schedstat"));
    double nanoseconds = 0;
    schedstat >> nanoseconds;
    seconds[name] += nanoseconds / 1e9;
  }
  return seconds;
}

Memory MemoryOf(pid_t pid) {
  Memory memory;
  std::ifstream maps(base::Format("/proc/{}/smaps", pid));
  std::string line;
  double* kind = &memory.heap;
  while (std::getline(maps, line)) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (!first.empty() && first.back() != ':') {  // a new mapping: range, flags, ..., path
      std::string flags, offset, device, inode, path;
      words >> flags >> offset >> device >> inode >> path;
      kind = path.starts_with("/")        ? &memory.file
             : path.starts_with("[stack") ? &memory.stacks
                                          : &memory.heap;
      continue;
    }
    double kilobytes = 0;
    words >> kilobytes;
    if (first == "Rss:") {
      memory.rss += kilobytes;
      *kind += kilobytes;
    } else if (first == "Pss:") {
      memory.pss += kilobytes;
    }
  }
  return memory;
}

size_t DescriptorsOf(pid_t pid) {
  std::error_code error;
  const std::filesystem::directory_iterator open(base::Format("/proc/{}/fd", pid), error);
  return error ? 0 : static_cast<size_t>(std::distance(begin(open), end(open)));
}

std::vector<int> Cores() {
  static const std::vector<int> at_start = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    std::vector<int> cores;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
    return cores;
  }();
  return at_start;
}

void RunOn(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores.empty() ? Cores() : cores) CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  rlimit wanted{1 << 17, std::max<rlim_t>(limit.rlim_max, 1 << 17)};  // root may raise both
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), input_(std::exchange(other.input_, -1)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
    input_ = std::exchange(other.input_, -1);
  }
  return *this;
}

base::Result<Child> Child::Start(const std::vector<std::string>& command,
                                 const std::map<std::string, std::string>& environment,
                                 const std::string& output_file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return base::Unavailable("no descriptors");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
  posix_spawn_file_actions_addopen(&actions, 1, output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<std::string> added;
  for (const auto& [name, value] : environment) added.push_back(name + "=" + value);
  std::vector<char*> variables;
  for (std::string& variable : added) variables.push_back(variable.data());
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (!environment.contains(std::string(text.substr(0, text.find('='))))) {
      variables.push_back(*variable);
    }
  }
  variables.push_back(nullptr);
  Child child;
  const int failure =
      posix_spawn(&child.pid_, arguments[0], &actions, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  child.input_ = ends[1];
  if (failure != 0) {
    child.pid_ = -1;
    return base::Unavailable(base::Format("start {}: {}", command[0], std::strerror(failure)));
  }
  return child;
}

bool Child::alive() {
  if (pid_ < 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void Child::WriteInput(const std::string& text) {
  if (write(input_, text.data(), text.size()) < 0) return;  // it ended; whoever waits will see
}

void Child::Kill() {
  if (input_ >= 0) close(std::exchange(input_, -1));
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  Wait();
}

int Child::Terminate() {
  if (pid_ < 0) return -1;
  kill(pid_, SIGTERM);
  return Wait();
}

int Child::Wait() {
  int status = 0;
  if (pid_ < 0) return -1;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace kuma::bench
