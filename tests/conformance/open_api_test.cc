// The OpenAPI document: whole by itself, true of what is served, and not less than Kuma's about the
// kinds that are there.

#include "rest/open_api.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <regex>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "tests/conformance/schema_suite.h"
#include "tests/kit/builders.h"
#include "tests/kit/rest_server.h"

namespace kuma::conformance {
namespace {

using base::Format;
using model::Array;
using model::Object;

const Value& Document() {
  static const Value document = rest::OpenApiDocument(kit::Types(), "", false);
  return document;
}

const Value* Follow(const Value& document, const Value* value) {
  while (value != nullptr && value->Find("$ref") != nullptr) {
    const std::string ref = TextOf(value->Find("$ref"));
    value = &document;
    for (const std::string& step : base::Split(ref.substr(2), '/')) {
      value = value == nullptr ? nullptr : value->Find(step);
    }
  }
  return value;
}

void EachValue(const Value& value, const std::function<void(const Value&)>& visit) {
  visit(value);
  if (const Object* object = value.if_object())
    for (const auto& [key, member] : *object) EachValue(member, visit);
  if (const Array* array = value.if_array())
    for (const Value& item : *array) EachValue(item, visit);
}

using Visit =
    std::function<void(const std::string& path, const std::string& method, const Value& operation)>;
void EachOperation(const Value& document, const Visit& visit) {
  for (const auto& [path, item] : *document.Find("paths")->if_object())
    for (const auto& [method, operation] : *item.if_object()) visit(path, method, operation);
}

// What of JSON Schema the document uses. Adds what is wrong to `wrong`.
void Check(const Value& document, const Value* schema, const Value& value, const std::string& path,
           std::vector<std::string>& wrong) {
  schema = Follow(document, schema);
  if (schema == nullptr) {
    wrong.push_back(path + ": no schema");
    return;
  }
  const auto fits = [&value](const std::string& type) {
    if (type == "object") return value.if_object() != nullptr;
    if (type == "array") return value.if_array() != nullptr;
    if (type == "string") return value.if_string() != nullptr;
    if (type == "integer") return value.if_int() != nullptr;
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.if_bool() != nullptr;
    if (type == "null") return value.is_null();
    return false;
  };
  if (const Value* type = schema->Find("type")) {
    bool any = false;
    if (type->if_array()) {
      for (const Value& one : *type->if_array()) any = any || fits(*one.if_string());
    } else {
      any = fits(TextOf(type));
    }
    if (!any) {
      wrong.push_back(Format("{}: {} is no {}", path, model::ToJson(value), model::ToJson(*type)));
      return;
    }
  }
  if (const Value* choices = schema->Find("anyOf")) {
    bool any = false;
    for (const Value& choice : *choices->if_array()) {
      std::vector<std::string> ignored;
      Check(document, &choice, value, path, ignored);
      any = any || ignored.empty();
    }
    if (!any) wrong.push_back(path + ": fits none of anyOf");
  }
  if (const Value* names = schema->Find("enum")) {
    const Array& list = *names->if_array();
    if (std::find(list.begin(), list.end(), value) == list.end())
      wrong.push_back(
          Format("{}: {} is not one of {}", path, model::ToJson(value), model::ToJson(*names)));
  }
  if (const Value* required = schema->Find("required")) {
    for (const Value& name : *required->if_array())
      if (value.Find(*name.if_string()) == nullptr)
        wrong.push_back(Format("{}: {} is missing", path, *name.if_string()));
  }
  const Value* properties = schema->Find("properties");
  const Value* entries = schema->Find("additionalProperties");
  if (value.if_object() && (properties != nullptr || entries != nullptr)) {
    for (const auto& [name, member] : *value.if_object()) {
      const Value* property = properties != nullptr ? properties->Find(name) : nullptr;
      if (property == nullptr) property = entries;
      if (property == nullptr)
        wrong.push_back(Format("{}.{} is not described", path, name));
      else
        Check(document, property, member, path + "." + name, wrong);
    }
  }
  if (value.if_array() && schema->Find("items")) {
    for (const Value& item : *value.if_array())
      Check(document, schema->Find("items"), item, path + "[]", wrong);
  }
}

TEST(OpenApi, IsWholeByItself) {
  const Value& document = Document();
  EXPECT_EQ(TextOf(document.Find("openapi")), "3.1.0");
  EachValue(document, [&](const Value& value) {
    if (value.Find("$ref") == nullptr || !value.Find("$ref")->if_string()) return;
    EXPECT_NE(Follow(document, &value), nullptr) << TextOf(value.Find("$ref"));
  });
  std::set<std::string> ids;
  static const std::regex kParameter(R"(\{([^}]+)\})");
  EachOperation(
      document, [&](const std::string& path, const std::string& method, const Value& operation) {
        const std::string what = method + " " + path;
        EXPECT_TRUE(ids.insert(TextOf(operation.Find("operationId"))).second)
            << what << ": operationId " << TextOf(operation.Find("operationId")) << " twice";
        EXPECT_FALSE(TextOf(operation.Find("summary")).empty()) << what;
        std::set<std::string> in_path;
        for (std::sregex_iterator at(path.begin(), path.end(), kParameter), end; at != end; ++at)
          in_path.insert((*at)[1]);
        std::set<std::string> declared;
        std::set<std::string> all;
        if (const Value* parameters = operation.Find("parameters")) {
          for (const Value& parameter : *parameters->if_array()) {
            const std::string name = TextOf(parameter.Find("name"));
            EXPECT_TRUE(all.insert(TextOf(parameter.Find("in")) + name).second) << what << name;
            if (TextOf(parameter.Find("in")) == "path") declared.insert(name);
          }
        }
        EXPECT_EQ(declared, in_path) << what;
        const Object& responses = *operation.Find("responses")->if_object();
        EXPECT_TRUE(responses.Find("200") != nullptr || responses.Find("201") != nullptr) << what;
        for (const auto& [status, response] : responses) {
          const Value* found = Follow(document, &response);
          ASSERT_NE(found, nullptr) << what;
          EXPECT_FALSE(TextOf(found->Find("description")).empty()) << what << " " << status;
        }
      });
  EXPECT_GT(ids.size(), 60u);
}

// Every GET of the document is asked, and its answer checked against its schema.
TEST(OpenApi, IsTrueOfWhatIsServed) {
  kit::RestServer server(kit::Types());
  server.Load(kit::Mesh());
  server.Load(kit::Dataplane("web", {.labels = {{"app", "web"}}, .outbounds = {{"s", 80, 1000}}}));
  server.Load(kit::MeshService("web"));
  server.Load(kit::MeshTimeout("web", "web", "web", "3s"));
  for (const char* yaml :
       {"{type: Zone, name: web, enabled: true}", "{type: GlobalSecret, name: web, data: YQ==}",
        "{type: Secret, mesh: default, name: web, data: YQ==}",
        "{type: Workload, mesh: default, name: web, spec: {}}",
        R"({type: DataplaneInsight, mesh: default, name: web, subscriptions: [{id: a,
            connectTime: "2026-01-02T03:04:05Z", status: {total: {responsesSent: "1"}, cds: {}},
            version: {kumaDp: {version: "3"}, envoy: {version: "1.40.0"}}}], metadata: {a: {b: 1}}})",
        R"({type: ZoneInsight, name: web, subscriptions: [{id: a, status: {total: {}}}]})",
        R"({type: ServiceInsight, mesh: default, name: all-services-default, services: {web: {
            status: online, issuedBackends: {a: 1}, zones: [z]}}})"}) {
    const auto documents = model::ParseYaml(yaml);
    const model::Decoded decoded = model::DecodeResource((*documents)[0], kit::Types(), true);
    ASSERT_NE(decoded.resource, nullptr) << yaml << decoded.violations.ToString();
    server.Load(decoded.resource);
  }
  const Value document = *model::ParseJson(server.Send("GET", "/openapi").body);
  EXPECT_EQ(document, Document());
  int asked = 0;
  int found = 0;
  EachOperation(document, [&](const std::string& path, const std::string& method,
                              const Value& operation) {
    if (method != "get") return;
    // These are answered by a control loop and by Envoys, which there are none of here.
    const Value& tag = (*operation.Find("tags")->if_array())[0];
    if (tag == Value("Progress") || tag == Value("EnvoyAdmin") || tag == Value("Inspection"))
      return;
    const auto fill = [&path](std::string_view parameter, const std::string& value) {
      return std::regex_replace(path, std::regex("\\{" + std::string(parameter) + "\\}"), value);
    };
    std::string target = fill("mesh", "default");
    for (const char* name : {"name", "service"})
      target = std::regex_replace(target, std::regex(std::string("\\{") + name + "\\}"), "web");
    target = std::regex_replace(target, std::regex("\\{kri\\}"), "kri_m____default_");
    target = std::regex_replace(target, std::regex("\\{revision\\}"), "1");
    const net::HttpResponse response = server.Send("GET", target);
    ++asked;
    const Value* described = operation.Find("responses")->Find(std::to_string(response.status));
    ASSERT_NE(described, nullptr) << target << " answers " << response.status;
    if (response.status == 200) ++found;
    const Value* content = Follow(document, described)->At({"content", "application/json"});
    ASSERT_NE(content, nullptr) << target << " " << response.status;
    const auto body = model::ParseJson(response.body);
    ASSERT_TRUE(body.has_value()) << target;
    std::vector<std::string> wrong;
    Check(document, content->Find("schema"), *body, "", wrong);
    EXPECT_TRUE(wrong.empty()) << target << " answered " << response.status << ":\n"
                               << base::Join(wrong, "\n");
  });
  EXPECT_GT(asked, 30);
  EXPECT_GT(found, 20) << "most of them find something";
}

TEST(OpenApi, SaysWhatCannotBeWritten) {
  EXPECT_EQ(Document().At({"paths", "/mesh-insights/{name}", "put"}), nullptr);
  EXPECT_NE(Document().At({"paths", "/meshes/{name}", "put"}), nullptr);
  const Value read_only = rest::OpenApiDocument(kit::Types(), "/kuma", true);
  EXPECT_EQ(read_only.At({"paths", "/kuma/meshes/{name}", "put"}), nullptr);
  EXPECT_NE(read_only.At({"paths", "/kuma/meshes/{name}", "get"}), nullptr);
}

// Everything that Kuma's document says of our kinds: the same paths, operations and answers.
TEST(OpenApi, IsNotLessThanKumas) {
  const fs::path file = DataDir() / "openapi" / "openapi.yaml";
  if (!HaveData(file)) return;
  const Value reference = ParseOneYaml(ReadFile(file), file.string());
  const Value& ours = Document();
  int compared = 0;
  EachOperation(
      reference, [&](const std::string& path, const std::string& method, const Value& operation) {
        const Value* tags = operation.Find("tags");
        const std::string tag = tags != nullptr ? TextOf(&(*tags->if_array())[0]) : "";
        if (kit::Types().Find(tag) == nullptr) return;
        ++compared;
        const Value* here = ours.At({"paths", path, method});
        ASSERT_NE(here, nullptr) << method << " " << path;
        EXPECT_EQ(TextOf(here->Find("operationId")), TextOf(operation.Find("operationId")));
        for (const auto& [status, response] : *operation.Find("responses")->if_object())
          EXPECT_NE(here->Find("responses")->Find(status), nullptr)
              << method << " " << path << " " << status;
      });
  EXPECT_GT(compared, 25);
}

}  // namespace
}  // namespace kuma::conformance
