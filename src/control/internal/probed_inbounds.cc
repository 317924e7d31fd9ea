#include "control/internal/probed_inbounds.h"

#include <utility>

#include "resources/dataplane/probes.h"

namespace kuma::control::internal {

namespace dataplane_kind = resources::dataplane;

void ProbedInbounds::Opened(const base::ProxyKey& proxy, std::shared_ptr<xds::HealthLine> line,
                            generate::ProxyNode node, const model::ResourcePtr& dataplane) {
  Entry& entry = entries_[proxy];
  entry = Entry{.line = std::move(line),
                .node = std::move(node),
                .planned = false,
                .specifier = nullptr,
                .report = std::nullopt};
  Plan(entry, dataplane);
}

void ProbedInbounds::Closed(const base::ProxyKey& proxy, const xds::HealthLine* line) {
  const auto found = entries_.find(proxy);
  if (found != entries_.end() && found->second.line.get() == line) entries_.erase(found);
}

bool ProbedInbounds::Reported(const base::ProxyKey& proxy, const xds::HealthLine* line,
                              xds::HealthReport report) {
  const auto found = entries_.find(proxy);
  if (found == entries_.end() || found->second.line.get() != line) return false;
  found->second.report = std::move(report);
  return true;
}

void ProbedInbounds::Put(const base::ProxyKey& proxy, const model::ResourcePtr& dataplane) {
  const auto found = entries_.find(proxy);
  if (found != entries_.end()) Plan(found->second, dataplane);
}

void ProbedInbounds::Plan(Entry& entry, const model::ResourcePtr& dataplane) {
  std::shared_ptr<const std::string> specifier;
  xds::HealthPlan plan;
  if (dataplane != nullptr) {
    const auto& networking = dataplane->Spec<dataplane_kind::Spec>().networking;
    if (networking) specifier = generate::HealthChecks(*networking, entry.node, settings_);
    if (specifier != nullptr) {
      plan.names = dataplane_kind::ProbeNames(*networking);
      plan.names.emplace_back(generate::kAdminProbe);
    }
  }
  const bool same = specifier == nullptr || entry.specifier == nullptr
                        ? specifier == entry.specifier
                        : *specifier == *entry.specifier;
  if (entry.planned && same) return;
  entry.planned = true;
  entry.specifier = plan.specifier = std::move(specifier);
  entry.report.reset();  // it was about other probes
  entry.line->SetPlan(std::move(plan));
}

model::ResourcePtr ProbedInbounds::Wanted(const base::ProxyKey& proxy,
                                          const model::ResourcePtr& dataplane) const {
  const auto found = entries_.find(proxy);
  if (found == entries_.end() || !found->second.report || dataplane == nullptr) return nullptr;
  const xds::HealthReport& report = *found->second.report;
  const auto& stored = dataplane->Spec<dataplane_kind::Spec>();
  if (!stored.networking) return nullptr;
  const auto admin = report.find(generate::kAdminProbe);
  const bool envoy_serves = admin == report.end() || admin->second;
  const std::vector<std::string> names = dataplane_kind::ProbeNames(*stored.networking);
  std::shared_ptr<dataplane_kind::Spec> changed;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto healthy = report.find(names[i]);
    if (names[i].empty() || healthy == report.end()) continue;
    dataplane_kind::Inbound inbound = stored.networking->inbound[i];
    if (!dataplane_kind::TakeHealth(healthy->second && envoy_serves, inbound)) continue;
    if (changed == nullptr) changed = std::make_shared<dataplane_kind::Spec>(stored);
    changed->networking->inbound[i] = std::move(inbound);
  }
  if (changed == nullptr) return nullptr;
  return std::make_shared<const model::Resource>(dataplane->type(), dataplane->meta(),
                                                 std::move(changed), dataplane->status());
}

}  // namespace kuma::control::internal
