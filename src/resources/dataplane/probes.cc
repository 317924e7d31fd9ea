#include "resources/dataplane/probes.h"

#include <algorithm>
#include <map>

#include "base/format.h"

namespace kuma::resources::dataplane {
namespace {

bool HasProbes(const Spec& spec) {
  return spec.networking.has_value() &&
         std::any_of(spec.networking->inbound.begin(), spec.networking->inbound.end(), IsProbed);
}

// What was found last of the same workload.
bool WasReady(const Spec& stored, std::string_view address, uint32_t port) {
  if (!stored.networking) return false;
  return std::any_of(stored.networking->inbound.begin(), stored.networking->inbound.end(),
                     [&](const Inbound& inbound) {
                       return IsProbed(inbound) && inbound.health && inbound.health->ready &&
                              inbound.EffectiveServicePort() == port &&
                              ServiceAddressOf(*stored.networking, inbound) == address;
                     });
}

}  // namespace

std::vector<std::string> ProbeNames(const Networking& networking) {
  std::map<uint32_t, std::string_view> first;
  std::vector<std::string> names;
  names.reserve(networking.inbound.size());
  for (const Inbound& inbound : networking.inbound) {
    std::string& name = names.emplace_back();
    if (!IsProbed(inbound)) continue;
    const uint32_t port = inbound.EffectiveServicePort();
    const std::string_view address = ServiceAddressOf(networking, inbound);
    const bool same = first.emplace(port, address).first->second == address;
    name =
        same ? base::Format("localhost:{}", port) : base::Format("localhost:{}@{}", port, address);
  }
  return names;
}

bool TakeHealth(bool ready, Inbound& inbound) {
  if (inbound.health && inbound.health->ready == ready) return false;
  inbound.health = Health{ready};
  inbound.state = ready ? InboundState::kReady : InboundState::kNotReady;
  return true;
}

std::shared_ptr<const void> KeepHealth(const model::Resource* stored,
                                       const std::shared_ptr<const void>& written) {
  const Spec& given = *static_cast<const Spec*>(written.get());
  if (!HasProbes(given)) return written;
  auto spec = std::make_shared<Spec>(given);
  for (Inbound& inbound : spec->networking->inbound) {
    if (!IsProbed(inbound)) continue;
    const bool ready = stored != nullptr &&
                       WasReady(stored->Spec<Spec>(), ServiceAddressOf(*spec->networking, inbound),
                                inbound.EffectiveServicePort());
    // A file that was read while the workload was down says NotReady because of the probe, not
    // because its writer wants it.
    const bool stale = inbound.health && !inbound.health->ready;
    if (!ready) {
      inbound.state = InboundState::kNotReady;
    } else if (stale) {
      inbound.state = InboundState::kReady;
    }
    inbound.health = Health{ready};
  }
  return spec;
}

}  // namespace kuma::resources::dataplane
