#include "app/server_settings.h"

#include <cstdlib>

#include "base/format.h"
#include "model/address.h"

namespace kuma::app {
namespace {

struct CertificateKeys {
  std::string_view cert;
  std::string_view key;
  std::string_view cert_variable;
};

// The certificate of a port, else that of all ports, else our own.
TlsFiles FilesOf(const Config& config, const CertificateKeys& own, bool general) {
  TlsFiles files{.cert = config.String(own.cert),
                 .key = config.String(own.key),
                 .self_signed = false,
                 .key_of_cert = base::Format("{} ({})", own.cert, own.cert_variable)};
  if (files.cert.empty() && files.key.empty() && general) {
    files.cert = config.String("general.tlsCertFile");
    files.key = config.String("general.tlsKeyFile");
  }
  if (files.cert.empty() && files.key.empty()) {
    const std::string folder = WorkFolderOf(config);
    files.cert = folder + "/kuma-cp.crt";
    files.key = folder + "/kuma-cp.key";
    files.self_signed = true;
  }
  return files;
}

uint16_t NumberOf(const Config& config, std::string_view key) {
  return static_cast<uint16_t>(config.Int(key));
}

}  // namespace

std::vector<Listening> PortsOf(const Config& config) {
  std::vector<Listening> ports;
  Listening& diagnostics = ports.emplace_back();
  diagnostics = {.name = "diagnostics",
                 .key = "diagnostics.serverPort",
                 .variable = "KUMA_DIAGNOSTICS_SERVER_PORT",
                 .address = "",
                 .port = NumberOf(config, "diagnostics.serverPort"),
                 .tls = std::nullopt};
  if (config.Bool("diagnostics.tlsEnabled")) {
    diagnostics.tls = FilesOf(
        config,
        {"diagnostics.tlsCertFile", "diagnostics.tlsKeyFile", "KUMA_DIAGNOSTICS_TLS_CERT_FILE"},
        false);
  }
  if (config.Bool("apiServer.http.enabled")) {
    ports.push_back({.name = "api",
                     .key = "apiServer.http.port",
                     .variable = "KUMA_API_SERVER_HTTP_PORT",
                     .address = config.String("apiServer.http.interface"),
                     .port = NumberOf(config, "apiServer.http.port"),
                     .tls = std::nullopt});
  }
  if (config.Bool("apiServer.https.enabled")) {
    ports.push_back({.name = "api-tls",
                     .key = "apiServer.https.port",
                     .variable = "KUMA_API_SERVER_HTTPS_PORT",
                     .address = config.String("apiServer.https.interface"),
                     .port = NumberOf(config, "apiServer.https.port"),
                     .tls = FilesOf(config,
                                    {"apiServer.https.tlsCertFile", "apiServer.https.tlsKeyFile",
                                     "KUMA_API_SERVER_HTTPS_TLS_CERT_FILE"},
                                    true)});
  }
  ports.push_back(
      {.name = "dp",
       .key = "dpServer.port",
       .variable = "KUMA_DP_SERVER_PORT",
       .address = "",
       .port = NumberOf(config, "dpServer.port"),
       .tls = FilesOf(
           config, {"dpServer.tlsCertFile", "dpServer.tlsKeyFile", "KUMA_DP_SERVER_TLS_CERT_FILE"},
           true)});
  return ports;
}

std::string WorkFolderOf(const Config& config) {
  std::string folder = config.String("general.workDir");
  if (!folder.empty()) return folder;
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr || *home == '\0' ? "/root" : home) + "/.kuma";
}

std::string DatabaseOf(const Config& config, const std::string& work_folder) {
  const std::string path = config.String("store.sqlite.path");
  return path.empty() ? work_folder + "/kuma.db" : path;
}

generate::HealthSettings HealthOf(const Config& config) {
  const std::string defaults = "dpServer.hds.checkDefaults.";
  generate::HealthSettings health;
  health.report_interval = config.Duration("dpServer.hds.interval");
  health.timeout = config.Duration(defaults + "timeout");
  health.interval = config.Duration(defaults + "interval");
  health.no_traffic_interval = config.Duration(defaults + "noTrafficInterval");
  health.healthy_threshold = static_cast<uint32_t>(config.Int(defaults + "healthyThreshold"));
  health.unhealthy_threshold = static_cast<uint32_t>(config.Int(defaults + "unhealthyThreshold"));
  health.admin_port = static_cast<uint32_t>(config.Int("bootstrapServer.params.adminPort"));
  return health;
}

base::Status CheckSupported(const Config& config) {
  if (config.String("mode") != "zone" || !config.String("multizone.zone.globalAddress").empty()) {
    return base::Invalid(
        "mode: only a zone without a global control plane is available in this version");
  }
  if (config.String("environment") != "universal") {
    return base::Invalid("environment: only universal is available in this version");
  }
  const std::string store = config.String("store.type");
  if (store != "sqlite" && store != "memory") {
    return base::Invalid(base::Format(
        "store.type \"{}\" is not available: sqlite (the default) and memory are", store));
  }
  const auto vips = model::ParseNetwork(config.String("ipam.meshService.cidr"));
  if (!vips || vips->ipv6 || vips->bits < 1 || vips->bits > 30)
    return base::Invalid("ipam.meshService.cidr: must be an IPv4 range such as 241.0.0.0/8");
  for (const std::string& range : config.List("ipam.knownInternalCIDRs")) {
    if (!model::ParseNetwork(range)) {
      return base::Invalid(
          base::Format("ipam.knownInternalCIDRs: \"{}\" is not a range such as 10.0.0.0/8", range));
    }
  }
  return base::Ok{};
}

}  // namespace kuma::app
