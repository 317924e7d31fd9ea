#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "xds/ads_service.h"

namespace kuma::xds::internal {

// kDenied is what a bad token causes.
inline net::GrpcStatus StatusOf(const base::Error& error) {
  if (error.code() == base::Code::kDenied)
    return {net::GrpcCode::kUnauthenticated, error.message()};
  return net::ToGrpcStatus(error);
}

// A stream that is slow to come into step gives its place to others after this.
inline constexpr runtime::Duration kPlaceTime = std::chrono::seconds(1);

inline net::GrpcStatus TooManyStreams() {
  return {net::GrpcCode::kUnavailable,
          "the control plane is bringing many proxies into step: come back in some seconds"};
}
// gRPC's hint to clients that try again.
inline net::Headers ComeBackLater() { return {{"grpc-retry-pushback-ms", "3000"}}; }

// Who is at the other end: asks once, and hears of the answer on the stream's loop while the stream
// lives.
class Admission : public std::enable_shared_from_this<Admission> {
 public:
  using Done = std::function<void(base::Status)>;

  // `done` is called at most once, not after Cancel.
  void Start(runtime::SerialExecutor& loop, const AdsServiceOptions& options,
             const NodeDescription& node, const net::Headers& metadata, Done done) {
    done_ = std::move(done);
    timeout_ = loop.PostAfter(options.authenticate_within, [this] {
      Finish(base::Unavailable("the token could not be checked in time"));
    });
    // The store may answer long after the stream is gone.
    options.authenticate(node, metadata, [weak = weak_from_this(), &loop](base::Status status) {
      loop.Post([weak, status = std::move(status)] {
        if (const auto self = weak.lock()) self->Finish(status);
      });
    });
  }
  void Cancel() {
    done_ = nullptr;
    timeout_.Cancel();
  }

 private:
  void Finish(base::Status status) {
    const Done done = std::exchange(done_, nullptr);
    if (!done) return;
    timeout_.Cancel();
    done(std::move(status));
  }

  Done done_;
  runtime::Timer timeout_;
};

}  // namespace kuma::xds::internal
