// YAML, on yaml-cpp's events. Exceptions of the library end here.

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "base/format.h"
#include "base/strings.h"
#include "model/internal/utf8.h"
#include "model/value.h"

namespace kuma::model {
namespace {

constexpr size_t kMaxDepth = 100;
// Values that aliases may add to a stream.
constexpr size_t kMaxExpanded = 100'000;

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const auto word : words)
    if (text == word) return true;
  return false;
}

std::optional<bool> AsBool(std::string_view text) {
  if (IsOneOf(text, {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}))
    return true;
  if (IsOneOf(text, {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}))
    return false;
  return std::nullopt;
}

bool IsNull(std::string_view text) { return IsOneOf(text, {"", "~", "null", "Null", "NULL"}); }

// Decimal, 0x, 0b, 0o and old octal (010), '_' between digits.
std::optional<Value> AsInteger(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (c != '_') digits += c;
  std::string_view rest = digits;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  int radix = 10;
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X')) radix = 16;
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'b' || rest[1] == 'B')) radix = 2;
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'o' || rest[1] == 'O')) radix = 8;
  if (radix != 10) {
    rest.remove_prefix(2);
  } else if (rest.size() > 1 && rest[0] == '0') {
    radix = 8;
    rest.remove_prefix(1);
  }
  if (rest.empty() || rest[0] == '-' || rest[0] == '+') return std::nullopt;
  uint64_t number = 0;
  const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), number, radix);
  if (code != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
  if (!negative) return Value(number);
  if (number > uint64_t{1} << 63) return std::nullopt;
  return Value(static_cast<int64_t>(~number + 1));
}

// ^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$ and "1."
std::optional<Value> AsFloat(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    size_t count = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at, ++count;
    return count;
  };
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  size_t count = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    count += digits();
  }
  if (count == 0) return std::nullopt;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  if (text[0] == '+') text.remove_prefix(1);
  std::string normal(text);
  double number = 0;
  const auto [end, code] = std::from_chars(normal.data(), normal.data() + normal.size(), number);
  if (code != std::errc() || !std::isfinite(number)) return std::nullopt;
  return Value(number);
}

bool IsNonFinite(std::string_view text) {
  return IsOneOf(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf",
                        "-.INF", ".nan", ".NaN", ".NAN"});
}

Value ResolvePlain(std::string_view text) {
  if (IsNull(text)) return nullptr;
  if (const auto flag = AsBool(text)) return *flag;
  const char first = text[0];
  if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.') {
    if (auto number = AsInteger(text)) return *number;
    if (auto number = AsFloat(text)) return *number;
  }
  return text;
}

// yaml-cpp makes one byte of the escapes \N and \_ (U+0085, U+00A0).
std::string WithWholeCharacters(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) out += '\xc2';
    out += text.substr(0, std::max<size_t>(length, 1));
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

struct Fault {
  std::string message;
  YAML::Mark mark;
};

// Builds Values from events. Throws Fault, which does not leave this file.
class Builder : public YAML::EventHandler {
 public:
  std::optional<Value> Take() { return std::move(document_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // At what cannot begin a value, such as ",", yaml-cpp gives empty documents for ever.
    if (mark.pos == started_at_) throw Fault{"did not find expected node content", mark};
    started_at_ = mark.pos;
    document_.reset();
    frames_.clear();
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Put(mark, anchor, nullptr, true);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Fault{"an alias inside of its own anchor", mark};
    expanded_ += Weight(found->second);
    if (expanded_ > kMaxExpanded) throw Fault{"document contains excessive aliasing", mark};
    if (frames_.size() + Depth(found->second) > kMaxDepth) throw Fault{"nested too deeply", mark};
    Put(mark, YAML::NullAnchor, Value(found->second), false);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (tag == "?" || tag.empty()) {
      if (IsNonFinite(text)) throw Fault{"a number that JSON cannot hold: " + text, mark};
      Put(mark, anchor, ResolvePlain(text), true);
      return;
    }
    Put(mark, anchor, Tagged(mark, tag, WithWholeCharacters(text)), false);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Push(mark, anchor, Array());
  }
  void OnSequenceEnd() override { Pop(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Push(mark, anchor, Object());
  }
  void OnMapEnd() override { Pop(); }

 private:
  struct Frame {
    YAML::Mark mark;
    YAML::anchor_t anchor = YAML::NullAnchor;
    Value value;
    std::optional<std::string> key;  // read, its value not yet
    std::vector<Value> merges;       // of "<<"
    bool merge_next = false;
  };

  static Value Tagged(const YAML::Mark& mark, const std::string& tag, const std::string& text) {
    static constexpr std::string_view prefix = "tag:yaml.org,2002:";
    if (!tag.starts_with(prefix)) return text;  // "!": quoted; or a tag of the user's own
    const std::string_view name = std::string_view(tag).substr(prefix.size());
    if (name == "str") return text;
    if (name == "null") return nullptr;
    if (name == "bool")
      if (const auto flag = AsBool(text)) return *flag;
    if (name == "int")
      if (auto number = AsInteger(text)) return *number;
    if (name == "float") {
      if (auto number = AsFloat(text)) return *number;
      if (auto number = AsInteger(text)) return *number;
    }
    if (name == "binary")
      if (auto bytes = base::DecodeBase64(text)) return *bytes;
    if (name == "timestamp") return text;
    throw Fault{base::Format("cannot decode '{}' as a !!{}", text, name), mark};
  }

  static size_t Weight(const Value& value) {
    size_t weight = 1;
    if (const Array* array = value.if_array())
      for (const Value& element : *array) weight += Weight(element);
    if (const Object* object = value.if_object())
      for (const auto& [key, member] : *object) weight += Weight(member);
    return weight;
  }
  static size_t Depth(const Value& value) {
    size_t depth = 0;
    if (const Array* array = value.if_array())
      for (const Value& element : *array) depth = std::max(depth, 1 + Depth(element));
    if (const Object* object = value.if_object())
      for (const auto& [key, member] : *object) depth = std::max(depth, 1 + Depth(member));
    return depth;
  }

  void Push(const YAML::Mark& mark, YAML::anchor_t anchor, Value value) {
    if (frames_.size() >= kMaxDepth) throw Fault{"nested too deeply", mark};
    Frame& frame = frames_.emplace_back();
    frame.mark = mark;
    frame.anchor = anchor;
    frame.value = std::move(value);
  }

  void Pop() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (Object* object = frame.value.if_object()) {
      object->KeepLastOfEachKey();
      // Own keys win over merged ones, earlier merged ones over later.
      for (const Value& merged : frame.merges)
        for (const auto& [key, member] : *merged.if_object())
          if (!object->Find(key)) object->Set(key, member);
    }
    Put(frame.mark, frame.anchor, std::move(frame.value), false);
  }

  // `plain`: an unquoted scalar, which as a key may be "<<".
  void Put(const YAML::Mark& mark, YAML::anchor_t anchor, Value value, bool plain) {
    if (anchor != YAML::NullAnchor) {
      expanded_ += Weight(value);
      if (expanded_ > kMaxExpanded) throw Fault{"document contains excessive aliasing", mark};
      anchors_.insert_or_assign(anchor, value);
    }
    if (frames_.empty()) {
      document_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    if (Array* array = frame.value.if_array()) {
      array->push_back(std::move(value));
      return;
    }
    Object& object = *frame.value.if_object();
    if (frame.merge_next) {
      frame.merge_next = false;
      AddMerge(mark, frame, std::move(value));
    } else if (frame.key) {
      object.AppendNew(std::move(*frame.key), std::move(value));
      frame.key.reset();
    } else if (plain && value.if_string() && *value.if_string() == "<<") {
      frame.merge_next = true;
    } else {
      frame.key = KeyText(mark, value);
    }
  }

  static void AddMerge(const YAML::Mark& mark, Frame& frame, Value value) {
    if (value.if_object()) {
      frame.merges.push_back(std::move(value));
      return;
    }
    if (const Array* array = value.if_array()) {
      for (const Value& element : *array) {
        if (!element.if_object())
          throw Fault{"map merge requires map or sequence of maps as the value", mark};
        frame.merges.push_back(element);
      }
      return;
    }
    throw Fault{"map merge requires map or sequence of maps as the value", mark};
  }

  static std::string KeyText(const YAML::Mark& mark, const Value& value) {
    if (const std::string* text = value.if_string()) return *text;
    if (value.if_bool() || value.is_number()) return ToJson(value);
    throw Fault{base::Format("a map key that is {}: only text, numbers and booleans can be keys",
                             value.TypeName()),
                mark};
  }

  int started_at_ = -1;  // the document
  std::optional<Value> document_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Value> anchors_;
  size_t expanded_ = 0;
};

base::Error At(const YAML::Mark& mark, std::string_view message) {
  return base::Invalid(
      base::Format("yaml: {} at line {}, column {}", message, mark.line + 1, mark.column + 1));
}

// Text is UTF-8 without control characters; yaml-cpp takes zero bytes for UTF-16 or UTF-32.
std::optional<base::Error> FindUnreadable(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const size_t length = Utf8Length(text.substr(at));
    const bool control =
        (byte < ' ' && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
    if (length == 0 || control) {
      const auto before = text.substr(0, at);
      return base::Invalid(base::Format(
          "yaml: {} (byte 0x{:02x}) at line {}, column {}",
          control ? "control characters are not allowed" : "invalid UTF-8", byte,
          std::count(before.begin(), before.end(), '\n') + 1, at - before.rfind('\n')));
    }
    at += length;
  }
  return std::nullopt;
}

// ---- output

// "2026-11-25", "2026-11-25T22:00:00Z": text for us, a date for other readers.
bool LooksLikeDate(std::string_view text) {
  static constexpr std::string_view kShape = "dddd-dd-dd";
  if (text.size() < kShape.size()) return false;
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == 'd' ? !digit : text[i] != '-') return false;
  }
  return text.size() == kShape.size() ||
         std::string_view("Tt ").find(text[kShape.size()]) != std::string_view::npos;
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  const Value resolved = ResolvePlain(text);
  if (!resolved.if_string() || IsNonFinite(text) || text == "<<" || text == "=") return true;
  if (LooksLikeDate(text)) return true;
  static constexpr std::string_view indicators = "-?:,[]{}#&*!|>'\"%@`";
  if (indicators.find(text[0]) != std::string_view::npos) {
    const bool harmless = (text[0] == '-' || text[0] == '?' || text[0] == ':') && text.size() > 1 &&
                          text[1] != ' ' && text != "---";
    if (!harmless || text.starts_with("---")) return true;
  }
  if (text.front() == ' ' || text.back() == ' ' || text.back() == ':' || text.starts_with("..."))
    return true;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    if (c == ':' && i + 1 < text.size() && text[i + 1] == ' ') return true;
    if (c == '#' && i > 0 && text[i - 1] == ' ') return true;
  }
  return false;
}

// Quotes as Go's YAML writer chooses them: double for what would be read as another type, single
// for what would be read as syntax.
void AppendScalarText(std::string& out, std::string_view text) {
  if (!NeedsQuotes(text)) {
    out += text;
    return;
  }
  bool printable = true;
  for (const char c : text)
    printable = printable && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  const bool other_type = !ResolvePlain(text).if_string() || LooksLikeDate(text);
  if (printable && !other_type) {
    out += '\'';
    out += base::ReplaceAll(std::string(text), "'", "''");
    out += '\'';
    return;
  }
  // JSON's quoting is YAML's double quoting, but that JSON leaves one control character alone.
  for (const char c : ToJson(Value(text))) {
    if (c == 0x7f) {
      out += "\\x7f";
    } else {
      out += c;
    }
  }
}

// Fit for a literal block ("|"): several lines, no control characters, nothing that changes by it.
bool IsBlockText(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text[0] == ' ' || text[0] == '\n') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n') || c == 0x7f) return false;
    if (c == '\n' && i > 0 && text[i - 1] == ' ') return false;
  }
  return text.back() != ' ';
}

void AppendBlockText(std::string& out, std::string_view text, int level) {
  const size_t trailing = text.size() - text.find_last_not_of('\n') - 1;
  out += trailing == 0 ? "|-" : trailing == 1 ? "|" : "|+";
  const std::string pad(static_cast<size_t>(level) * 2, ' ');
  std::string_view rest = text;
  if (rest.back() == '\n') rest.remove_suffix(1);
  size_t start = 0;
  while (true) {
    const size_t end = rest.find('\n', start);
    const std::string_view line =
        rest.substr(start, end == std::string_view::npos ? end : end - start);
    out += '\n';
    if (!line.empty()) out += pad;
    out += line;
    if (end == std::string_view::npos) break;
    start = end + 1;
  }
}

bool IsCompound(const Value& value) {
  return (value.if_array() && !value.if_array()->empty()) ||
         (value.if_object() && !value.if_object()->empty());
}

void AppendYaml(std::string& out, const Value& value, int level);

void AppendScalar(std::string& out, const Value& value, int level) {
  if (const std::string* text = value.if_string()) {
    if (IsBlockText(*text))
      AppendBlockText(out, *text, level);
    else
      AppendScalarText(out, *text);
  } else {
    out += ToJson(value);
  }
}

// Lines of a map or list; the first one continues the current line.
void AppendYaml(std::string& out, const Value& value, int level) {
  const std::string pad(static_cast<size_t>(level) * 2, ' ');
  bool first = true;
  const auto next = [&] {
    if (!first) out += "\n" + pad;
    first = false;
  };
  if (const Object* object = value.if_object(); object && !object->empty()) {
    for (const auto& [key, member] : *object) {
      next();
      AppendScalarText(out, key);
      out += ':';
      if (member.if_array() && IsCompound(member)) {
        out += "\n" + pad;
        AppendYaml(out, member, level);
      } else if (IsCompound(member)) {
        out += "\n" + pad + "  ";
        AppendYaml(out, member, level + 1);
      } else {
        out += ' ';
        AppendScalar(out, member, level + 1);
      }
    }
  } else if (const Array* array = value.if_array(); array && !array->empty()) {
    for (const Value& element : *array) {
      next();
      out += "- ";
      if (IsCompound(element))
        AppendYaml(out, element, level + 1);
      else
        AppendScalar(out, element, level + 1);
    }
  } else {
    AppendScalar(out, value, level + 1);
  }
}

}  // namespace

base::Result<std::vector<Value>> ParseYaml(std::string_view text) {
  std::vector<Value> documents;
  if (auto fault = FindUnreadable(text)) return *std::move(fault);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    while (parser.HandleNextDocument(builder)) {
      auto document = builder.Take();
      if (document && !document->is_null()) documents.push_back(std::move(*document));
    }
  } catch (const Fault& fault) {
    return At(fault.mark, fault.message);
  } catch (const YAML::Exception& fault) {
    return At(fault.mark, fault.msg);
  } catch (const std::exception& fault) {
    return base::Invalid(std::string("yaml: ") + fault.what());
  }
  return documents;
}

std::string ToYaml(const Value& value) {
  std::string out;
  AppendYaml(out, value, 0);
  out += '\n';
  return out;
}

}  // namespace kuma::model
