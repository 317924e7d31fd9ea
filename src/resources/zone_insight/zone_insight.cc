#include "resources/zone_insight/zone_insight.h"

#include "model/describe.h"

namespace kuma::resources::zone_insight {

bool IsOnline(const Spec& spec) {
  return !spec.subscriptions.empty() && spec.subscriptions.back().connect_time &&
         !spec.subscriptions.back().disconnect_time;
}

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "ZoneInsight",
      .plural = "zone-insights",
      .singular_display_name = "Zone Insight",
      .plural_display_name = "Zone Insights",
      .scope = model::Scope::kGlobal,
      .read_only = true,
      .is_insight = true,
      .inline_spec = true,
      .writable_in_zones = true,
      .writable_on_global = true,
      .hashed_name = true,
  });
  return type;
}

}  // namespace kuma::resources::zone_insight
