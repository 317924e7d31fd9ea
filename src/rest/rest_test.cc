#include <gtest/gtest.h>

#include "base/format.h"
#include "base/strings.h"
#include "resources/all.h"
#include "rest/access.h"
#include "rest/diagnostics.h"
#include "rest/dp_endpoint.h"
#include "rest/problem.h"
#include "rest/secrets.h"
#include "store/memory/memory_store.h"

namespace kuma::rest {
namespace {

using model::Value;

TEST(Problem, HasTheFieldsThatToolsParse) {
  model::Violations violations;
  violations.Add("name", "is bad", "choose another");
  const net::HttpResponse response =
      ToResponse(NotValid("Could not process a resource", violations));
  EXPECT_EQ(response.status, 400);
  const Value body = *model::ParseJson(response.body);
  EXPECT_EQ(*body.Find("type")->if_string(), "/std-errors");
  EXPECT_EQ(*body.At({"detail"})->if_string(), "Resource is not valid");
  const Value& parameter = (*body.Find("invalid_parameters")->if_array())[0];
  EXPECT_EQ(*parameter.Find("reason")->if_string(), "is bad");
  EXPECT_EQ(*parameter.Find("hint")->if_string(), "choose another");
  const Value& cause = (*body.Find("causes")->if_array())[0];
  EXPECT_EQ(*cause.Find("message")->if_string(), "is bad");
}

TEST(Problem, InternalErrorsAreNotShown) {
  const Problem problem = ProblemOf(base::Internal("password of the database"), "Could not");
  EXPECT_EQ(problem.status, 500);
  EXPECT_EQ(problem.detail, "Internal Server Error");
}

net::HttpRequest LocalRequest() {
  net::HttpRequest request;
  request.peer.remote.host = "127.0.0.1";
  request.authority = "localhost:5681";
  return request;
}

base::Result<Principal> NoTokens(std::string_view) { return base::Denied("no such token"); }

TEST(Access, OnlyAGenuinelyLocalRequestIsLocal) {
  EXPECT_TRUE(IsFromLocalhost(LocalRequest()));
  for (const auto& [name, value] :
       {std::pair("x-forwarded-for", "10.0.0.1"), std::pair("forwarded", "for=1"),
        std::pair("sec-fetch-site", "cross-site"), std::pair("origin", "http://evil.example")}) {
    net::HttpRequest request = LocalRequest();
    request.headers.Set(name, value);
    EXPECT_FALSE(IsFromLocalhost(request)) << name;
  }
  net::HttpRequest rebound = LocalRequest();
  rebound.authority = "evil.example:5681";
  EXPECT_FALSE(IsFromLocalhost(rebound));
  net::HttpRequest remote = LocalRequest();
  remote.peer.remote.host = "10.0.0.1";
  EXPECT_FALSE(IsFromLocalhost(remote));
}

TEST(Access, LocalhostThenTokenThenAnonymous) {
  EXPECT_EQ(Authenticate(LocalRequest(), true, NoTokens)->name, kAdmin);
  EXPECT_EQ(Authenticate(LocalRequest(), false, NoTokens)->name, kAnonymous);
  net::HttpRequest request = LocalRequest();
  request.headers.Set("authorization", "Bearer abc");
  EXPECT_FALSE(Authenticate(request, false, NoTokens).has_value());
  const auto john = [](std::string_view token) -> base::Result<Principal> {
    return Principal{"john:" + std::string(token), {"team"}};
  };
  EXPECT_EQ(*Authenticate(request, false, john),
            (Principal{"john:abc", {"team", std::string(kAuthenticated)}}));
}

TEST(Diagnostics, ReadinessTellsItsReason) {
  std::string reason = "the store is being loaded";
  const Diagnostics diagnostics(
      {.not_ready = [&] { return reason; },
       .metrics =
           [] {
             return std::vector<Metric>{
                 {.name = "kuma_x", .help = "X.", .labels = {{"a", "b\"c"}}, .value = 1.5}};
           }});
  net::HttpRequest request;
  request.path = "/ready";
  EXPECT_EQ(diagnostics.Answer(request).status, 503);
  EXPECT_EQ(diagnostics.Answer(request).body, "the store is being loaded\n");
  reason.clear();
  EXPECT_EQ(diagnostics.Answer(request).status, 200);
  request.path = "/metrics";
  EXPECT_EQ(diagnostics.Answer(request).body,
            "# HELP kuma_x X.\n# TYPE kuma_x gauge\nkuma_x{a=\"b\\\"c\"} 1.5\n");
}

// The same text three times is one Dataplane; another text, and another proxy, are others.
TEST(BroughtDataplanes, RemembersWhatItDecoded) {
  const model::TypeTable types(resources::AllResourceTypes());
  BroughtDataplanes brought(types, {});
  const auto text = [](int port) {
    return base::Format(
        "{{type: Dataplane, mesh: default, name: web-1, networking: {{address: 10.0.0.1, inbound: "
        "[{{port: {}}}]}}}}",
        port);
  };
  const base::ProxyKey proxy{"default", "web-1"};
  const auto first = brought.Decode(text(80), proxy);
  ASSERT_TRUE(first.has_value()) << first.error().message();
  EXPECT_EQ(*first, *brought.Decode(text(80), proxy));
  EXPECT_NE(*first, *brought.Decode(text(81), proxy));
  EXPECT_FALSE(brought.Decode(text(80), {"default", "other"}).has_value());
  for (int port = 1000; port < 1300; ++port) ASSERT_TRUE(brought.Decode(text(port), proxy));
  const auto again = brought.Decode(text(80), proxy);
  EXPECT_NE(*first, *again) << "it was forgotten";
}

// Keys are parsed once; a new one, a changed one and a deleted one are seen at once.
TEST(KeyMemo, FollowsTheStore) {
  const model::TypeTable types(resources::AllResourceTypes());
  const runtime::SystemClock clock;
  const auto store = store::NewMemoryStore(clock);
  const std::string prefix = identity::DataplaneKeyPrefix("default");
  const auto put = [&](const std::string& name, const std::string& pem) {
    auto decoded = model::DecodeResource(model::Object{{"type", "Secret"},
                                                       {"mesh", "default"},
                                                       {"name", name},
                                                       {"data", base::EncodeBase64(pem)}},
                                         types);
    ASSERT_NE(decoded.resource, nullptr);
    store::Write write;
    write.resource = decoded.resource;
    ASSERT_TRUE(store->Commit({.writes = {write}, .cause = {}}).has_value());
  };
  KeyMemo memo;
  EXPECT_TRUE((*memo.Read(*store, "default", prefix))->empty());
  const std::string one = identity::RsaKey::Generate()->PrivatePem().Reveal();
  const std::string two = identity::RsaKey::Generate()->PrivatePem().Reveal();
  put(prefix + "-1", one);
  const auto keys = *memo.Read(*store, "default", prefix);
  ASSERT_NE(keys->Find("1"), nullptr);
  EXPECT_EQ(keys, *memo.Read(*store, "default", prefix));
  EXPECT_TRUE((*memo.Read(*store, "other", prefix))->empty());
  put(prefix + "-1", two);
  const auto changed = *memo.Read(*store, "default", prefix);
  EXPECT_FALSE(changed->Find("1")->SamePublicKey(*keys->Find("1")));
  put(prefix + "-2", one);
  EXPECT_NE((*memo.Read(*store, "default", prefix))->Find("2"), nullptr);
}

}  // namespace
}  // namespace kuma::rest
