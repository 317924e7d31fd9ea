#include "rest/request_queue.h"

#include <utility>

#include "base/log.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

constexpr base::Logger kLog("rest");

}  // namespace

void RequestQueue::Put(
    net::HttpRequest request, net::HttpResponder responder,
    std::function<void(const net::HttpRequest&, const net::HttpResponder&)> serve) {
  if (waiting_.fetch_add(1) >= limit_) {
    --waiting_;
    ++shed_;
    kLog.Warn("overloaded, a request was not taken", {{"waiting", limit_}});
    net::HttpResponse response =
        Text(503, "the control plane has too many requests in progress: try again in a second\n");
    response.headers.Set("retry-after", "1");
    return responder.Send(std::move(response));
  }
  pool_.Post([this, request = std::move(request), responder = std::move(responder),
              serve = std::move(serve)] {
    if (!responder.peer_gone()) serve(request, responder);
    --waiting_;
  });
}

}  // namespace kuma::rest
