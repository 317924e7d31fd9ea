#include "rest/diff.h"

#include <algorithm>
#include <string_view>

#include "model/violations.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::Value;

std::string MemberPath(const std::string& path, std::string_view key) {
  const bool plain = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  return plain ? model::JoinPath(path, key) : model::KeyPath(path, key);
}

void Compare(const std::string& path, const Value& before, const Value& after,
             std::vector<FieldChange>& out);

void CompareObjects(const std::string& path, const Object& before, const Object& after,
                    std::vector<FieldChange>& out) {
  for (const auto& [key, value] : before) {
    if (const Value* other = after.Find(key)) {
      Compare(MemberPath(path, key), value, *other, out);
    } else {
      out.push_back({MemberPath(path, key), value, {}});
    }
  }
  for (const auto& [key, value] : after) {
    if (before.Find(key) == nullptr) out.push_back({MemberPath(path, key), {}, value});
  }
}

void CompareArrays(const std::string& path, const Array& before, const Array& after,
                   std::vector<FieldChange>& out) {
  const size_t shorter = std::min(before.size(), after.size());
  size_t head = 0;
  while (head < shorter && before[head] == after[head]) ++head;
  size_t tail = 0;
  while (tail < shorter - head &&
         before[before.size() - 1 - tail] == after[after.size() - 1 - tail]) {
    ++tail;
  }
  const size_t removed = before.size() - head - tail;
  const size_t added = after.size() - head - tail;
  for (size_t i = 0; i < std::max(removed, added); ++i) {
    const std::string at = model::IndexPath(path, head + i);
    if (i >= added) {
      out.push_back({at, before[head + i], {}});
    } else if (i >= removed) {
      out.push_back({at, {}, after[head + i]});
    } else {
      Compare(at, before[head + i], after[head + i], out);
    }
  }
}

void Compare(const std::string& path, const Value& before, const Value& after,
             std::vector<FieldChange>& out) {
  if (before == after) return;
  if (before.if_object() != nullptr && after.if_object() != nullptr) {
    CompareObjects(path, *before.if_object(), *after.if_object(), out);
  } else if (before.if_array() != nullptr && after.if_array() != nullptr) {
    CompareArrays(path, *before.if_array(), *after.if_array(), out);
  } else {
    out.push_back({path, before, after});
  }
}

}  // namespace

std::vector<FieldChange> Diff(const Value& before, const Value& after) {
  std::vector<FieldChange> changes;
  Compare("", before, after, changes);
  return changes;
}

}  // namespace kuma::rest
