#include "dp/proxy.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "dp/files.h"
#include "model/kri.h"
#include "model/names.h"

namespace kuma::dp {
namespace {

using model::Object;
using model::Value;

std::string Text(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  if (value == nullptr || value->is_null()) return "";
  if (const std::string* text = value->if_string()) return *text;
  return model::ToJson(*value);
}

base::Result<std::string> ReadTemplate(const Settings& settings) {
  if (!settings.resource.empty()) return settings.resource;
  auto text = ReadFile(settings.resource_path);
  if (!text.has_value()) {
    return std::move(text).error().Context(
        base::Format("the Dataplane file ({})", HowToSet("dataplaneRuntime.resourcePath")));
  }
  return text;
}

base::Status CheckSame(std::string_view what, const std::string& given,
                       const std::string& in_file) {
  if (given.empty() || given == in_file) return base::Ok{};
  return base::Invalid(
      base::Format("--{} is \"{}\", but the Dataplane given has {} \"{}\"; leave --{} out, or "
                   "write {{{{ {} }}}} in the file and "
                   "use --dataplane-var",
                   what, given, what, in_file, what, what));
}

std::vector<uint16_t> InboundPorts(const Value& dataplane) {
  std::vector<uint16_t> ports;
  const Value* inbounds = dataplane.At({"networking", "inbound"});
  if (inbounds == nullptr || inbounds->if_array() == nullptr) return ports;
  for (const Value& inbound : *inbounds->if_array()) {
    for (const std::string_view key : {"port", "servicePort"}) {
      const Value* port = inbound.Find(key);
      if (port != nullptr && port->if_int() != nullptr)
        ports.push_back(static_cast<uint16_t>(*port->if_int()));
    }
  }
  return ports;
}

// Two sidecars of one host must not share the default admin port.
void ChooseAdminPort(Value& dataplane, const FindPort& find_port, std::vector<std::string>& notes) {
  Value* networking = dataplane.if_object()->Find("networking");
  if (networking == nullptr || networking->if_object() == nullptr) return;
  const Value* port = dataplane.At({"networking", "admin", "port"});
  if (port != nullptr && !port->is_null()) return;
  Value& admin = (*networking->if_object())["admin"];
  if (admin.if_object() == nullptr) admin = Object();
  const uint16_t chosen = find_port(Text(*networking, "address"), InboundPorts(dataplane));
  admin.if_object()->Set("port", int64_t{chosen});
  notes.push_back(base::Format(
      "chose free admin port {}; networking.admin.port of the Dataplane sets another one", chosen));
}

}  // namespace

std::string FillPlaceholders(
    std::string_view text,
    const std::function<std::optional<std::string>(std::string_view)>& value_of,
    std::vector<std::string>& missing) {
  std::string filled;
  for (;;) {
    const size_t open = text.find("{{");
    if (open == std::string_view::npos) break;
    const std::string_view closing = text.substr(open).starts_with("{{{") ? "}}}" : "}}";
    const size_t begin = open + closing.size();
    const size_t close = text.find(closing, begin);
    if (close == std::string_view::npos) break;
    filled += text.substr(0, open);
    std::string_view name = base::Trim(text.substr(begin, close - begin));
    text.remove_prefix(close + closing.size());
    if (name.starts_with('!')) continue;
    if (name.starts_with('&')) name = base::Trim(name.substr(1));
    if (const auto value = value_of(name)) {
      filled += *value;
    } else if (std::ranges::find(missing, name) == missing.end()) {
      missing.emplace_back(name);
    }
  }
  filled += text;
  return filled;
}

std::string ResourceJson(const Value& dataplane, const std::string& mesh, const std::string& name) {
  Object resource{{"type", "Dataplane"},
                  {"mesh", mesh},
                  {"name", name},
                  {"creationTime", "0001-01-01T00:00:00Z"},
                  {"modificationTime", "0001-01-01T00:00:00Z"}};
  model::Kri kri{
      .short_name = "dp", .mesh = mesh, .zone = "", .ns = "", .name = name, .section = ""};
  if (const Value* labels = dataplane.Find("labels");
      labels != nullptr && labels->if_object() != nullptr) {
    resource.Set("labels", *labels);
    const auto label = [&](std::string_view key) { return Text(*labels, key); };
    kri.zone = label(model::kZoneLabel);
    kri.ns = label(model::kNamespaceLabel);
    if (std::string shown = label(model::kDisplayNameLabel); !shown.empty())
      kri.name = std::move(shown);
  }
  resource.Set("kri", kri.ToString());
  if (const auto* object = dataplane.if_object()) {
    for (const auto& [key, value] : *object) {
      if (resource.Find(key) == nullptr) resource.Set(key, value);
    }
  }
  return model::ToJson(resource);
}

base::Result<Proxy> LoadProxy(const Settings& settings, const Environment& environment,
                              const FindPort& find_port) {
  Proxy proxy;
  proxy.mesh = settings.mesh;
  proxy.name = settings.name;
  if (settings.resource.empty() && settings.resource_path.empty()) return proxy;
  TRY_ASSIGN(const std::string text, ReadTemplate(settings));
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    const auto last = std::find_if(settings.resource_vars.rbegin(), settings.resource_vars.rend(),
                                   [&](const auto& pair) { return pair.first == name; });
    if (last != settings.resource_vars.rend()) return last->second;
    return environment(name);
  };
  std::vector<std::string> missing;
  const std::string filled = FillPlaceholders(text, value_of, missing);
  for (const std::string& name : missing) {
    proxy.notes.push_back(
        base::Format("the Dataplane template uses {{{{ {} }}}}, which has no value: set it with "
                     "--dataplane-var {}=...",
                     name, name));
  }
  const std::string where =
      settings.resource.empty() ? settings.resource_path : "the Dataplane given";
  auto documents = model::ParseYaml(filled);
  if (!documents.has_value()) return std::move(documents).error().Context(where);
  if (documents->size() != 1 || documents->front().if_object() == nullptr) {
    return base::Invalid(base::Format("{}: expected one Dataplane", where));
  }
  Value& dataplane = documents->front();
  if (const std::string type = Text(dataplane, "type"); type != "Dataplane") {
    return base::Invalid(base::Format("{}: type: expected Dataplane, found \"{}\"", where, type));
  }
  std::string name = Text(dataplane, "name");
  if (name.empty()) name = settings.name;
  std::string mesh = Text(dataplane, "mesh");
  if (mesh.empty()) mesh = settings.mesh.empty() ? "default" : settings.mesh;
  if (name.empty()) return base::Invalid(base::Format("{}: name: cannot be empty", where));
  TRY(CheckSame("name", settings.name, name));
  TRY(CheckSame("mesh", settings.mesh, mesh));
  ChooseAdminPort(dataplane, find_port, proxy.notes);
  proxy.resource = ResourceJson(dataplane, mesh, name);
  proxy.transparent = dataplane.At({"networking", "transparentProxying"}) != nullptr;
  proxy.mesh = std::move(mesh);
  proxy.name = std::move(name);
  return proxy;
}

base::Result<std::string> LoadToken(const Settings& settings) {
  if (settings.token_path.empty()) return std::string(base::Trim(settings.token));
  auto text = ReadFile(settings.token_path);
  if (!text.has_value()) {
    return std::move(text).error().Context(base::Format(
        "the dataplane token file ({})", HowToSet("dataplaneRuntime.dataplaneTokenPath")));
  }
  std::string token(base::Trim(*text));
  if (token.empty()) {
    return base::Invalid(
        base::Format("the dataplane token file {} is empty; make a token with `kumactl generate "
                     "dataplane-token`",
                     settings.token_path));
  }
  return token;
}

}  // namespace kuma::dp
