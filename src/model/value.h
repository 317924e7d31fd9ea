#pragma once

// A JSON value. JSON and YAML enter and leave the process through these functions only; the
// libraries stay in model/internal.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kuma::model {

class Value;
using Array = std::vector<Value>;

// Keeps the order of insertion; keys are unique. Objects are small: lookup is linear.
class Object {
 public:
  using Entry = std::pair<std::string, Value>;
  Object() = default;
  Object(std::initializer_list<Entry> entries);

  const Value* Find(std::string_view key) const;
  Value* Find(std::string_view key);
  Value& operator[](std::string_view key);  // inserts null if absent
  void Set(std::string_view key, Value value);
  bool Erase(std::string_view key);
  bool empty() const;
  size_t size() const;
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  void SortKeys();  // this object only
  // For parsers: AppendNew does not look for the key; KeepLastOfEachKey, called once at the end,
  // does.
  void AppendNew(std::string key, Value value);
  void KeepLastOfEachKey();
  bool operator==(const Object&) const;  // the order of keys does not matter

 private:
  std::vector<Entry> entries_;
};

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(static_cast<int64_t>(value)) {}
  Value(unsigned value) : data_(static_cast<int64_t>(value)) {}
  Value(int64_t value) : data_(value) {}
  Value(uint64_t value);  // beyond int64 it becomes a double
  Value(double value) : data_(value) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}

  bool is_null() const { return data_.index() == 0; }
  bool is_number() const { return data_.index() == 2 || data_.index() == 3; }

  // Null when the value is of another type.
  const bool* if_bool() const { return std::get_if<bool>(&data_); }
  const int64_t* if_int() const { return std::get_if<int64_t>(&data_); }
  const double* if_double() const { return std::get_if<double>(&data_); }
  const std::string* if_string() const { return std::get_if<std::string>(&data_); }
  const Array* if_array() const { return std::get_if<Array>(&data_); }
  const Object* if_object() const { return std::get_if<Object>(&data_); }
  Array* if_array() { return std::get_if<Array>(&data_); }
  Object* if_object() { return std::get_if<Object>(&data_); }

  // The member `key` of an object, else null.
  const Value* Find(std::string_view key) const;
  // Follows a path such as {"spec", "to", "0"}; null if a step is absent.
  const Value* At(std::initializer_list<std::string_view> path) const;
  // "null", "boolean", "number", "string", "array", "object": for messages.
  std::string_view TypeName() const;

  bool operator==(const Value&) const = default;  // 1 and 1.0 differ

 private:
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> data_;
};

// Here because clang wants Value complete.
inline bool Object::empty() const { return entries_.empty(); }
inline size_t Object::size() const { return entries_.size(); }

// Strict JSON, UTF-8; the depth is limited to 100; duplicate keys: the last one wins (as Go does).
// Errors (kInvalid) are worded as Go's encoding/json, with line and column behind:
// "invalid character ',' looking for beginning of object key string at line 1, column 2".
base::Result<Value> ParseJson(std::string_view text);
// The text of such an error without " at line 1, column 2".
std::string_view WithoutPosition(std::string_view message);

// All documents of a YAML stream, empty ones left out. Scalars are typed as Go's sigs.k8s.io/yaml
// does (YAML 1.1: yes, no, on, off, y and n are booleans, 010 is eight; see README.md), anchors are
// expanded within limits (no "billion laughs"), depth at most 100. Errors (kInvalid) name line and
// column.
base::Result<std::vector<Value>> ParseYaml(std::string_view text);

// indent 0: compact; otherwise so many spaces a level. No HTML escaping.
std::string ToJson(const Value& value, int indent = 0);
// Block style, indented by two, lists not indented below their key, no "---"; read back it gives an
// equal value.
std::string ToYaml(const Value& value);

// A copy with the keys of every object, at any depth, in order.
Value Sorted(Value value);

}  // namespace kuma::model
