#pragma once

// Resources for tests, written as users write them.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "model/resource.h"
#include "model/resource_type.h"
#include "store/store.h"

namespace kuma::kit {

// All kinds and policies.
const model::TypeTable& Types();

// A resource from its YAML text, with the labels that the control plane computes. CHECKs that the
// text is right.
model::ResourcePtr FromYaml(std::string_view yaml);

model::ResourcePtr Mesh(std::string_view name = "default");

struct Outbound {
  std::string service;  // display name of a MeshService
  uint32_t service_port = 80;
  uint32_t port = 0;  // where it is offered, on 127.0.0.1
};
struct DataplaneOptions {
  std::string mesh = "default";
  std::map<std::string, std::string> labels = {};  // kuma.io/workload and others
  std::string address = "10.0.0.1";
  std::vector<uint32_t> inbounds = {8080};
  std::string protocol = "http";
  bool ready = true;
  std::vector<Outbound> outbounds = {};
  bool transparent = false;                     // traffic is redirected to Envoy
  std::vector<std::string> direct_access = {};  // services; with `transparent`
  bool owned_by_proxy = false;
};
model::ResourcePtr Dataplane(std::string_view name, const DataplaneOptions& options = {});

// Selects Dataplanes by label app=<name>; port 80 to 8080.
model::ResourcePtr MeshService(std::string_view name, std::string_view mesh = "default",
                               std::string_view protocol = "http");

// For the proxies with label app=<app> (empty: all), towards `to` (empty: everything).
model::ResourcePtr MeshTimeout(std::string_view name, std::string_view app, std::string_view to,
                               std::string_view connection_timeout,
                               std::string_view mesh = "default");

// A MeshLoadBalancingStrategy: proxies with label app=<app> prefer endpoints that have their own
// value of `label`.
model::ResourcePtr NearBy(std::string_view name, std::string_view app, std::string_view label);

// The same resource with something else in its metadata.
model::ResourcePtr WithLabels(const model::Resource& resource, model::Labels labels);
model::ResourcePtr OwnedBy(const model::Resource& resource, const model::ResourceKey& owner);

// Owned by its mesh, as REST stores it; other kinds than mesh-scoped ones have no owner.
store::Write Put(model::ResourcePtr resource);
store::Write Delete(const model::ResourceKey& key);

}  // namespace kuma::kit
