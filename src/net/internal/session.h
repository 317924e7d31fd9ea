#pragma once

// Protocol sessions: bytes in, bytes out, time as a parameter, no I/O. They are confined to one
// executor.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/event_loop.h"
#include "net/grpc.h"
#include "net/http.h"
#include "net/limits.h"
#include "runtime/clock.h"
#include "runtime/executor.h"

namespace kuma::net::internal {

// What a session asks of its connection. Outlives the session.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  // Produce may have something new. Never calls back into the session.
  virtual void WantWrite() = 0;
  // OnTimer is due at this time, besides the regular ticks.
  virtual void WakeAt(runtime::Time time) = 0;
  virtual runtime::SerialExecutor& loop() = 0;
  virtual Poster poster() = 0;
};

// Bytes that the connections of one server hold for their peers. Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(size_t bytes) : free_(static_cast<int64_t>(bytes)) {}
  // False, and nothing is taken: there are not so many left.
  bool Take(size_t bytes) {
    const auto wanted = static_cast<int64_t>(bytes);
    if (free_.fetch_sub(wanted, std::memory_order_relaxed) >= wanted) return true;
    Give(bytes);
    return false;
  }
  void Give(size_t bytes) {
    free_.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }

 private:
  std::atomic<int64_t> free_;
};

// What one holder has of a budget; it comes back at the end. Without a budget everything is free.
class BudgetShare {
 public:
  explicit BudgetShare(ByteBudget* budget = nullptr) : budget_(budget) {}
  ~BudgetShare() { Set(0); }
  BudgetShare(const BudgetShare&) = delete;
  BudgetShare& operator=(const BudgetShare&) = delete;
  // False: it cannot grow to this, and stays as it is.
  bool Set(size_t bytes) {
    if (budget_ != nullptr && bytes > bytes_ && !budget_->Take(bytes - bytes_)) return false;
    if (budget_ != nullptr && bytes < bytes_) budget_->Give(bytes_ - bytes);
    bytes_ = bytes;
    return true;
  }
  size_t bytes() const { return bytes_; }

 private:
  ByteBudget* budget_;
  size_t bytes_ = 0;
};

// What a server does with requests and calls. Outlives its sessions.
struct ServerHooks {
  HttpHandler http;
  GrpcRouter grpc;
  ByteBudget* budget = nullptr;  // null: unbounded
};

class Session {
 public:
  virtual ~Session() = default;
  // False: the peer broke the protocol or a limit, see failure(). What Produce still gives is sent,
  // then the connection is closed.
  virtual bool Feed(std::string_view bytes, runtime::Time now) = 0;
  // Writes at most out.size() bytes; 0: nothing to send now. REQUIRES: out.size() >= 1024.
  virtual size_t Produce(std::span<char> out, runtime::Time now) = 0;
  // Nothing will be sent or expected any more.
  virtual bool Finished() const = 0;
  // False: the connection stops reading until this is true again.
  virtual bool WantsRead() const { return true; }
  // The peer sends no more bytes. False: close now; true: there are answers to send.
  virtual bool OnEof(runtime::Time now) = 0;
  // At every tick and at WakeAt. False: close now, see failure().
  virtual bool OnTimer(runtime::Time now) = 0;
  // Nothing can time out but a long silence: OnTimer need not come at every tick.
  virtual bool IsCalm() const { return false; }
  // Finish what is in progress and accept nothing new.
  virtual void Drain(runtime::Time now) = 0;
  // End what is still in progress.
  virtual void DrainNow(runtime::Time now) = 0;
  // The connection is gone: everything in progress ends with this. Last call.
  virtual void OnDisconnected(const base::Error& why) = 0;

  const std::string& failure() const { return failure_; }

 protected:
  std::string failure_;
};

// The client's side.
class ClientSession : public Session {
 public:
  using ResponseDone = std::function<void(base::Result<HttpResponse>)>;
  // Whether StartRequest is possible now.
  virtual bool CanStart() const = 0;
  // Requests and calls in progress.
  virtual size_t in_progress() const = 0;
  // `done` is called once unless the request is cancelled. Returns its number.
  virtual uint64_t StartRequest(HttpRequest request, runtime::Time now, ResponseDone done) = 0;
  // Ends a request without a call of `done`.
  virtual void CancelRequest(uint64_t number) = 0;
  // True if any byte of the answer to the request has arrived.
  virtual bool AnswerBegan(uint64_t number) const = 0;
};

// A token bucket; starts full.
class TokenBucket {
 public:
  explicit TokenBucket(Rate rate) : rate_(rate), tokens_(rate.burst) {}
  bool Take(runtime::Time now) {
    if (last_ != runtime::Time{}) {
      const std::chrono::duration<double> passed = now - last_;
      Earn(passed.count() * rate_.per_second);
    }
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  void Earn(double tokens) {
    tokens_ = std::min(tokens_ + tokens, static_cast<double>(rate_.burst));
  }

 private:
  Rate rate_;
  double tokens_;
  runtime::Time last_{};
};

// Bytes of a header value that would end it are replaced, so that nobody can inject a header.
inline std::string CleanHeaderValue(std::string value) {
  for (char& c : value) {
    if (c == '\r' || c == '\n' || c == '\0') c = ' ';
  }
  return value;
}
bool IsHeaderName(std::string_view name);
// connection, keep-alive, transfer-encoding, ...: set by the transport only.
bool IsHopByHop(std::string_view lower_case_name);

}  // namespace kuma::net::internal
