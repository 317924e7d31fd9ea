#include "model/violations.h"

namespace kuma::model {

void Violations::AppendAt(std::string_view prefix, const Violations& other) {
  for (const Violation& violation : other.list_)
    list_.push_back({JoinPath(prefix, violation.path), violation.message, violation.hint});
}

std::string Violations::ToString() const {
  std::string text;
  for (const Violation& violation : list_) {
    if (!text.empty()) text += "; ";
    text += violation.path.empty() ? violation.message : violation.path + ": " + violation.message;
  }
  return text;
}

std::string JoinPath(std::string_view prefix, std::string_view path) {
  if (prefix.empty()) return std::string(path);
  if (path.empty()) return std::string(prefix);
  std::string joined(prefix);
  if (path.front() != '[') joined += '.';
  joined += path;
  return joined;
}

std::string IndexPath(std::string_view list_path, size_t index) {
  return std::string(list_path) + "[" + std::to_string(index) + "]";
}

std::string KeyPath(std::string_view map_path, std::string_view key) {
  return std::string(map_path) + "[\"" + std::string(key) + "\"]";
}

}  // namespace kuma::model
