#include "derive/internal/go_template.h"

#include <gtest/gtest.h>

namespace kuma::derive {
namespace {

struct Case {
  std::string_view text;
  std::string_view value;  // empty: an error is expected
  std::string_view error;
};

TEST(GoTemplateTest, ExpandsAsTextTemplate) {
  const model::Labels labels = {{"team", "core"}, {"a.b/c", "x"}};
  const TemplateFields fields{
      "hostname.meshedName", {{"DisplayName", "web"}, {"Mesh", "default"}, {"Zone", ""}}, &labels};
  const Case cases[] = {
      {"plain.text", "plain.text", ""},
      {"{{ .DisplayName }}.svc.mesh.local", "web.svc.mesh.local", ""},
      {"{{.DisplayName}}.{{.Mesh}}", "web.default", ""},
      {"[{{ .Zone }}]", "[]", ""},
      {"{{ label \"team\" }}.{{ label `a.b/c` }}", "core.x", ""},
      {"a {{- .Mesh -}} b", "adefaultb", ""},
      {"a{{/* nothing */}}b", "ab", ""},
      {"{{ \"quoted\" }}", "quoted", ""},
      {"{ .Mesh }", "{ .Mesh }", ""},
      {"{{ .Nope }}", "",
       "template: :1:3: executing \"\" at <.Nope>: can't evaluate field Nope in type "
       "hostname.meshedName"},
      {"x.{{ label \"nope\" }}", "",
       "template: :1:5: executing \"\" at <label \"nope\">: error calling label: label nope not "
       "found"},
      {"{{ .Mesh", "", "template: :1: unclosed action"},
      {"{{ upper .Mesh }}", "", "template: :1: function \"upper\" not defined"},
      {"\n{{ }}", "", "template: :2: missing value for command"},
      {"{{ label }}", "", "template: :1: wrong number of args for label: want 1 got 0"},
      {"{{ label \"open }}", "", "template: :1: label needs its key in quotes"},
      {"{{ .Mesh | html }}", "",
       "template: :1: \".Mesh | html\" is not supported: write a field such as .Mesh or label "
       "\"key\""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const base::Result<std::string> result = ExpandTemplate(c.text, fields);
    if (c.error.empty()) {
      ASSERT_TRUE(result.has_value()) << result.error().message();
      EXPECT_EQ(*result, c.value);
    } else {
      ASSERT_FALSE(result.has_value()) << *result;
      EXPECT_EQ(result.error().message(), c.error);
    }
  }
}

TEST(GoTemplateTest, MalformedTextNeverCrashes) {
  const std::string_view pieces[] = {"{{", "}}", "-",  " ",  ".",  "Mesh", "label",
                                     "\"", "`",  "\\", "/*", "*/", "\n"};
  uint64_t random = 1;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (int piece = 0; piece < 8; ++piece) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      text += pieces[(random >> 33) % std::size(pieces)];
    }
    (void)ExpandTemplate(text, {"t", {{"Mesh", "m"}}, nullptr});
  }
}

}  // namespace
}  // namespace kuma::derive
