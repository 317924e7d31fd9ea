#pragma once

// ~/.kumactl/config: which control planes there are, how to reach them, and which one is meant.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace kuma::cli {

struct ApiServer {
  std::string url;
  std::string ca_cert_file;
  std::string client_cert_file;
  std::string client_key_file;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string auth_type;  // "" or "tokens"
  std::vector<std::pair<std::string, std::string>> auth_conf;
  bool skip_verify = false;
};

struct NamedControlPlane {
  std::string name;
  ApiServer api_server;
};

struct NamedTarget {  // "context" in the file
  std::string name;
  std::string control_plane;
  std::string default_mesh;
};

// A plain value with the operations of `kumactl config control-planes`.
struct ConfigFile {
  std::vector<NamedControlPlane> control_planes;
  std::vector<NamedTarget> targets;
  std::string current;

  // One control plane "local" at http://localhost:5681.
  static ConfigFile Default();

  const NamedControlPlane* FindControlPlane(std::string_view name) const;
  const NamedTarget* FindTarget(std::string_view name) const;

  // Adds control plane and target of that name and makes them current. kConflict if there is one
  // and `overwrite` is false.
  base::Status Add(NamedControlPlane control_plane, bool overwrite);
  // With the targets that use it. kNotFound.
  base::Status Remove(std::string_view name);
  // Makes the first target that uses the control plane current. kNotFound.
  base::Status Switch(std::string_view name);
};

// Reads the YAML text; keys in camelCase or snake_case.
base::Result<ConfigFile> ParseConfig(std::string_view text);
// YAML with sorted keys; "{}" when empty.
std::string WriteConfig(const ConfigFile& config);

// kNotFound when there is no such file.
base::Result<std::string> ReadFile(const std::string& path);
// Makes the folders on the way; the file may hold tokens and is readable by its owner only.
base::Status WritePrivateFile(const std::string& path, std::string_view content);

}  // namespace kuma::cli
