#include "rest/json_patch.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::Value;

std::string Below(const std::string& path, std::string_view key) {
  std::string result = path + "/";
  for (const char c : key) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result.push_back(c);
    }
  }
  return result;
}

std::string Below(const std::string& path, size_t index) {
  return path + "/" + std::to_string(index);
}

Object Operation(std::string_view op, const std::string& path, const Value& value) {
  return {{"op", op}, {"path", path}, {"value", value}};
}

void Remove(const std::string& path, const Value& value, Array& out) {
  out.push_back(Operation("test", path, value));
  out.push_back(Operation("remove", path, value));
}

bool SameContainer(const Value& a, const Value& b) {
  return (a.if_object() != nullptr && b.if_object() != nullptr) ||
         (a.if_array() != nullptr && b.if_array() != nullptr);
}

// Pairs of equal elements, as many as there can be in order (a longest common subsequence).
std::vector<std::pair<size_t, size_t>> Matches(const Array& a, const Array& b) {
  std::vector<std::vector<size_t>> longest(a.size() + 1, std::vector<size_t>(b.size() + 1, 0));
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t with = longest[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 1 : 0);
      longest[i][j] = std::max({with, longest[i - 1][j], longest[i][j - 1]});
    }
  }
  std::vector<std::pair<size_t, size_t>> pairs;
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      pairs.emplace_back(--i, --j);
    } else if (longest[i - 1][j] >= longest[i][j - 1]) {
      --i;
    } else {
      --j;
    }
  }
  std::reverse(pairs.begin(), pairs.end());
  return pairs;
}

// Elements of a list that go and come at one place, between two that stay.
struct Gap {
  size_t at = 0;
  const Value* before = nullptr;  // the element in front, as it is then; null: the beginning
  std::vector<const Value*> removed;
  std::vector<const Value*> added;
};

void Close(std::optional<Gap>& gap, const std::string& path, const Value* after, Array& out) {
  if (!gap) return;
  if (gap->before != nullptr)
    out.push_back(Operation("test", Below(path, gap->at - 1), *gap->before));
  if (after != nullptr)
    out.push_back(Operation("test", Below(path, gap->at + gap->removed.size()), *after));
  const std::string here = Below(path, gap->at);
  for (const Value* value : gap->removed) Remove(here, *value, out);
  // Each is put in front of the one added before it.
  for (auto value = gap->added.rbegin(); value != gap->added.rend(); ++value)
    out.push_back(Operation("add", here, **value));
  gap.reset();
}

void Compare(const Value& before, const Value& after, const std::string& path, Array& out);

void CompareLists(const Array& a, const Array& b, const std::string& path, Array& out) {
  const auto matches = Matches(a, b);
  size_t i = 0;
  size_t j = 0;
  size_t match = 0;
  size_t at = 0;  // index in the list as it is by then
  const Value* last = nullptr;
  std::optional<Gap> gap;
  const auto open = [&]() -> Gap& {
    if (!gap) gap = Gap{at, last, {}, {}};
    return *gap;
  };
  while (i < a.size() || j < b.size()) {
    const size_t next_i = match < matches.size() ? matches[match].first : a.size();
    const size_t next_j = match < matches.size() ? matches[match].second : b.size();
    if (i == next_i && j == next_j) {
      Close(gap, path, &a[i], out);
      last = &a[i];
      ++match, ++at, ++i, ++j;
    } else if (i < next_i && j < next_j && SameContainer(a[i], b[j])) {
      Close(gap, path, &a[i], out);
      Compare(a[i], b[j], Below(path, at), out);
      last = &b[j];
      ++at, ++i, ++j;
    } else if (i < next_i && j < next_j) {
      Gap& here = open();
      here.removed.push_back(&a[i]);
      here.added.push_back(&b[j]);
      ++at, ++i, ++j;
    } else if (i < next_i) {
      open().removed.push_back(&a[i++]);
    } else {
      open().added.push_back(&b[j++]);
      ++at;
    }
  }
  Close(gap, path, nullptr, out);
}

void CompareObjects(const Object& a, const Object& b, const std::string& path, Array& out) {
  std::set<std::string_view> keys;
  for (const auto& [key, value] : a) keys.insert(key);
  for (const auto& [key, value] : b) keys.insert(key);
  for (const std::string_view key : keys) {
    const Value* before = a.Find(key);
    const Value* after = b.Find(key);
    const std::string below = Below(path, key);
    if (before == nullptr) {
      out.push_back(Operation("add", below, *after));
    } else if (after == nullptr) {
      Remove(below, *before, out);
    } else {
      Compare(*before, *after, below, out);
    }
  }
}

void Compare(const Value& before, const Value& after, const std::string& path, Array& out) {
  if (before == after) return;
  if (before.if_object() != nullptr && after.if_object() != nullptr) {
    CompareObjects(*before.if_object(), *after.if_object(), path, out);
  } else if (before.if_array() != nullptr && after.if_array() != nullptr) {
    CompareLists(*before.if_array(), *after.if_array(), path, out);
  } else {
    Remove(path, before, out);
    out.push_back(Operation("add", path, after));
  }
}

}  // namespace

Array JsonPatch(const Value& before, const Value& after) {
  Array operations;
  Compare(before, after, "", operations);
  return operations;
}

}  // namespace kuma::rest
