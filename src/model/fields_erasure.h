#pragma once

// The templates behind model/fields.h: from C++ member types and attributes to rows. Include
// model/fields.h.

#include <concepts>

#include "model/fields.h"

namespace kuma::model {
namespace erasure {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

// Converts to anything but an optional (which is built from what its value is built from).
struct Anything {
  template <class T>
  requires(!IsOptional<T>::value) operator T() const;
};
template <size_t>
using AnythingAt = Anything;

template <class S, size_t... I>
constexpr bool CanInit(std::index_sequence<I...>) {
  return requires { S{std::declval<AnythingAt<I>>()...}; };
}
// The number of members of an aggregate.
template <class S, size_t N = 0>
constexpr size_t CountMembers() {
  if constexpr (CanInit<S>(std::make_index_sequence<N + 1>()))
    return CountMembers<S, N + 1>();
  else
    return N;
}

template <class T>
constexpr Shape ShapeOfScalar() {
  if constexpr (std::is_same_v<T, bool>)
    return Shape::kBool;
  else if constexpr (std::is_same_v<T, int32_t>)
    return Shape::kInt32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return Shape::kInt64;
  else if constexpr (std::is_same_v<T, uint32_t>)
    return Shape::kUint32;
  else if constexpr (std::is_same_v<T, uint64_t>)
    return Shape::kUint64;
  else if constexpr (std::is_same_v<T, double>)
    return Shape::kDouble;
  else if constexpr (std::is_same_v<T, std::string>)
    return Shape::kString;
  else if constexpr (std::is_same_v<T, Duration>)
    return Shape::kDuration;
  else if constexpr (std::is_same_v<T, WallTime>)
    return Shape::kTime;
  else if constexpr (std::is_same_v<T, Bytes>)
    return Shape::kBytes;
  else if constexpr (std::is_same_v<T, Value>)
    return Shape::kJson;
  else if constexpr (std::is_same_v<T, JsonText>)
    return Shape::kJsonText;
  else if constexpr (std::is_same_v<T, IntOrString>)
    return Shape::kIntOrString;
  else
    static_assert(!sizeof(T), "a member type that field tables do not know");
}

template <class T>
void Assign(void* to, const void* from) {
  *static_cast<T*>(to) = *static_cast<const T*>(from);
}
template <class T>
void Clear(void* value) {
  *static_cast<T*>(value) = T{};
}

template <class T>
struct Ops {
  static constexpr TypeOps Make() {
    TypeOps ops{};
    if constexpr (HasFields<T>) {
      ops.shape = Shape::kStruct;
      ops.table = &TableOf<T>;
    } else if constexpr (std::is_enum_v<T>) {
      ops.shape = Shape::kEnum;
      ops.enum_name = [](const void* value) {
        return std::string(NameOf(*static_cast<const T*>(value)));
      };
      ops.enum_set = [](void* value, std::string_view name) {
        const auto found = EnumFromName<T>(name);
        if (found) *static_cast<T*>(value) = *found;
        return found.has_value();
      };
      ops.enum_set_number = [](void* value, int64_t number) {
        if (NameOf(static_cast<T>(number)).empty()) return false;
        *static_cast<T*>(value) = static_cast<T>(number);
        return true;
      };
      ops.enum_number = [](const void* value) {
        return static_cast<int64_t>(*static_cast<const T*>(value));
      };
      ops.enum_names = [] {
        std::vector<std::string_view> names;
        for (const auto& entry : EnumNames(T{})) names.push_back(entry.name);
        return names;
      };
    } else {
      ops.shape = ShapeOfScalar<T>();
    }
    ops.assign = &Assign<T>;
    ops.clear = &Clear<T>;
    return ops;
  }
};

template <class E>
struct Ops<OpenEnum<E>> {
  static constexpr TypeOps Make() {
    using T = OpenEnum<E>;
    TypeOps ops = Ops<E>::Make();
    ops.enum_name = [](const void* value) { return NameOf(*static_cast<const T*>(value)); };
    ops.enum_set = [](void* value, std::string_view name) {
      const auto found = EnumFromName<E>(name);
      *static_cast<T*>(value) = found ? T(*found) : T::Unknown(std::string(name));
      return found.has_value();
    };
    ops.enum_set_number = nullptr;
    ops.enum_number = [](const void* value) {
      return static_cast<int64_t>(static_cast<const T*>(value)->value());
    };
    ops.assign = &Assign<T>;
    ops.clear = &Clear<T>;
    return ops;
  }
};

// Redacted<T> is laid out as its one member; the walkers see the member and the mark.
template <class T>
struct Ops<base::Redacted<T>> {
  static_assert(sizeof(base::Redacted<T>) == sizeof(T));
  static constexpr TypeOps Make() {
    TypeOps ops = Ops<T>::Make();
    ops.secret = true;
    return ops;
  }
};

template <class T>
struct Ops<std::optional<T>> {
  static constexpr TypeOps Make() {
    using O = std::optional<T>;
    TypeOps ops{};
    ops.shape = Shape::kOptional;
    ops.element = &OpsOf<T>;
    ops.optional_get = [](const void* value) -> const void* {
      const O& optional = *static_cast<const O*>(value);
      return optional ? &*optional : nullptr;
    };
    ops.optional_emplace = [](void* value) -> void* { return &static_cast<O*>(value)->emplace(); };
    ops.assign = &Assign<O>;
    ops.clear = &Clear<O>;
    return ops;
  }
};

template <class T>
struct Ops<std::vector<T>> {
  static constexpr TypeOps Make() {
    using L = std::vector<T>;
    TypeOps ops{};
    ops.shape = Shape::kList;
    ops.element = &OpsOf<T>;
    ops.list_size = [](const void* value) { return static_cast<const L*>(value)->size(); };
    ops.list_at = [](const void* value, size_t index) -> const void* {
      return &(*static_cast<const L*>(value))[index];
    };
    ops.list_append = [](void* value) -> void* { return &static_cast<L*>(value)->emplace_back(); };
    ops.assign = &Assign<L>;
    ops.clear = &Clear<L>;
    return ops;
  }
};

template <class T>
struct Ops<std::map<std::string, T>> {
  static constexpr TypeOps Make() {
    using M = std::map<std::string, T>;
    TypeOps ops{};
    ops.shape = Shape::kMap;
    ops.element = &OpsOf<T>;
    ops.map_size = [](const void* value) { return static_cast<const M*>(value)->size(); };
    ops.map_each = [](const void* value, void* context,
                      void (*visit)(void*, const std::string&, const void*)) {
      for (const auto& [key, element] : *static_cast<const M*>(value))
        visit(context, key, &element);
    };
    ops.map_at = [](void* value, const std::string& key) -> void* {
      return &(*static_cast<M*>(value))[key];
    };
    ops.map_find = [](const void* value, const std::string& key) -> const void* {
      const M& map = *static_cast<const M*>(value);
      const auto found = map.find(key);
      return found == map.end() ? nullptr : &found->second;
    };
    ops.assign = &Assign<M>;
    ops.clear = &Clear<M>;
    return ops;
  }
};

inline void Apply(FieldRow& row, Required) { row.required = true; }
inline void Apply(FieldRow& row, Always) { row.always = true; }
inline void Apply(FieldRow& row, Input) { row.input = true; }
inline void Apply(FieldRow& row, Append) { row.append = true; }
inline void Apply(FieldRow& row, Atomic) { row.atomic = true; }
inline void Apply(FieldRow& row, NonNegative) { row.non_negative = true; }
inline void Apply(FieldRow& row, Positive) { row.positive = true; }
inline void Apply(FieldRow& row, Min bound) { row.min = bound.value; }
inline void Apply(FieldRow& row, Max bound) { row.max = bound.value; }
inline void Apply(FieldRow& row, MinLength bound) { row.min_length = bound.value; }
inline void Apply(FieldRow& row, MaxLength bound) { row.max_length = bound.value; }
inline void Apply(FieldRow& row, MinItems bound) { row.min_items = bound.value; }
inline void Apply(FieldRow& row, MaxItems bound) { row.max_items = bound.value; }
inline void Apply(FieldRow& row, Group group) { row.group = group.name; }
inline void Apply(FieldRow& row, Pattern pattern) {
  row.pattern = pattern.text;
  row.matches = pattern.matches;
}
template <size_t N>
void Apply(FieldRow& row, const OneOf<N>& values) {
  row.allowed.assign(values.values.begin(), values.values.end());
}
template <size_t N>
void Apply(FieldRow& row, const Narrow<N>& narrow) {
  row.narrowed_member = narrow.member;
  row.allowed.assign(narrow.values.begin(), narrow.values.end());
}

template <class S, class T>
size_t OffsetOf(T S::*member) {
  static const S sample{};
  return static_cast<size_t>(reinterpret_cast<const char*>(&(sample.*member)) -
                             reinterpret_cast<const char*>(&sample));
}
template <class S, class T>
void Apply(FieldRow& row, const MergeByKey<S, T>& key) {
  row.key_type = &OpsOf<T>();
  row.key_offset = OffsetOf(key.member);
}

void FinishTable(StructTable& table);  // fills what depends on the tables below; internal/fields.cc

}  // namespace erasure

template <class T>
const TypeOps& OpsOf() {
  static constexpr TypeOps ops = erasure::Ops<T>::Make();
  return ops;
}

template <class S>
const StructTable& TableOf() {
  using Entries = decltype(S::Fields());
  static_assert(std::is_aggregate_v<S>, "a struct with a field table is a plain aggregate");
  static_assert(erasure::CountMembers<S>() == std::tuple_size_v<Entries>,
                "every member of the struct needs exactly one entry in Fields()");
  static const S defaults{};
  static const StructTable table = [] {
    StructTable result;
    result.defaults = &defaults;
    std::apply(
        [&result](const auto&... entries) {
          result.rows.reserve(sizeof...(entries));
          [[maybe_unused]] const auto add =
              [&result]<class T, class... A>(const FieldEntry<S, T, A...>& entry) {
                FieldRow& row = result.rows.emplace_back();
                row.name = entry.name;
                row.doc = entry.doc;
                row.offset = erasure::OffsetOf(entry.member);
                row.type = &OpsOf<T>();
                std::apply(
                    [&row](const auto&... attributes) { (erasure::Apply(row, attributes), ...); },
                    entry.attributes);
              };
          (add(entries), ...);
        },
        S::Fields());
    erasure::FinishTable(result);
    return result;
  }();
  return table;
}

}  // namespace kuma::model
