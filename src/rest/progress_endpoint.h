#pragma once

// What is live and what is not: GET /rollouts, /rollouts/{revision}, /degraded and
// /meshes/{mesh}/dataplanes/{name}/_timeline.

#include <functional>
#include <string>
#include <vector>

#include "control/control_loop.h"
#include "insight/progress.h"
#include "net/http.h"

namespace kuma::rest {

// Immutable, thread-safe. Blocks nobody: the answer is given when it is there, on whatever thread
// has it.
class ProgressEndpoint {
 public:
  using Answer = std::function<void(net::HttpResponse)>;

  // Both outlive the endpoint and the questions that it asked.
  ProgressEndpoint(insight::Progress& progress, control::ControlLoop& control)
      : progress_(progress), control_(control) {}

  // Is this path (its segments) one of ours?
  static bool Has(const std::vector<std::string>& at);
  // REQUIRES: Has(at).
  void Serve(const net::HttpRequest& request, const std::vector<std::string>& at,
             const Answer& answer) const;

 private:
  void Rollouts(const net::HttpRequest& request, const Answer& answer) const;
  void Rollout(const net::HttpRequest& request, const std::string& revision,
               const Answer& answer) const;
  void Timeline(const std::string& mesh, const std::string& name, const Answer& answer) const;
  void Degraded(const Answer& answer) const;

  insight::Progress& progress_;
  control::ControlLoop& control_;
};

}  // namespace kuma::rest
