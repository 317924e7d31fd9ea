#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"

struct ssl_ctx_st;  // SSL_CTX

namespace kuma::net::internal {

// A ready SSL_CTX. Immutable and thread-safe.
class Credentials {
 public:
  static base::Result<std::shared_ptr<const Credentials>> ForServer(
      const ServerTlsOptions& options);
  // `http2`: offer h2; `http1`: offer http/1.1.
  static base::Result<std::shared_ptr<const Credentials>> ForClient(const ClientTlsOptions& options,
                                                                    bool http2, bool http1);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  ssl_ctx_st* get() const { return ssl_; }
  bool skip_verify() const { return skip_verify_; }

 private:
  explicit Credentials(ssl_ctx_st* ssl) : ssl_(ssl) {}
  ssl_ctx_st* ssl_;
  bool skip_verify_ = false;
};

// A file's identity: changes when it is rewritten or replaced (also through a symbolic link).
struct FileStamp {
  uint64_t inode = 0;
  int64_t size = -1;
  int64_t modified_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

// A server's credentials with reload. Confined to one executor, except that what current() returned
// may go anywhere.
class ReloadingCredentials {
 public:
  static base::Result<std::unique_ptr<ReloadingCredentials>> Load(ServerTlsOptions options);

  const std::shared_ptr<const Credentials>& current() const { return current_; }
  // Looks at the files. True: current() is new. A change that cannot be used is an error, reported
  // once.
  base::Result<bool> Check();

 private:
  ReloadingCredentials(ServerTlsOptions options, std::vector<FileStamp> stamps,
                       std::shared_ptr<const Credentials> current);

  const ServerTlsOptions options_;
  std::vector<FileStamp> stamps_;
  std::shared_ptr<const Credentials> current_;
};

}  // namespace kuma::net::internal
