#pragma once

// How this host redirects the workload's traffic to Envoy, as kuma-dp tells the control plane
// (`dataplaneConfig` of POST /bootstrap). What it says replaces the Dataplane's own
// `networking.transparentProxying`.

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "dp/settings.h"
#include "model/value.h"

namespace kuma::dp {

// The defaults, and over them the files of --transparent-proxy-config in their order ("-": the
// standard input). Nothing without that flag and without --transparent-proxy. Of the files, which
// may be those of `kumactl install transparent-proxy`, these keys count: ipFamilyMode (dualstack,
// ipv4), redirect.inbound, redirect.outbound (enabled, port), redirect.vnet.networks. DNS is as this
// kuma-dp serves it. kInvalid names file and field.
base::Result<std::optional<model::Value>> LoadTransparentProxy(
    const Settings& settings, const std::function<base::Result<std::string>()>& standard_input);

}  // namespace kuma::dp
