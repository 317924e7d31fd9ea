#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kuma::model {

// One thing wrong with what a user gave us. `path` is spelled as Kuma spells it:
// "spec.to[0].default.http", map keys in quotes: `labels["a.b"]`. `message` is the text that tools
// compare; `hint` (may be empty) says why and the way out.
struct Violation {
  std::string path;
  std::string message;
  std::string hint;
  bool operator==(const Violation&) const = default;
};

// All at once, never only the first.
class Violations {
 public:
  void Add(std::string path, std::string message, std::string hint = {}) {
    list_.push_back({std::move(path), std::move(message), std::move(hint)});
  }
  void Append(const Violations& other) {
    list_.insert(list_.end(), other.list_.begin(), other.list_.end());
  }
  // As above, each path put behind `prefix` ("spec" + "to[0]" = "spec.to[0]"; "to" + "[0]" =
  // "to[0]").
  void AppendAt(std::string_view prefix, const Violations& other);
  bool empty() const { return list_.empty(); }
  const std::vector<Violation>& list() const { return list_; }
  std::string ToString() const;  // "path: message; path: message", for logs and tests

 private:
  std::vector<Violation> list_;
};

std::string JoinPath(std::string_view prefix, std::string_view path);
std::string IndexPath(std::string_view list_path, size_t index);       // "to[3]"
std::string KeyPath(std::string_view map_path, std::string_view key);  // `labels["a.b"]`

}  // namespace kuma::model
