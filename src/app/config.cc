#include "app/config.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"

namespace kuma::app {
namespace {

using model::Array;
using model::Object;
using model::Value;

enum class Kind { kString, kInt, kBool, kDuration, kList, kMap };

struct Key {
  std::string_view path;
  std::string_view variable;
  Kind kind;
  std::string_view fallback;
};

constexpr Key kKeys[] = {
#define KEY(path, variable, kind, fallback) {path, variable, Kind::kind, fallback},
#include "app/config_keys.def"
#undef KEY
};

// Shown as ***** by GET /config.
constexpr std::string_view kSecretKeys[] = {"store.postgres.password"};

// Zero would mean "never" or "as fast as it can".
constexpr std::string_view kPositiveKeys[] = {
    "xdsServer.dataplaneConfigurationRefreshInterval", "xdsServer.dataplaneStatusFlushInterval",
    "xdsServer.policyMatchingCacheSize", "bootstrapServer.params.xdsConnectTimeout"};
constexpr std::string_view kNonEmptyKeys[] = {"bootstrapServer.params.adminAccessLogPath",
                                              "bootstrapServer.params.adminAddress"};

const Key* FindKey(std::string_view path) {
  const auto found = std::find_if(std::begin(kKeys), std::end(kKeys),
                                  [path](const Key& key) { return key.path == path; });
  return found == std::end(kKeys) ? nullptr : found;
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kString: return "a string";
    case Kind::kInt: return "a number";
    case Kind::kBool: return "true or false";
    case Kind::kDuration: return "a duration such as 10s or 1h30m";
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map";
  }
  return "?";
}

// From the text of a default or of an environment variable.
std::optional<Value> FromText(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kString: return Value(text);
    case Kind::kDuration:
      if (!model::ParseDuration(text)) return std::nullopt;
      return Value(text);
    case Kind::kInt:
      if (const auto number = base::ParseInt(text)) return Value(*number);
      return std::nullopt;
    case Kind::kBool:
      if (text == "true" || text == "1") return Value(true);
      if (text == "false" || text == "0") return Value(false);
      return std::nullopt;
    case Kind::kList: {
      if (text.starts_with("[")) {
        auto parsed = model::ParseJson(text);
        if (!parsed) return std::nullopt;
        return *std::move(parsed);
      }
      Array list;
      if (!base::Trim(text).empty()) {
        for (const std::string& item : base::Split(text, ',')) list.emplace_back(base::Trim(item));
      }
      return Value(std::move(list));
    }
    case Kind::kMap: {
      if (text.starts_with("{")) {
        auto parsed = model::ParseJson(text);
        if (!parsed) return std::nullopt;
        return *std::move(parsed);
      }
      Object map;
      if (!base::Trim(text).empty()) {
        for (const std::string& item : base::Split(text, ',')) {
          const size_t colon = item.find(':');
          if (colon == std::string::npos) return std::nullopt;
          map.Set(base::Trim(std::string_view(item).substr(0, colon)),
                  base::Trim(std::string_view(item).substr(colon + 1)));
        }
      }
      return Value(std::move(map));
    }
  }
  return std::nullopt;
}

// From the configuration file.
std::optional<Value> FromYaml(Kind kind, const Value& value) {
  switch (kind) {
    case Kind::kString:
      if (value.is_null()) return Value("");
      return value.if_string() ? std::optional(value) : std::nullopt;
    case Kind::kInt: return value.if_int() ? std::optional(value) : std::nullopt;
    case Kind::kBool: return value.if_bool() ? std::optional(value) : std::nullopt;
    case Kind::kDuration:
      if (value.if_int() && *value.if_int() == 0) return Value("0s");
      return value.if_string() && model::ParseDuration(*value.if_string()) ? std::optional(value)
                                                                           : std::nullopt;
    case Kind::kList:
      if (value.is_null()) return Value(Array());
      return value.if_array() ? std::optional(value) : std::nullopt;
    case Kind::kMap:
      if (value.is_null()) return Value(Object());
      return value.if_object() ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

void Set(Value& root, std::string_view path, Value value) {
  Value* at = &root;
  for (const std::string& part : base::Split(path, '.')) {
    if (at->if_object() == nullptr) *at = Value(Object());
    at = &(*at->if_object())[part];
  }
  *at = std::move(value);
}

const Value* Get(const Value& root, std::string_view path) {
  const Value* at = &root;
  for (const std::string& part : base::Split(path, '.')) {
    at = at->Find(part);
    if (at == nullptr) return nullptr;
  }
  return at;
}

void MergeYaml(const Value& file, const std::string& prefix, Value& values,
               std::vector<std::string>& faults, std::vector<std::string>& unknown) {
  for (const auto& [name, value] : *file.if_object()) {
    const std::string path = prefix.empty() ? name : prefix + "." + name;
    if (const Key* key = FindKey(path)) {
      if (auto checked = FromYaml(key->kind, value)) {
        Set(values, path, *std::move(checked));
      } else {
        faults.push_back(base::Format("{}: must be {}", path, KindName(key->kind)));
      }
      continue;
    }
    const bool is_group = std::any_of(std::begin(kKeys), std::end(kKeys), [&](const Key& key) {
      return key.path.starts_with(path + ".");
    });
    if (!is_group) {
      unknown.push_back(path);
    } else if (value.if_object() != nullptr) {
      MergeYaml(value, path, values, faults, unknown);
    } else if (!value.is_null()) {
      faults.push_back(path + ": must be a group of keys");
    }
  }
}

void CheckRanges(const Value& values, std::vector<std::string>& faults) {
  for (const Key& key : kKeys) {
    const std::string name = base::ToLower(key.path.substr(key.path.rfind('.') + 1));
    if (key.kind != Kind::kInt || !name.ends_with("port")) continue;
    const int64_t port = *Get(values, key.path)->if_int();
    if (port < 0 || port > 65535)
      faults.push_back(base::Format("{}: must be a port, 0 to 65535", key.path));
  }
  for (const std::string_view path : kPositiveKeys) {
    const Value& value = *Get(values, path);
    const bool positive = value.if_int() != nullptr
                              ? *value.if_int() > 0
                              : model::ParseDuration(*value.if_string())->value.count() > 0;
    if (!positive) faults.push_back(base::Format("{}: must be greater than zero", path));
  }
  for (const std::string_view path : kNonEmptyKeys) {
    if (Get(values, path)->if_string()->empty())
      faults.push_back(base::Format("{}: must not be empty", path));
  }
}

const Value& Checked(const Value& values, std::string_view path, Kind kind) {
  const Key* key = FindKey(path);
  CHECK(key != nullptr && key->kind == kind, base::Format("no such configuration key: {}", path));
  return *Get(values, path);
}

}  // namespace

base::Result<Config> Config::Load(std::string_view yaml, const Environment& environment) {
  Value values{Object()};
  std::vector<std::string> faults;
  std::vector<std::string> unknown;
  for (const Key& key : kKeys) {
    auto value = FromText(key.kind, key.fallback);
    CHECK(value.has_value(), base::Format("default of {} is unusable", key.path));
    Set(values, key.path, *std::move(value));
  }
  TRY_ASSIGN(const std::vector<Value> documents, model::ParseYaml(yaml));
  if (documents.size() > 1)
    return base::Invalid("the configuration file has more than one document");
  if (!documents.empty() && !documents[0].is_null()) {
    if (documents[0].if_object() == nullptr) {
      return base::Invalid("the configuration file must hold a group of keys");
    }
    MergeYaml(documents[0], "", values, faults, unknown);
  }
  for (const Key& key : kKeys) {
    if (key.variable.empty()) continue;
    const auto text = environment(std::string(key.variable));
    if (!text) continue;
    if (auto value = FromText(key.kind, *text)) {
      Set(values, key.path, *std::move(value));
    } else {
      faults.push_back(base::Format("environment variable {} ({}): must be {}", key.variable,
                                    key.path, KindName(key.kind)));
    }
  }
  CheckRanges(values, faults);
  if (!faults.empty()) return base::Invalid("configuration: " + base::Join(faults, "; "));
  return Config(std::move(values), std::move(unknown));
}

void Config::Note(std::string_view key) const {
  std::lock_guard lock(asked_->mutex);
  asked_->keys.emplace(key);
}

std::string Config::String(std::string_view key) const {
  Note(key);
  return *Checked(values_, key, Kind::kString).if_string();
}
int64_t Config::Int(std::string_view key) const {
  Note(key);
  return *Checked(values_, key, Kind::kInt).if_int();
}
bool Config::Bool(std::string_view key) const {
  Note(key);
  return *Checked(values_, key, Kind::kBool).if_bool();
}
std::chrono::nanoseconds Config::Duration(std::string_view key) const {
  Note(key);
  return model::ParseDuration(*Checked(values_, key, Kind::kDuration).if_string())->value;
}
std::vector<std::string> Config::List(std::string_view key) const {
  Note(key);
  std::vector<std::string> list;
  for (const Value& item : *Checked(values_, key, Kind::kList).if_array()) {
    if (item.if_string()) list.push_back(*item.if_string());
  }
  return list;
}
const Value& Config::Raw(std::string_view key) const {
  Note(key);
  const Value* value = Get(values_, key);
  CHECK(value != nullptr, base::Format("no such configuration key: {}", key));
  return *value;
}

std::vector<std::string> Config::UnusedKeys() const {
  std::vector<std::string> unused;
  std::lock_guard lock(asked_->mutex);
  for (const Key& key : kKeys) {
    const bool is_group = key.kind == Kind::kMap &&
                          std::any_of(std::begin(kKeys), std::end(kKeys), [&](const Key& other) {
                            return other.path.starts_with(std::string(key.path) + ".");
                          });
    if (!is_group && *Get(values_, key.path) != *FromText(key.kind, key.fallback) &&
        !asked_->keys.contains(key.path))
      unused.emplace_back(key.path);
  }
  return unused;
}

Value Config::Effective() const {
  Value shown = values_;
  for (const std::string_view key : kSecretKeys) {
    if (!Get(shown, key)->if_string()->empty()) Set(shown, key, Value("*****"));
  }
  return shown;
}

}  // namespace kuma::app
