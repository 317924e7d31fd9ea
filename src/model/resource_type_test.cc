#include "model/resource_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/address.h"
#include "model/describe.h"
#include "model/kri.h"
#include "model/labels.h"
#include "model/names.h"

namespace kuma::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Spec {
  std::string text;
  static constexpr auto Fields() {
    return std::tuple{Field("text", &Spec::text, "Text.", Required{}, Input{})};
  }
};
struct Status {
  int32_t count = 0;
  static constexpr auto Fields() { return std::tuple{Field("count", &Status::count, "Count.")}; }
};

const ResourceType& Thing() {
  static const ResourceType type =
      Describe<Spec, Status>({.kind = "Thing",
                              .singular = "thing",
                              .plural = "things",
                              .short_name = "th",
                              .zone_to_global = true,
                              .validate = [](const Resource& resource, Violations& out) {
                                if (resource.Spec<Spec>().text == "bad")
                                  out.Add("spec.text", "must not be bad");
                              }});
  return type;
}
const ResourceType& Old() {
  static const ResourceType type = Describe<Spec>({.kind = "Old",
                                                   .singular = "old",
                                                   .plural = "olds",
                                                   .alt_path = "old-ones",
                                                   .scope = Scope::kGlobal,
                                                   .inline_spec = true});
  return type;
}
const TypeTable& Types() {
  static const TypeTable types({&Thing(), &Old()});
  return types;
}

Decoded DecodeText(std::string_view json, bool trusted = false) {
  const auto value = ParseJson(json);
  EXPECT_TRUE(value.has_value()) << json;
  return DecodeResource(*value, Types(), trusted);
}

TEST(Resource, UniversalForm) {
  const Decoded decoded = DecodeText(
      R"({"type":"Thing","mesh":"m","name":"n","labels":{"kuma.io/zone":"z"},"spec":{"text":"t"}})");
  ASSERT_NE(decoded.resource, nullptr) << decoded.violations.ToString() << decoded.unreadable;
  EXPECT_EQ(decoded.resource->key(), (ResourceKey{"Thing", "m", "n"}));
  EXPECT_EQ(decoded.resource->Spec<Spec>().text, "t");
  EXPECT_EQ(
      ToJson(EncodeResource(*decoded.resource)),
      R"({"type":"Thing","mesh":"m","name":"n","creationTime":"0001-01-01T00:00:00Z",)"
      R"("modificationTime":"0001-01-01T00:00:00Z","labels":{"kuma.io/zone":"z"},"kri":"kri_th_m_z__n_",)"
      R"("spec":{"text":"t"},"status":{}})");
}

TEST(Resource, InlinedForm) {
  const Decoded decoded = DecodeText(R"({"type":"Old","name":"n","text":"t"})");
  ASSERT_NE(decoded.resource, nullptr);
  EXPECT_EQ(ToJson(EncodeResource(*decoded.resource)),
            R"({"type":"Old","name":"n","creationTime":"0001-01-01T00:00:00Z",)"
            R"("modificationTime":"0001-01-01T00:00:00Z","text":"t"})");
}

TEST(Resource, MeshDefaultsToDefault) {
  EXPECT_EQ(DecodeText(R"({"type":"Thing","name":"n","spec":{"text":"t"}})").resource->mesh(),
            "default");
  EXPECT_EQ(DecodeText(R"({"type":"Old","mesh":"m","name":"n","text":"t"})").resource->mesh(), "");
}

TEST(Resource, StatusAndTimesAreForTrustedOnly) {
  constexpr std::string_view json =
      R"({"type":"Thing","name":"n","creationTime":"2026-01-01T00:00:00Z","spec":{"text":"t"},"status":{"count":3,"x":1}})";
  EXPECT_EQ(DecodeText(json).resource->Status<Status>(), nullptr);
  EXPECT_EQ(DecodeText(json).resource->meta().creation_time, WallTime{});
  const Decoded trusted = DecodeText(json, true);
  EXPECT_EQ(trusted.resource->Status<Status>()->count, 3);
  EXPECT_EQ(ToRfc3339(trusted.resource->meta().creation_time), "2026-01-01T00:00:00Z");
}

TEST(Resource, SchemaComesBeforeTheValidator) {
  EXPECT_EQ(
      DecodeText(R"({"type":"Thing","name":"n","spec":{"text":"bad"}})").violations.ToString(),
      "spec.text: must not be bad");
  const Decoded broken = DecodeText(R"({"type":"Thing","name":"n","spec":{"text":1}})");
  EXPECT_EQ(broken.violations.ToString(), "spec.text: in body must be of type string: \"integer\"");
  EXPECT_EQ(broken.resource, nullptr);
  EXPECT_EQ(DecodeText(R"({"type":"Thing","name":"n"})").violations.ToString(),
            "spec.text: in body is required");
}

TEST(Resource, UnknownFieldsAreNamed) {
  EXPECT_THAT(
      DecodeText(R"({"type":"Thing","name":"n","kri":"k","foo":1,"spec":{"text":"t","bar":2}})")
          .unknown,
      ElementsAre("spec.bar", "foo"));
  EXPECT_THAT(DecodeText(R"({"type":"Old","name":"n","text":"t","bar":{"x":2}})").unknown,
              ElementsAre("bar"));
}

TEST(Resource, UnreadableInKumasWords) {
  EXPECT_EQ(DecodeText(R"({"type":"Old","name":4})").unreadable,
            "json: cannot unmarshal number into Go struct field ResourceMeta.name of type string");
  EXPECT_THAT(DecodeText(R"({"type":"Nope","name":"n"})").unreadable, HasSubstr("Nope"));
  EXPECT_THAT(DecodeText("[]").unreadable, HasSubstr("array"));
}

TEST(Resource, StoredFormIsReadBack) {
  const ResourcePtr resource =
      MakeResource(Thing(), {.mesh = "m", .name = "n"}, Spec{"t"}, Status{2});
  const auto back =
      DecodeStored(Thing(), resource->meta(), Thing().spec.encode(resource->spec().get()),
                   Thing().status.encode(resource->status().get()));
  ASSERT_TRUE(back.has_value());
  EXPECT_TRUE(Thing().spec.equal((*back)->spec().get(), resource->spec().get()));
  EXPECT_EQ((*back)->Status<Status>()->count, 2);
  EXPECT_EQ(DecodeStored(Thing(), {}, Value("x"), Value()).error().code(), base::Code::kInternal);
}

TEST(TypeTable, Finds) {
  EXPECT_EQ(Types().Find("Thing"), &Thing());
  EXPECT_EQ(Types().FindByPath("things"), &Thing());
  EXPECT_EQ(Types().FindByPath("old-ones"), &Old());
  EXPECT_EQ(Types().FindBySingular("old"), &Old());
  EXPECT_EQ(Types().FindByShortName("th"), &Thing());
  EXPECT_EQ(Types().FindByShortName(""), nullptr);
  EXPECT_EQ(Types().FindByPath(""), nullptr);
}

TEST(Kri, RoundTrips) {
  const Resource resource(Thing(),
                          {.mesh = "m",
                           .name = "hashed-xyz",
                           .labels = {{"kuma.io/display-name", "n"},
                                      {"kuma.io/zone", "z"},
                                      {"k8s.kuma.io/namespace", "ns"}}},
                          nullptr);
  EXPECT_EQ(KriOf(resource, "http").ToString(), "kri_th_m_z_ns_n_http");
  EXPECT_EQ(*ParseKri("kri_th_m_z_ns_n_http"), KriOf(resource, "http"));
  EXPECT_EQ(ParseKri("kri_th_m_z_ns_n_a_b")->section, "ab");
  EXPECT_FALSE(ParseKri("kri_th_m_z_ns_n").has_value());
  EXPECT_FALSE(ParseKri("xri_th_m_z_ns_n_").has_value());
  EXPECT_EQ(ParseKri("kri___m_z_n_").error().message(),
            "unknown short name of resource type: \"\"");
}

TEST(Names, Metadata) {
  const auto check = [](Metadata meta) {
    Violations out;
    ValidateMetadata(Thing(), meta, out);
    return out.ToString();
  };
  EXPECT_EQ(check({.mesh = "m_1", .name = "a.b-c"}), "");
  EXPECT_EQ(check({.mesh = "m", .name = ""}), "name: cannot be empty");
  EXPECT_EQ(check({.mesh = "m", .name = std::string(254, 'a')}),
            "name: value length must less or equal 253");
  EXPECT_THAT(check({.mesh = "m", .name = "a_b"}),
              HasSubstr("name: invalid characters. A lowercase RFC 1123"));
  EXPECT_EQ(check({.mesh = "M", .name = "a"}),
            "mesh: invalid characters. Valid characters are numbers, lowercase latin letters and "
            "'-', '_', '.' symbols.");
}

TEST(Names, RulesOfKinds) {
  ResourceType mesh{.kind = "Mesh", .name_rule = NameRule::kMeshName};
  ResourceType service{.kind = "MeshService", .name_rule = NameRule::kRfc1035Label};
  const auto check = [](const ResourceType& type, Metadata meta, bool is_new) {
    Violations out;
    ValidateKindName(type, meta, is_new, out);
    return out.ToString();
  };
  EXPECT_EQ(check(mesh, {.name = "a.b"}, false), "");
  EXPECT_THAT(check(mesh, {.name = "a.b"}, true), HasSubstr("a DNS-1035 label"));
  EXPECT_THAT(check(service, {.name = "1a"}, false), HasSubstr("a DNS-1035 label"));
  EXPECT_EQ(check(service, {.name = std::string(64, 'a')}, false),
            "name: must be no more than 63 characters");
  EXPECT_EQ(check(service, {.name = "x.y", .labels = {{"kuma.io/display-name", "x"}}}, false), "");
}

TEST(Labels, AreComputed) {
  const Metadata meta{
      .mesh = "m", .name = "n", .labels = {{"kuma.io/origin", "global"}, {"a", "b"}}};
  EXPECT_EQ(ComputeLabels(Thing(), meta, {.zone = "east"}), (Labels{{"a", "b"},
                                                                    {"kuma.io/display-name", "n"},
                                                                    {"kuma.io/env", "universal"},
                                                                    {"kuma.io/mesh", "m"},
                                                                    {"kuma.io/origin", "zone"},
                                                                    {"kuma.io/zone", "east"}}));
  EXPECT_EQ(
      ComputeLabels(Thing(), meta, {.mode = ControlPlane::Mode::kGlobal}).at("kuma.io/origin"),
      "global");
  EXPECT_EQ(ComputeLabels(Old(), {.name = "n"}, {}),
            (Labels{{"kuma.io/display-name", "n"}, {"kuma.io/origin", "zone"}}))
      << "a kind that zones do not write belongs to no zone";
}

TEST(Labels, AreChecked) {
  const auto check = [](Labels labels, const ControlPlane& here) {
    Violations out;
    CheckLabels(Thing(), {.mesh = "m", .name = "n", .labels = std::move(labels)}, here, out);
    return out.ToString();
  };
  const ControlPlane zone{.zone = "east"};
  EXPECT_THAT(check({{"a/b/c", "x"}}, zone), HasSubstr("a qualified name"));
  EXPECT_THAT(check({{"k", std::string(64, 'v')}}, zone),
              HasSubstr("labels[\"k\"]: must be no more than 63 characters"));
  EXPECT_THAT(check({{"kuma.io/origin", "mars"}}, zone),
              HasSubstr("unknown resource origin \"mars\""));
  EXPECT_THAT(check({{"kuma.io/zone", "west"}}, zone), HasSubstr("should have east value"));
  EXPECT_THAT(check({{"kuma.io/mesh", "other"}}, zone), HasSubstr("must not differ from mesh"));
  EXPECT_EQ(check({{"kuma.io/zone", "east"}, {"kuma.io/mesh", "m"}}, zone), "");
  const ControlPlane global{.mode = ControlPlane::Mode::kGlobal};
  EXPECT_THAT(check({{"kuma.io/origin", "zone"}}, global), HasSubstr("must be set to 'global'"));
  EXPECT_EQ(check({{"kuma.io/origin", "zone"}},
                  {.mode = ControlPlane::Mode::kGlobal, .check_origin = false}),
            "");
}

TEST(Labels, TheZoneOfAResourceStays) {
  const auto check = [](const Labels& before, const Labels& after) {
    Violations out;
    CheckImmutableLabels(before, after, out);
    return out.ToString();
  };
  EXPECT_EQ(check({}, {{"kuma.io/zone", "a"}}), "");
  EXPECT_EQ(check({{"kuma.io/zone", "a"}}, {{"kuma.io/zone", "a"}, {"x", "y"}}), "");
  EXPECT_THAT(check({{"kuma.io/zone", "a"}}, {{"kuma.io/zone", "b"}}),
              HasSubstr("is immutable, cannot be changed from \"a\" to \"b\""));
  EXPECT_THAT(check({{"kuma.io/zone", "a"}}, {}),
              HasSubstr("is immutable, cannot be removed (was \"a\")"));
}

TEST(Address, Syntax) {
  EXPECT_TRUE(IsIpAddress("192.168.0.1"));
  EXPECT_TRUE(IsIpAddress("2001:db8::1"));
  EXPECT_FALSE(IsIpAddress("192.168.0"));
  EXPECT_FALSE(IsIpAddress("192.168.0.256"));
  EXPECT_FALSE(IsIpAddress(""));
  EXPECT_TRUE(SameIpAddress("::1", "0:0:0:0:0:0:0:1"));
  EXPECT_TRUE(SameIpAddress("::ffff:1.2.3.4", "1.2.3.4"));
  EXPECT_TRUE(IsUnspecifiedAddress("::"));
  EXPECT_TRUE(IsDnsName("example.com."));
  EXPECT_FALSE(IsDnsName("..>_<.."));
  EXPECT_FALSE(IsDnsName("10.0.0.1"));
  EXPECT_EQ(SpiffeIdFault("spiffe://default/ns/a/sa/b"), std::nullopt);
  EXPECT_EQ(SpiffeIdFault("some-service"), "scheme is missing or invalid");
  EXPECT_EQ(SpiffeIdFault("spiffe:///x"), "trust domain is missing");
}

}  // namespace
}  // namespace kuma::model
