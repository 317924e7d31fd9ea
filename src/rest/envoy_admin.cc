#include "rest/envoy_admin.h"

#include <optional>
#include <utility>

#include "base/format.h"
#include "generate/generate.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane_insight/dataplane_insight.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

constexpr std::string_view kTitle = "Could not execute admin operation";

net::ClientOptions OptionsOf(const EnvoyAdmin::Settings& settings) {
  net::ClientOptions options;
  options.tls = settings.tls;
  options.connect_timeout = settings.timeout;
  options.request_timeout = settings.timeout;
  options.idle_timeout = std::chrono::seconds(10);
  return options;
}

bool Flag(const net::HttpRequest& request, std::string_view name, bool otherwise) {
  const std::string* text = request.FindQuery(name);
  if (text == nullptr) return otherwise;
  return *text != "false" && *text != "0";
}

// Path and query of Envoy's own interface.
std::string TargetOf(const net::HttpRequest& request, std::string_view what) {
  const std::string* format = request.FindQuery("format");
  const bool json = format != nullptr && *format == "json";
  if (what == "xds")
    return Flag(request, "include_eds", false) ? "/config_dump?include_eds" : "/config_dump";
  if (what == "clusters") return json ? "/clusters?format=json" : "/clusters";
  const bool used = Flag(request, "usedonly", true);
  return base::Format("/stats{}{}", json ? "?format=json" : "",
                      used ? (json ? "&usedonly" : "?usedonly") : "");
}

constexpr std::string_view kRedacted = "[redacted]";

// The texts below a value that is a secret as a whole.
void RedactTexts(model::Value& value) {
  if (model::Object* object = value.if_object()) {
    for (auto& [key, member] : *object) {
      if (key != "key" && key != "filename") RedactTexts(member);
    }
  } else if (model::Array* array = value.if_array()) {
    for (model::Value& element : *array) RedactTexts(element);
  } else if (value.if_string() != nullptr) {
    value = kRedacted;
  }
}

void Redact(model::Value& value) {
  if (model::Object* object = value.if_object()) {
    for (auto& [key, member] : *object) {
      // Metadata of the streams to the control plane: the token of the proxy.
      if (key == "initial_metadata" || key == "private_key" || key == "session_ticket_keys")
        RedactTexts(member);
      else
        Redact(member);
    }
  } else if (model::Array* array = value.if_array()) {
    for (model::Value& element : *array) Redact(element);
  }
}

// Where the admin listener of a proxy is, as far as the store knows: its address, and the port that
// the proxy told when it connected.
base::Result<std::string> UrlOf(store::Store& store, const std::string& mesh,
                                const std::string& name) {
  TRY_ASSIGN(const model::ResourcePtr dataplane, store.Get({"Dataplane", mesh, name}));
  auto insight = store.Get({"DataplaneInsight", mesh, name});
  if (!insight && insight.error().code() == base::Code::kNotFound)
    return base::Unavailable("the proxy was never connected to this control plane");
  if (!insight) return std::move(insight).error();
  const std::string& metadata =
      (*insight)->Spec<resources::dataplane_insight::Spec>().metadata.text;
  auto node = generate::ParseProxyNode(metadata.empty() ? "{}" : metadata);
  if (!node) return base::Unavailable("the proxy told nothing usable: " + node.error().message());
  if (node->admin_port == 0) return base::Unavailable("the Envoy of this proxy has no admin port");
  const auto& networking = dataplane->Spec<resources::dataplane::Spec>().networking;
  const std::string address = networking.has_value() ? networking->address : "";
  if (address.empty()) return base::Unavailable("the Dataplane has no networking.address");
  const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  return base::Format("https://{}:{}", host, node->admin_port);
}

}  // namespace

model::Value WithoutSecrets(model::Value config_dump) {
  Redact(config_dump);
  return config_dump;
}

EnvoyAdmin::EnvoyAdmin(store::Store& store, net::EventLoop& loop, Settings settings)
    : store_(store), settings_(std::move(settings)), client_(loop, OptionsOf(settings_)) {}

bool EnvoyAdmin::Has(std::span<const std::string> at) {
  return at.size() == 5 && at[0] == "meshes" && at[2] == "dataplanes" &&
         (at[4] == "xds" || at[4] == "stats" || at[4] == "clusters");
}

void EnvoyAdmin::Serve(const net::HttpRequest& request, std::span<const std::string> at,
                       const Principal& principal, Answer answer) {
  if (request.method != "GET") {
    net::HttpResponse response = Text(405, "405: Method Not Allowed");
    response.headers.Set("allow", "GET");
    return answer(std::move(response));
  }
  const std::string& what = at[4];
  const Allowed& allowed = what == "xds"     ? settings_.config_dump
                           : what == "stats" ? settings_.stats
                                             : settings_.clusters;
  const std::string action = what == "xds" ? "view the configuration of Envoy" : "view " + what;
  if (const base::Status may = Check(allowed, principal, action); !may)
    return answer(ToResponse(ProblemOf(may.error(), kTitle)));
  const auto url = UrlOf(store_, at[1], at[3]);
  if (!url) return answer(ToResponse(ProblemOf(url.error(), kTitle)));
  const std::string target = TargetOf(request, what);
  auto question = net::MakeRequest("GET", *url + target);
  if (!question) return answer(ToResponse(ProblemOf(question.error(), kTitle)));
  client_.Send(*std::move(question), [answer = std::move(answer), url = *url, what = what,
                                      json = target.find("format=json") != std::string::npos](
                                         base::Result<net::HttpResponse> got) {
    if (!got) {
      Problem problem = ProblemOf(got.error(), kTitle);
      problem.detail = got.error().message();
      problem.hint = base::Format(
          "the control plane asks Envoy at {}: is kuma-dp running, and can this host reach it? A "
          "proxy "
          "whose networking.address is 127.0.0.1 has no admin listener",
          url);
      return answer(ToResponse(problem));
    }
    if (got->status != 200) {
      Problem problem;
      problem.title = kTitle;
      problem.detail = base::Format("Envoy answered with status {}", got->status);
      return answer(ToResponse(problem));
    }
    if (what == "xds") {
      auto dump = model::ParseJson(got->body);
      if (!dump) return answer(ToResponse(ProblemOf(dump.error(), kTitle)));
      return answer(Json(200, WithoutSecrets(*std::move(dump))));
    }
    net::HttpResponse response = Text(200, std::move(got->body));
    if (json) response.headers.Set("content-type", "application/json");
    answer(std::move(response));
  });
}

}  // namespace kuma::rest
