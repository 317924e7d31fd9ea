#include "control/oracle.h"

#include "base/format.h"

namespace kuma::control {

std::string OracleDifference(const generate::Generator& generator, const mesh::Snapshot& snapshot,
                             const base::ProxyKey& proxy, const generate::ProxyNode& node,
                             const bundle::XdsBundle& published) {
  const base::Result<bundle::XdsBundle> wanted = generator.BuildAll(snapshot, proxy, node);
  if (!wanted.has_value())
    return base::Format("{}: nothing can be generated: {}", proxy.ToString(),
                        wanted.error().message());
  for (const bundle::XdsType type : bundle::kAllXdsTypes) {
    const bundle::SealedList& want = wanted->Of(type);
    const bundle::SealedList& have = published.Of(type);
    for (const bundle::SealedPtr& resource : want) {
      const bundle::SealedResource* found = bundle::Find(have, resource->name);
      if (found == nullptr)
        return base::Format("{}: {} {} is missing", proxy.ToString(), bundle::TypeUrl(type),
                            resource->name);
      if (found->version != resource->version) {
        return base::Format("{}: {} {} is {}, should be {}", proxy.ToString(),
                            bundle::TypeUrl(type), resource->name, found->version.ToHex(),
                            resource->version.ToHex());
      }
    }
    for (const bundle::SealedPtr& resource : have) {
      if (bundle::Find(want, resource->name) == nullptr)
        return base::Format("{}: {} {} should not be there", proxy.ToString(),
                            bundle::TypeUrl(type), resource->name);
    }
  }
  return {};
}

}  // namespace kuma::control
