#pragma once

// Configuration of kuma-cp: built-in defaults, then the YAML file, then environment variables
// (Kuma 3.0). The keys are in config_keys.def.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/value.h"

namespace kuma::app {

// Immutable after Load, but for the memory of which keys were asked for. Thread-safe.
class Config {
 public:
  // Name of an environment variable -> its value, if set.
  using Environment = std::function<std::optional<std::string>(const std::string&)>;

  // `yaml` is the text of the configuration file ("" if there is none). Errors (kInvalid) name the
  // key or the variable, all of them at once: wrong types, unusable values.
  static base::Result<Config> Load(std::string_view yaml, const Environment& environment);

  // REQUIRES: `key` is in config_keys.def with this kind.
  std::string String(std::string_view key) const;
  int64_t Int(std::string_view key) const;
  bool Bool(std::string_view key) const;
  std::chrono::nanoseconds Duration(std::string_view key) const;
  std::vector<std::string> List(std::string_view key) const;
  const model::Value& Raw(std::string_view key) const;

  // Keys of the file that mean nothing here; files of other versions have some. Ignored, as Kuma
  // does; to be told to the operator.
  const std::vector<std::string>& unknown_keys() const { return unknown_keys_; }

  // Keys that file or environment set to something else than the default and that nobody asked for
  // yet. Once everything runs they have no effect; to be told to the operator.
  std::vector<std::string> UnusedKeys() const;

  // What GET /config shows: everything, secrets as "*****".
  model::Value Effective() const;

 private:
  struct Asked {
    std::mutex mutex;
    std::set<std::string, std::less<>> keys;
  };
  Config(model::Value values, std::vector<std::string> unknown_keys)
      : values_(std::move(values)), unknown_keys_(std::move(unknown_keys)) {}
  void Note(std::string_view key) const;

  model::Value values_;
  std::vector<std::string> unknown_keys_;
  std::shared_ptr<Asked> asked_ = std::make_shared<Asked>();
};

}  // namespace kuma::app
