#include "derive/internal/hostnames.h"

#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "model/resource_type.h"

namespace kuma::derive {
namespace {

const model::ResourceType& Type() {
  static const model::ResourceType type = [] {
    model::ResourceType row;
    row.kind = "MeshService";
    return row;
  }();
  return type;
}

model::Resource Service(const std::string& name, model::Labels labels, int created = 0,
                        const std::string& mesh = "default") {
  model::Metadata meta;
  meta.mesh = mesh;
  meta.name = name;
  meta.labels = std::move(labels);
  meta.creation_time = model::WallTime(std::chrono::seconds(created));
  return {Type(), std::move(meta), nullptr};
}

HostnameRule Rule(const std::string& name, const std::string& text, model::Labels match = {}) {
  return {name, false, {}, text, std::move(match)};
}

class HostnamesTest : public testing::Test {
 protected:
  std::string Outcomes(const std::string& name, const std::string& mesh = "default") const {
    std::string text;
    for (const HostnameOutcome& o : hostnames_.OutcomesOf(mesh, name))
      text += base::Format("{}={}|{}|{};", o.generator, o.hostname, o.reason, o.message);
    return text;
  }
  std::vector<std::string> TakeAffected() {
    std::vector<std::string> names;
    for (const auto& [mesh, name] : affected_) names.push_back(mesh + "/" + name);
    affected_.clear();
    return names;
  }

  Hostnames hostnames_{"MeshService", "east"};
  Hostnames::Affected affected_;
};

using Names = std::vector<std::string>;

TEST_F(HostnamesTest, FieldsOfTheTemplate) {
  const model::Resource service = Service(
      "web-abc", {{"kuma.io/display-name", "web"}, {"k8s.kuma.io/namespace", "ns"}, {"a", "b"}});
  EXPECT_EQ(*HostnameFrom("{{ .Name }}.{{ .DisplayName }}.{{ .Namespace }}.{{ .Mesh }}.{{ .Zone "
                          "}}.{{ label \"a\" }}",
                          service.meta(), "east"),
            "web-abc.web.ns.default.east.b");
  EXPECT_EQ(*HostnameFrom("{{ .DisplayName }}.{{ .Zone }}",
                          Service("web", {{"kuma.io/zone", "west"}}).meta(), "east"),
            "web.west");
}

TEST_F(HostnamesTest, OnlyMatchingGeneratorsCount) {
  hostnames_.SetRules({Rule("b", "{{ .Name }}.b"),
                       Rule("a", "{{ .Name }}.a", {{"x", "1"}}),
                       {"other-kind", false, {}, "{{ .Name }}.c", std::nullopt}},
                      affected_);
  hostnames_.Put(Service("web", {}), affected_);
  EXPECT_EQ(Outcomes("web"), "b=web.b|Generated|;");
  hostnames_.Put(Service("web", {{"x", "1"}}), affected_);
  EXPECT_EQ(Outcomes("web"), "a=web.a|Generated|;b=web.b|Generated|;");
  EXPECT_EQ(Outcomes("unknown"), "");
}

TEST_F(HostnamesTest, ErrorsOfTemplatesAreOutcomes) {
  hostnames_.SetRules(
      {Rule("field", "{{ .Nope }}.mesh"), Rule("label", "{{ label \"nope\" }}.mesh"),
       Rule("syntax", "{{ .Name"), Rule("dns", "{{ .Name }}_x.mesh")},
      affected_);
  hostnames_.Put(Service("web", {}), affected_);
  const std::vector<HostnameOutcome> outcomes = hostnames_.OutcomesOf("default", "web");
  ASSERT_EQ(outcomes.size(), 4u);
  for (const HostnameOutcome& outcome : outcomes) EXPECT_EQ(outcome.reason, "TemplateError");
  EXPECT_TRUE(outcomes[0].message.starts_with(
      "generated hostname \"web_x.mesh\" is not a valid DNS name: a lowercase"));
  EXPECT_EQ(outcomes[1].message,
            "pre evaluation of template with parameters failed with error=\"template: :1:3: "
            "executing \\\"\\\" at "
            "<.Nope>: can't evaluate field Nope in type hostname.meshedName\"");
  EXPECT_EQ(outcomes[3].message,
            "failed compiling gotemplate error=\"template: :1: unclosed action\"");
}

TEST_F(HostnamesTest, OlderServiceWinsACollisionUntilItGoes) {
  hostnames_.SetRules({Rule("g", "{{ label \"host\" }}.mesh")}, affected_);
  hostnames_.Put(Service("b", {{"host", "x"}}, 2), affected_);
  EXPECT_EQ(TakeAffected(), Names{"default/b"});
  hostnames_.Put(Service("c", {{"host", "x"}}, 3), affected_);
  EXPECT_EQ(TakeAffected(), Names{"default/c"});
  EXPECT_EQ(Outcomes("b"), "g=x.mesh|Generated|;");
  EXPECT_EQ(Outcomes("c"), "g=|Collision|Hostname collision with MeshService: b;");
  // An older one takes it over.
  hostnames_.Put(Service("a", {{"host", "x"}}, 1), affected_);
  EXPECT_EQ(TakeAffected(), (Names{"default/a", "default/b", "default/c"}));
  EXPECT_EQ(Outcomes("b"), "g=|Collision|Hostname collision with MeshService: a;");
  // Another mesh does not matter.
  hostnames_.Put(Service("z", {{"host", "x"}}, 0, "other"), affected_);
  EXPECT_EQ(Outcomes("z", "other"), "g=x.mesh|Generated|;");
  affected_.clear();
  hostnames_.Erase("default", "a", affected_);
  EXPECT_EQ(TakeAffected(), (Names{"default/b", "default/c"}));
  EXPECT_EQ(Outcomes("b"), "g=x.mesh|Generated|;");
}

TEST_F(HostnamesTest, OneServiceMayGetAHostnameTwice) {
  hostnames_.SetRules({Rule("a", "{{ .Name }}.mesh"), Rule("b", "{{ .Name }}.mesh")}, affected_);
  hostnames_.Put(Service("web", {}), affected_);
  EXPECT_EQ(Outcomes("web"), "a=web.mesh|Generated|;b=web.mesh|Generated|;");
}

TEST_F(HostnamesTest, LocalGeneratorsGoFirst) {
  HostnameRule local = Rule("z-local", "x.mesh", {{"which", "local"}});
  local.local = true;
  local.creation_time = model::WallTime(std::chrono::hours(1));
  hostnames_.SetRules({Rule("a-global", "x.mesh", {{"which", "global"}}), local}, affected_);
  hostnames_.Put(Service("g", {{"which", "global"}}, 1), affected_);
  hostnames_.Put(Service("l", {{"which", "local"}}, 2), affected_);
  EXPECT_EQ(Outcomes("l"), "z-local=x.mesh|Generated|;");
  EXPECT_EQ(Outcomes("g"), "a-global=|Collision|Hostname collision with MeshService: l;");
}

// After any walk the outcomes are those of a fresh index, and every service whose outcomes differ
// was named.
TEST_F(HostnamesTest, IncrementalEqualsFromScratch) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(base::Format("seed {}", seed));
    std::mt19937_64 random(seed);
    Hostnames index("MeshService", "east");
    std::map<std::string, model::Resource> services;
    std::vector<HostnameRule> rules;
    std::map<std::string, std::vector<HostnameOutcome>> seen;
    for (int step = 0; step < 200; ++step) {
      Hostnames::Affected affected;
      const std::string name = base::Format("s{}", random() % 8);
      if (random() % 10 == 0) {
        rules.clear();
        for (uint64_t i = 0; i < random() % 4; ++i) {
          HostnameRule rule =
              Rule(base::Format("g{}", i), i == 2 ? "{{ .Name }}.mesh" : "{{ label \"h\" }}.mesh");
          if (random() % 2 == 0) rule.match_labels = model::Labels{{"x", "1"}};
          rule.local = random() % 2 == 0;
          rule.creation_time = model::WallTime(std::chrono::seconds(random() % 3));
          rules.push_back(rule);
        }
        index.SetRules(rules, affected);
      } else if (random() % 4 == 0) {
        services.erase(name);
        index.Erase("default", name, affected);
        seen.erase(name);
      } else {
        model::Labels labels{{"h", base::Format("h{}", random() % 3)}};
        if (random() % 2 == 0) labels["x"] = "1";
        services.erase(name);
        services.emplace(name, Service(name, labels, static_cast<int>(random() % 3)));
        index.Put(services.at(name), affected);
      }
      Hostnames fresh("MeshService", "east");
      Hostnames::Affected ignored;
      fresh.SetRules(rules, ignored);
      for (const auto& [n, service] : services) fresh.Put(service, ignored);
      for (const auto& [n, service] : services) {
        const std::vector<HostnameOutcome> outcomes = index.OutcomesOf("default", n);
        ASSERT_EQ(outcomes, fresh.OutcomesOf("default", n)) << n << " at step " << step;
        if (seen[n] != outcomes) {
          ASSERT_TRUE(affected.contains({"default", n})) << n << " at step " << step;
        }
        seen[n] = outcomes;
      }
    }
  }
}

}  // namespace
}  // namespace kuma::derive
