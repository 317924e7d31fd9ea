#include "rest/dp_endpoint.h"

#include "base/format.h"
#include "base/log.h"
#include "base/strings.h"
#include "model/names.h"
#include "resources/dataplane/dataplane.h"
#include "resources/dataplane/probes.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using model::Object;
using model::Resource;
using model::ResourceKey;
using model::ResourcePtr;
using model::Value;

constexpr base::Logger kLog("bootstrap");

// All proxies of a large mesh may ask for their bootstrap at once; they wait 15 s for it.
constexpr size_t kWaitingRequests = 8192;

// kuma-dp does not ask again after 422: what is wrong does not mend itself.
constexpr int kCallersFault = 422;

net::HttpResponse Refuse(int status, const base::ProxyKey& proxy, std::string reason) {
  kLog.Info("refused", {{"proxy", proxy.ToString()}, {"reason", reason}});
  return Text(status, std::move(reason));
}

std::string HostOf(const net::HttpRequest& request) {
  const std::string& authority = request.authority;
  if (authority.starts_with("[")) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.rfind(':'));
}

std::string TokenCommand(const base::ProxyKey& proxy, const model::Labels& labels) {
  const auto workload = labels.find(std::string(model::kWorkloadLabel));
  return base::Format("kumactl generate dataplane-token --mesh {} --name {}{} --valid-for 720h",
                      proxy.mesh, proxy.name,
                      workload == labels.end() ? std::string() : " --workload " + workload->second);
}

base::Result<ResourcePtr> DecodeNew(std::string_view text, const base::ProxyKey& proxy,
                                    const model::TypeTable& types,
                                    const model::ControlPlane& here) {
  // kuma-dp sends JSON, which is YAML too, but is read in a fraction of the time.
  base::Result<std::vector<Value>> documents = std::vector<Value>();
  if (auto json = model::ParseJson(text)) {
    documents->push_back(*std::move(json));
  } else {
    documents = model::ParseYaml(text);
  }
  if (!documents) return std::move(documents).error().Context("Dataplane");
  if (documents->size() != 1)
    return base::Invalid("Dataplane: exactly one YAML document is expected");
  model::Decoded decoded = model::DecodeResource((*documents)[0], types);
  if (!decoded.unreadable.empty()) return base::Invalid("Dataplane: " + decoded.unreadable);
  if (decoded.resource != nullptr) {
    const Resource& resource = *decoded.resource;
    model::Violations& violations = decoded.violations;
    if (resource.type().kind != "Dataplane") {
      violations.Add("type", base::Format("must be Dataplane, not {}", resource.type().kind));
    } else {
      if (resource.name() != proxy.name) {
        violations.Add("name", base::Format("must be \"{}\", the name of the proxy", proxy.name));
      }
      if (resource.mesh() != proxy.mesh) {
        violations.Add("mesh", base::Format("must be \"{}\", the mesh of the proxy", proxy.mesh));
      }
      model::CheckLabels(resource.type(), resource.meta(), here, violations);
      model::ValidateMetadata(resource.type(), resource.meta(), violations);
    }
  }
  if (!decoded.violations.empty() || decoded.resource == nullptr) {
    return base::Invalid("Dataplane is not valid: " + decoded.violations.ToString());
  }
  const Resource& resource = *decoded.resource;
  model::Metadata meta = resource.meta();
  meta.owner = ResourceKey{"Mesh", "", proxy.mesh};
  meta.owned_by_proxy = true;
  meta.labels = model::ComputeLabels(resource.type(), meta, here);
  resources::dataplane::ComputeListenerLabels(resource.Spec<resources::dataplane::Spec>(),
                                              meta.labels);
  const std::string fault = resources::dataplane::WorkloadLabelFault(meta.labels);
  if (!fault.empty()) return base::Invalid("Dataplane is not valid: " + fault);
  return ResourcePtr(
      std::make_shared<const Resource>(resource.type(), std::move(meta),
                                       resources::dataplane::KeepHealth(nullptr, resource.spec())));
}

}  // namespace

base::Result<ResourcePtr> BroughtDataplanes::Decode(std::string_view text,
                                                    const base::ProxyKey& proxy) {
  std::string key = base::Format("{}\n{}\n{}", proxy.mesh, proxy.name, text);
  {
    const std::lock_guard lock(mutex_);
    const auto found = remembered_.find(key);
    if (found != remembered_.end()) return found->second;
  }
  TRY_ASSIGN(ResourcePtr decoded, DecodeNew(text, proxy, types_, here_));
  const std::lock_guard lock(mutex_);
  if (remembered_.emplace(key, decoded).second) order_.push_back(std::move(key));
  if (order_.size() > kRemembered) {
    remembered_.erase(order_.front());
    order_.pop_front();
  }
  return decoded;
}

DpEndpoint::DpEndpoint(store::Store& store, BroughtDataplanes& brought, VerifyDataplaneToken verify,
                       runtime::Pool& pool, Settings settings)
    : store_(store),
      brought_(brought),
      verify_(std::move(verify)),
      queue_(pool, kWaitingRequests),
      settings_(std::move(settings)) {}

void DpEndpoint::Handle(net::HttpRequest request, net::HttpResponder responder) {
  queue_.Put(std::move(request), std::move(responder),
             [this](const net::HttpRequest& taken, const net::HttpResponder& to) {
               to.Send(Answer(taken));
             });
}

net::HttpResponse DpEndpoint::Answer(const net::HttpRequest& request) {
  const bool bootstrap = request.path == "/bootstrap";
  if (!bootstrap && request.path != "/drain") return Text(404, "404: Page Not Found");
  if (request.method != "POST") {
    net::HttpResponse response = Text(405, "405: Method Not Allowed");
    response.headers.Set("allow", "POST");
    return response;
  }
  return bootstrap ? Bootstrap(request) : Drain(request);
}

net::HttpResponse DpEndpoint::Bootstrap(const net::HttpRequest& request) {
  const auto body = model::ParseJson(request.body);
  if (!body) return Text(400, body.error().message());
  model::Violations violations;
  const generate::BootstrapRequest asked = generate::ParseBootstrapRequest(*body, violations);
  const base::ProxyKey proxy = asked.Key();
  if (!violations.empty()) return Refuse(400, proxy, violations.ToString());
  if (proxy.mesh.empty() || proxy.name.empty()) {
    return Refuse(
        kCallersFault, proxy,
        "mesh and name of the proxy are required: --mesh and --name, or --dataplane-file");
  }
  if (!store_.Get(ResourceKey{"Mesh", "", proxy.mesh})) {
    return Refuse(404, proxy, base::Format("mesh \"{}\" does not exist", proxy.mesh));
  }

  ResourcePtr dataplane;
  if (!asked.dataplane_resource.empty()) {
    auto decoded = brought_.Decode(asked.dataplane_resource, proxy);
    if (!decoded) return Refuse(kCallersFault, proxy, decoded.error().message());
    dataplane = *std::move(decoded);
  } else {
    auto stored = store_.Get(ResourceKey{"Dataplane", proxy.mesh, proxy.name});
    if (!stored) {
      return Refuse(
          404, proxy,
          base::Format("Dataplane \"{}\" does not exist in mesh \"{}\": apply it first, or give it "
                       "to kuma-dp with --dataplane-file",
                       proxy.name, proxy.mesh));
    }
    dataplane = *std::move(stored);
  }

  if (verify_ != nullptr) {
    const std::string way_out =
        base::Format(". A right token: {}", TokenCommand(proxy, dataplane->meta().labels));
    if (asked.dataplane_token.Reveal().empty()) {
      return Refuse(kCallersFault, proxy, generate::kTokenRequired + way_out);
    }
    if (const base::Status right = verify_(dataplane->meta(), asked.dataplane_token); !right) {
      return Refuse(
          kCallersFault, proxy,
          base::Format("dataplane token is refused: {}{}", right.error().message(), way_out));
    }
  }

  const auto& spec = dataplane->Spec<resources::dataplane::Spec>();
  generate::BootstrapDataplane seen;
  seen.workload = dataplane->meta().Label(model::kWorkloadLabel);
  if (spec.networking && spec.networking->admin) seen.admin_port = spec.networking->admin->port;
  const std::string address = spec.networking ? spec.networking->address : std::string();
  const std::string host = HostOf(request);
  const auto yaml = generate::BootstrapYaml(asked, seen, settings_.bootstrap, host);
  if (!yaml) return Refuse(kCallersFault, proxy, yaml.error().message());

  if (request.headers.Get("accept").find("application/json") == std::string_view::npos) {
    net::HttpResponse response = Text(200, *yaml);
    response.headers.Set("content-type", "text/x-yaml");
    return response;
  }
  return Json(200, Value(Object{{"bootstrap", base::EncodeBase64(*yaml)},
                                {"kumaSidecarConfiguration",
                                 Object{{"networking", Object{{"address", address}}},
                                        {"metrics", Object{{"aggregate", nullptr}}}}}}));
}

net::HttpResponse DpEndpoint::Drain(const net::HttpRequest& request) {
  const auto body = model::ParseJson(request.body);
  if (!body) return Text(400, body.error().message());
  const auto text = [&body](std::string_view field) {
    const Value* value = body->Find(field);
    return value != nullptr && value->if_string() ? *value->if_string() : std::string();
  };
  const base::ProxyKey proxy{text("mesh"), text("name")};
  const ResourceKey key{"Dataplane", proxy.mesh, proxy.name};
  const base::Redacted<std::string> token(text("dataplaneToken"));
  // The Dataplane changes under us when somebody writes it meanwhile: then again.
  for (int attempt = 0;; ++attempt) {
    const auto stored = store_.Get(key);
    if (!stored) return Text(404, base::Format("{} does not exist", key.ToString()));
    const Resource& dataplane = **stored;
    if (verify_ != nullptr) {
      if (const base::Status right = verify_(dataplane.meta(), token); !right) {
        return Refuse(kCallersFault, proxy,
                      base::Format("dataplane token is refused: {}", right.error().message()));
      }
    }
    if (!dataplane.meta().owned_by_proxy) {
      return Text(409, base::Format("{} was applied by a user: it stays as it is", key.ToString()));
    }
    // Others lose the endpoints at once; the proxy itself keeps its listeners and serves what is on
    // its way.
    auto spec =
        std::make_shared<resources::dataplane::Spec>(dataplane.Spec<resources::dataplane::Spec>());
    if (!spec->networking) return Text(409, "the Dataplane has no networking");
    for (auto& inbound : spec->networking->inbound) {
      if (inbound.state != resources::dataplane::InboundState::kIgnored) {
        inbound.state = resources::dataplane::InboundState::kNotReady;
      }
    }
    store::Write write;
    write.resource = std::make_shared<const Resource>(dataplane.type(), dataplane.meta(),
                                                      std::move(spec), dataplane.status());
    write.expected = dataplane.meta().revision;
    const auto committed = store_.Commit({.writes = {std::move(write)}, .cause = {}});
    if (committed) {
      kLog.Info("draining", {{"proxy", proxy.ToString()}});
      return Json(200, Value(Object{{"revision", committed->revision.value}}));
    }
    if (committed.error().code() != base::Code::kConflict || attempt == 10) {
      return ToResponse(ProblemOf(committed.error(), "Could not drain"));
    }
  }
}

}  // namespace kuma::rest
