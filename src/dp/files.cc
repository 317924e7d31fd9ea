#include "dp/files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/format.h"
#include "base/strings.h"
#include "runtime/random.h"

namespace kuma::dp {
namespace {

namespace fs = std::filesystem;

bool CanBind(const std::string& address, uint16_t port) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool is_v6 = inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1;
  // A host name, or an address of another network namespace: any address of this host.
  if (!is_v6 && inet_pton(AF_INET, address.c_str(), &v4.sin_addr) != 1)
    v4.sin_addr.s_addr = INADDR_ANY;
  const int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int result = is_v6 ? bind(fd, reinterpret_cast<const sockaddr*>(&v6), sizeof v6)
                           : bind(fd, reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  const int error = errno;
  close(fd);
  return result == 0 || error == EADDRNOTAVAIL;
}

bool IsProgram(const std::string& path) {
  return access(path.c_str(), X_OK) == 0 && !fs::is_directory(path);
}

}  // namespace

std::string SocketPath(std::string_view folder, std::string_view name) {
  constexpr size_t kLimit = 98;  // with ".sock" it fits a socket address everywhere
  return base::Format("{}/{}", folder, name).substr(0, kLimit) + ".sock";
}

base::Result<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const auto code = errno == ENOENT ? base::Code::kNotFound : base::Code::kInvalid;
    return base::Error(code, base::Format("open {}: {}", path, std::strerror(errno)));
  }
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      close(fd);
      return base::Invalid(base::Format("read {}: {}", path, std::strerror(error)));
    }
    if (count == 0) break;
    content.append(buffer, static_cast<size_t>(count));
  }
  close(fd);
  return content;
}

base::Status WriteFile(const std::string& path, std::string_view content) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool good = fd >= 0;
  while (good && !content.empty()) {
    const ssize_t count = write(fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    good = count > 0;
    if (good) content.remove_prefix(static_cast<size_t>(count));
  }
  const int error = errno;
  if (fd >= 0 && close(fd) != 0) good = false;
  if (!good) return base::Invalid(base::Format("write {}: {}", path, std::strerror(error)));
  return base::Ok{};
}

base::Result<WorkFolder> WorkFolder::Make(const std::string& path) {
  if (path.empty()) {
    const char* folder = std::getenv("TMPDIR");
    std::string pattern =
        base::Format("{}/kuma-dp-XXXXXX", folder != nullptr && *folder != '\0' ? folder : "/tmp");
    if (mkdtemp(pattern.data()) == nullptr) {
      return base::Invalid(
          base::Format("make a temporary folder {}: {}", pattern, std::strerror(errno)));
    }
    return WorkFolder(std::move(pattern), true);
  }
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (!error) fs::create_directories(absolute, error);
  if (error)
    return base::Invalid(base::Format("make the work folder {}: {}", path, error.message()));
  return WorkFolder(absolute.string(), false);
}

WorkFolder::WorkFolder(WorkFolder&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, false)) {}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  if (temporary_) fs::remove_all(path_, ignored);
}

uint16_t FindFreePort(const std::string& address, const std::vector<uint16_t>& taken) {
  constexpr uint64_t kFirst = 20000, kPorts = 12000;  // the kernel's own choices start at 32768
  runtime::SystemRandom random;
  for (int attempt = 0; attempt < 200; ++attempt) {
    const auto port = static_cast<uint16_t>(kFirst + random.Below(kPorts));
    if (std::ranges::find(taken, port) == taken.end() && CanBind(address, port)) return port;
  }
  return kFirst;
}

base::Result<std::string> FindProgram(const std::string& name, const std::string& path_variable) {
  if (name.find('/') != std::string::npos) {
    if (IsProgram(name)) return fs::absolute(name).string();
    return base::NotFound(base::Format("{} is not an executable file", name));
  }
  for (const std::string& folder : base::Split(path_variable, ':')) {
    if (!folder.empty() && IsProgram(folder + "/" + name)) return folder + "/" + name;
  }
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (!error && IsProgram((self.parent_path() / name).string()))
    return (self.parent_path() / name).string();
  return base::NotFound(base::Format("\"{}\" is in no folder of PATH", name));
}

int64_t MemoryLimit() {
  for (const char* file :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    const auto text = ReadFile(file);
    if (!text.has_value()) continue;
    const auto limit = base::ParseInt(base::Trim(*text));
    // cgroup v1 says "no limit" with a number near 2^63.
    return limit && *limit > 0 && *limit < (int64_t{1} << 60) ? *limit : 0;
  }
  return 0;
}

std::string FindSystemCa() {
  for (const char* file :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (access(file, R_OK) == 0) return file;
  }
  return "";
}

}  // namespace kuma::dp
