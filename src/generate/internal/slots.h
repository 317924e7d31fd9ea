#pragma once

// Slots of proxies, and how cells with texts of a proxy are shared all the same: they are built
// with marks in place of the texts, and become templates.

#include <set>
#include <string>

#include "bundle/template.h"
#include "generate/generate.h"
#include "policy/slot.h"

namespace kuma::generate {

// Everything that a slot can hold. `affinity`: the labels that balancing compares.
policy::SlotPtr SlotOf(const model::Resource& dataplane, const ProxyNode& node,
                       const std::set<std::string>& affinity);

// The same slot with marks for its texts, as far as they are not empty: equal for all proxies that
// have the same of them empty. Labels stay as they are, as their number may differ. Null: null.
policy::SlotPtr Marked(const policy::SlotPtr& slot);
// The texts, by the numbers of their marks. Null: null.
bundle::ValuesPtr HoleValues(const policy::SlotPtr& slot);

// A resource of a cell with this slot: a template where marks came into it.
base::Result<bundle::SealedPtr> WithHoles(const policy::SlotPtr& slot, bundle::SealedPtr resource);

}  // namespace kuma::generate
