#include "base/format.h"
#include "policy/contexts.h"
#include "policy/target_ref.h"

namespace kuma::policy {

std::string BackendKey(const BackendRef& ref) {
  std::string key = base::Format("{}/{}/{}", model::NameOf(ref.kind), ref.port.value_or(0),
                                 ref.section_name.value_or(std::string()));
  for (const auto& [label, value] : ref.labels) key += base::Format("/{}={}", label, value);
  return key;
}

}  // namespace kuma::policy
