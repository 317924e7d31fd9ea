#pragma once

#include <string>

#include "bundle/bundle.h"
#include "generate/generate.h"

namespace kuma::control {

// Compares a published bundle with the naive computation from scratch at the same snapshot. Empty
// when they are equal in types, names and versions; else a text that names the proxy and the first
// differing resource. Pure, thread-safe.
std::string OracleDifference(const generate::Generator& generator, const mesh::Snapshot& snapshot,
                             const base::ProxyKey& proxy, const generate::ProxyNode& node,
                             const bundle::XdsBundle& published);

}  // namespace kuma::control
