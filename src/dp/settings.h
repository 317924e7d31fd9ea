#pragma once

// The settings of `kuma-dp run`. Each has a key (of the configuration file), an environment
// variable and most a flag; the later of these wins: default, file, environment, flag.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/redacted.h"
#include "base/result.h"
#include "model/duration.h"
#include "model/value.h"
#include "model/violations.h"

namespace kuma::dp {

using Files = std::vector<std::string>;
using Variables = std::vector<std::pair<std::string, std::string>>;
// The value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

struct Settings {
  std::string cp_url = "https://localhost:5678";
  std::string ca_cert_file;
  std::string ca_cert;
  bool skip_verify = false;
  model::Duration retry_backoff{std::chrono::seconds(3)};
  model::Duration retry_max{std::chrono::minutes(5)};

  std::string mesh;
  std::string name;
  std::string proxy_type = "dataplane";
  model::Duration drain_time{std::chrono::seconds(30)};
  int64_t readiness_port = 9902;
  model::Duration component_backoff{std::chrono::seconds(5)};
  model::Duration component_max_backoff{std::chrono::minutes(1)};

  std::string binary_path = "envoy";
  std::string work_dir;
  int64_t concurrency = 0;
  std::string token_path;
  std::string token;
  std::string resource;
  std::string resource_path;
  Variables resource_vars;
  std::string envoy_log_level;
  std::string envoy_component_log_level;
  int64_t max_memory_bytes = 0;
  std::string metrics_cert_path;
  std::string metrics_key_path;
  model::Duration refresh_interval{std::chrono::seconds(1)};
  std::string system_ca_path;
  bool transparent_proxy = false;
  Files transparent_proxy_config;  // each may replace what those before say
  bool bind_outbounds = false;
  bool ipv6_enabled = true;
  bool spire_supported = false;
  std::string spire_socket_path;
  bool strict_inbound_ports = true;
  bool otel_pipe = true;
  bool reuse_port = true;

  bool dns_enabled = true;
  int64_t dns_port = 15053;
  int64_t probe_proxy_port = 0;

  // Keys that file, environment or flag set.
  std::set<std::string, std::less<>> given;
  bool IsGiven(std::string_view key) const { return given.contains(key); }
};

// One row of the table of settings.
struct Setting {
  using Target = std::variant<std::string*, bool*, int64_t*, model::Duration*, Files*, Variables*>;

  std::string_view key;       // "controlPlane.caCertFile"
  std::string_view variable;  // "KUMA_CONTROL_PLANE_CA_CERT_FILE", or empty
  std::string_view flag;      // "ca-cert-file", or empty
  char letter = 0;            // 'd': -d
  std::string_view help;
  Target target;
  bool always_shown = false;  // by WriteSettings even if empty
};
// The whole table; the rows point into `settings`.
std::vector<Setting> SettingsTable(Settings& settings);

// Sets one value from the text of a variable or flag. kInvalid says what was expected.
base::Status SetFromText(Settings& settings, const Setting& row, std::string_view text);

// Puts the YAML of a configuration file and then the environment over what is in `settings`.
// Unknown keys are an error, as are values of a wrong type.
base::Status LoadSettings(Settings& settings, std::string_view file,
                          const Environment& environment);

// What a file would say that sets everything as it is; secrets included.
model::Value WriteSettings(const Settings& settings);

// Everything wrong at once; each path names key, flag and variable.
model::Violations ValidateSettings(const Settings& settings);

// "--ca-cert-file or KUMA_CONTROL_PLANE_CA_CERT_FILE": how a user sets a key.
std::string HowToSet(std::string_view key);

}  // namespace kuma::dp
