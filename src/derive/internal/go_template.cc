#include "derive/internal/go_template.h"

#include <optional>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::derive {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Where `offset` is, as text/template writes it: "template: :<line>:" or with the column.
std::string Place(std::string_view text, size_t offset, bool column) {
  size_t line = 1;
  size_t start = 0;
  for (size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      start = i + 1;
    }
  }
  return column ? base::Format("template: :{}:{}: ", line, offset - start)
                : base::Format("template: :{}: ", line);
}

// A literal in double quotes or back quotes at the front of `text`; moves behind it.
std::optional<std::string> TakeLiteral(std::string_view& text) {
  if (text.empty() || (text.front() != '"' && text.front() != '`')) return std::nullopt;
  const char quote = text.front();
  std::string value;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote) {
      text.remove_prefix(i + 1);
      return value;
    }
    if (quote == '"' && text[i] == '\\' && i + 1 < text.size()) ++i;
    value.push_back(text[i]);
  }
  return std::nullopt;
}

// What one action yields. `offset`: of its first character in `text`.
base::Result<std::string> Evaluate(std::string_view text, size_t offset, std::string_view action,
                                   const TemplateFields& fields) {
  const auto malformed = [&](std::string_view message) {
    return base::Invalid(Place(text, offset, false) + std::string(message));
  };
  if (action.empty()) return malformed("missing value for command");
  std::string_view rest = action;
  if (rest.front() == '.') {
    rest.remove_prefix(1);
    size_t length = 0;
    while (length < rest.size() && IsWord(rest[length])) ++length;
    const std::string_view name = rest.substr(0, length);
    if (!base::Trim(rest.substr(length)).empty() || name.empty())
      return malformed(base::Format(
          "\"{}\" is not supported: write a field such as .Mesh or label \"key\"", action));
    for (const auto& [field, value] : fields.fields)
      if (field == name) return std::string(value);
    return base::NotFound(
        base::Format("{}executing \"\" at <{}>: can't evaluate field {} in type {}",
                     Place(text, offset, true), action, name, fields.type_name));
  }
  if (rest.front() == '"' || rest.front() == '`') {
    auto value = TakeLiteral(rest);
    if (!value.has_value()) return malformed("unterminated quoted string");
    if (!base::Trim(rest).empty()) return malformed("unexpected text behind a literal");
    return *std::move(value);
  }
  size_t length = 0;
  while (length < rest.size() && IsWord(rest[length])) ++length;
  const std::string_view function = rest.substr(0, length);
  if (function != "label")
    return malformed(
        base::Format("function \"{}\" not defined", function.empty() ? action : function));
  rest = base::Trim(rest.substr(length));
  if (rest.empty()) return malformed("wrong number of args for label: want 1 got 0");
  auto key = TakeLiteral(rest);
  if (!key.has_value()) return malformed("label needs its key in quotes");
  if (!base::Trim(rest).empty()) return malformed("wrong number of args for label: want 1");
  const auto found =
      fields.labels == nullptr ? model::Labels::const_iterator{} : fields.labels->find(*key);
  if (fields.labels == nullptr || found == fields.labels->end())
    return base::NotFound(
        base::Format("{}executing \"\" at <{}>: error calling label: label {} not found",
                     Place(text, offset, true), action, *key));
  return found->second;
}

}  // namespace

base::Result<std::string> ExpandTemplate(std::string_view text, const TemplateFields& fields) {
  std::string out;
  size_t at = 0;
  bool trim_left = false;
  while (true) {
    const size_t open = text.find("{{", at);
    std::string_view literal = text.substr(at, open == std::string_view::npos ? open : open - at);
    if (trim_left)
      while (!literal.empty() && IsSpace(literal.front())) literal.remove_prefix(1);
    const bool trims_before = open != std::string_view::npos && open + 3 < text.size() &&
                              text[open + 2] == '-' && IsSpace(text[open + 3]);
    if (trims_before)
      while (!literal.empty() && IsSpace(literal.back())) literal.remove_suffix(1);
    out.append(literal);
    if (open == std::string_view::npos) return out;

    const size_t close = text.find("}}", open);
    if (close == std::string_view::npos)
      return base::Invalid(Place(text, open, false) + "unclosed action");
    size_t begin = open + (trims_before ? 3 : 2);
    size_t end = close;
    trim_left = end > begin + 1 && text[end - 1] == '-' && IsSpace(text[end - 2]);
    if (trim_left) --end;
    while (begin < end && IsSpace(text[begin])) ++begin;
    while (end > begin && IsSpace(text[end - 1])) --end;
    const std::string_view action = text.substr(begin, end - begin);
    at = close + 2;
    if (action.starts_with("/*") && action.ends_with("*/")) continue;
    TRY_ASSIGN(const std::string value, Evaluate(text, begin, action, fields));
    out.append(value);
  }
}

}  // namespace kuma::derive
