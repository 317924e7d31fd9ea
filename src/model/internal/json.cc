// JSON. The parser is our own: its errors are those of Go's encoding/json, which users and tools of
// Kuma know, and it builds Values directly.

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/format.h"
#include "base/strings.h"
#include "model/internal/utf8.h"
#include "model/value.h"

namespace kuma::model {
namespace {

constexpr int kMaxDepth = 100;

std::string QuoteChar(unsigned char c) {
  if (c == '\'') return R"('\'')";
  if (c == '"') return R"('"')";
  if (c == '\n') return R"('\n')";
  if (c == '\r') return R"('\r')";
  if (c == '\t') return R"('\t')";
  if (c < 0x20 || c == 0x7f) return base::Format("'\\x{:02x}'", c);
  if (c >= 0x80) return base::Format("'\\u00{:02x}'", c);
  return std::string("'") + static_cast<char>(c) + "'";
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  base::Result<Value> Run() {
    Value value;
    SkipSpace();
    if (!ParseValue(value, 0)) return Fault();
    SkipSpace();
    if (at_ < text_.size()) {
      Fail("after top-level value");
      return Fault();
    }
    return value;
  }

 private:
  base::Error Fault() const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
      if (text_[i] == '\n') {
        ++line;
        column = 1;
      } else {
        ++column;
      }
    }
    return base::Invalid(base::Format("{} at line {}, column {}", fault_, line, column));
  }
  bool Fail(std::string_view where) {
    if (at_ >= text_.size())
      fault_ = "unexpected end of JSON input";
    else
      fault_ = "invalid character " + QuoteChar(static_cast<unsigned char>(text_[at_])) + " " +
               std::string(where);
    return false;
  }
  bool FailWith(std::string text) {
    fault_ = std::move(text);
    return false;
  }
  void SkipSpace() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool AtDigit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

  bool ParseValue(Value& out, int depth) {
    if (depth > kMaxDepth) return FailWith("exceeded max depth");
    switch (Peek()) {
      case '{': return ParseObject(out, depth);
      case '[': return ParseArray(out, depth);
      case '"': {
        std::string text;
        if (!ParseString(text)) return false;
        out = std::move(text);
        return true;
      }
      case 't': out = true; return ParseLiteral("true");
      case 'f': out = false; return ParseLiteral("false");
      case 'n': out = nullptr; return ParseLiteral("null");
      default:
        if (Peek() == '-' || AtDigit()) return ParseNumber(out);
        return Fail("looking for beginning of value");
    }
  }

  bool ParseLiteral(std::string_view literal) {
    ++at_;
    for (size_t i = 1; i < literal.size(); ++i, ++at_)
      if (Peek() != literal[i] || at_ >= text_.size())
        return Fail(base::Format("in literal {} (expecting {})", literal,
                                 QuoteChar(static_cast<unsigned char>(literal[i]))));
    return true;
  }

  bool ParseObject(Value& out, int depth) {
    Object object;
    ++at_;
    SkipSpace();
    if (Peek() == '}') {
      ++at_;
      out = std::move(object);
      return true;
    }
    while (true) {
      if (Peek() != '"') return Fail("looking for beginning of object key string");
      std::string key;
      if (!ParseString(key)) return false;
      SkipSpace();
      if (Peek() != ':') return Fail("after object key");
      ++at_;
      SkipSpace();
      Value value;
      if (!ParseValue(value, depth + 1)) return false;
      object.AppendNew(std::move(key), std::move(value));
      SkipSpace();
      if (Peek() == '}') {
        ++at_;
        object.KeepLastOfEachKey();
        out = std::move(object);
        return true;
      }
      if (Peek() != ',') return Fail("after object key:value pair");
      ++at_;
      SkipSpace();
    }
  }

  bool ParseArray(Value& out, int depth) {
    Array array;
    ++at_;
    SkipSpace();
    if (Peek() == ']') {
      ++at_;
      out = std::move(array);
      return true;
    }
    while (true) {
      Value value;
      if (!ParseValue(value, depth + 1)) return false;
      array.push_back(std::move(value));
      SkipSpace();
      if (Peek() == ']') {
        ++at_;
        out = std::move(array);
        return true;
      }
      if (Peek() != ',') return Fail("after array element");
      ++at_;
      SkipSpace();
    }
  }

  bool ParseHex4(unsigned& out) {
    out = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = Peek();
      unsigned digit = 0;
      if (c >= '0' && c <= '9')
        digit = static_cast<unsigned>(c - '0');
      else if (c >= 'a' && c <= 'f')
        digit = static_cast<unsigned>(c - 'a') + 10;
      else if (c >= 'A' && c <= 'F')
        digit = static_cast<unsigned>(c - 'A') + 10;
      else
        return Fail("in \\u hexadecimal character escape");
      out = out * 16 + digit;
    }
    return true;
  }

  static void AppendUtf8(std::string& out, unsigned code) {
    const auto put = [&out](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | (code >> 6));
      put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      put(0xe0 | (code >> 12));
      put(0x80 | ((code >> 6) & 0x3f));
      put(0x80 | (code & 0x3f));
    } else {
      put(0xf0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3f));
      put(0x80 | ((code >> 6) & 0x3f));
      put(0x80 | (code & 0x3f));
    }
  }

  bool ParseEscape(std::string& out) {
    ++at_;  // the backslash
    const char c = Peek();
    switch (c) {
      case '"':
      case '\\':
      case '/': out += c; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': {
        ++at_;
        unsigned code = 0;
        if (!ParseHex4(code)) return false;
        if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
          const size_t mark = at_;
          at_ += 2;
          unsigned low = 0;
          if (!ParseHex4(low)) return false;
          if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          else
            at_ = mark;
        }
        if (code >= 0xd800 && code < 0xe000) code = 0xfffd;  // half of a pair, as Go does
        AppendUtf8(out, code);
        return true;
      }
      default: return Fail("in string escape code");
    }
    ++at_;
    return true;
  }

  bool ParseString(std::string& out) {
    ++at_;  // the quote
    while (true) {
      if (at_ >= text_.size()) return Fail("in string literal");
      const unsigned char c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\') {
        if (!ParseEscape(out)) return false;
      } else if (c < 0x20) {
        return Fail("in string literal");
      } else {
        const size_t length = Utf8Length(text_.substr(at_));
        if (length == 0) return FailWith("invalid UTF-8 in string literal");
        out.append(text_.substr(at_, length));
        at_ += length;
      }
    }
  }

  bool ParseNumber(Value& out) {
    const size_t start = at_;
    bool integral = true;
    if (Peek() == '-') ++at_;
    if (Peek() == '0') {
      ++at_;
    } else if (AtDigit()) {
      while (AtDigit()) ++at_;
    } else {
      return Fail("in numeric literal");
    }
    if (Peek() == '.') {
      integral = false;
      ++at_;
      if (!AtDigit()) return Fail("after decimal point in numeric literal");
      while (AtDigit()) ++at_;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      integral = false;
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (!AtDigit()) return Fail("in exponent of numeric literal");
      while (AtDigit()) ++at_;
    }
    const std::string_view digits = text_.substr(start, at_ - start);
    if (integral) {
      int64_t number = 0;
      const auto [end, code] =
          std::from_chars(digits.data(), digits.data() + digits.size(), number);
      if (code == std::errc() && end == digits.data() + digits.size()) {
        out = number;
        return true;
      }
    }
    double number = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (code != std::errc() || !std::isfinite(number)) {
      at_ = start;
      return FailWith("number out of range");
    }
    out = number;
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::string fault_;
};

void AppendQuoted(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out += '"';
  const auto is_plain = [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const auto from = text.begin() + static_cast<std::ptrdiff_t>(i);
    const auto plain = static_cast<size_t>(std::find_if_not(from, text.end(), is_plain) - from);
    out.append(text, i, plain);
    i += plain;
    if (i == text.size()) break;
    const char c = text[i];
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        out += "\\u00";
        out += hex[byte >> 4];
        out += hex[byte & 15];
      }
    }
  }
  out += '"';
}

void AppendDouble(std::string& out, double number) {
  // JSON has no infinities; nothing of ours makes them.
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  if (number == 0) number = 0;  // without the sign of -0
  char buffer[64];
  const double size = std::fabs(number);
  // As Go: plain digits unless very small or very large.
  const auto format = size != 0 && (size < 1e-6 || size >= 1e21) ? std::chars_format::scientific
                                                                 : std::chars_format::fixed;
  char large[512];
  auto result = std::to_chars(buffer, buffer + sizeof buffer, number, format);
  if (result.ec == std::errc()) {
    out.append(buffer, result.ptr);
    return;
  }
  result = std::to_chars(large, large + sizeof large, number, format);
  out.append(large, result.ptr);
}

void Append(std::string& out, const Value& value, int indent, int level) {
  const auto line = [&](int at) {
    if (indent == 0) return;
    out += '\n';
    out.append(static_cast<size_t>(indent) * static_cast<size_t>(at), ' ');
  };
  if (value.is_null()) {
    out += "null";
  } else if (const bool* flag = value.if_bool()) {
    out += *flag ? "true" : "false";
  } else if (const int64_t* number = value.if_int()) {
    out += std::to_string(*number);
  } else if (const double* real = value.if_double()) {
    AppendDouble(out, *real);
  } else if (const std::string* text = value.if_string()) {
    AppendQuoted(out, *text);
  } else if (const Array* array = value.if_array()) {
    if (array->empty()) {
      out += "[]";
      return;
    }
    out += '[';
    bool first = true;
    for (const Value& element : *array) {
      if (!first) out += ',';
      first = false;
      line(level + 1);
      Append(out, element, indent, level + 1);
    }
    line(level);
    out += ']';
  } else if (const Object* object = value.if_object()) {
    if (object->empty()) {
      out += "{}";
      return;
    }
    out += '{';
    bool first = true;
    for (const auto& [key, member] : *object) {
      if (!first) out += ',';
      first = false;
      line(level + 1);
      AppendQuoted(out, key);
      out += indent == 0 ? ":" : ": ";
      Append(out, member, indent, level + 1);
    }
    line(level);
    out += '}';
  }
}

}  // namespace

base::Result<Value> ParseJson(std::string_view text) { return Parser(text).Run(); }

std::string_view WithoutPosition(std::string_view message) {
  const size_t at = message.rfind(" at line ");
  return at == std::string_view::npos ? message : message.substr(0, at);
}

std::string ToJson(const Value& value, int indent) {
  std::string out;
  Append(out, value, indent, 0);
  return out;
}

}  // namespace kuma::model
