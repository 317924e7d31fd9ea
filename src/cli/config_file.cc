#include "cli/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/format.h"
#include "model/value.h"

namespace kuma::cli {
namespace {

using model::Array;
using model::Object;
using model::Value;

// "current_context" and "currentContext" are one key.
const Value* FindKey(const Value& object, std::string_view camel) {
  if (const Value* value = object.Find(camel)) return value;
  std::string snake;
  for (const char letter : camel) {
    if (letter >= 'A' && letter <= 'Z') {
      snake += '_';
      snake += static_cast<char>(letter - 'A' + 'a');
    } else {
      snake += letter;
    }
  }
  return object.Find(snake);
}

std::string Text(const Value& object, std::string_view key) {
  const Value* value = FindKey(object, key);
  if (value == nullptr || value->is_null()) return "";
  if (const std::string* text = value->if_string()) return *text;
  return model::ToJson(*value);
}

const Array& List(const Value& object, std::string_view key) {
  static const Array kEmpty;
  const Value* value = FindKey(object, key);
  return value != nullptr && value->if_array() != nullptr ? *value->if_array() : kEmpty;
}

ApiServer ReadApiServer(const Value& object) {
  ApiServer server{.url = Text(object, "url"),
                   .ca_cert_file = Text(object, "caCertFile"),
                   .client_cert_file = Text(object, "clientCertFile"),
                   .client_key_file = Text(object, "clientKeyFile"),
                   .headers = {},
                   .auth_type = Text(object, "authType"),
                   .auth_conf = {},
                   .skip_verify = Text(object, "skipVerify") == "true"};
  for (const Value& header : List(object, "headers")) {
    server.headers.emplace_back(Text(header, "key"), Text(header, "value"));
  }
  if (const Value* conf = FindKey(object, "authConf");
      conf != nullptr && conf->if_object() != nullptr) {
    for (const auto& [key, value] : *conf->if_object()) {
      server.auth_conf.emplace_back(key, Text(*conf, key));
    }
  }
  return server;
}

void SetText(Object& object, std::string_view key, const std::string& text) {
  if (!text.empty()) object.Set(key, text);
}

Value ToValue(const ApiServer& server) {
  Object object;
  Object conf;
  for (const auto& [key, value] : server.auth_conf) conf.Set(key, value);
  conf.SortKeys();
  if (!conf.empty()) object.Set("authConf", std::move(conf));
  SetText(object, "authType", server.auth_type);
  SetText(object, "caCertFile", server.ca_cert_file);
  SetText(object, "clientCertFile", server.client_cert_file);
  SetText(object, "clientKeyFile", server.client_key_file);
  Array headers;
  for (const auto& [key, value] : server.headers) {
    headers.push_back(Object{{"key", key}, {"value", value}});
  }
  if (!headers.empty()) object.Set("headers", std::move(headers));
  if (server.skip_verify) object.Set("skipVerify", true);
  SetText(object, "url", server.url);
  return object;
}

}  // namespace

ConfigFile ConfigFile::Default() {
  ConfigFile config;
  config.control_planes.push_back({.name = "local", .api_server = {}});
  config.control_planes.back().api_server.url = "http://localhost:5681";
  config.targets.push_back({.name = "local", .control_plane = "local", .default_mesh = ""});
  config.current = "local";
  return config;
}

const NamedControlPlane* ConfigFile::FindControlPlane(std::string_view name) const {
  const auto found = std::ranges::find(control_planes, name, &NamedControlPlane::name);
  return found == control_planes.end() ? nullptr : &*found;
}

const NamedTarget* ConfigFile::FindTarget(std::string_view name) const {
  const auto found = std::ranges::find(targets, name, &NamedTarget::name);
  return found == targets.end() ? nullptr : &*found;
}

base::Status ConfigFile::Add(NamedControlPlane control_plane, bool overwrite) {
  if (!overwrite && FindControlPlane(control_plane.name) != nullptr) {
    return base::Conflict(
        base::Format("Control Plane with name \"{}\" already exists. Use --overwrite to replace an "
                     "existing one.",
                     control_plane.name));
  }
  if (!overwrite && FindTarget(control_plane.name) != nullptr) {
    return base::Conflict(
        base::Format("Context with name \"{}\" already exists", control_plane.name));
  }
  NamedTarget target{
      .name = control_plane.name, .control_plane = control_plane.name, .default_mesh = ""};
  current = target.name;
  const auto old_target = std::ranges::find(targets, target.name, &NamedTarget::name);
  const auto old = std::ranges::find(control_planes, control_plane.name, &NamedControlPlane::name);
  if (old_target != targets.end()) {
    *old_target = std::move(target);
  } else {
    targets.push_back(std::move(target));
  }
  if (old != control_planes.end()) {
    *old = std::move(control_plane);
  } else {
    control_planes.push_back(std::move(control_plane));
  }
  return base::Ok{};
}

base::Status ConfigFile::Remove(std::string_view name) {
  const auto found = std::ranges::find(control_planes, name, &NamedControlPlane::name);
  if (found == control_planes.end()) {
    return base::NotFound(base::Format("there is no Control Plane with name \"{}\"", name));
  }
  control_planes.erase(found);
  std::erase_if(targets, [&](const NamedTarget& target) { return target.control_plane == name; });
  if (FindTarget(current) == nullptr) current.clear();
  return base::Ok{};
}

base::Status ConfigFile::Switch(std::string_view name) {
  const auto found = std::ranges::find(targets, name, &NamedTarget::control_plane);
  if (found == targets.end()) {
    return base::NotFound(base::Format("there is no Control Plane with name \"{}\"", name));
  }
  current = found->name;
  return base::Ok{};
}

base::Result<ConfigFile> ParseConfig(std::string_view text) {
  TRY_ASSIGN(const std::vector<Value> documents, model::ParseYaml(text));
  ConfigFile config;
  if (documents.empty() || documents.front().is_null()) return config;
  const Value& root = documents.front();
  if (root.if_object() == nullptr) return base::Invalid("the file is not a YAML mapping");
  config.current = Text(root, "currentContext");
  for (const Value& item : List(root, "contexts")) {
    const Value* defaults = item.Find("defaults");
    config.targets.push_back({.name = Text(item, "name"),
                              .control_plane = Text(item, "controlPlane"),
                              .default_mesh = defaults != nullptr ? Text(*defaults, "mesh") : ""});
  }
  for (const Value& item : List(root, "controlPlanes")) {
    NamedControlPlane control_plane{.name = Text(item, "name"), .api_server = {}};
    const Value* coordinates = item.Find("coordinates");
    const Value* server = coordinates != nullptr ? FindKey(*coordinates, "apiServer") : nullptr;
    if (server != nullptr) control_plane.api_server = ReadApiServer(*server);
    config.control_planes.push_back(std::move(control_plane));
  }
  return config;
}

std::string WriteConfig(const ConfigFile& config) {
  Object root;
  Array targets;
  for (const NamedTarget& target : config.targets) {
    Object item{{"controlPlane", target.control_plane}};
    if (!target.default_mesh.empty()) item.Set("defaults", Object{{"mesh", target.default_mesh}});
    item.Set("name", target.name);
    targets.push_back(std::move(item));
  }
  if (!targets.empty()) root.Set("contexts", std::move(targets));
  Array control_planes;
  for (const NamedControlPlane& item : config.control_planes) {
    control_planes.push_back(Object{
        {"coordinates", Object{{"apiServer", ToValue(item.api_server)}}}, {"name", item.name}});
  }
  if (!control_planes.empty()) root.Set("controlPlanes", std::move(control_planes));
  SetText(root, "currentContext", config.current);
  return model::ToYaml(root);
}

base::Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    std::string message = base::Format("open {}: {}", path, std::strerror(error));
    if (error == ENOENT) return base::NotFound(std::move(message));
    return base::Invalid(std::move(message));
  }
  std::ostringstream content;
  content << file.rdbuf();
  if (file.bad()) return base::Invalid(base::Format("read {}: {}", path, std::strerror(errno)));
  return std::move(content).str();
}

base::Status WritePrivateFile(const std::string& path, std::string_view content) {
  const auto failed = [&](std::string_view step) {
    return base::Invalid(base::Format("{} {}: {}", step, path, std::strerror(errno)));
  };
  std::error_code error;
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty()) {
    std::filesystem::create_directories(folder, error);
    if (error)
      return base::Invalid(base::Format("make folder {}: {}", folder.string(), error.message()));
  }
  // Written beside and renamed: a full disk leaves the old file.
  const std::string draft = path + ".new";
  const int fd = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("create");
  size_t written = 0;
  while (written < content.size()) {
    const ssize_t count = write(fd, content.data() + written, content.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      close(fd);
      unlink(draft.c_str());
      return failed("write");
    }
    written += static_cast<size_t>(count);
  }
  if (close(fd) != 0) return failed("write");
  if (rename(draft.c_str(), path.c_str()) != 0) return failed("rename to");
  return base::Ok{};
}

}  // namespace kuma::cli
