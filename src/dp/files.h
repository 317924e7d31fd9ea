#pragma once

// Files, folders and free ports.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kuma::dp {

// kNotFound, kInvalid; the message names the file.
base::Result<std::string> ReadFile(const std::string& path);
// Readable by its owner only.
base::Status WriteFile(const std::string& path, std::string_view content);

// Path of a socket or pipe that the control plane names to Envoy, too: cut to what fits into the
// address of a Unix socket.
std::string SocketPath(std::string_view folder, std::string_view name);

// The folder for the bootstrap and sockets. A temporary one is removed with this object.
class WorkFolder {
 public:
  // Empty `path`: a new temporary folder. Else it is made if it does not exist.
  static base::Result<WorkFolder> Make(const std::string& path);
  WorkFolder(WorkFolder&& other) noexcept;
  WorkFolder& operator=(WorkFolder&&) = delete;
  ~WorkFolder();
  const std::string& path() const { return path_; }  // absolute

 private:
  WorkFolder(std::string path, bool temporary) : path_(std::move(path)), temporary_(temporary) {}
  std::string path_;
  bool temporary_;
};

// A TCP port that can be bound at `address` (a name or nothing: at any) now, below the range from
// which the kernel takes ports for outgoing connections.
uint16_t FindFreePort(const std::string& address, const std::vector<uint16_t>& taken);

// The absolute path of a program: a path as it is, a name from PATH or the folder of this program.
// kNotFound.
base::Result<std::string> FindProgram(const std::string& name, const std::string& path_variable);

// The memory limit of this container, or 0.
int64_t MemoryLimit();
// The file with the CAs of this system, or empty.
std::string FindSystemCa();

}  // namespace kuma::dp
