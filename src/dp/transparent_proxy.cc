#include "dp/transparent_proxy.h"

#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "dp/files.h"
#include "model/value.h"

namespace kuma::dp {
namespace {

using model::Array;
using model::Object;
using model::Value;

struct Flow {
  bool enabled = true;
  int64_t port = 0;
};
struct Redirection {
  std::string mode = "dualstack";
  Flow inbound = {true, 15006};
  Flow outbound = {true, 15001};
  Array networks;  // of other hosts' bridges, for `kumactl install transparent-proxy`
};

base::Status ReadFlow(const Value& redirect, std::string_view name, Flow& flow) {
  const Value* member = redirect.Find(name);
  if (member == nullptr || member->is_null()) return base::Ok{};
  const auto fail = [&](std::string_view field, std::string_view expected) {
    return base::Invalid(base::Format("redirect.{}.{}: must be {}", name, field, expected));
  };
  if (const Value* enabled = member->Find("enabled")) {
    if (enabled->if_bool() == nullptr) return fail("enabled", "true or false");
    flow.enabled = *enabled->if_bool();
  }
  if (const Value* port = member->Find("port")) {
    const int64_t* number = port->if_int();
    if (number == nullptr || *number < 1 || *number > 65535)
      return fail("port", "a port (1 to 65535)");
    flow.port = *number;
  }
  return base::Ok{};
}

base::Status Read(const Value& document, Redirection& out) {
  if (document.is_null()) return base::Ok{};
  if (document.if_object() == nullptr) return base::Invalid("must be an object");
  if (const Value* mode = document.Find("ipFamilyMode"); mode != nullptr && !mode->is_null()) {
    const std::string text = mode->if_string() ? base::ToLower(*mode->if_string()) : "?";
    if (!text.empty() && text != "dualstack" && text != "ipv4")
      return base::Invalid("ipFamilyMode: must be one of 'dualstack' or 'ipv4'");
    out.mode = text.empty() ? "dualstack" : text;
  }
  const Value* redirect = document.Find("redirect");
  if (redirect == nullptr || redirect->is_null()) return base::Ok{};
  TRY(ReadFlow(*redirect, "inbound", out.inbound));
  TRY(ReadFlow(*redirect, "outbound", out.outbound));
  if (const Value* networks = redirect->At({"vnet", "networks"}); networks && networks->if_array())
    out.networks = *networks->if_array();
  return base::Ok{};
}

}  // namespace

base::Result<std::optional<Value>> LoadTransparentProxy(
    const Settings& settings, const std::function<base::Result<std::string>()>& standard_input) {
  if (!settings.transparent_proxy && settings.transparent_proxy_config.empty())
    return std::optional<Value>();
  Redirection redirection;
  for (const std::string& path : settings.transparent_proxy_config) {
    const bool is_input = path == "-";
    auto text = is_input ? standard_input() : ReadFile(path);
    if (!text.has_value()) return std::move(text).error().Context("--transparent-proxy-config");
    const std::string where = is_input ? "--transparent-proxy-config, standard input" : path;
    const auto documents = model::ParseYaml(*text);
    if (!documents.has_value()) return base::Error(documents.error()).Context(where);
    for (const Value& document : *documents) {
      base::Status status = Read(document, redirection);
      if (!status.has_value()) return std::move(status).error().Context(where);
    }
  }
  const auto flow = [](bool enabled, int64_t port) {
    return Object{{"enabled", enabled}, {"port", port}};
  };
  Object vnet;
  if (!redirection.networks.empty()) vnet.Set("networks", redirection.networks);
  return std::optional<Value>(
      Object{{"ipFamilyMode", redirection.mode},
             {"redirect",
              Object{{"inbound", flow(redirection.inbound.enabled, redirection.inbound.port)},
                     {"outbound", flow(redirection.outbound.enabled, redirection.outbound.port)},
                     {"dns", flow(settings.dns_enabled, settings.dns_port)},
                     {"vnet", vnet}}}});
}

}  // namespace kuma::dp
