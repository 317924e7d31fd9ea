#include "generate/internal/vips.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "base/format.h"
#include "generate/internal/services.h"
#include "generate/reach.h"
#include "model/value.h"
#include "policy/service_ports.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {
namespace {

namespace dataplane = resources::dataplane;

// In this order: of two services with one host name the later one has it.
constexpr std::array<std::string_view, 3> kServiceKinds = {"MeshService", "MeshExternalService",
                                                           "MeshMultiZoneService"};

// "241.0.0.1" as "::ffff:f100:1"; an IPv6 address as it is.
std::string Mapped(const std::string& ip) {
  const auto bytes = model::ParseIpAddress(ip);
  if (!bytes || ip.find(':') != std::string::npos) return ip;
  const auto word = [&](size_t at) { return (*bytes)[at] << 8 | (*bytes)[at + 1]; };
  return base::Format("::ffff:{:x}:{:x}", word(12), word(14));
}

// Does the Dataplane say what it reaches?
bool IsChosen(const dataplane::Networking& networking) {
  return networking.transparent_proxying &&
         (networking.transparent_proxying->reachable_backends || !networking.outbound.empty());
}

}  // namespace

Vips::Vips(const mesh::MeshSnapshot& mesh, const Vips* before) {
  struct Found {
    OutboundAt at;
    Place place;
  };
  std::vector<Found> found;
  for (const std::string_view kind : kServiceKinds) {
    mesh.Of(kind).ForEach([&](const std::string&, const model::ResourcePtr& service) {
      auto address = VirtualAddressOf(*service);
      if (!address) return;
      for (const policy::ServicePort& port : policy::PortsOf(*service)) {
        const auto destination = DestinationOf(*service, port.name);
        if (!destination) continue;
        // An address that cannot be read equals no inbound's.
        found.push_back(
            {{DestinationId(*destination), base::Format("{}:{}", address->ip, port.port)},
             {model::ParseIpAddress(address->ip).value_or(model::IpBytes{}), port.port,
              services_.size()}});
      }
      services_.push_back({std::move(address->ip), std::move(address->hostnames)});
    });
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.at.destination < b.at.destination; });
  std::vector<OutboundAt> items;
  items.reserve(found.size());
  for (Found& one : found) {
    items.push_back(std::move(one.at));
    places_.push_back(one.place);
  }
  all_ = std::make_shared<const OutboundList>(std::move(items));
  if (before != nullptr && *before->all_ == *all_) all_ = before->all_;
  if (before != nullptr && before->all_ == all_ && before->services_ == services_) {
    records_[0] = before->records_[0];
    records_[1] = before->records_[1];
    return;
  }
  const std::vector<bool> everything(services_.size(), true);
  for (const bool ipv6 : {false, true})
    records_[ipv6] = std::make_shared<const std::string>(Records(everything, ipv6));
}

std::vector<bool> Vips::Taken(const model::Resource& dataplane) const {
  std::vector<bool> taken(places_.size(), false);
  const auto& networking = dataplane.Spec<dataplane::Spec>().networking;
  const auto take = [&](std::string_view address, uint32_t port) {
    const auto bytes = model::ParseIpAddress(address);
    if (!bytes) return;
    const bool every = model::IsUnspecifiedAddress(address);
    for (size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].port == port && (every || places_[i].address == *bytes)) taken[i] = true;
    }
  };
  for (const dataplane::Inbound& inbound : networking->inbound) {
    take(dataplane::AddressOf(*networking, inbound), inbound.port);
    take(dataplane::ServiceAddressOf(*networking, inbound), inbound.EffectiveServicePort());
  }
  return taken;
}

OutboundListPtr Vips::ListFor(const mesh::MeshSnapshot& mesh,
                              const model::Resource& dataplane) const {
  const auto& networking = dataplane.Spec<dataplane::Spec>().networking;
  const std::vector<bool> taken = Taken(dataplane);
  const auto is_taken = [&](const OutboundAt& at) {
    return taken[static_cast<size_t>(&at - all_->items().data())];
  };
  if (!IsChosen(*networking)) {
    if (std::find(taken.begin(), taken.end(), true) == taken.end()) return all_;
    std::vector<OutboundAt> rest;
    std::copy_if(all_->items().begin(), all_->items().end(), std::back_inserter(rest),
                 [&](const OutboundAt& at) { return !is_taken(at); });
    return std::make_shared<const OutboundList>(std::move(rest));
  }
  std::set<std::string> ids;
  for (const policy::Destination& destination : ReachableDestinations(mesh, dataplane))
    ids.insert(DestinationId(destination));
  std::vector<OutboundAt> chosen;
  for (const std::string& id : ids) {
    const OutboundAt* at = all_->Find(id);
    if (at != nullptr && !is_taken(*at)) chosen.push_back(*at);
  }
  return std::make_shared<const OutboundList>(std::move(chosen));
}

std::string Vips::Records(const std::vector<bool>& with, bool ipv6) const {
  std::map<std::string_view, size_t> by_name;
  for (size_t i = 0; i < services_.size(); ++i) {
    if (!with[i]) continue;
    for (const std::string& name : services_[i].hostnames) by_name[name] = i;
  }
  model::Array records;
  for (const auto& [name, index] : by_name) {
    const std::string& ip = services_[index].ip;
    model::Array ips{ip};
    if (std::string mapped = Mapped(ip); ipv6 && mapped != ip) ips.push_back(std::move(mapped));
    records.push_back(model::Object{{"name", name}, {"ips", std::move(ips)}});
  }
  return model::ToJson(model::Value(std::move(records)));
}

std::shared_ptr<const std::string> Vips::RecordsOf(const OutboundListPtr& list, bool ipv6) const {
  if (list == all_) return records_[ipv6];
  std::vector<bool> with(services_.size(), false);
  for (const OutboundAt& item : list->items()) {
    if (const OutboundAt* at = all_->Find(item.destination))
      with[places_[static_cast<size_t>(at - all_->items().data())].service] = true;
  }
  return std::make_shared<const std::string>(Records(with, ipv6));
}

VipsPtr VipMemo::Of(const mesh::MeshSnapshot& mesh) {
  const std::lock_guard lock(mutex_);
  if (meshes_.size() >= kMaxEntries && !meshes_.contains(mesh.name())) meshes_.clear();
  Entry& entry = meshes_[mesh.name()];
  const bool same = entry.vips != nullptr &&
                    std::equal(kServiceKinds.begin(), kServiceKinds.end(), entry.made_from.begin(),
                               [&](std::string_view kind, const auto& table) {
                                 return mesh.Of(kind).IsSameAs(table);
                               });
  if (same) return entry.vips;
  entry.made_from.clear();
  for (const std::string_view kind : kServiceKinds) entry.made_from.push_back(mesh.Of(kind));
  entry.vips = std::make_shared<const Vips>(mesh, entry.vips.get());
  return entry.vips;
}

}  // namespace kuma::generate
