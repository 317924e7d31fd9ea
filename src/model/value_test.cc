#include "model/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kuma::model {
namespace {

std::string JsonError(std::string_view text) {
  const auto value = ParseJson(text);
  return value.has_value() ? "parsed" : value.error().message();
}

std::string Yaml(std::string_view text) {
  const auto documents = ParseYaml(text);
  if (!documents.has_value()) return documents.error().message();
  std::string out;
  for (const Value& document : *documents) out += (out.empty() ? "" : "\n") + ToJson(document);
  return out;
}

TEST(Json, RoundTrips) {
  for (const std::string_view text :
       {R"({"a":[1,-2,3.5,true,false,null,"x\n\"\\<>&"],"b":{}})", "[]", "0", R"("")", "1e+21",
        "9223372036854775807", "-9223372036854775808", "0.000001", "1e-07"}) {
    const auto value = ParseJson(text);
    ASSERT_TRUE(value.has_value()) << text << ": " << value.error().message();
    EXPECT_EQ(ToJson(*value), text);
  }
}

TEST(Json, Indents) {
  EXPECT_EQ(ToJson(*ParseJson(R"({"a":[1,{}],"b":[]})"), 1),
            "{\n \"a\": [\n  1,\n  {}\n ],\n \"b\": []\n}");
}

TEST(Json, ErrorsAreThoseOfGo) {
  EXPECT_EQ(JsonError("{,\n}"),
            "invalid character ',' looking for beginning of object key string at line 1, column 2");
  EXPECT_EQ(WithoutPosition(JsonError("{,\n}")),
            "invalid character ',' looking for beginning of object key string");
  EXPECT_EQ(WithoutPosition(JsonError("")), "unexpected end of JSON input");
  EXPECT_EQ(WithoutPosition(JsonError("{\"a\":1")), "unexpected end of JSON input");
  EXPECT_EQ(WithoutPosition(JsonError("{\"a\" 1}")), "invalid character '1' after object key");
  EXPECT_EQ(WithoutPosition(JsonError("{\"a\":1 \"b\"}")),
            "invalid character '\"' after object key:value pair");
  EXPECT_EQ(WithoutPosition(JsonError("[1 2]")), "invalid character '2' after array element");
  EXPECT_EQ(WithoutPosition(JsonError("[1,]")),
            "invalid character ']' looking for beginning of value");
  EXPECT_EQ(WithoutPosition(JsonError("1 x")), "invalid character 'x' after top-level value");
  EXPECT_EQ(WithoutPosition(JsonError("tru")), "unexpected end of JSON input");
  EXPECT_EQ(WithoutPosition(JsonError("trux")),
            "invalid character 'x' in literal true (expecting 'e')");
  EXPECT_EQ(WithoutPosition(JsonError("01")), "invalid character '1' after top-level value");
  EXPECT_EQ(WithoutPosition(JsonError("\"\\x\"")), "invalid character 'x' in string escape code");
  EXPECT_EQ(WithoutPosition(JsonError("\"\n\"")), "invalid character '\\n' in string literal");
  EXPECT_EQ(JsonError("[\n  1,\n  x]"),
            "invalid character 'x' looking for beginning of value at line 3, column 3");
}

TEST(Json, LastOfEqualKeysWins) {
  EXPECT_EQ(ToJson(*ParseJson(R"({"a":1,"b":2,"a":3})")), R"({"a":3,"b":2})");
}

TEST(Json, DepthIsLimited) {
  EXPECT_EQ(JsonError(std::string(50, '[') + std::string(50, ']')), "parsed");
  EXPECT_THAT(JsonError(std::string(100'000, '[')), testing::HasSubstr("depth"));
}

TEST(Json, Utf8) {
  EXPECT_EQ(ToJson(*ParseJson(R"("\u00e9\ud83d\ude00\ud800")")), "\"\u00e9\U0001f600\ufffd\"");
  EXPECT_THAT(JsonError("\"\xff\""), testing::HasSubstr("UTF-8"));
  EXPECT_THAT(JsonError("\"\xc0\x80\""), testing::HasSubstr("UTF-8"));
}

TEST(Yaml, ScalarsAreTypedAsKumaDoes) {
  EXPECT_EQ(Yaml("[1, -2, 0x10, 010, 0b11, 1_000, 1.5, 1e3, +7]"), "[1,-2,16,8,3,1000,1.5,1000,7]");
  EXPECT_EQ(Yaml("[true, True, yes, on, y, Y, false, no, off, n]"),
            "[true,true,true,true,true,true,false,false,false,false]");
  EXPECT_EQ(Yaml("[null, ~, '', \"true\", '1', text, 10s, 1.2.3, 2001-01-01, 08, -, .]"),
            R"([null,null,"","true","1","text","10s","1.2.3","2001-01-01",8,"-","."])");
  EXPECT_EQ(Yaml("[!!str 1, !!int \"2\", !!float 3, !!bool yes]"), R"(["1",2,3,true])");
}

TEST(Yaml, StructureAndDocuments) {
  EXPECT_EQ(Yaml("a: 1\nb:\n- x\n- k: z\n"), R"({"a":1,"b":["x",{"k":"z"}]})");
  EXPECT_EQ(Yaml("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n"), "{\"a\":1}\n{\"b\":2}");
  EXPECT_EQ(Yaml(""), "");
  EXPECT_EQ(Yaml("text: |\n  a\n  b\nfolded: >-\n  a\n  b\n"),
            R"({"text":"a\nb\n","folded":"a b"})");
  EXPECT_EQ(Yaml("{\"json\": [1, {\"is\": \"yaml\"}]}"), R"({"json":[1,{"is":"yaml"}]})");
  EXPECT_EQ(Yaml("1: a\ntrue: b\n"), R"({"1":"a","true":"b"})");
  EXPECT_EQ(Yaml("a: 1\na: 2\n"), R"({"a":2})");
}

TEST(Yaml, AnchorsAndMerges) {
  EXPECT_EQ(Yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}\nd: {<<: [*x, {k: 3, m: 4}], m: 5}\n"),
            R"({"a":{"k":1},"b":{"k":1},"c":{"l":2,"k":1},"d":{"m":5,"k":1}})");
}

TEST(Yaml, RefusesBombs) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 0; j < 9; ++j) bomb += ", " + last;
    bomb += "]\n";
  }
  EXPECT_THAT(Yaml(bomb), testing::HasSubstr("excessive aliasing"));
  EXPECT_THAT(Yaml(std::string(100'000, '[')), testing::HasSubstr("yaml:"));
  EXPECT_THAT(Yaml("a: &a [*a]"), testing::HasSubstr("yaml:"));
}

TEST(Yaml, ErrorsNameThePlace) {
  EXPECT_THAT(Yaml("a: 1\n b: 2\n"), testing::HasSubstr("at line 2"));
  EXPECT_THAT(Yaml("a: [1\n"), testing::HasSubstr("yaml: "));
}

// Each of these was read for ever, or gave text that is no JSON.
TEST(Yaml, RefusesWhatIsNoYaml) {
  const auto error = [](std::string_view text) {
    const auto documents = ParseYaml(text);
    return documents.has_value() ? "parsed" : documents.error().message();
  };
  EXPECT_EQ(error(","), "yaml: did not find expected node content at line 1, column 1");
  EXPECT_EQ(error("a: 1\n---\n , b"),
            "yaml: did not find expected node content at line 3, column 2");
  EXPECT_EQ(error("a: b\nc: \xfc\n"), "yaml: invalid UTF-8 (byte 0xfc) at line 2, column 4");
  EXPECT_EQ(error(std::string_view("0\0\0\0x", 5)),
            "yaml: control characters are not allowed (byte 0x00) at line 1, column 2");
  EXPECT_EQ(error("---\n---\n# nothing\n---\n"), "parsed");
}

TEST(Yaml, EscapesAreWholeCharacters) {
  const auto documents = ParseYaml(R"("\N\_\x85\u00a0\L")");
  ASSERT_TRUE(documents.has_value());
  EXPECT_EQ(*documents->front().if_string(), "\u0085\u00a0\u0085\u00a0\u2028");
}

TEST(Yaml, OutputIsReadBack) {
  const Value value =
      *ParseJson(R"({"plain":"text","number like":"12","bool like":"yes","empty":"","null":null,
      "colon":"a: b","hash":"a #b","dash":"- a","star":"*a","quote":"it's","lines":"a\nb\n","more lines":"a\n\n b\nc",
      "keep":"a\n\n","trailing":"a \n","control":"\u0001\t","list":[1,[2,[]],{"a":1,"b":[{"c":{}}]},"x"],
      "empty map":{},"nested":{"deep":{"er":[true,1.5]}},"date":"2001-01-01","percent":"50%","template":
      "{{ .Name }}.mesh","duration":"10s","null text":"null","~":"~","unicode":"\u00e9","space ":" x"})");
  const std::string yaml = ToYaml(value);
  const auto back = ParseYaml(yaml);
  ASSERT_TRUE(back.has_value()) << back.error().message() << "\n" << yaml;
  ASSERT_EQ(back->size(), 1u);
  EXPECT_EQ((*back)[0], value) << yaml << "\n" << ToJson((*back)[0], 1);
}

TEST(Yaml, OutputLooksLikeKumas) {
  EXPECT_EQ(
      ToYaml(*ParseJson(
          R"({"type":"MeshTimeout","spec":{"to":[{"default":{"http":{"a":"1s"}},"x":1}],"e":{}}})")),
      "type: MeshTimeout\nspec:\n  to:\n  - default:\n      http:\n        a: 1s\n    x: 1\n  e: "
      "{}\n");
}

TEST(Value, FollowsPaths) {
  const Value value = *ParseJson(R"({"spec":{"to":[{"kind":"Mesh"}]}})");
  EXPECT_EQ(*value.At({"spec", "to", "0", "kind"})->if_string(), "Mesh");
  EXPECT_EQ(value.At({"spec", "to", "1"}), nullptr);
  EXPECT_EQ(value.At({"spec", "x"}), nullptr);
}

TEST(Value, OrderOfKeysDoesNotMatter) {
  EXPECT_EQ(*ParseJson(R"({"a":1,"b":{"c":1,"d":2}})"), *ParseJson(R"({"b":{"d":2,"c":1},"a":1})"));
  EXPECT_FALSE(*ParseJson("1") == *ParseJson("1.5"));
}

}  // namespace
}  // namespace kuma::model
