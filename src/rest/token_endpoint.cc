#include "rest/token_endpoint.h"

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "model/value.h"
#include "rest/problem.h"
#include "rest/secrets.h"

namespace kuma::rest {
namespace {

using model::Value;

constexpr std::string_view kTitle = "Could not issue a token";
constexpr std::string_view kInvalidRequest = "Invalid request";
// Instead of Kuma's ten years, and said in the answer.
constexpr std::chrono::hours kDefaultValidity{24 * 30};

// Reads fields of the body; wrong types become violations.
class Body {
 public:
  Body(const Value& value, model::Violations& violations)
      : value_(value), violations_(violations) {}

  std::string Text(std::string_view field) const {
    const Value* value = value_.Find(field);
    if (value == nullptr || value->is_null()) return {};
    if (const std::string* text = value->if_string()) return *text;
    violations_.Add(std::string(field), "must be a string");
    return {};
  }

  std::vector<std::string> Texts(std::string_view field) const {
    return TextsOf(value_.Find(field), field);
  }

  std::map<std::string, std::vector<std::string>> TextMap(std::string_view field) const {
    std::map<std::string, std::vector<std::string>> map;
    const Value* value = value_.Find(field);
    if (value == nullptr || value->is_null()) return map;
    if (value->if_object() == nullptr) {
      violations_.Add(std::string(field), "must be an object of lists of strings");
      return map;
    }
    for (const auto& [key, list] : *value->if_object()) map[key] = TextsOf(&list, field);
    return map;
  }

 private:
  std::vector<std::string> TextsOf(const Value* value, std::string_view field) const {
    std::vector<std::string> texts;
    if (value == nullptr || value->is_null()) return texts;
    const model::Array* list = value->if_array();
    if (list == nullptr) {
      violations_.Add(std::string(field), "must be a list of strings");
      return texts;
    }
    for (const Value& item : *list) {
      if (item.if_string()) {
        texts.push_back(*item.if_string());
      } else {
        violations_.Add(std::string(field), "must be a list of strings");
      }
    }
    return texts;
  }

  const Value& value_;
  model::Violations& violations_;
};

}  // namespace

TokenEndpoint::TokenEndpoint(store::Store& store, const runtime::Clock& clock,
                             runtime::Random& random, Settings settings)
    : store_(store), clock_(clock), random_(random), settings_(std::move(settings)) {}

net::HttpResponse TokenEndpoint::Issue(std::string_view kind, const net::HttpRequest& request,
                                       const Principal& principal) {
  struct Row {
    std::string_view kind;
    bool enabled;
    const Allowed* allowed;
    std::string_view action;
  };
  const Row rows[] = {
      {"dataplane", settings_.issue_dataplane_tokens, &settings_.access.generate_dp_token,
       "generate dataplane token"},
      {"user", settings_.issue_user_tokens, &settings_.access.generate_user_token,
       "generate user token"},
      {"zone", settings_.issue_zone_tokens, &settings_.access.generate_zone_token,
       "generate zone token"},
  };
  const Row* row = nullptr;
  for (const Row& candidate : rows) {
    if (candidate.kind == kind) row = &candidate;
  }
  if (row == nullptr) return Text(404, "404: Page Not Found");

  const auto parsed = model::ParseJson(request.body);
  if (!parsed || parsed->if_object() == nullptr) return Text(400, "");
  if (!row->enabled) {
    return ToResponse(Problem{
        400, std::string(kTitle), "issuing tokens using the control plane is disabled.", {}, {}});
  }

  model::Violations violations;
  const Body body(*parsed, violations);
  const std::string name = body.Text("name");
  const std::string mesh = body.Text("mesh");
  const std::string valid_for_text = body.Text("validFor");
  std::chrono::nanoseconds valid_for = kDefaultValidity;
  if (kind == "user" && name.empty()) violations.Add("name", "cannot be empty");
  if (kind == "dataplane" && mesh.empty()) violations.Add("mesh", "cannot be empty");
  if (kind == "dataplane") {
    const std::string type = body.Text("type");
    if (!type.empty() && type != "dataplane") {
      violations.Add("type", "unsupported proxy type. Supported values: dataplane");
    }
  }
  if (!valid_for_text.empty()) {
    const auto duration = model::ParseDuration(valid_for_text);
    if (!duration) {
      violations.Add("validFor",
                     base::Format("is invalid: time: invalid duration \"{}\"", valid_for_text));
    } else if (duration->value <= std::chrono::nanoseconds(0)) {
      violations.Add("validFor", "cannot be empty or nil");
    } else {
      valid_for = duration->value;
    }
  } else if (kind == "user") {
    violations.Add("validFor", "cannot be empty or nil");
  }
  if (!violations.empty()) return ToResponse(NotValid(kInvalidRequest, std::move(violations)));
  if (const base::Status may = Check(*row->allowed, principal, row->action); !may) {
    return ToResponse(ProblemOf(may.error(), kTitle));
  }

  // Of a mesh that was just created, the key comes a moment later.
  const std::string prefix = kind == "dataplane" ? identity::DataplaneKeyPrefix(mesh)
                             : kind == "user"    ? std::string(identity::kUserKeyPrefix)
                                                 : std::string(identity::kZoneKeyPrefix);
  const std::string key_mesh = kind == "dataplane" ? mesh : std::string();
  auto keys = ReadKeys(store_, key_mesh, prefix);
  if (keys && keys->empty() && (key_mesh.empty() || store_.Get({"Mesh", "", mesh}))) {
    keys = WaitForKeys(store_, key_mesh, prefix, settings_.key_wait);
  }
  if (!keys) return ToResponse(ProblemOf(keys.error(), kTitle));
  if (keys->empty()) {
    return ToResponse(
        Problem{404,
                "Signing Key not found",
                base::Format("there is no signing key {}-<serial>", prefix),
                {},
                kind == "dataplane" ? base::Format("does mesh \"{}\" exist?", mesh) : ""});
  }

  const identity::Issuing issuing{
      clock_.WallNow(), std::chrono::ceil<std::chrono::seconds>(valid_for), random_.Uuid()};
  base::Result<std::string> token = base::Internal("no such kind of token");
  if (kind == "dataplane") {
    token = identity::IssueDataplaneToken(
        {name, mesh, body.TextMap("tags"), body.Text("type"), body.Text("workload")}, *keys,
        issuing);
  } else if (kind == "user") {
    token = identity::IssueUserToken({name, body.Texts("groups")}, *keys, issuing);
  } else {
    token = identity::IssueZoneToken({body.Text("zone"), body.Texts("scope")}, *keys, issuing);
  }
  if (!token) return ToResponse(ProblemOf(token.error(), kTitle));
  net::HttpResponse response = Text(200, *std::move(token));
  response.headers.Set("content-type", "text/plain");
  response.headers.Set("kuma-token-valid-for", model::ToString(model::Duration{valid_for}));
  return response;
}

}  // namespace kuma::rest
