#include "model/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/describe.h"

namespace kuma::model {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

enum class Color { kRed, kGreen };
constexpr auto EnumNames(Color) {
  return std::to_array<EnumName<Color>>({{Color::kRed, "Red"}, {Color::kGreen, "Green"}});
}
enum class Kind { kUnknown, kA, kB };
constexpr auto EnumNames(Kind) {
  return std::to_array<EnumName<Kind>>({{Kind::kA, "A"}, {Kind::kB, "B"}});
}

struct Inner {
  std::optional<Duration> timeout;
  OpenEnum<Kind> kind = Kind::kA;
  std::map<std::string, std::string> labels;
  static constexpr auto Fields() {
    return std::tuple{Field("timeout", &Inner::timeout, "A time.", Positive{}),
                      Field("kind", &Inner::kind, "A kind."),
                      Field("labels", &Inner::labels, "Labels.")};
  }
};

struct Rule {
  std::vector<std::string> match;
  Inner conf;
  static constexpr auto Fields() {
    return std::tuple{Field("match", &Rule::match, "What."), Field("conf", &Rule::conf, "How.")};
  }
};

struct Outer {
  std::string name;
  int32_t port = 0;
  bool on = false;
  double ratio = 0;
  Color color = Color::kRed;
  std::string protocol = "tcp";
  std::optional<uint32_t> weight = 1;
  std::optional<Inner> inner;
  std::vector<Rule> rules;
  std::vector<std::string> list;
  std::vector<std::string> joined;
  std::map<std::string, Inner> by_name;
  IntOrString percent;
  SecretBytes secret;
  Value any;
  WallTime time;
  uint64_t count = 0;
  static constexpr auto Fields() {
    return std::tuple{
        Field("name", &Outer::name, "Name.", Required{}, Input{}),
        Field("port", &Outer::port, "Port.", Min{1}, Max{65535}),
        Field("on", &Outer::on, "On."),
        Field("ratio", &Outer::ratio, "Ratio."),
        Field("color", &Outer::color, "Color."),
        Field("protocol", &Outer::protocol, "Protocol."),
        Field("weight", &Outer::weight, "Weight."),
        Field("inner", &Outer::inner, "Inner.", Input{}, Narrow("kind", "A")),
        Field("rules", &Outer::rules, "Rules.", MergeByKey{&Rule::match}),
        Field("list", &Outer::list, "List."),
        Field("joined", &Outer::joined, "Joined.", Append{}),
        Field("byName", &Outer::by_name, "By name."),
        Field("percent", &Outer::percent, "Percent."),
        Field("secret", &Outer::secret, "Secret."),
        Field("any", &Outer::any, "Anything."),
        Field("updateTime", &Outer::time, "Time."),
        Field("count", &Outer::count, "Count."),
    };
  }
};

static_assert(erasure::CountMembers<Inner>() == 3);
static_assert(erasure::CountMembers<Outer>() == 17);

Outer DecodeJson(std::string_view json, Violations& violations, std::vector<std::string>& unknown,
                 DecodeOptions options = {}) {
  auto value = ParseJson(json);
  EXPECT_TRUE(value.has_value()) << json;
  return Decode<Outer>(*value, "spec", violations, unknown, options);
}

Outer Good(std::string_view json, DecodeOptions options = {}) {
  Violations violations;
  std::vector<std::string> unknown;
  Outer outer = DecodeJson(json, violations, unknown, options);
  EXPECT_EQ(violations.ToString(), "");
  EXPECT_THAT(unknown, IsEmpty());
  return outer;
}

std::string Bad(std::string_view json) {
  Violations violations;
  std::vector<std::string> unknown;
  DecodeJson(json, violations, unknown);
  return violations.ToString();
}

TEST(Fields, DecodesAllMemberTypes) {
  const Outer outer = Good(R"({"name": "n", "port": 80, "on": true, "ratio": 1.5, "color": "Green",
      "inner": {"timeout": "1m30s", "labels": {"a.b/c": "d"}}, "rules": [{"match": ["x"], "conf": {"kind": "B"}}],
      "byName": {"k": {"kind": "B"}}, "percent": "12.5", "secret": "c2VjcmV0", "any": {"x": [1, null]},
      "updateTime": "2026-01-02T03:04:05.5Z", "count": 7})");
  EXPECT_EQ(outer.name, "n");
  EXPECT_EQ(outer.port, 80);
  EXPECT_TRUE(outer.on);
  EXPECT_EQ(outer.ratio, 1.5);
  EXPECT_EQ(outer.color, Color::kGreen);
  EXPECT_EQ(outer.protocol, "tcp") << "absent: the member's initialiser";
  EXPECT_EQ(outer.weight, 1u);
  EXPECT_EQ(outer.inner->timeout->value, std::chrono::seconds(90));
  EXPECT_EQ(outer.inner->labels.at("a.b/c"), "d");
  EXPECT_TRUE(outer.rules[0].conf.kind == Kind::kB);
  EXPECT_TRUE(outer.by_name.at("k").kind == Kind::kB);
  EXPECT_EQ(outer.percent.Number(), 12.5);
  EXPECT_EQ(outer.secret.Reveal().value, "secret");
  EXPECT_EQ(ToJson(outer.any), R"({"x":[1,null]})");
  EXPECT_EQ(ToRfc3339(outer.time), "2026-01-02T03:04:05.5Z");
  EXPECT_EQ(outer.count, 7u);
}

TEST(Fields, ReportsEverythingWrongWithItsPath) {
  EXPECT_EQ(
      Bad(R"({"port": 70000, "on": "yes", "color": "Blue", "list": [1, "a", {}], "inner": {"timeout": "5"},
                 "rules": [{}, {"conf": 3}], "byName": {"a.b": {"labels": {"x/y": 1}}}, "secret": "%%%"})"),
      "spec.name: in body is required; "
      "spec.port: in body should be less than or equal to 65535; "
      "spec.on: in body must be of type boolean: \"string\"; "
      "spec.color: in body should be one of [Red Green]; "
      "spec.inner.timeout: in body must be of type duration: \"5\"; "
      "spec.rules[1].conf: in body must be of type object: \"integer\"; "
      "spec.list[0]: in body must be of type string: \"integer\"; "
      "spec.list[2]: in body must be of type string: \"object\"; "
      "spec.byName[\"a.b\"].labels[\"x/y\"]: in body must be of type string: \"integer\"; "
      "spec.secret: in body must be of type byte");
}

TEST(Fields, KeepsTheTextOfAnUnknownName) {
  Violations violations;
  std::vector<std::string> unknown;
  const Outer outer =
      DecodeJson(R"({"name": "n", "inner": {"kind": "Zebra"}})", violations, unknown);
  EXPECT_EQ(violations.ToString(), "spec.inner.kind: in body should be one of [A]");
  EXPECT_TRUE(outer.inner->kind == Kind::kUnknown);
  EXPECT_EQ(NameOf(outer.inner->kind), "Zebra");
}

TEST(Fields, NarrowsANestedEnum) {
  EXPECT_EQ(Bad(R"({"name": "n", "inner": {"kind": "B"}})"),
            "spec.inner.kind: in body should be one of [A]");
}

TEST(Fields, NamesEveryUnknownField) {
  Violations violations;
  std::vector<std::string> unknown;
  DecodeJson(
      R"({"name": "n", "x": 1, "rules": [{"y": 2, "conf": {"z": {"deep": 1}}}], "update_time": "2026-01-02T03:04:05Z"})",
      violations, unknown);
  EXPECT_EQ(violations.ToString(), "");
  EXPECT_THAT(unknown,
              ElementsAre("spec.x", "spec.update_time", "spec.rules[0].y", "spec.rules[0].conf.z"));
}

TEST(Fields, ProtobufsJson) {
  const Outer outer =
      Good(R"({"port": "80", "count": "18446744073709551615", "color": 1, "update_time":
      "2026-01-02T03:04:05Z", "inner": {"timeout": "90.5s"}})",
           {.proto_json = true});
  EXPECT_EQ(outer.port, 80);
  EXPECT_EQ(outer.count, 18446744073709551615u);
  EXPECT_EQ(outer.color, Color::kGreen);
  const Value encoded = Encode(outer, {.proto_json = true});
  EXPECT_EQ(*encoded.Find("count")->if_string(), "18446744073709551615");
  EXPECT_EQ(*encoded.At({"inner", "timeout"})->if_string(), "90.500s");
  EXPECT_EQ(Encode(Outer{}, {.proto_json = true}).Find("color"), nullptr);
}

TEST(Fields, ChecksAreApartFromTheSchema) {
  Violations violations;
  Check(
      Good(R"({"name": "n", "inner": {"timeout": "0s"}, "rules": [{"conf": {"timeout": "-1s"}}]})"),
      "spec", violations);
  EXPECT_EQ(violations.ToString(),
            "spec.inner.timeout: must be greater than zero when defined; "
            "spec.rules[0].conf.timeout: must be greater than zero when defined");
}

TEST(Fields, EncodesWhatKumaWrites) {
  EXPECT_EQ(ToJson(Encode(Outer{})),
            R"({"name":"","color":"Red","protocol":"tcp","weight":1,"percent":0})");
  Outer outer;
  outer.inner.emplace();
  outer.rules.emplace_back();
  EXPECT_EQ(
      ToJson(Encode(outer)),
      R"({"name":"","color":"Red","protocol":"tcp","weight":1,"inner":{"kind":"A"},"rules":[{"conf":{"kind":"A"}}],"percent":0})");
}

TEST(Fields, EncodingIsRead) {
  const Outer outer =
      Good(R"({"name": "n", "port": 80, "color": "Green", "inner": {"timeout": "90s", "kind": "A"},
      "rules": [{"match": ["x"]}], "byName": {"k": {}}, "secret": "c2VjcmV0"})");
  EXPECT_TRUE(Equal(outer, Good(ToJson(Encode(outer)))));
  EXPECT_EQ(Hash(outer), Hash(Good(ToJson(Encode(outer)))));
}

TEST(Fields, SecretsAreRedactedOnRequest) {
  Outer outer;
  outer.secret = SecretBytes(Bytes{"secret"});
  EXPECT_EQ(*Encode(outer).Find("secret")->if_string(), "c2VjcmV0");
  EXPECT_EQ(*Encode(outer, {.redact = true}).Find("secret")->if_string(), "[redacted]");
}

TEST(Fields, InputsAreComparedApart) {
  Outer a, b;
  b.port = 80;
  b.rules.emplace_back();
  EXPECT_FALSE(Equal(a, b));
  EXPECT_TRUE(EqualInputs(a, b));
  b.inner.emplace().labels["x"] = "y";
  EXPECT_FALSE(EqualInputs(a, b)) << "everything below a marked field counts";
  a.inner = b.inner;
  EXPECT_TRUE(EqualInputs(a, b));
  a.name = "n";
  EXPECT_FALSE(EqualInputs(a, b));
}

TEST(Fields, MergesFieldByField) {
  const Outer base =
      Good(R"({"name": "n", "port": 1, "inner": {"timeout": "1s", "labels": {"a": "1", "b": "1"}},
      "list": ["a", "b"], "joined": ["a"], "rules": [{"match": ["x"], "conf": {"timeout": "1s"}}, {"match": ["y"]}],
      "any": {"a": {"b": 1, "c": 1}}})");
  const Outer later =
      Good(R"({"name": "m", "inner": {"labels": {"b": "2"}}, "list": ["c"], "joined": ["b"],
      "rules": [{"match": ["z"]}, {"match": ["x"], "conf": {"labels": {"l": "1"}}}], "any": {"a": {"b": 2}}})");
  const Outer merged = Merge(base, later);
  EXPECT_EQ(merged.name, "m");
  EXPECT_EQ(merged.port, 1);
  EXPECT_EQ(merged.inner->timeout->value, std::chrono::seconds(1));
  EXPECT_EQ(merged.inner->labels, (std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}}));
  EXPECT_THAT(merged.list, ElementsAre("c"));
  EXPECT_THAT(merged.joined, ElementsAre("a", "b"));
  ASSERT_EQ(merged.rules.size(), 3u);
  EXPECT_THAT(merged.rules[0].match, ElementsAre("x"));
  EXPECT_EQ(merged.rules[0].conf.timeout->value, std::chrono::seconds(1));
  EXPECT_EQ(merged.rules[0].conf.labels.at("l"), "1");
  EXPECT_THAT(merged.rules[2].match, ElementsAre("z"));
  EXPECT_EQ(ToJson(merged.any), R"({"a":{"b":2,"c":1}})");
}

TEST(Fields, MergingNothingChangesNothing) {
  const Outer base =
      Good(R"({"name": "n", "on": true, "inner": {"timeout": "1s"}, "list": ["a"]})");
  Outer empty;
  empty.name = "n";
  EXPECT_TRUE(Equal(Merge(base, empty), base));
}

TEST(Fields, SchemaFollowsFromTheTable) {
  const Value schema = SchemaOf<Outer>();
  EXPECT_EQ(
      ToJson(*schema.At({"properties", "port"})),
      R"({"type":"integer","format":"int32","minimum":1,"maximum":65535,"description":"Port."})");
  EXPECT_EQ(ToJson(*schema.At({"properties", "protocol"})),
            R"({"type":"string","description":"Protocol.","default":"tcp"})");
  EXPECT_EQ(ToJson(*schema.At({"properties", "color"})),
            R"({"type":"string","enum":["Red","Green"],"description":"Color.","default":"Red"})");
  EXPECT_EQ(ToJson(*schema.At({"properties", "inner", "properties", "kind", "enum"})), R"(["A"])");
  EXPECT_EQ(ToJson(*schema.At({"properties", "weight"})),
            R"({"type":"integer","format":"int32","description":"Weight.","default":1})");
  EXPECT_EQ(ToJson(*schema.At({"properties", "rules", "items", "properties", "match"})),
            R"({"type":"array","items":{"type":"string"},"description":"What."})");
  EXPECT_EQ(ToJson(*schema.Find("required")), R"(["name"])");
}

struct Told {
  JsonText metadata;
  static constexpr auto Fields() {
    return std::tuple{Field("metadata", &Told::metadata, "Free JSON.")};
  }
};

TEST(JsonTextTest, IsFreeJsonKeptAsText) {
  std::vector<std::string> unknown;
  const Value given = Object{{"metadata", Object{{"a", 1}, {"b", Array{true}}}}};
  Violations violations;
  const Told told = Decode<Told>(given, "", violations, unknown);
  EXPECT_TRUE(violations.empty());
  EXPECT_EQ(told.metadata.text, R"({"a":1,"b":[true]})");
  EXPECT_EQ(Encode(told), given);
  EXPECT_EQ(JsonText::Of(*given.Find("metadata")), told.metadata);
  // Null and absent are the same, and are not written.
  const Told none = Decode<Told>(Object{{"metadata", nullptr}}, "", violations, unknown);
  EXPECT_EQ(none.metadata.text, "");
  EXPECT_EQ(Encode(none), Value(Object()));
}

}  // namespace
}  // namespace kuma::model
