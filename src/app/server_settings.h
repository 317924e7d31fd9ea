#pragma once

// What the configuration means for ports, files and folders, for those who open them and those who
// check them. Pure, but for $HOME.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "base/result.h"
#include "generate/health_checks.h"

namespace kuma::app {

// Files of a certificate and its key.
struct TlsFiles {
  std::string cert;
  std::string key;
  bool self_signed = false;  // made at start if absent
  std::string
      key_of_cert;  // of the configuration: "dpServer.tlsCertFile (KUMA_DP_SERVER_TLS_CERT_FILE)"
};

// A port that the control plane listens on.
struct Listening {
  std::string_view name;      // "dp"
  std::string_view key;       // of its number
  std::string_view variable;  // the same as environment variable
  std::string address;        // "": all, IPv4 and IPv6
  uint16_t port = 0;
  std::optional<TlsFiles> tls;
};
std::vector<Listening> PortsOf(const Config& config);

// general.workDir, by default ~/.kuma.
std::string WorkFolderOf(const Config& config);
// Path of the SQLite store.
std::string DatabaseOf(const Config& config, const std::string& work_folder);
generate::HealthSettings HealthOf(const Config& config);

// kInvalid: asks for what this version has not.
base::Status CheckSupported(const Config& config);

}  // namespace kuma::app
