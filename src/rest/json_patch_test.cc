#include "rest/json_patch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

#include "base/strings.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::Value;

Value Parse(std::string_view json) { return *model::ParseJson(json); }

std::string PatchOf(std::string_view before, std::string_view after) {
  return model::ToJson(Value(JsonPatch(Parse(before), Parse(after))));
}

std::string Unescaped(std::string_view part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '~' && i + 1 < part.size()) {
      text.push_back(part[++i] == '1' ? '/' : '~');
    } else {
      text.push_back(part[i]);
    }
  }
  return text;
}

// Applies one operation of RFC 6902; false when a test fails or there is no such place.
bool Apply(Value& document, const Value& operation) {
  const std::string& op = *operation.Find("op")->if_string();
  const Value& value = *operation.Find("value");
  std::vector<std::string> parts = base::Split(*operation.Find("path")->if_string(), '/');
  parts.erase(parts.begin());
  if (parts.empty()) {
    if (op == "add") document = value;
    return op != "test" || document == value;
  }
  Value* at = &document;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    if (Array* list = at->if_array()) {
      const size_t index = std::stoul(parts[i]);
      if (index >= list->size()) return false;
      at = &(*list)[index];
    } else {
      at = at->if_object() == nullptr ? nullptr : at->if_object()->Find(Unescaped(parts[i]));
      if (at == nullptr) return false;
    }
  }
  if (Array* list = at->if_array()) {
    const size_t index = std::stoul(parts.back());
    if (index > list->size() || (op != "add" && index == list->size())) return false;
    const auto place = list->begin() + static_cast<std::ptrdiff_t>(index);
    if (op == "test") return *place == value;
    if (op == "remove") list->erase(place);
    if (op == "add") list->insert(place, value);
    return true;
  }
  Object* object = at->if_object();
  if (object == nullptr) return false;
  const std::string key = Unescaped(parts.back());
  if (op == "test") return object->Find(key) != nullptr && *object->Find(key) == value;
  if (op == "remove") return object->Erase(key);
  object->Set(key, value);
  return true;
}

TEST(JsonPatch, NothingChanged) { EXPECT_EQ(PatchOf(R"({"a":[1]})", R"({"a":[1]})"), "[]"); }

TEST(JsonPatch, AChangedMemberIsTestedRemovedAndAdded) {
  EXPECT_EQ(PatchOf(R"({"a/b":{"c~d":"1s"}})", R"({"a/b":{"c~d":"2s"}})"),
            R"([{"op":"test","path":"/a~1b/c~0d","value":"1s"},)"
            R"({"op":"remove","path":"/a~1b/c~0d","value":"1s"},)"
            R"({"op":"add","path":"/a~1b/c~0d","value":"2s"}])");
}

TEST(JsonPatch, ElementsOfAListNameTheirNeighbours) {
  EXPECT_EQ(PatchOf("[1,2,3]", "[1,3]"),
            R"([{"op":"test","path":"/0","value":1},{"op":"test","path":"/2","value":3},)"
            R"({"op":"test","path":"/1","value":2},{"op":"remove","path":"/1","value":2}])");
  EXPECT_EQ(PatchOf("[1]", "[1,2,3]"),
            R"([{"op":"test","path":"/0","value":1},{"op":"add","path":"/1","value":3},)"
            R"({"op":"add","path":"/1","value":2}])");
}

TEST(JsonPatch, ObjectsInAListAreChangedInPlace) {
  EXPECT_EQ(PatchOf(R"([{"a":1}])", R"([{"a":1,"b":2}])"),
            R"([{"op":"add","path":"/0/b","value":2}])");
}

Value Random(std::mt19937& random, int depth) {
  switch (random() % (depth > 0 ? 5 : 3)) {
    case 0: return static_cast<int64_t>(random() % 3);
    case 1: return std::string(1, static_cast<char>('a' + random() % 3));
    case 2: return random() % 2 == 0;
    case 3: {
      Array list;
      for (unsigned i = random() % 5; i > 0; --i) list.push_back(Random(random, depth - 1));
      return list;
    }
    default: {
      Object object;
      for (unsigned i = random() % 4; i > 0; --i)
        object.Set(std::string(1, "a/~b"[random() % 4]), Random(random, depth - 1));
      return object;
    }
  }
}

TEST(JsonPatch, AppliedToTheOneItGivesTheOther) {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    Value document = Random(random, 3);
    const Value after = Random(random, 3);
    const Value before = document;
    for (const Value& operation : JsonPatch(before, after)) {
      ASSERT_TRUE(Apply(document, operation))
          << model::ToJson(operation) << " of " << model::ToJson(before) << " to "
          << model::ToJson(after);
    }
    ASSERT_EQ(document, after) << model::ToJson(before);
  }
}

}  // namespace
}  // namespace kuma::rest
