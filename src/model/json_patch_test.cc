#include "model/json_patch.h"

#include <gtest/gtest.h>

namespace kuma::model {
namespace {

using Op = JsonPatchOperation::Op;

// The document afterwards as JSON, or "error: ...".
std::string Patched(std::string_view document, std::vector<JsonPatchOperation> operations) {
  const auto patched = ApplyJsonPatch(*ParseJson(document), operations);
  return patched.has_value() ? ToJson(*patched) : "error: " + patched.error().message();
}
JsonPatchOperation Add(std::string path, std::string_view value) {
  return {.op = Op::kAdd, .path = std::move(path), .from = {}, .value = *ParseJson(value)};
}
JsonPatchOperation Replace(std::string path, std::string_view value) {
  return {.op = Op::kReplace, .path = std::move(path), .from = {}, .value = *ParseJson(value)};
}
JsonPatchOperation Remove(std::string path) {
  return {.op = Op::kRemove, .path = std::move(path), .from = {}, .value = {}};
}
JsonPatchOperation Move(std::string from, std::string path) {
  return {.op = Op::kMove, .path = std::move(path), .from = std::move(from), .value = {}};
}
JsonPatchOperation Copy(std::string from, std::string path) {
  return {.op = Op::kCopy, .path = std::move(path), .from = std::move(from), .value = {}};
}

// Sixty copies of a document into itself would be 2^60 values.
TEST(JsonPatchApply, IsBounded) {
  const auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  std::vector<JsonPatchOperation> copies;
  for (int i = 0; i < 60; ++i) copies.push_back(Copy("", "/" + std::to_string(i)));
  EXPECT_TRUE(contains(Patched(R"({"a":"text"})", copies), "too much"));

  std::string path;
  for (int i = 0; i < 50; ++i) path += "/9999";
  EXPECT_TRUE(contains(Patched("[]", {Add(path, "1")}), "too much"));

  path.clear();
  for (int i = 0; i < 1000; ++i) path += "/a";
  EXPECT_TRUE(contains(Patched("{}", {Add(path, "1")}), "at most 100 parts"));

  std::vector<JsonPatchOperation> nested;
  for (int i = 0; i < 1000; ++i) {
    nested.push_back(Add("/b", "{}"));
    nested.push_back(Move("/a", "/b/a"));
    nested.push_back(Move("/b", "/a"));
  }
  EXPECT_TRUE(contains(Patched(R"({"a":1})", nested), "100 values deep"));
}

TEST(JsonPatchApply, ObjectsAndLists) {
  EXPECT_EQ(Patched(R"({"a":1})", {Add("/b", "2")}), R"({"a":1,"b":2})");
  EXPECT_EQ(Patched(R"({"a":1})", {Add("/a", "2")}), R"({"a":2})");
  EXPECT_EQ(Patched(R"({"a":[1,3]})", {Add("/a/1", "2")}), R"({"a":[1,2,3]})");
  EXPECT_EQ(Patched(R"({"a":[1]})", {Add("/a/-", "2")}), R"({"a":[1,2]})");
  EXPECT_EQ(Patched(R"({"a":[1,2]})", {Replace("/a/0", "{}")}), R"({"a":[{},2]})");
  EXPECT_EQ(Patched(R"({"a":[1,2]})", {Remove("/a/0")}), R"({"a":[2]})");
  EXPECT_EQ(Patched(R"({"a":{"b":1}})", {Remove("/a/b")}), R"({"a":{}})");
  EXPECT_EQ(Patched(R"({"a":1,"b":{}})", {Move("/a", "/b/c")}), R"({"b":{"c":1}})");
  EXPECT_EQ(Patched(R"({"a":[1,2]})", {Move("/a/0", "/a/1")}), R"({"a":[2,1]})");
  EXPECT_EQ(Patched(R"({"a":{"x":1}})", {Copy("/a", "/b"), Add("/b/x", "2")}),
            R"({"a":{"x":1},"b":{"x":2}})");
  EXPECT_EQ(Patched(R"({"a":1})", {Replace("", "[]")}), "[]");
}

TEST(JsonPatchApply, Escapes) {
  EXPECT_EQ(Patched(R"({"a/b":1,"c~d":2})", {Remove("/a~1b"), Replace("/c~0d", "3")}),
            R"({"c~d":3})");
  EXPECT_EQ(Patched(R"({})", {Add("/a~2", "1")}),
            "error: [0] add /a~2: '/a~2' is no JSON pointer: '~' is written ~0");
}

TEST(JsonPatchApply, BeyondTheRfc) {
  EXPECT_EQ(Patched("{}", {Add("/a/b/c", "1")}), R"({"a":{"b":{"c":1}}})");
  EXPECT_EQ(Patched("{}", {Add("/a/0/b", "1")}), R"({"a":[{"b":1}]})");
  EXPECT_EQ(Patched("{}", {Add("/a/-", "1")}), R"({"a":[1]})");
  EXPECT_EQ(Patched(R"({"a":[]})", {Add("/a/2", "1")}), R"({"a":[null,null,1]})");
  EXPECT_EQ(Patched(R"({"a":1})", {Remove("/b"), Remove("/b/c"), Remove("/a/b")}), R"({"a":1})");
  EXPECT_EQ(Patched(R"({"a":[1,2,3]})", {Remove("/a/-1"), Replace("/a/-2", "0")}),
            R"({"a":[0,2]})");
  EXPECT_EQ(Patched(R"({"a":[1]})", {Add("/a/-1", "2")}), R"({"a":[1,2]})");
}

TEST(JsonPatchApply, Errors) {
  EXPECT_EQ(Patched("{}", {Replace("/a", "1")}), "error: [0] replace /a: there is no /a");
  EXPECT_EQ(Patched("{}", {Add("/x", "1"), Replace("/a/b", "1")}),
            "error: [1] replace /a/b: there is no /a");
  EXPECT_EQ(Patched("{}", {Move("/a", "/b")}), "error: [0] move /b: there is no /a");
  EXPECT_EQ(Patched(R"({"a":{"x":1}})", {Copy("/a", "/b/c")}),
            "error: [0] copy /b/c: there is no /b");
  EXPECT_EQ(Patched(R"({"a":1})", {Add("/a/b", "1")}),
            "error: [0] add /a/b: number has no members");
  EXPECT_EQ(Patched(R"({"a":[1]})", {Add("/a/x", "1")}),
            "error: [0] add /a/x: 'x' is no place in a list of 1");
  EXPECT_EQ(Patched(R"({"a":[1]})", {Add("/a/999999999999", "1")}),
            "error: [0] add /a/999999999999: '999999999999' is no place in a list of 1");
  EXPECT_EQ(Patched("{}", {Add("a", "1")}),
            "error: [0] add a: 'a' is no JSON pointer: it begins with '/'");
  EXPECT_EQ(Patched("{}", {Remove("")}), "error: [0] remove : the whole cannot be removed");
}

}  // namespace
}  // namespace kuma::model
