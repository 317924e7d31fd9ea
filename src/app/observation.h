#pragma once

// From the hub's events and the writer's rounds to control, insights and progress; and who may open
// a stream.

#include <functional>

#include "control/control_loop.h"
#include "insight/progress.h"
#include "insight/proxy_insights.h"
#include "rest/dp_endpoint.h"
#include "runtime/executor.h"
#include "runtime/random.h"
#include "store/store.h"
#include "xds/ads_service.h"
#include "xds/hub.h"

namespace kuma::app {

// Confined to the insight executor but for OnRound, which posts there.
class Observation {
 public:
  // All references outlive this.
  Observation(runtime::SerialExecutor& executor, insight::ProxyInsights& insights,
              insight::Progress& progress, runtime::Random& random,
              rest::BroughtDataplanes& brought);
  // Before the first event.
  void Attach(control::ControlLoop& control) { control_ = &control; }

  void OnEvent(const xds::ProxyEvent& event);
  void OnRound(control::RoundReport report);  // any thread

 private:
  void OnConnected(const base::ProxyKey& proxy, uint64_t stream, const xds::NodeDescription& node);

  runtime::SerialExecutor& executor_;
  insight::ProxyInsights& insights_;
  insight::Progress& progress_;
  runtime::Random& random_;
  rest::BroughtDataplanes& brought_;
  control::ControlLoop* control_ = nullptr;
};

// Carries what Envoys report over health discovery to the mesh writer. `control` outlives the
// streams.
xds::HealthSubscriber SubscribeToHealth(control::ControlLoop& control);

// What a round means for the progress of proxies. On the insight executor.
void TakeRound(control::RoundReport report, insight::Progress& progress);

// For AdsService: the stream's Dataplane exists or is brought along, and its token is right. Null
// `verify`: no token is asked for.
xds::Authenticate MakeStreamAuthentication(store::Store& store, rest::BroughtDataplanes& brought,
                                           runtime::Pool& pool, rest::VerifyDataplaneToken verify);

}  // namespace kuma::app
