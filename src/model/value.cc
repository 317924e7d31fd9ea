#include "model/value.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "base/strings.h"

namespace kuma::model {

Object::Object(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries) Set(entry.first, entry.second);
}

const Value* Object::Find(std::string_view key) const {
  for (const Entry& entry : entries_)
    if (entry.first == key) return &entry.second;
  return nullptr;
}

Value* Object::Find(std::string_view key) {
  return const_cast<Value*>(static_cast<const Object*>(this)->Find(key));
}

Value& Object::operator[](std::string_view key) {
  if (Value* found = Find(key)) return *found;
  return entries_.emplace_back(std::string(key), Value()).second;
}

void Object::Set(std::string_view key, Value value) { (*this)[key] = std::move(value); }

bool Object::Erase(std::string_view key) {
  return std::erase_if(entries_, [&](const Entry& entry) { return entry.first == key; }) > 0;
}

void Object::SortKeys() {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.first < b.first; });
}

bool Object::operator==(const Object& other) const {
  if (size() != other.size()) return false;
  for (const auto& [key, value] : entries_) {
    const Value* found = other.Find(key);
    if (!found || !(*found == value)) return false;
  }
  return true;
}

void Object::AppendNew(std::string key, Value value) {
  entries_.emplace_back(std::move(key), std::move(value));
}

void Object::KeepLastOfEachKey() {
  std::vector<const std::string*> keys;
  keys.reserve(entries_.size());
  for (const Entry& entry : entries_) keys.push_back(&entry.first);
  std::sort(keys.begin(), keys.end(), [](auto* a, auto* b) { return *a < *b; });
  const bool unique = std::adjacent_find(keys.begin(), keys.end(),
                                         [](auto* a, auto* b) { return *a == *b; }) == keys.end();
  if (unique) return;
  // The place of the first, the value of the last: what assigning one after the other gives.
  std::vector<size_t> order(entries_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(entries_[a].first, a) < std::tie(entries_[b].first, b);
  });
  std::vector<bool> drop(entries_.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i + 1;
    while (end < order.size() && entries_[order[end]].first == entries_[order[i]].first)
      drop[order[end++]] = true;
    if (end - i > 1) entries_[order[i]].second = std::move(entries_[order[end - 1]].second);
    i = end;
  }
  std::vector<Entry> kept;
  for (size_t i = 0; i < entries_.size(); ++i)
    if (!drop[i]) kept.push_back(std::move(entries_[i]));
  entries_ = std::move(kept);
}

Value::Value(uint64_t value) {
  if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    data_ = static_cast<int64_t>(value);
  else
    data_ = static_cast<double>(value);
}

const Value* Value::Find(std::string_view key) const {
  const Object* object = if_object();
  return object ? object->Find(key) : nullptr;
}

const Value* Value::At(std::initializer_list<std::string_view> path) const {
  const Value* value = this;
  for (const std::string_view step : path) {
    if (const Array* array = value->if_array()) {
      const auto index = base::ParseUint(step);
      if (!index || *index >= array->size()) return nullptr;
      value = &(*array)[*index];
    } else {
      value = value->Find(step);
      if (!value) return nullptr;
    }
  }
  return value;
}

std::string_view Value::TypeName() const {
  static constexpr std::string_view names[] = {"null",   "boolean", "number", "number",
                                               "string", "array",   "object"};
  return names[data_.index()];
}

Value Sorted(Value value) {
  if (Object* object = value.if_object()) {
    for (auto& [key, member] : *object) member = Sorted(std::move(member));
    object->SortKeys();
  } else if (Array* array = value.if_array()) {
    for (Value& element : *array) element = Sorted(std::move(element));
  }
  return value;
}

}  // namespace kuma::model
