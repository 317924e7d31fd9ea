#pragma once

// Which Dataplane this sidecar is: from a template, or by mesh and name.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dp/settings.h"
#include "model/value.h"

namespace kuma::dp {

// Fills mustache placeholders: {{ name }}, {{{ name }}}, {{& name }}; {{! comment }} vanishes.
// Nothing is escaped. Names without a value become empty and are added to `missing`.
std::string FillPlaceholders(
    std::string_view text,
    const std::function<std::optional<std::string>(std::string_view)>& value_of,
    std::vector<std::string>& missing);

struct Proxy {
  std::string mesh;
  std::string name;
  std::string
      resource;  // the Dataplane as JSON text for the bootstrap request; empty: the stored one
  bool transparent = false;  // traffic of the workload is redirected; not known of a stored one
  // How, where kuma-dp says it: LoadTransparentProxy. Null: as the Dataplane says.
  model::Value transparent_proxy = {};
  std::vector<std::string> notes;  // for the log: chosen ports, missing variables
};

// Finds a port that nobody listens on at `address` and that is not in `taken`.
using FindPort =
    std::function<uint16_t(const std::string& address, const std::vector<uint16_t>& taken)>;

// Reads the template named by the settings, fills it (--dataplane-var first, then the environment)
// and completes it: mesh "default", and a free networking.admin.port if it has none. Errors name
// file and flag.
base::Result<Proxy> LoadProxy(const Settings& settings, const Environment& environment,
                              const FindPort& find_port);

// The JSON form of a Dataplane as the control plane's API has it: metadata first, times and KRI
// included.
std::string ResourceJson(const model::Value& dataplane, const std::string& mesh,
                         const std::string& name);

// The token of the settings, trimmed; empty if none is set. Errors name file and flag.
base::Result<std::string> LoadToken(const Settings& settings);

}  // namespace kuma::dp
