#include "generate/internal/slots.h"

#include <array>
#include <string>
#include <utility>

#include "envoy/holes.h"
#include "generate/bootstrap.h"
#include "model/address.h"
#include "model/kri.h"
#include "model/names.h"
#include "resources/dataplane/dataplane.h"

namespace kuma::generate {
namespace {

using policy::Slot;

// What logs call a proxy without workload.
constexpr std::string_view kUnknownService = "unknown";

// The number of a mark is its place here.
constexpr std::array<std::string Slot::*, 6> kTexts = {
    &Slot::address, &Slot::address_with_port, &Slot::zone,
    &Slot::service, &Slot::workload_kri,      &Slot::access_log_socket};

}  // namespace

policy::SlotPtr SlotOf(const model::Resource& dataplane, const ProxyNode& node,
                       const std::set<std::string>& affinity) {
  const model::Metadata& meta = dataplane.meta();
  const auto& networking = dataplane.Spec<resources::dataplane::Spec>().networking;
  Slot slot;
  slot.fields = policy::SlotFields::kAll | policy::SlotFields::kAffinity;
  if (networking) {
    slot.address = networking->address;
    slot.address_with_port =
        model::IsIpv6Address(slot.address) ? "[" + slot.address + "]:0" : slot.address + ":0";
  }
  slot.zone = meta.Label(model::kZoneLabel);
  const std::string_view workload = meta.Label(model::kWorkloadLabel);
  slot.service = workload.empty() ? kUnknownService : workload;
  if (!workload.empty()) {
    slot.workload_kri = model::Kri{
        .short_name = "wl",
        .mesh = meta.mesh,
        .zone = slot.zone,
        .ns = std::string(meta.Label(model::kNamespaceLabel)),
        .name = std::string(workload),
        .section = {}}.ToString();
  }
  slot.access_log_socket = AccessLogSocket(node.workdir, meta.name, meta.mesh);
  slot.labels = meta.labels;
  for (const std::string& key : affinity) {
    const auto label = meta.labels.find(key);
    if (label != meta.labels.end()) slot.affinity.insert(*label);
  }
  return policy::MakeSlot(std::move(slot));
}

policy::SlotPtr Marked(const policy::SlotPtr& slot) {
  if (slot == nullptr) return nullptr;
  Slot marked = *slot;
  for (size_t i = 0; i < kTexts.size(); ++i) {
    if (!(marked.*kTexts[i]).empty()) marked.*kTexts[i] = bundle::HoleMark(i);
  }
  return policy::MakeSlot(std::move(marked));
}

bundle::ValuesPtr HoleValues(const policy::SlotPtr& slot) {
  if (slot == nullptr) return nullptr;
  bundle::Values values;
  for (const auto text : kTexts) values.push_back((*slot).*text);
  return std::make_shared<const bundle::Values>(std::move(values));
}

base::Result<bundle::SealedPtr> WithHoles(const policy::SlotPtr& slot, bundle::SealedPtr resource) {
  if (slot == nullptr || resource == nullptr) return resource;
  return envoy::WithHoles(std::move(resource), kTexts.size());
}

}  // namespace kuma::generate
