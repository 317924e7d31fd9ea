#include "resources/workload/workload.h"

#include "model/describe.h"

namespace kuma::resources::workload {

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec, Status>({
      .kind = "Workload",
      .singular = "workload",
      .plural = "workloads",
      .short_name = "wl",
      .singular_display_name = "Workload",
      .plural_display_name = "Workloads",
      .name_rule = model::NameRule::kRfc1035Label,
      .zone_to_global = true,
      .hashed_name = true,
  });
  return type;
}

}  // namespace kuma::resources::workload
