#pragma once

#include <string_view>

#include "model/resource.h"
#include "model/value.h"

namespace kuma::rest {

// The resource as its Kubernetes object (format=k8s of Kuma 3.0), as it would be applied there:
// kind, apiVersion, metadata, spec, status. An empty `ns` is the system namespace of Kuma. Only the
// mesh of the labels is kept, as Kuma does it. Pure.
model::Value KubernetesForm(const model::Resource& resource, std::string_view ns);

}  // namespace kuma::rest
