#pragma once

// Field tables. A struct that users write as JSON or YAML is a plain aggregate with one table:
//
//   struct Http {
//     std::optional<Duration> request_timeout;
//     std::vector<std::string> methods;
//     static constexpr auto Fields() {
//       return std::tuple{
//           Field("requestTimeout", &Http::request_timeout, "Time for the whole request.",
//           NonNegative{}), Field("methods", &Http::methods, "Methods it applies to."),
//       };
//     }
//   };
//
// From that one table come Decode, Check, Encode, Equal, EqualInputs, Merge, Hash and SchemaOf. A
// struct with a member that is not in its table does not compile.
//
// Member types: bool, int32_t, int64_t, uint32_t, uint64_t, double, std::string, Duration,
// WallTime, Bytes, SecretBytes, SecretString, Value (free JSON), JsonText, IntOrString, an enum with
// EnumNames(), OpenEnum<E>, a struct with Fields(), and std::optional, std::vector,
// std::map<std::string, T> of these.
//
// Absent members keep the value of the member initialiser: that is the default of the schema.
// What Encode leaves out: unset optionals, empty lists and maps, empty strings, zero numbers,
// false. A plain (not optional) struct is always written, and so is a field with Required{} or
// Always{}.
//
// The walkers are not templates (internal/fields.cc): a table is turned into an array of rows once,
// on first use.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/redacted.h"
#include "model/duration.h"
#include "model/resource.h"
#include "model/value.h"
#include "model/violations.h"

namespace kuma::model {

// ------------------------------------------------------------------------------------------------
// Member types

struct Bytes {  // base64 in JSON
  std::string value;
  bool operator==(const Bytes&) const = default;
};
using SecretBytes = base::Redacted<Bytes>;  // base64 in JSON; never printed
using SecretString = base::Redacted<std::string>;

// Free JSON that is copied more often than it is looked at: kept as text.
struct JsonText {
  std::string text;  // as ToJson writes it, or empty: null
  static JsonText Of(const Value& value);
  bool operator==(const JsonText&) const = default;
};

// A number, or text that holds one ("50", "12.5"): percentages and factors of Kuma.
struct IntOrString {
  std::variant<int64_t, std::string> value = int64_t{0};
  bool operator==(const IntOrString&) const = default;
  std::optional<double> Number() const;  // nothing if the text is not a decimal number
};

// An enum as E, with the text that the user wrote kept when E has no name for it (value() is then
// E::kUnknown). Converts to E, so `ref.kind == TargetKind::kMesh` and `switch (ref.kind)` work.
template <class E>
class OpenEnum {
 public:
  OpenEnum() = default;
  OpenEnum(E value) : value_(value) {}
  operator E() const { return value_; }
  E value() const { return value_; }
  const std::string& unknown_text() const { return unknown_text_; }
  static OpenEnum Unknown(std::string text) {
    OpenEnum result(E::kUnknown);
    result.unknown_text_ = std::move(text);
    return result;
  }
  bool operator==(const OpenEnum&) const = default;
  friend bool operator==(const OpenEnum& a, E b) { return a.value_ == b; }

 private:
  E value_{};
  std::string unknown_text_;
};

// The names of an enum: beside the enum (same namespace), write
//   constexpr auto EnumNames(State) {
//     return std::to_array<model::EnumName<State>>({{State::kReady, "Ready"}, {State::kNotReady,
//     "NotReady"}});
//   }
template <class E>
struct EnumName {
  E value;
  std::string_view name;
};

template <class E>
std::string_view NameOf(E value) {
  static constexpr auto names = EnumNames(E{});
  for (const auto& entry : names)
    if (entry.value == value) return entry.name;
  return {};
}
template <class E>
std::string NameOf(const OpenEnum<E>& value) {
  return value.unknown_text().empty() ? std::string(NameOf(value.value())) : value.unknown_text();
}
template <class E>
std::optional<E> EnumFromName(std::string_view name) {
  static constexpr auto names = EnumNames(E{});
  for (const auto& entry : names)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

// ------------------------------------------------------------------------------------------------
// Attributes of a field

struct Required {};  // absent: "in body is required"
struct Always {};    // encoded even when empty
struct Input {
};  // configuration may read it: a change of it causes generation; marks everything below, too
struct Append {};       // merge: lists are joined; without it a later list replaces an earlier one
struct Atomic {};       // merge: a struct or map is replaced as a whole
struct NonNegative {};  // durations, numbers: "must not be negative when defined"
struct Positive {
};  // durations: "must be greater than zero when defined"; numbers: "must be greater than 0"
// merge of a list of structs: elements with an equal member are merged, others appended in order of
// appearance
template <class S, class T>
struct MergeByKey {
  T S::*member;
};
template <class S, class T>
MergeByKey(T S::*) -> MergeByKey<S, T>;
struct Min {
  double value;
};
struct Max {
  double value;
};
struct MinLength {
  size_t value;
};
struct MaxLength {
  size_t value;
};
struct MinItems {
  size_t value;
};
struct MaxItems {
  size_t value;
};
// `text` is what the OpenAPI schema and the message show; `matches` decides.
struct Pattern {
  std::string_view text;
  bool (*matches)(std::string_view);
};
// The only values allowed: for strings (also those in a list) and numbers as text. For an enum this
// narrows the names to some.
template <size_t N>
struct OneOf {
  std::array<std::string_view, N> values;
  template <class... Texts>
  constexpr explicit OneOf(Texts... texts) : values{std::string_view(texts)...} {}
};
template <class... Texts>
OneOf(Texts...) -> OneOf<sizeof...(Texts)>;
// Narrows an enum member of the struct below: Narrow("kind", "Mesh", "Dataplane").
template <size_t N>
struct Narrow {
  std::string_view member;
  std::array<std::string_view, N> values;
  template <class... Texts>
  constexpr explicit Narrow(std::string_view of, Texts... texts)
      : member(of), values{std::string_view(texts)...} {}
};
template <class... Texts>
Narrow(std::string_view, Texts...) -> Narrow<sizeof...(Texts)>;
// Optional fields of one struct with the same group: at most one may be set
// ("<group> must have only one type defined: a, b").
struct Group {
  std::string_view name;
};

template <class S, class T, class... Attributes>
struct FieldEntry {
  std::string_view name;
  T S::*member;
  std::string_view doc;
  std::tuple<Attributes...> attributes;
};

template <class S, class T, class... Attributes>
constexpr FieldEntry<S, T, Attributes...> Field(std::string_view name, T S::*member,
                                                std::string_view doc, Attributes... attributes) {
  return {name, member, doc, std::tuple<Attributes...>(attributes...)};
}

template <class T>
concept HasFields = requires {
  T::Fields();
};

// ------------------------------------------------------------------------------------------------
// The erased form

enum class Shape : uint8_t {
  kBool,
  kInt32,
  kInt64,
  kUint32,
  kUint64,
  kDouble,
  kString,
  kDuration,
  kTime,
  kBytes,
  kJson,
  kJsonText,
  kIntOrString,
  kEnum,
  kStruct,
  kOptional,
  kList,
  kMap,
};

struct StructTable;

// What the walkers can do with a member whose C++ type is gone. `Shape` says which C++ type it is;
// only the functions of that shape are set.
struct TypeOps {
  Shape shape;
  bool secret = false;
  const TypeOps& (*element)() = nullptr;    // kOptional, kList, kMap
  const StructTable& (*table)() = nullptr;  // kStruct
  // kEnum
  std::string (*enum_name)(const void*) = nullptr;           // empty: no name
  bool (*enum_set)(void*, std::string_view name) = nullptr;  // false: unknown (kept by an OpenEnum)
  bool (*enum_set_number)(void*, int64_t) = nullptr;
  int64_t (*enum_number)(const void*) = nullptr;
  std::vector<std::string_view> (*enum_names)() = nullptr;
  // kOptional
  const void* (*optional_get)(const void*) = nullptr;  // null: unset
  void* (*optional_emplace)(void*) = nullptr;          // a fresh value
  // kList
  size_t (*list_size)(const void*) = nullptr;
  const void* (*list_at)(const void*, size_t) = nullptr;
  void* (*list_append)(void*) = nullptr;
  // kMap
  size_t (*map_size)(const void*) = nullptr;
  void (*map_each)(const void*, void* context,
                   void (*visit)(void* context, const std::string& key,
                                 const void* value)) = nullptr;
  void* (*map_at)(void*, const std::string& key) = nullptr;  // inserts
  const void* (*map_find)(const void*, const std::string& key) = nullptr;
  // all
  void (*assign)(void* to, const void* from) = nullptr;
  void (*clear)(void*) = nullptr;  // T{}
};

struct FieldRow {
  std::string_view name;
  std::string_view doc;
  size_t offset = 0;
  const TypeOps* type = nullptr;
  bool required = false;
  bool always = false;
  bool input = false;
  bool append = false;
  bool atomic = false;
  bool positive = false;
  bool non_negative = false;
  const TypeOps* key_type = nullptr;  // of MergeByKey
  size_t key_offset = 0;
  std::optional<double> min;
  std::optional<double> max;
  std::optional<size_t> min_length;
  std::optional<size_t> max_length;
  std::optional<size_t> min_items;
  std::optional<size_t> max_items;
  std::string_view pattern;
  bool (*matches)(std::string_view) = nullptr;
  std::vector<std::string_view> allowed;
  std::string_view narrowed_member;
  std::string_view group;
};

struct StructTable {
  std::vector<FieldRow> rows;
  bool has_inputs = false;         // some row here or below is marked
  const void* defaults = nullptr;  // an S{}, for the defaults of the schema
};

template <class T>
const TypeOps& OpsOf();
template <class S>
const StructTable& TableOf();

// ------------------------------------------------------------------------------------------------
// What it is all for

struct DecodeOptions {
  // The kind is defined by a protobuf message: snake_case names, numbers as text and numbers of
  // enums are accepted.
  bool proto_json = false;
};
struct EncodeOptions {
  // As protobuf's JSON: durations in seconds ("7200s"), 64-bit numbers as text, an enum's zero
  // value left out.
  bool proto_json = false;
  // Secrets are written as "[redacted]".
  bool redact = false;
};

// Fills `out`. Everything wrong is added to `violations` with its path behind `path`, every unknown
// field to `unknown`. What could be read is in `out` in any case.
void DecodeStruct(const StructTable& table, const Value& value, void* out, std::string_view path,
                  const DecodeOptions& options, Violations& violations,
                  std::vector<std::string>& unknown);
// The checks of Positive, NonNegative and Group, with Kuma's messages. They are not part of
// decoding: Kuma reports them together with what the validator of the kind finds, and only if the
// schema is met.
void CheckStruct(const StructTable& table, const void* value, std::string_view path,
                 Violations& violations);
Value EncodeStruct(const StructTable& table, const void* value, const EncodeOptions& options);
bool EqualStruct(const StructTable& table, const void* a, const void* b, bool inputs_only);
void MergeStruct(const StructTable& table, void* base, const void* later);
void HashStruct(const StructTable& table, const void* value, base::Hasher& hasher);
// `proto_json`: 64-bit numbers may be text, too.
Value SchemaOfStruct(const StructTable& table, bool proto_json = false);

template <HasFields S>
S Decode(const Value& value, std::string_view path, Violations& violations,
         std::vector<std::string>& unknown, const DecodeOptions& options = {}) {
  S result{};
  DecodeStruct(TableOf<S>(), value, &result, path, options, violations, unknown);
  return result;
}
template <HasFields S>
void Check(const S& value, std::string_view path, Violations& violations) {
  CheckStruct(TableOf<S>(), &value, path, violations);
}
template <HasFields S>
Value Encode(const S& value, const EncodeOptions& options = {}) {
  return EncodeStruct(TableOf<S>(), &value, options);
}
template <HasFields S>
bool Equal(const S& a, const S& b) {
  return EqualStruct(TableOf<S>(), &a, &b, false);
}
template <HasFields S>
bool EqualInputs(const S& a, const S& b) {
  return EqualStruct(TableOf<S>(), &a, &b, true);
}
// `later` wins, field by field; see the attributes for lists and maps.
template <HasFields S>
S Merge(S base, const S& later) {
  MergeStruct(TableOf<S>(), &base, &later);
  return base;
}
template <HasFields S>
base::ContentHash Hash(const S& value) {
  base::Hasher hasher;
  HashStruct(TableOf<S>(), &value, hasher);
  return hasher.Finish();
}
template <HasFields S>
Value SchemaOf() {
  return SchemaOfStruct(TableOf<S>());
}

}  // namespace kuma::model

#include "model/fields_erasure.h"
