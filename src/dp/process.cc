#include "dp/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/format.h"
#include "base/log.h"

namespace kuma::dp {
namespace {

constexpr size_t kRepeatsPerWindow = 5;
constexpr std::chrono::seconds kRepeatWindow(60);
constexpr size_t kLongestLine = 64 << 10;

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  bool Open() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return false;
    read_end = fds[0];
    write_end = fds[1];
    return true;
  }
  void Close() {
    if (read_end >= 0) close(read_end);
    if (write_end >= 0) close(write_end);
  }
};

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void RunProgram(const char* program, char* const* arguments, int out, int err,
                             pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(program, arguments);
  constexpr char kText[] = "kuma-dp: cannot execute the program\n";
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, kText, sizeof kText - 1);
  _exit(127);
}

}  // namespace

base::Result<Child> StartChild(const std::string& program,
                               const std::vector<std::string>& arguments) {
  std::vector<char*> words = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  Pipe out, err;
  if (!out.Open() || !err.Open()) {
    const int error = errno;
    out.Close();
    return base::Internal(base::Format("make a pipe: {}", std::strerror(error)));
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) RunProgram(program.c_str(), words.data(), out.write_end, err.write_end, parent);
  if (pid < 0) {
    const int error = errno;
    out.Close();
    err.Close();
    return base::Internal(base::Format("fork: {}", std::strerror(error)));
  }
  close(out.write_end);
  close(err.write_end);
  fcntl(out.read_end, F_SETFL, O_NONBLOCK);
  fcntl(err.read_end, F_SETFL, O_NONBLOCK);
  const int pid_fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pid_fd < 0) {
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    close(out.read_end);
    close(err.read_end);
    return base::Internal(
        base::Format("pidfd_open (Linux 5.3 or newer is needed): {}", std::strerror(error)));
  }
  return Child{.pid = pid, .pid_fd = pid_fd, .out = out.read_end, .err = err.read_end};
}

base::Result<std::string> RunForOutput(const std::string& program,
                                       const std::vector<std::string>& arguments) {
  TRY_ASSIGN(const Child child, StartChild(program, arguments));
  fcntl(child.out, F_SETFL, 0);
  std::string output;
  char buffer[1024];
  for (;;) {
    const ssize_t count = read(child.out, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    output.append(buffer, static_cast<size_t>(count));
  }
  int status = 0;
  while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  close(child.out);
  close(child.err);
  close(child.pid_fd);
  if (status != 0)
    return base::Invalid(base::Format("{} ended with code {}", program, ExitCode(status)));
  return output;
}

int ExitCode(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

std::string_view KindOfEnvoyLine(std::string_view line) {
  // "[2026-11-25 23:05:38.858][25768][warning][upstream] [source/...cc:349] text"
  if (!line.starts_with('[')) return {};
  const size_t pid = line.find("][");
  if (pid == std::string_view::npos) return {};
  const size_t level = line.find_first_not_of("0123456789", pid + 2);
  if (level == std::string_view::npos || !line.substr(level).starts_with("][")) return {};
  line.remove_prefix(level + 1);
  if (!line.starts_with("[warning][") && !line.starts_with("[error][") &&
      !line.starts_with("[critical]["))
    return {};
  const size_t source = line.find("] [source/");
  if (source == std::string_view::npos) return {};
  const size_t end = line.find(']', source + 2);
  return end == std::string_view::npos ? std::string_view() : line.substr(0, end + 1);
}

LineCopier::LineCopier(net::EventLoop& loop, int from, int to)
    : loop_(loop), from_(from), to_(to), repeats_(kRepeatsPerWindow, kRepeatWindow) {
  loop_.Watch(from_, EPOLLIN, *this);
}

void LineCopier::OnReady(uint32_t) { ReadAll(); }

void LineCopier::ReadAll() {
  char buffer[8192];
  while (from_ >= 0) {
    const ssize_t count = read(from_, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      loop_.Unwatch(from_, *this);
      close(from_);
      from_ = -1;
      return;
    }
    std::string_view bytes(buffer, static_cast<size_t>(count));
    const size_t end = bytes.rfind('\n');
    if (end != std::string_view::npos) {
      if (!partial_.empty()) {
        // The rest of a line that began before.
        const size_t first = bytes.find('\n') + 1;
        partial_ += bytes.substr(0, first);
        WriteLines(std::exchange(partial_, {}));
        bytes.remove_prefix(first);
      }
      const size_t whole = bytes.rfind('\n') + 1;  // 0: none is left
      WriteLines(bytes.substr(0, whole));
      bytes.remove_prefix(whole);
    }
    partial_ += bytes;
    if (partial_.size() > kLongestLine) Write(std::exchange(partial_, {}));
  }
}

void LineCopier::Close() {
  ReadAll();
  if (from_ >= 0) {
    loop_.Unwatch(from_, *this);
    close(from_);
    from_ = -1;
  }
  if (!partial_.empty()) Write(std::exchange(partial_, {}) + "\n");
}

void LineCopier::WriteLines(std::string_view lines) {
  const auto now = loop_.Now();
  for (const base::RepeatLimit::Counted& counted : repeats_.Take(now)) {
    base::Logger(counted.logger)
        .Info("more lines like an earlier one were counted, not written",
              {{"like", counted.message}, {"lines", counted.lines}});
  }
  size_t begin = 0;  // of what is to be written
  for (size_t at = 0; at < lines.size();) {
    const size_t next = lines.find('\n', at) + 1;
    const std::string_view kind = KindOfEnvoyLine(lines.substr(at, next - at));
    if (!kind.empty() && !repeats_.Allow("envoy", kind, now)) {
      Write(lines.substr(begin, at - begin));
      begin = next;
    }
    at = next;
  }
  Write(lines.substr(begin));
}

void LineCopier::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(to_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // nobody reads our output any more
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace kuma::dp
