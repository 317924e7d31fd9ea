#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "net/http.h"
#include "runtime/executor.h"

namespace kuma::rest {

// Requests on their way through a pool. Above `limit` a request is not queued: it is answered at
// once with 503 and `retry-after`, so that those that wait are still answered in time. Thread-safe;
// outlives its requests.
class RequestQueue {
 public:
  RequestQueue(runtime::Pool& pool, size_t limit) : pool_(pool), limit_(limit) {}

  // `serve` runs on the pool, unless the client is gone by then. It may answer later.
  void Put(net::HttpRequest request, net::HttpResponder responder,
           std::function<void(const net::HttpRequest&, const net::HttpResponder&)> serve);

  size_t waiting() const { return waiting_; }  // or being answered
  uint64_t shed() const { return shed_; }

 private:
  runtime::Pool& pool_;
  const size_t limit_;
  std::atomic<size_t> waiting_ = 0;
  std::atomic<uint64_t> shed_ = 0;
};

}  // namespace kuma::rest
