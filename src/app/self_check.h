#pragma once

// `kuma-cp check`: would a control plane with this configuration start and run here? Reads only,
// also while one runs.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "base/result.h"
#include "model/value.h"

namespace kuma::app {

struct Finding {
  enum class Level { kOk, kWarn, kFail };
  Level level = Level::kOk;
  std::string what;     // "port 5681"
  std::string message;  // what is so
  std::string way_out;  // what to do about it; empty for kOk
};

// Who listens on a TCP port of this host, or nothing.
struct PortHolder {
  int pid = 0;          // 0: a process that we may not look at
  std::string program;  // "kuma-cp"
};
std::optional<PortHolder> HolderOfPort(uint16_t port);

// All checks, in a fixed order. `config` is what Config::Load said about `config_file` (empty:
// there is none).
std::vector<Finding> CheckSelf(const base::Result<Config>& config, const std::string& config_file);

// One line each; and the same as JSON: {"result": "ok", "checks": [{"level", "check", "message",
// "wayOut"}]}.
std::string ToText(const std::vector<Finding>& findings);
model::Value ToJsonValue(const std::vector<Finding>& findings);
// The worst of them; kOk if there is none.
Finding::Level WorstOf(const std::vector<Finding>& findings);

}  // namespace kuma::app
