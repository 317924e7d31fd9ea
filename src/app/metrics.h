#pragma once

// What /metrics of port 5680 shows.

#include <memory>
#include <vector>

#include "control/control_loop.h"
#include "insight/progress.h"
#include "net/server.h"
#include "rest/diagnostics.h"
#include "rest/request_queue.h"
#include "store/store.h"
#include "xds/hub.h"

namespace kuma::app {

// Thread-safe.
std::vector<rest::Metric> CollectMetrics(const store::Store& store,
                                         const control::ControlLoop& control, const xds::Hub& hub,
                                         const rest::RequestQueue& api,
                                         const rest::RequestQueue& dp,
                                         const std::vector<std::unique_ptr<net::Server>>& servers);

// How far proxies are behind: summed up for each mesh; one by one for those that are stale (the 100
// that are longest so), or for all (`each`).
std::vector<rest::Metric> FreshnessMetrics(const std::vector<insight::Freshness>& proxies,
                                           bool each);

}  // namespace kuma::app
