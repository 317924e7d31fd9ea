#include "resources/dataplane_insight/dataplane_insight.h"

#include "model/describe.h"

namespace kuma::resources::dataplane_insight {

const Subscription* LastSubscription(const Spec& spec) {
  return spec.subscriptions.empty() ? nullptr : &spec.subscriptions.back();
}

bool IsOnline(const Spec& spec) {
  for (const Subscription& subscription : spec.subscriptions)
    if (subscription.connect_time && !subscription.disconnect_time) return true;
  return false;
}

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "DataplaneInsight",
      .plural = "dataplane-insights",
      .singular_display_name = "Dataplane Insight",
      .plural_display_name = "Dataplane Insights",
      .read_only = true,
      .is_insight = true,
      .inline_spec = true,
      .zone_to_global = true,
      .hashed_name = true,
  });
  return type;
}

}  // namespace kuma::resources::dataplane_insight
