#include "base/strings.h"
#include "cli/documents.h"
#include "model/resource_type.h"
#include "policies/schemas.h"
#include "resources/all.h"

namespace kuma::cli {
namespace {

model::TypeTable AllTypes() {
  std::vector<const model::ResourceType*> types = resources::AllResourceTypes();
  const auto& policies = policies::AllPolicySchemas();
  types.insert(types.end(), policies.begin(), policies.end());
  return model::TypeTable(std::move(types));
}

}  // namespace

Findings CheckOffline(const Document& document) {
  const model::TypeTable types = AllTypes();
  if (types.Find(document.kind->kind) == nullptr) return {};
  model::Decoded decoded = model::DecodeResource(document.content, types);
  Findings findings{.violations = std::move(decoded.violations),
                    .unknown = std::move(decoded.unknown)};
  if (!decoded.unreadable.empty()) findings.violations.Add("", decoded.unreadable);
  return findings;
}

}  // namespace kuma::cli
