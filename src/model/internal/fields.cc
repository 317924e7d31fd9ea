#include "model/fields.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::model {
namespace {

const void* At(const FieldRow& row, const void* value) {
  return static_cast<const char*>(value) + row.offset;
}
void* At(const FieldRow& row, void* value) { return static_cast<char*>(value) + row.offset; }

template <class T>
const T& As(const void* value) {
  return *static_cast<const T*>(value);
}
template <class T>
T& As(void* value) {
  return *static_cast<T*>(value);
}

// "responses_sent" -> "responsesSent", as protobuf's JSON names.
std::string CamelCase(std::string_view name) {
  std::string result;
  bool upper = false;
  for (const char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    result += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return result;
}

// ------------------------------------------------------------------------------------------------
// Decode. The texts are those of Kubernetes' schema validation, which Kuma uses.

// "integer" and "number" are different to whom they are shown to.
std::string_view JsonTypeName(const Value& value) {
  return value.if_int() ? "integer" : value.TypeName();
}

class Decoder {
 public:
  Decoder(const DecodeOptions& options, Violations& violations, std::vector<std::string>& unknown)
      : options_(options), violations_(violations), unknown_(unknown) {}

  void Struct(const StructTable& table, const FieldRow* narrow, const Value& value, void* out,
              const std::string& path) {
    const Object* object = value.if_object();
    if (!object) {
      WrongType(path, "object", value);
      return;
    }
    std::vector<const Value*> found(table.rows.size());
    for (const auto& [key, member] : *object) {
      const auto index = Find(table, key);
      if (index)
        found[*index] = &member;
      else
        unknown_.push_back(JoinPath(path, key));
    }
    for (size_t i = 0; i < table.rows.size(); ++i) {
      const FieldRow& row = table.rows[i];
      if (!found[i] || found[i]->is_null()) {
        if (row.required && !options_.proto_json)
          violations_.Add(JoinPath(path, row.name), "in body is required");
        continue;
      }
      const std::string at = JoinPath(path, row.name);
      const bool narrowed = narrow && narrow->narrowed_member == row.name;
      Member(row, narrowed ? narrow->allowed : row.allowed, *row.type, *found[i], At(row, out), at);
    }
  }

 private:
  std::optional<size_t> Find(const StructTable& table, std::string_view key) const {
    for (size_t i = 0; i < table.rows.size(); ++i)
      if (table.rows[i].name == key) return i;
    if (!options_.proto_json || key.find('_') == std::string_view::npos) return std::nullopt;
    const std::string camel = CamelCase(key);
    for (size_t i = 0; i < table.rows.size(); ++i)
      if (table.rows[i].name == camel) return i;
    return std::nullopt;
  }

  void WrongType(const std::string& path, std::string_view wanted, const Value& value) {
    violations_.Add(
        path, base::Format("in body must be of type {}: \"{}\"", wanted, JsonTypeName(value)));
  }
  void Add(const std::string& path, std::string message) {
    violations_.Add(path, std::move(message));
  }

  using Allowed = std::vector<std::string_view>;

  static std::string List(const Allowed& values) {
    std::string list;
    for (const auto value : values) list += (list.empty() ? "" : " ") + std::string(value);
    return list;
  }
  static bool Contains(const Allowed& values, std::string_view value) {
    for (const auto entry : values)
      if (entry == value) return true;
    return false;
  }

  void Member(const FieldRow& row, const Allowed& allowed, const TypeOps& type, const Value& value,
              void* out, const std::string& path) {
    switch (type.shape) {
      case Shape::kOptional:
        // Whatever is wrong below, the user set it: what could be read stands.
        Member(row, allowed, type.element(), value, type.optional_emplace(out), path);
        return;
      case Shape::kStruct:
        Struct(type.table(), row.narrowed_member.empty() ? nullptr : &row, value, out, path);
        return;
      case Shape::kList: DecodeList(row, allowed, type, value, out, path); return;
      case Shape::kMap: DecodeMap(row, allowed, type, value, out, path); return;
      case Shape::kEnum: DecodeEnum(allowed, type, value, out, path); return;
      case Shape::kString: DecodeString(row, allowed, value, out, path); return;
      case Shape::kBool:
        if (const bool* flag = value.if_bool())
          As<bool>(out) = *flag;
        else
          WrongType(path, "boolean", value);
        return;
      case Shape::kInt32: Integer<int32_t>(row, allowed, "int32", value, out, path); return;
      case Shape::kInt64: Integer<int64_t>(row, allowed, "int64", value, out, path); return;
      case Shape::kUint32: Integer<uint32_t>(row, allowed, "uint32", value, out, path); return;
      case Shape::kUint64: Integer<uint64_t>(row, allowed, "uint64", value, out, path); return;
      case Shape::kDouble:
        if (const int64_t* number = value.if_int())
          As<double>(out) = static_cast<double>(*number);
        else if (const double* real = value.if_double())
          As<double>(out) = *real;
        else
          return WrongType(path, "number", value);
        Bounds(row, As<double>(out), path);
        return;
      case Shape::kDuration: DecodeDuration(value, out, path); return;
      case Shape::kTime: {
        const std::string* text = value.if_string();
        const auto time = text ? ParseRfc3339(*text) : std::nullopt;
        if (time)
          As<WallTime>(out) = *time;
        else
          WrongTypeText(path, "date-time", value);
        return;
      }
      case Shape::kBytes: {
        const std::string* text = value.if_string();
        auto bytes = text ? base::DecodeBase64(*text) : std::nullopt;
        if (text && !bytes) bytes = base::DecodeBase64Url(*text);
        if (bytes)
          As<Bytes>(out).value = std::move(*bytes);
        else if (text)
          Add(path, "in body must be of type byte");  // never the text: it may be a secret
        else
          WrongType(path, "byte", value);
        return;
      }
      case Shape::kJson: As<Value>(out) = value; return;
      case Shape::kJsonText: As<JsonText>(out) = JsonText::Of(value); return;
      case Shape::kIntOrString:
        if (const int64_t* number = value.if_int())
          As<IntOrString>(out).value = *number;
        else if (const std::string* text = value.if_string())
          As<IntOrString>(out).value = *text;
        else
          WrongType(path, "integer,string", value);
        return;
    }
  }

  void WrongTypeText(const std::string& path, std::string_view wanted, const Value& value) {
    if (const std::string* text = value.if_string())
      Add(path, base::Format("in body must be of type {}: \"{}\"", wanted, *text));
    else
      WrongType(path, wanted, value);
  }

  void DecodeList(const FieldRow& row, const Allowed& allowed, const TypeOps& type,
                  const Value& value, void* out, const std::string& path) {
    const Array* array = value.if_array();
    if (!array) return WrongType(path, "array", value);
    if (row.min_items && array->size() < *row.min_items)
      Add(path, base::Format("in body should have at least {} items", *row.min_items));
    if (row.max_items && array->size() > *row.max_items)
      Add(path, base::Format("in body should have at most {} items", *row.max_items));
    type.clear(out);
    for (size_t i = 0; i < array->size(); ++i)
      Member(row, allowed, type.element(), (*array)[i], type.list_append(out), IndexPath(path, i));
  }

  void DecodeMap(const FieldRow& row, const Allowed& allowed, const TypeOps& type,
                 const Value& value, void* out, const std::string& path) {
    const Object* object = value.if_object();
    if (!object) return WrongType(path, "object", value);
    type.clear(out);
    for (const auto& [key, member] : *object)
      Member(row, allowed, type.element(), member, type.map_at(out, key), KeyPath(path, key));
  }

  void DecodeEnum(const Allowed& allowed, const TypeOps& type, const Value& value, void* out,
                  const std::string& path) {
    if (const std::string* name = value.if_string()) {
      const bool known = type.enum_set(out, *name);
      if (!known || (!allowed.empty() && !Contains(allowed, *name)))
        Add(path, base::Format("in body should be one of [{}]",
                               List(allowed.empty() ? type.enum_names() : allowed)));
      return;
    }
    const int64_t* number = value.if_int();
    if (number && options_.proto_json && type.enum_set_number) {
      if (!type.enum_set_number(out, *number))
        Add(path, base::Format("in body should be one of [{}]", List(type.enum_names())));
      return;
    }
    WrongType(path, "string", value);
  }

  void DecodeString(const FieldRow& row, const Allowed& allowed, const Value& value, void* out,
                    const std::string& path) {
    const std::string* text = value.if_string();
    if (!text) return WrongType(path, "string", value);
    As<std::string>(out) = *text;
    if (row.min_length && text->size() < *row.min_length)
      Add(path, base::Format("in body should be at least {} chars long", *row.min_length));
    if (row.max_length && text->size() > *row.max_length)
      Add(path, base::Format("in body should be at most {} chars long", *row.max_length));
    if (row.matches && !row.matches(*text))
      Add(path, base::Format("in body should match '{}'", row.pattern));
    if (!allowed.empty() && !Contains(allowed, *text))
      Add(path, base::Format("in body should be one of [{}]", List(allowed)));
  }

  void DecodeDuration(const Value& value, void* out, const std::string& path) {
    const std::string* text = value.if_string();
    const auto duration = text ? ParseDuration(*text) : std::nullopt;
    if (duration)
      As<Duration>(out) = *duration;
    else
      WrongTypeText(path, "duration", value);
  }

  void Bounds(const FieldRow& row, double number, const std::string& path) {
    if (row.min && number < *row.min)
      Add(path, base::Format("in body should be greater than or equal to {}", *row.min));
    if (row.max && number > *row.max)
      Add(path, base::Format("in body should be less than or equal to {}", *row.max));
  }

  template <class T>
  void Integer(const FieldRow& row, const Allowed& allowed, std::string_view format,
               const Value& value, void* out, const std::string& path) {
    std::optional<int64_t> number;
    std::optional<uint64_t> large;  // beyond int64
    if (const int64_t* integer = value.if_int()) {
      number = *integer;
    } else if (const double* real = value.if_double()) {
      if (std::floor(*real) != *real) return WrongType(path, "integer", value);
      if (std::fabs(*real) < 9.2e18)
        number = static_cast<int64_t>(*real);
      else if (*real > 0 && *real < 1.8446744073709549e19)
        large = static_cast<uint64_t>(*real);
    } else if (const std::string* text = value.if_string(); text && options_.proto_json) {
      number = base::ParseInt(*text);
      if (!number) large = base::ParseUint(*text);
      if (!number && !large) return WrongType(path, "integer", value);
    } else {
      return WrongType(path, "integer", value);
    }
    if (number && std::in_range<T>(*number)) {
      As<T>(out) = static_cast<T>(*number);
    } else if (large && std::in_range<T>(*large)) {
      As<T>(out) = static_cast<T>(*large);
    } else {
      // A negative number where none can be: the schema's bound says it better.
      if (number && *number < 0 && row.min) return Bounds(row, static_cast<double>(*number), path);
      return Add(path, base::Format("in body must be of type {}: \"{}\"", format, ToJson(value)));
    }
    Bounds(row, static_cast<double>(As<T>(out)), path);
    if (!allowed.empty() && !Contains(allowed, std::to_string(As<T>(out))))
      Add(path, base::Format("in body should be one of [{}]", List(allowed)));
  }

  const DecodeOptions& options_;
  Violations& violations_;
  std::vector<std::string>& unknown_;
};

// ------------------------------------------------------------------------------------------------
// Check

std::optional<double> NumberOf(const TypeOps& type, const void* value) {
  switch (type.shape) {
    case Shape::kInt32: return static_cast<double>(As<int32_t>(value));
    case Shape::kInt64: return static_cast<double>(As<int64_t>(value));
    case Shape::kUint32: return static_cast<double>(As<uint32_t>(value));
    case Shape::kUint64: return static_cast<double>(As<uint64_t>(value));
    case Shape::kDouble: return As<double>(value);
    default: return std::nullopt;
  }
}

void CheckMember(const FieldRow& row, const TypeOps& type, const void* value,
                 const std::string& path, Violations& violations) {
  switch (type.shape) {
    case Shape::kOptional:
      if (const void* inner = type.optional_get(value))
        CheckMember(row, type.element(), inner, path, violations);
      return;
    case Shape::kStruct: CheckStruct(type.table(), value, path, violations); return;
    case Shape::kList:
      for (size_t i = 0, n = type.list_size(value); i < n; ++i)
        CheckMember(row, type.element(), type.list_at(value, i), IndexPath(path, i), violations);
      return;
    case Shape::kMap: {
      struct Context {
        const FieldRow& row;
        const TypeOps& element;
        const std::string& path;
        Violations& violations;
      } context{row, type.element(), path, violations};
      type.map_each(value, &context, [](void* at, const std::string& key, const void* element) {
        auto& c = As<Context>(at);
        CheckMember(c.row, c.element, element, KeyPath(c.path, key), c.violations);
      });
      return;
    }
    case Shape::kDuration:
      if (row.positive && As<Duration>(value).value.count() <= 0)
        violations.Add(path, "must be greater than zero when defined");
      if (row.non_negative && As<Duration>(value).value.count() < 0)
        violations.Add(path, "must not be negative when defined");
      return;
    default:
      if (const auto number = NumberOf(type, value)) {
        if (row.positive && *number <= 0) violations.Add(path, "must be greater than 0");
        if (row.non_negative && *number < 0)
          violations.Add(path, "must not be negative when defined");
      }
  }
}

// ------------------------------------------------------------------------------------------------
// Encode

bool LeftOut(const FieldRow& row, const void* value, const EncodeOptions& options) {
  const TypeOps& type = *row.type;
  if (type.shape == Shape::kOptional) return type.optional_get(value) == nullptr;
  if (row.required || row.always) return false;
  switch (type.shape) {
    case Shape::kList: return type.list_size(value) == 0;
    case Shape::kMap: return type.map_size(value) == 0;
    case Shape::kString: return As<std::string>(value).empty();
    case Shape::kBytes: return As<Bytes>(value).value.empty();
    case Shape::kBool: return !As<bool>(value);
    case Shape::kTime: return As<WallTime>(value) == WallTime{};
    case Shape::kJson: return As<Value>(value).is_null();
    case Shape::kJsonText: return As<JsonText>(value).text.empty();
    case Shape::kDuration: return As<Duration>(value).value.count() == 0;
    case Shape::kEnum:
      return (options.proto_json && type.enum_number(value) == 0) || type.enum_name(value).empty();
    case Shape::kInt32:
    case Shape::kInt64:
    case Shape::kUint32:
    case Shape::kUint64:
    case Shape::kDouble: return *NumberOf(type, value) == 0;
    default: return false;
  }
}

std::string Fraction(int64_t nanoseconds) {
  std::string digits = base::Format("{:09d}", nanoseconds);
  if (digits.ends_with("000000"))
    digits.resize(3);
  else if (digits.ends_with("000"))
    digits.resize(6);
  return digits;
}

// Seconds with 0, 3, 6 or 9 fractional digits.
std::string ProtoDuration(Duration duration) {
  const int64_t count = duration.value.count();
  const int64_t seconds = count / 1'000'000'000;
  const int64_t rest = std::abs(count % 1'000'000'000);
  std::string text = count < 0 && seconds == 0 ? "-0" : std::to_string(seconds);
  if (rest != 0) text += "." + Fraction(rest);
  return text + "s";
}

Value EncodeMember(const TypeOps& type, const void* value, const EncodeOptions& options) {
  if (type.secret && options.redact) return "[redacted]";
  switch (type.shape) {
    case Shape::kOptional: return EncodeMember(type.element(), type.optional_get(value), options);
    case Shape::kStruct: return EncodeStruct(type.table(), value, options);
    case Shape::kList: {
      Array array;
      for (size_t i = 0, n = type.list_size(value); i < n; ++i)
        array.push_back(EncodeMember(type.element(), type.list_at(value, i), options));
      return array;
    }
    case Shape::kMap: {
      Object object;
      struct Context {
        Object& object;
        const TypeOps& element;
        const EncodeOptions& options;
      } context{object, type.element(), options};
      type.map_each(value, &context, [](void* at, const std::string& key, const void* element) {
        auto& c = As<Context>(at);
        c.object.AppendNew(key, EncodeMember(c.element, element, c.options));
      });
      return object;
    }
    case Shape::kEnum: return type.enum_name(value);
    case Shape::kString: return As<std::string>(value);
    case Shape::kBool: return As<bool>(value);
    case Shape::kInt32: return static_cast<int64_t>(As<int32_t>(value));
    case Shape::kUint32: return static_cast<int64_t>(As<uint32_t>(value));
    case Shape::kInt64:
      if (options.proto_json) return std::to_string(As<int64_t>(value));
      return As<int64_t>(value);
    case Shape::kUint64:
      if (options.proto_json) return std::to_string(As<uint64_t>(value));
      return As<uint64_t>(value);
    case Shape::kDouble: return As<double>(value);
    case Shape::kDuration:
      return options.proto_json ? ProtoDuration(As<Duration>(value))
                                : ToString(As<Duration>(value));
    case Shape::kTime: return ToRfc3339(As<WallTime>(value));
    case Shape::kBytes: return base::EncodeBase64(As<Bytes>(value).value);
    case Shape::kJson: return As<Value>(value);
    case Shape::kJsonText: {
      auto parsed = ParseJson(As<JsonText>(value).text);
      return parsed ? *std::move(parsed) : Value();
    }
    case Shape::kIntOrString:
      return std::visit([](const auto& inner) { return Value(inner); },
                        As<IntOrString>(value).value);
  }
  return nullptr;
}

// ------------------------------------------------------------------------------------------------
// Equal

bool HasInputs(const TypeOps& type) {
  switch (type.shape) {
    case Shape::kOptional:
    case Shape::kList:
    case Shape::kMap: return HasInputs(type.element());
    case Shape::kStruct: return type.table().has_inputs;
    default: return false;
  }
}

// `inputs_only`: only what is marked counts here; below a mark it is false.
bool EqualMember(const TypeOps& type, const void* a, const void* b, bool inputs_only) {
  switch (type.shape) {
    case Shape::kOptional: {
      const void* in_a = type.optional_get(a);
      const void* in_b = type.optional_get(b);
      if (!in_a || !in_b) return in_a == in_b;
      return EqualMember(type.element(), in_a, in_b, inputs_only);
    }
    case Shape::kStruct: return EqualStruct(type.table(), a, b, inputs_only);
    case Shape::kList: {
      const size_t n = type.list_size(a);
      if (n != type.list_size(b)) return false;
      for (size_t i = 0; i < n; ++i)
        if (!EqualMember(type.element(), type.list_at(a, i), type.list_at(b, i), inputs_only))
          return false;
      return true;
    }
    case Shape::kMap: {
      if (type.map_size(a) != type.map_size(b)) return false;
      struct Context {
        const TypeOps& type;
        const void* other;
        bool inputs_only;
        bool equal;
      } context{type, b, inputs_only, true};
      type.map_each(a, &context, [](void* at, const std::string& key, const void* element) {
        auto& c = As<Context>(at);
        if (!c.equal) return;
        const void* found = c.type.map_find(c.other, key);
        c.equal = found && EqualMember(c.type.element(), element, found, c.inputs_only);
      });
      return context.equal;
    }
    case Shape::kEnum:
      return type.enum_number(a) == type.enum_number(b) && type.enum_name(a) == type.enum_name(b);
    case Shape::kString: return As<std::string>(a) == As<std::string>(b);
    case Shape::kBool: return As<bool>(a) == As<bool>(b);
    case Shape::kInt32: return As<int32_t>(a) == As<int32_t>(b);
    case Shape::kInt64: return As<int64_t>(a) == As<int64_t>(b);
    case Shape::kUint32: return As<uint32_t>(a) == As<uint32_t>(b);
    case Shape::kUint64: return As<uint64_t>(a) == As<uint64_t>(b);
    case Shape::kDouble: return As<double>(a) == As<double>(b);
    case Shape::kDuration: return As<Duration>(a) == As<Duration>(b);
    case Shape::kTime: return As<WallTime>(a) == As<WallTime>(b);
    case Shape::kBytes: return As<Bytes>(a) == As<Bytes>(b);
    case Shape::kJson: return As<Value>(a) == As<Value>(b);
    case Shape::kJsonText: return As<JsonText>(a) == As<JsonText>(b);
    case Shape::kIntOrString: return As<IntOrString>(a) == As<IntOrString>(b);
  }
  return false;
}

// ------------------------------------------------------------------------------------------------
// Merge: what JSON merge patch gives on the encoded forms, but typed.

void MergeJson(Value& base, const Value& later) {
  Object* into = base.if_object();
  const Object* from = later.if_object();
  if (!into || !from) {
    base = later;
    return;
  }
  for (const auto& [key, member] : *from) MergeJson((*into)[key], member);
}

void AppendAll(const TypeOps& list, void* base, const void* later) {
  for (size_t i = 0, n = list.list_size(later); i < n; ++i)
    list.element().assign(list.list_append(base), list.list_at(later, i));
}

void MergeKeyed(const FieldRow& row, const TypeOps& list, void* base, const void* later) {
  const auto key_of = [&row](const void* element) {
    return static_cast<const char*>(element) + row.key_offset;
  };
  for (size_t i = 0, n = list.list_size(later); i < n; ++i) {
    const void* element = list.list_at(later, i);
    void* found = nullptr;
    for (size_t j = 0, m = list.list_size(base); j < m && !found; ++j) {
      // The list is ours to change; the table only hands out const elements.
      void* candidate = const_cast<void*>(list.list_at(base, j));
      if (EqualMember(*row.key_type, key_of(candidate), key_of(element), false)) found = candidate;
    }
    if (found)
      MergeStruct(list.element().table(), found, element);
    else
      list.element().assign(list.list_append(base), element);
  }
}

void MergeMember(const FieldRow& row, const TypeOps& type, void* base, const void* later) {
  switch (type.shape) {
    case Shape::kOptional: {
      const void* inner = type.optional_get(later);
      if (!inner) return;
      void* into = const_cast<void*>(type.optional_get(base));
      if (!into || row.atomic) {
        type.assign(base, later);
        return;
      }
      const TypeOps& element = type.element();
      // A set optional wins even when it holds something empty.
      if (element.shape == Shape::kList && !row.append && !row.key_type)
        element.assign(into, inner);
      else if (element.shape == Shape::kStruct || element.shape == Shape::kMap ||
               element.shape == Shape::kList)
        MergeMember(row, element, into, inner);
      else
        element.assign(into, inner);
      return;
    }
    case Shape::kStruct:
      if (row.atomic)
        type.assign(base, later);
      else
        MergeStruct(type.table(), base, later);
      return;
    case Shape::kList:
      if (type.list_size(later) == 0) return;
      if (row.key_type)
        MergeKeyed(row, type, base, later);
      else if (row.append)
        AppendAll(type, base, later);
      else
        type.assign(base, later);
      return;
    case Shape::kMap: {
      if (type.map_size(later) == 0) return;
      if (row.atomic) return type.assign(base, later);
      struct Context {
        const FieldRow& row;
        const TypeOps& type;
        void* base;
      } context{row, type, base};
      type.map_each(later, &context, [](void* at, const std::string& key, const void* element) {
        auto& c = As<Context>(at);
        const bool known = c.type.map_find(c.base, key) != nullptr;
        void* into = c.type.map_at(c.base, key);
        if (known && c.type.element().shape == Shape::kStruct)
          MergeMember(c.row, c.type.element(), into, element);
        else
          c.type.element().assign(into, element);
      });
      return;
    }
    case Shape::kJson:
      if (As<Value>(later).is_null()) return;
      if (row.atomic)
        As<Value>(base) = As<Value>(later);
      else
        MergeJson(As<Value>(base), As<Value>(later));
      return;
    case Shape::kJsonText:
      if (!As<JsonText>(later).text.empty()) As<JsonText>(base) = As<JsonText>(later);
      return;
    default: type.assign(base, later);
  }
}

// ------------------------------------------------------------------------------------------------
// Hash

void HashMember(const TypeOps& type, const void* value, base::Hasher& hasher) {
  switch (type.shape) {
    case Shape::kOptional: {
      const void* inner = type.optional_get(value);
      hasher.Add(uint64_t{inner != nullptr});
      if (inner) HashMember(type.element(), inner, hasher);
      return;
    }
    case Shape::kStruct: HashStruct(type.table(), value, hasher); return;
    case Shape::kList: {
      const size_t n = type.list_size(value);
      hasher.Add(uint64_t{n});
      for (size_t i = 0; i < n; ++i) HashMember(type.element(), type.list_at(value, i), hasher);
      return;
    }
    case Shape::kMap: {
      hasher.Add(uint64_t{type.map_size(value)});
      struct Context {
        const TypeOps& element;
        base::Hasher& hasher;
      } context{type.element(), hasher};
      type.map_each(value, &context, [](void* at, const std::string& key, const void* element) {
        auto& c = As<Context>(at);
        c.hasher.Add(key);
        HashMember(c.element, element, c.hasher);
      });
      return;
    }
    case Shape::kEnum: hasher.Add(type.enum_name(value)); return;
    case Shape::kString: hasher.Add(As<std::string>(value)); return;
    case Shape::kBytes: hasher.Add(As<Bytes>(value).value); return;
    case Shape::kBool: hasher.Add(uint64_t{As<bool>(value)}); return;
    case Shape::kInt32: hasher.Add(static_cast<uint64_t>(As<int32_t>(value))); return;
    case Shape::kInt64: hasher.Add(static_cast<uint64_t>(As<int64_t>(value))); return;
    case Shape::kUint32: hasher.Add(uint64_t{As<uint32_t>(value)}); return;
    case Shape::kUint64: hasher.Add(As<uint64_t>(value)); return;
    case Shape::kDouble: {
      const double number = As<double>(value) == 0 ? 0 : As<double>(value);  // -0 equals 0
      hasher.Add(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
      return;
    }
    case Shape::kDuration:
      hasher.Add(static_cast<uint64_t>(As<Duration>(value).value.count()));
      return;
    case Shape::kTime:
      hasher.Add(static_cast<uint64_t>(As<WallTime>(value).time_since_epoch().count()));
      return;
    case Shape::kJson: hasher.Add(ToJson(Sorted(As<Value>(value)))); return;
    case Shape::kJsonText: hasher.Add(As<JsonText>(value).text); return;
    case Shape::kIntOrString:
      if (const auto* number = std::get_if<int64_t>(&As<IntOrString>(value).value))
        hasher.Add(uint64_t{0}).Add(static_cast<uint64_t>(*number));
      else
        hasher.Add(uint64_t{1}).Add(std::get<std::string>(As<IntOrString>(value).value));
      return;
  }
}

// ------------------------------------------------------------------------------------------------
// Schema

Value NumberValue(double number) {
  if (std::floor(number) == number && std::fabs(number) < 9e15) return static_cast<int64_t>(number);
  return number;
}

Value SchemaOfMember(const FieldRow& row, const std::vector<std::string_view>& allowed,
                     const TypeOps& type, bool proto_json);

Value SchemaOfTable(const StructTable& table, const FieldRow* narrow, bool proto_json) {
  Object properties;
  Array required;
  for (const FieldRow& row : table.rows) {
    const bool narrowed = narrow && narrow->narrowed_member == row.name;
    Value schema =
        SchemaOfMember(row, narrowed ? narrow->allowed : row.allowed, *row.type, proto_json);
    Object& object = *schema.if_object();
    if (!row.doc.empty()) object.Set("description", row.doc);
    const void* member = At(row, table.defaults);
    const TypeOps* type = row.type;
    if (type->shape == Shape::kOptional) {
      member = type->optional_get(member);
      type = &type->element();
    }
    if (member && type->shape != Shape::kStruct && type->shape != Shape::kIntOrString &&
        !row.required) {
      FieldRow bare;
      bare.type = type;
      // What a plain member holds when nothing was said is a default only if it says something.
      if (type != row.type || !LeftOut(bare, member, {}))
        object.Set("default", EncodeMember(*type, member, {}));
    }
    properties.Set(row.name, std::move(schema));
    if (row.required) required.push_back(row.name);
  }
  Object result;
  result.Set("type", "object");
  if (!properties.empty()) result.Set("properties", std::move(properties));
  if (!required.empty()) result.Set("required", std::move(required));
  return result;
}

Value SchemaOfMember(const FieldRow& row, const std::vector<std::string_view>& allowed,
                     const TypeOps& type, bool proto_json) {
  Object object;
  const auto choose = [&](const std::vector<std::string_view>& values) {
    Array list;
    for (const auto value : values) {
      const auto number = base::ParseInt(value);
      const bool numeric = type.shape == Shape::kInt32 || type.shape == Shape::kInt64 ||
                           type.shape == Shape::kUint32 || type.shape == Shape::kUint64;
      list.push_back(numeric && number ? Value(*number) : Value(value));
    }
    object.Set("enum", std::move(list));
  };
  const auto number = [&](std::string_view name, std::string_view format) {
    object.Set("type", name);
    if (!format.empty()) object.Set("format", format);
    if (row.min) object.Set("minimum", NumberValue(*row.min));
    if (row.max) object.Set("maximum", NumberValue(*row.max));
    if (!allowed.empty()) choose(allowed);
  };
  switch (type.shape) {
    case Shape::kOptional: return SchemaOfMember(row, allowed, type.element(), proto_json);
    case Shape::kStruct:
      return SchemaOfTable(type.table(), row.narrowed_member.empty() ? nullptr : &row, proto_json);
    case Shape::kList:
      object.Set("type", "array");
      object.Set("items", SchemaOfMember(row, allowed, type.element(), proto_json));
      if (row.min_items) object.Set("minItems", static_cast<int64_t>(*row.min_items));
      if (row.max_items) object.Set("maxItems", static_cast<int64_t>(*row.max_items));
      break;
    case Shape::kMap:
      object.Set("type", "object");
      object.Set("additionalProperties", SchemaOfMember(row, allowed, type.element(), proto_json));
      break;
    case Shape::kEnum:
      object.Set("type", "string");
      choose(allowed.empty() ? type.enum_names() : allowed);
      break;
    case Shape::kString:
      object.Set("type", "string");
      if (row.min_length) object.Set("minLength", static_cast<int64_t>(*row.min_length));
      if (row.max_length) object.Set("maxLength", static_cast<int64_t>(*row.max_length));
      if (!row.pattern.empty()) object.Set("pattern", row.pattern);
      if (!allowed.empty()) choose(allowed);
      break;
    case Shape::kBool: object.Set("type", "boolean"); break;
    case Shape::kInt32: number("integer", "int32"); break;
    case Shape::kUint64:
    case Shape::kInt64:
      number("integer", "int64");
      if (proto_json) object.Set("type", Array{"integer", "string"});
      break;
    case Shape::kUint32: number("integer", "int32"); break;
    case Shape::kDouble: number("number", ""); break;
    case Shape::kDuration: object.Set("type", "string"); break;
    case Shape::kTime:
      object.Set("type", "string");
      object.Set("format", "date-time");
      break;
    case Shape::kBytes:
      object.Set("type", "string");
      object.Set("format", "byte");
      break;
    case Shape::kJson:
    case Shape::kJsonText: object.Set("x-kubernetes-preserve-unknown-fields", true); break;
    case Shape::kIntOrString:
      object.Set("anyOf", Array{Object{{"type", "integer"}}, Object{{"type", "string"}}});
      object.Set("x-kubernetes-int-or-string", true);
      break;
  }
  return object;
}

}  // namespace

JsonText JsonText::Of(const Value& value) {
  return {value.is_null() ? std::string() : ToJson(value)};
}

std::optional<double> IntOrString::Number() const {
  if (const auto* number = std::get_if<int64_t>(&value)) return static_cast<double>(*number);
  return base::ParseDouble(std::get<std::string>(value));
}

void DecodeStruct(const StructTable& table, const Value& value, void* out, std::string_view path,
                  const DecodeOptions& options, Violations& violations,
                  std::vector<std::string>& unknown) {
  if (value.is_null())
    return Decoder(options, violations, unknown)
        .Struct(table, nullptr, Object(), out, std::string(path));
  Decoder(options, violations, unknown).Struct(table, nullptr, value, out, std::string(path));
}

void CheckStruct(const StructTable& table, const void* value, std::string_view path,
                 Violations& violations) {
  std::vector<std::string_view> groups;
  for (const FieldRow& row : table.rows) {
    CheckMember(row, *row.type, At(row, value), JoinPath(path, row.name), violations);
    if (!row.group.empty() && std::find(groups.begin(), groups.end(), row.group) == groups.end())
      groups.push_back(row.group);
  }
  for (const auto group : groups) {
    std::string names;
    int set = 0;
    for (const FieldRow& row : table.rows) {
      if (row.group != group) continue;
      names += (names.empty() ? "" : ", ") + std::string(row.name);
      set += LeftOut(row, At(row, value), {}) ? 0 : 1;
    }
    if (set > 1)
      violations.Add(std::string(path),
                     base::Format("{} must have only one type defined: {}", group, names));
  }
}

Value EncodeStruct(const StructTable& table, const void* value, const EncodeOptions& options) {
  Object object;
  for (const FieldRow& row : table.rows) {
    const void* member = At(row, value);
    if (!LeftOut(row, member, options))
      object.AppendNew(std::string(row.name), EncodeMember(*row.type, member, options));
  }
  return object;
}

bool EqualStruct(const StructTable& table, const void* a, const void* b, bool inputs_only) {
  if (a == b) return true;
  if (inputs_only && !table.has_inputs) return true;
  for (const FieldRow& row : table.rows) {
    const bool below = inputs_only && !row.input;
    if (below && !HasInputs(*row.type)) continue;
    if (!EqualMember(*row.type, At(row, a), At(row, b), below)) return false;
  }
  return true;
}

void MergeStruct(const StructTable& table, void* base, const void* later) {
  for (const FieldRow& row : table.rows) {
    const void* from = At(row, later);
    // What encoding would leave out was not said.
    const bool said = row.type->shape == Shape::kOptional || row.type->shape == Shape::kStruct ||
                      !LeftOut(row, from, {}) || row.required;
    if (said) MergeMember(row, *row.type, At(row, base), from);
  }
}

void HashStruct(const StructTable& table, const void* value, base::Hasher& hasher) {
  for (const FieldRow& row : table.rows) HashMember(*row.type, At(row, value), hasher);
}

Value SchemaOfStruct(const StructTable& table, bool proto_json) {
  return SchemaOfTable(table, nullptr, proto_json);
}

namespace erasure {

void FinishTable(StructTable& table) {
  for (const FieldRow& row : table.rows)
    table.has_inputs = table.has_inputs || row.input || HasInputs(*row.type);
}

}  // namespace erasure
}  // namespace kuma::model
