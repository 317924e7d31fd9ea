#include "resources/service_insight/service_insight.h"

#include "model/describe.h"

namespace kuma::resources::service_insight {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "ServiceInsight",
      .plural = "service-insights",
      .singular_display_name = "Service Insight",
      .plural_display_name = "Service Insights",
      .read_only = true,
      .is_insight = true,
      .inline_spec = true,
      .global_to_zones = true,
      .hashed_name = true,
  });
  return type;
}

}  // namespace kuma::resources::service_insight
