#pragma once

// Port 5680: health, readiness, metrics in Prometheus's text format 0.0.4, log levels.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"

namespace kuma::rest {

// One sample. Samples of one name stand together; the first one's help and kind count.
struct Metric {
  std::string_view name;
  std::string_view help;
  enum class Kind { kCounter, kGauge } kind = Kind::kGauge;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};
std::string ToPrometheusText(const std::vector<Metric>& metrics);

// Thread-safe if the functions are; quick, so it runs on the event loop. What others have to say
// for /metrics is waited for without holding up anybody.
class Diagnostics {
 public:
  struct Sources {
    std::function<std::string()> not_ready;  // the reason, or empty: ready
    std::function<std::vector<Metric>()> metrics;
    // More of them, later, on any thread; `each`: for every proxy (/metrics?proxies=all). May be
    // null.
    std::function<void(bool each, std::function<void(std::vector<Metric>)> done)> proxies = nullptr;
  };
  explicit Diagnostics(Sources sources) : sources_(std::move(sources)) {}

  void Handle(net::HttpRequest request, net::HttpResponder responder) const;
  net::HttpResponse Answer(const net::HttpRequest& request) const;

 private:
  Sources sources_;
};

}  // namespace kuma::rest
