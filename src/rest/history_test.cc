#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/format.h"
#include "base/strings.h"
#include "resources/all.h"
#include "rest/diff.h"
#include "rest/history_endpoint.h"
#include "rest/resource_endpoint.h"
#include "store/memory/memory_store.h"

namespace kuma::rest {
namespace {

using model::Object;
using model::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> Lines(const std::vector<FieldChange>& changes) {
  std::vector<std::string> lines;
  for (const FieldChange& change : changes) {
    lines.push_back(change.path + ": " +
                    (change.before.has_value() ? model::ToJson(*change.before) : "none") + " -> " +
                    (change.after.has_value() ? model::ToJson(*change.after) : "none"));
  }
  return lines;
}

std::vector<std::string> DiffText(std::string_view before, std::string_view after) {
  return Lines(Diff(*model::ParseJson(before), *model::ParseJson(after)));
}

TEST(Diff, NamesEachField) {
  EXPECT_THAT(DiffText(R"({"a": 1, "b": {"c": "x", "d": [1]}})", R"({"b": {"d": [1]}, "a": 1})"),
              ElementsAre("b.c: \"x\" -> none"));
  EXPECT_THAT(DiffText(R"({"a": 1})", R"({"a": "1", "n": {"m": null}})"),
              ElementsAre("a: 1 -> \"1\"", "n: none -> {\"m\":null}"));
  EXPECT_THAT(
      DiffText(R"({"labels": {"kuma.io/mesh": "a"}})", R"({"labels": {"kuma.io/mesh": "b"}})"),
      ElementsAre("labels[\"kuma.io/mesh\"]: \"a\" -> \"b\""));
  EXPECT_THAT(DiffText(R"({"a": 1})", R"({"a": 1})"), IsEmpty());
}

TEST(Diff, FindsWhatMovedInALists) {
  EXPECT_THAT(DiffText(R"({"to": [{"a": 1}, {"a": 2}, {"a": 3}]})",
                       R"({"to": [{"a": 1}, {"a": 5}, {"a": 2}, {"a": 3}]})"),
              ElementsAre("to[1]: none -> {\"a\":5}"));
  EXPECT_THAT(DiffText(R"([1, 2, 3, 4])", R"([1, 4])"),
              ElementsAre("[1]: 2 -> none", "[2]: 3 -> none"));
  EXPECT_THAT(DiffText(R"({"to": [{"a": 1}, {"a": 2}]})", R"({"to": [{"a": 1}, {"a": 4}]})"),
              ElementsAre("to[1].a: 2 -> 4"));
}

constexpr std::string_view kRead = "mesh-system:unauthenticated";

class HistoryTest : public testing::Test {
 protected:
  static const model::TypeTable& Types() {
    static const model::TypeTable types(resources::AllResourceTypes());
    return types;
  }

  static AccessRules Access() {
    AccessRules access;
    access.admin_resources.groups = {std::string(kAdmin)};
    access.write_resources.groups = {std::string(kAdmin)};
    access.control_plane_metadata.groups = {std::string(kAdmin), std::string(kRead)};
    return access;
  }

  net::HttpRequest Request(std::string method, std::string target, std::string body = {}) {
    net::HttpRequest request;
    request.method = std::move(method);
    request.authority = "localhost:5681";
    request.headers.Set("content-type", "application/json");
    request.body = std::move(body);
    request.peer.remote = {"10.1.2.3", 4444};
    EXPECT_TRUE(net::ParseTarget(target, request));
    return request;
  }

  // kind is the plural of the path. Returns the revision.
  uint64_t Put(std::string_view kind, const std::string& mesh, const std::string& name,
               const std::string& fields) {
    const model::ResourceType* type = Types().FindByPath(kind);
    Object body = *model::ParseJson("{" + fields + "}")->if_object();
    body.Set("type", type->kind);
    body.Set("name", name);
    if (!mesh.empty()) body.Set("mesh", mesh);
    const net::HttpResponse response =
        resources_.Put(Request("PUT", "/", model::ToJson(Value(body))), user_, {type, mesh, name});
    EXPECT_LT(response.status, 300) << response.body;
    return store_->revision().value;
  }
  uint64_t Delete(std::string_view kind, const std::string& mesh, const std::string& name) {
    const net::HttpResponse response =
        resources_.Delete(Request("DELETE", "/"), user_, {Types().FindByPath(kind), mesh, name});
    EXPECT_EQ(response.status, 200) << response.body;
    return store_->revision().value;
  }
  net::HttpResponse Call(std::string method, std::string target, std::string body = {}) {
    const net::HttpRequest request = Request(std::move(method), std::move(target), std::move(body));
    std::vector<std::string> rest = base::Split(request.path.substr(1), '/');
    rest.erase(rest.begin());
    return history_.Answer(request, user_, rest);
  }
  Value Body(const net::HttpResponse& response, int status = 200) {
    EXPECT_EQ(response.status, status) << response.body;
    const auto body = model::ParseJson(response.body);
    return body.has_value() ? *body : Value();
  }
  Value Get(std::string target) { return Body(Call("GET", std::move(target))); }
  Value RollBack(std::string body, int status = 200) {
    return Body(Call("POST", "/history/rollback", std::move(body)), status);
  }
  // "update Zone z" of each change or item.
  static std::vector<std::string> Changes(const Value& body, std::string_view list = "changes") {
    std::vector<std::string> lines;
    for (const Value& change : *body.Find(list)->if_array()) {
      const auto text = [&change](std::string_view field) {
        const Value* value = change.Find(field);
        return value != nullptr ? *value->if_string() : std::string();
      };
      const std::string mesh = text("mesh");
      lines.push_back(text("verb") + (text("verb").empty() ? "" : " ") + text("type") + " " +
                      (mesh.empty() ? "" : mesh + "/") + text("name"));
    }
    return lines;
  }
  std::string Stored(const model::ResourceKey& key) {
    const auto found = store_->Get(key);
    return found.has_value() ? model::ToJson(model::EncodeResource(**found)) : "absent";
  }

  runtime::SystemClock clock_;
  std::unique_ptr<store::Store> store_ =
      store::NewMemoryStore(clock_, /*inline_commits=*/true, {.revisions = 20});
  Principal user_{"ann", {std::string(kAdmin)}};
  ResourceEndpoint resources_{*store_, Types(), {.here = {}, .access = Access()}};
  HistoryEndpoint history_{*store_, Types(), Access(), "", /*read_only=*/false};
};

TEST_F(HistoryTest, TellsWhoWhenFromWhereAndWhat) {
  Put("meshes", "", "m", "");
  const uint64_t second = Put("zones", "", "z", R"("enabled": true)");
  user_.name = "bob";
  const uint64_t third = Put("zones", "", "z", R"("enabled": false, "labels": {"team": "a"})");
  Put("zones", "", "z", R"("enabled": false, "labels": {"team": "a"})");  // equal: no write

  const Value list = Get("/history");
  EXPECT_THAT(Changes(list, "items"),
              ElementsAre("update Zone z", "create Zone z", "create Mesh m"));
  EXPECT_TRUE(list.Find("next")->is_null());
  const Value& newest = (*list.Find("items")->if_array())[0];
  EXPECT_EQ(*newest.Find("revision")->if_int(), static_cast<int64_t>(third));
  EXPECT_EQ(*newest.Find("user")->if_string(), "bob");
  EXPECT_EQ(*newest.Find("address")->if_string(), "10.1.2.3");
  EXPECT_THAT(*newest.Find("time")->if_string(), HasSubstr("T"));
  EXPECT_EQ(model::ToJson(*newest.Find("fields")), R"(["labels.team","enabled"])");

  const Value one = Get(base::Format("/history/{}", third));
  EXPECT_THAT(Changes(one), ElementsAre("update Zone z"));
  EXPECT_EQ(
      model::ToJson(*(*one.Find("changes")->if_array())[0].Find("diff")),
      R"([{"path":"labels.team","after":"a"},{"path":"enabled","before":true,"after":false}])");
  EXPECT_THAT(Changes(Get(base::Format("/history/diff?from={}&to={}", second, third))),
              ElementsAre("update Zone z"));
  EXPECT_THAT(Changes(Get(base::Format("/history/diff?from={}&to=0", third))),
              ElementsAre("delete Mesh m", "delete Zone z"));
}

TEST_F(HistoryTest, FiltersAndPages) {
  Put("meshes", "", "m", "");
  for (const char* name : {"a", "b", "c"}) Put("zones", "", name, "");
  EXPECT_THAT(Changes(Get("/history?type=Zone&name=b"), "items"), ElementsAre("create Zone b"));
  EXPECT_THAT(Changes(Get("/history?type=zones&since=3"), "items"), ElementsAre("create Zone c"));
  EXPECT_THAT(Changes(Get("/history?since=2100-01-01T00:00:00Z"), "items"), IsEmpty());
  const Value page = Get("/history?type=Zone&limit=2");
  EXPECT_THAT(Changes(page, "items"), ElementsAre("create Zone c", "create Zone b"));
  EXPECT_EQ(*page.Find("next")->if_string(),
            "http://localhost:5681/history?type=Zone&limit=2&before=3");
  EXPECT_THAT(Changes(Get("/history?type=Zone&limit=2&before=3"), "items"),
              ElementsAre("create Zone a"));
}

TEST_F(HistoryTest, BadQuestionsGetTheFieldAndTheWayOut) {
  Put("meshes", "", "m", "");
  for (const auto& [target, field] :
       {std::pair("/history?type=Bogus", "type"), std::pair("/history?since=yesterday", "since"),
        std::pair("/history?before=x", "before"), std::pair("/history?limit=0", "limit"),
        std::pair("/history?limit=1001", "limit"), std::pair("/history/x", "revision"),
        std::pair("/history/diff?from=0", "to"), std::pair("/history/diff?from=0&to=9", "to")}) {
    const Value body = Body(Call("GET", target), 400);
    EXPECT_EQ(*(*body.Find("invalid_parameters")->if_array())[0].Find("field")->if_string(), field)
        << target;
  }
  EXPECT_EQ(Call("GET", "/history/9").status, 404);
  EXPECT_EQ(Call("GET", "/history/1/x").status, 404);
  EXPECT_EQ(Call("PUT", "/history").status, 405);
  for (const char* body : {"", "[]", "{}", R"({"to": "1"})", R"({"to": -1})", R"({"to": 9})",
                           R"({"to": 1, "dryRun": 1})", R"({"to": 1, "expected": "x"})"}) {
    EXPECT_EQ(Call("POST", "/history/rollback", body).status, 400) << body;
  }
  for (int i = 0; i < 25; ++i)
    Put("zones", "", "z", base::Format(R"("enabled": {})", i % 2 == 0 ? "true" : "false"));
  const Value gone = Body(Call("GET", "/history/1"), 410);
  EXPECT_THAT(*gone.Find("hint")->if_string(), HasSubstr("oldest revision"));
  EXPECT_EQ(Call("GET", "/history/diff?from=1&to=20").status, 410);
  RollBack(R"({"to": 2})", 410);
}

TEST_F(HistoryTest, RollsBackInOneNewRevision) {
  Put("meshes", "", "m", "");
  Put("zones", "", "changed", R"("enabled": true, "labels": {"a": "1"})");
  Put("zones", "", "deleted", R"("enabled": true)");
  const uint64_t to = Put("zones", "", "kept", "");
  const std::string changed = Stored({"Zone", "", "changed"});
  Put("zones", "", "changed", R"("enabled": false)");
  Put("zones", "", "changed", R"("enabled": false, "labels": {"b": "2"})");
  Delete("zones", "", "deleted");
  Put("zones", "", "later", "");
  Put("zones", "", "brief", "");
  const uint64_t newest = Delete("zones", "", "brief");

  const Value preview = RollBack(base::Format(R"({{"to": {}, "dryRun": true}})", to));
  EXPECT_THAT(Changes(preview),
              ElementsAre("update Zone changed", "create Zone deleted", "delete Zone later"));
  EXPECT_EQ(*preview.Find("newest")->if_int(), static_cast<int64_t>(newest));
  EXPECT_EQ(preview.Find("revision"), nullptr);
  EXPECT_EQ(store_->revision().value, newest);

  // Somebody else writes after the preview.
  Put("zones", "", "later", R"("enabled": false)");
  const Value refused = RollBack(base::Format(R"({{"to": {}, "expected": {}}})", to, newest), 409);
  EXPECT_THAT(*refused.Find("detail")->if_string(), HasSubstr("since the preview"));
  EXPECT_NE(Stored({"Zone", "", "later"}), "absent");

  const Value done = RollBack(base::Format(R"({{"to": {}, "expected": {}}})", to, newest + 1));
  EXPECT_EQ(*done.Find("revision")->if_int(), static_cast<int64_t>(newest + 2));
  EXPECT_EQ(Stored({"Zone", "", "later"}), "absent");
  EXPECT_NE(Stored({"Zone", "", "deleted"}), "absent");
  const Value before = *model::ParseJson(changed);
  const Value after = *model::ParseJson(Stored({"Zone", "", "changed"}));
  EXPECT_EQ(*before.Find("labels"), *after.Find("labels"));
  EXPECT_EQ(*before.Find("enabled"), *after.Find("enabled"));
  // It is a change like another, and can be taken back.
  const Value list = Get("/history?limit=1");
  EXPECT_EQ(*(*list.Find("items")->if_array())[0].Find("note")->if_string(),
            base::Format("rollback to {}", to));
  EXPECT_THAT(Changes(RollBack(base::Format(R"({{"to": {}}})", newest))),
              ElementsAre("update Zone changed", "delete Zone deleted", "create Zone later"));
  // Nothing left to do.
  EXPECT_THAT(Changes(RollBack(base::Format(R"({{"to": {}}})", newest + 3))), IsEmpty());
  EXPECT_EQ(store_->revision().value, newest + 3);
}

TEST_F(HistoryTest, AMeshComesBackWithWhatItHad) {
  Put("meshes", "", "m", "");
  const uint64_t to = Put("secrets", "m", "key", R"("data": "aHVudGVyMg==")");
  Delete("meshes", "", "m");
  const Value preview = RollBack(base::Format(R"({{"to": {}, "dryRun": true}})", to));
  EXPECT_THAT(Changes(preview), ElementsAre("create Mesh m"));
  EXPECT_THAT(Changes(preview, "notRestored"), ElementsAre("Secret m/key"));
  RollBack(base::Format(R"({{"to": {}}})", to));
  EXPECT_NE(Stored({"Mesh", "", "m"}), "absent");
  EXPECT_EQ(Stored({"Secret", "m", "key"}), "absent");
  // And goes with what was made in it.
  Put("secrets", "m", "other", R"("data": "eA==")");
  RollBack(R"({"to": 0})");
  EXPECT_EQ(Stored({"Mesh", "", "m"}), "absent");
  EXPECT_EQ(Stored({"Secret", "m", "other"}), "absent");
}

TEST_F(HistoryTest, AMeshWithDataplanesIsNotTakenAway) {
  Put("meshes", "", "m", "");
  store::Write proxy;
  model::Metadata meta;
  meta.mesh = "m";
  meta.name = "web";
  meta.owner = model::ResourceKey{"Mesh", "", "m"};
  meta.owned_by_proxy = true;
  const model::ResourceType& type = *Types().Find("Dataplane");
  proxy.resource = std::make_shared<const model::Resource>(type, meta, type.spec.empty());
  ASSERT_TRUE(store_->Commit({.writes = {proxy}, .cause = {}}).has_value());
  const Value refused = RollBack(R"({"to": 0})", 400);
  EXPECT_THAT(model::ToJson(refused), HasSubstr("dataplanes attached"));
  EXPECT_NE(Stored({"Mesh", "", "m"}), "absent");
}

TEST_F(HistoryTest, ValuesOfSecretsAreNowhere) {
  Put("globalsecrets", "", "key", R"("data": "aHVudGVyMg==")");
  Put("globalsecrets", "", "key", R"("data": "aHVudGVyMw==")");
  for (const char* target :
       {"/history", "/history/2", "/history/diff?from=0&to=2", "/history/diff?from=1&to=2"}) {
    const std::string body = Call("GET", target).body;
    EXPECT_THAT(body, Not(HasSubstr("aHVudGVy"))) << target;
    EXPECT_THAT(body, HasSubstr("\"secret\": true")) << target;
  }
  const Value preview = RollBack(R"({"to": 1, "dryRun": true})");
  EXPECT_THAT(Changes(preview), IsEmpty());
  EXPECT_THAT(model::ToJson(preview), HasSubstr("values of secrets are not kept"));

  user_ = {"somebody", {std::string(kRead)}};
  EXPECT_THAT(Changes(Get("/history"), "items"), IsEmpty());
  EXPECT_EQ(Call("GET", "/history/2").status, 404);
  EXPECT_EQ(Call("POST", "/history/rollback", R"({"to": 1})").status, 403);
  user_ = {"nobody", {}};
  EXPECT_EQ(Call("GET", "/history").status, 403);
}

TEST_F(HistoryTest, AReadOnlyApiRollsNothingBack) {
  Put("zones", "", "z", "");
  const HistoryEndpoint read_only(*store_, Types(), Access(), "", /*read_only=*/true);
  const std::string rollback[] = {"rollback"};
  EXPECT_EQ(read_only.Answer(Request("POST", "/history/rollback", R"({"to": 0})"), user_, rollback)
                .status,
            405);
  EXPECT_NE(Stored({"Zone", "", "z"}), "absent");
}

}  // namespace
}  // namespace kuma::rest
