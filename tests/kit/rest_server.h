#pragma once

// A REST API over a store in memory, asked without a network.

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "model/resource_type.h"
#include "net/http.h"
#include "rest/api.h"
#include "runtime/simulation.h"
#include "store/memory/memory_store.h"

namespace kuma::kit {

// Everybody may do everything, unless `settings` says otherwise. Confined to one thread.
class RestServer {
 public:
  static constexpr std::string_view kAddress = "127.0.0.1:5681";

  explicit RestServer(const model::TypeTable& types, rest::ApiSettings settings = Settings())
      : store_(store::NewMemoryStore(simulation_.clock(), true)),
        types_(types),
        tokens_(*store_, simulation_.clock(), simulation_.random(),
                {.access = settings.resources.access, .key_wait = {}}) {
    settings.insights.now = [this] { return simulation_.clock().WallNow(); };
    settings.cluster_id = [] { return "cluster"; };
    api_ = std::make_unique<rest::Api>(
        *store_, types_, tokens_,
        [](std::string_view) -> base::Result<rest::Principal> {
          return base::Denied("no such token");
        },
        simulation_.pool(), std::move(settings));
  }

  static rest::ApiSettings Settings() {
    const rest::Allowed all{{}, {"mesh-system:admin", "mesh-system:unauthenticated"}};
    rest::ApiSettings settings;
    settings.resources.access = {all, all, all, all, all, all};
    settings.config = model::Object();
    settings.hostname = "host";
    settings.instance_id = "instance";
    return settings;
  }

  net::HttpRequest Request(std::string method, const std::string& target,
                           std::string body = {}) const {
    net::HttpRequest request;
    request.method = std::move(method);
    request.authority = kAddress;
    request.peer.remote.host = "127.0.0.1";
    request.body = std::move(body);
    request.headers.Set("content-type", "application/json");
    CHECK(net::ParseTarget(target, request), "the target is one");
    return request;
  }
  net::HttpResponse Send(const net::HttpRequest& request) { return api_->Answer(request); }
  net::HttpResponse Send(std::string method, const std::string& target, std::string body = {}) {
    return Send(Request(std::move(method), target, std::move(body)));
  }

  // Straight into the store: no validation, no defaults, labels as they are.
  void Load(model::ResourcePtr resource) {
    store::Write write;
    write.resource = std::move(resource);
    const auto done = store_->Commit({.writes = {std::move(write)}, .cause = {}});
    CHECK(done.has_value(), done.has_value() ? "" : done.error().message());
  }

  store::Store& store() { return *store_; }
  runtime::Simulation& simulation() { return simulation_; }

 private:
  runtime::Simulation simulation_{1};
  std::unique_ptr<store::Store> store_;
  const model::TypeTable& types_;
  rest::TokenEndpoint tokens_;
  std::unique_ptr<rest::Api> api_;
};

}  // namespace kuma::kit
