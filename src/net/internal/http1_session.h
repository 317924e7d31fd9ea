#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/internal/http1_parser.h"
#include "net/internal/session.h"

namespace kuma::net::internal {

// HTTP/1.1, server. One request is handled at a time, so that pipelined requests are answered in
// order; what arrives meanwhile is held, and reading pauses when that is a lot.
class Http1ServerSession final : public Session {
 public:
  // Limits, hooks and host outlive the session.
  Http1ServerSession(const Limits& limits, const ServerHooks& hooks, Peer peer, SessionHost& host,
                     runtime::Time now);
  ~Http1ServerSession() override;

  bool Feed(std::string_view bytes, runtime::Time now) override;
  size_t Produce(std::span<char> out, runtime::Time now) override;
  bool Finished() const override { return closing_ && out_.empty() && !busy_; }
  bool WantsRead() const override { return held_.size() - held_offset_ < kMaxHeld; }
  bool OnEof(runtime::Time now) override;
  bool OnTimer(runtime::Time now) override;
  void Drain(runtime::Time now) override;
  void DrainNow(runtime::Time now) override;
  void OnDisconnected(const base::Error& why) override;

 private:
  static constexpr size_t kMaxHeld = 64 << 10;
  static constexpr size_t kMaxOut = 256 << 10;  // no further request is handled before this is read

  void Parse(runtime::Time now);
  void Dispatch(runtime::Time now);
  void Answer(uint64_t number, HttpResponse response);
  void Write(HttpResponse response, bool head, bool keep_alive);
  void Refuse(int status, const std::string& why);
  void DropHeld();

  const Limits& limits_;
  const ServerHooks& hooks_;
  const Peer peer_;
  SessionHost& host_;
  Http1Parser parser_;
  std::string held_;  // arrived while a request is being handled
  size_t held_offset_ = 0;
  std::string out_;
  size_t out_offset_ = 0;
  BudgetShare in_share_;   // of a body that is incomplete
  BudgetShare out_share_;  // of answers that are not sent
  bool busy_ = false;      // a request is with the handler
  bool busy_head_ = false;
  bool busy_keep_alive_ = true;
  bool closing_ = false;   // no further request is read
  bool draining_ = false;  // the next answer is the last
  bool continued_ = false;
  uint64_t number_ = 0;  // of the request that is handled
  runtime::Time since_;  // begin of the current request, or of idleness
  runtime::Time now_;
  std::shared_ptr<std::atomic<bool>> gone_;
  std::shared_ptr<Http1ServerSession*> self_;  // null after destruction; used on the loop only
};

// HTTP/1.1, client: one request at a time.
class Http1ClientSession final : public ClientSession {
 public:
  Http1ClientSession(const Limits& limits, SessionHost& host);

  bool Feed(std::string_view bytes, runtime::Time now) override;
  size_t Produce(std::span<char> out, runtime::Time now) override;
  bool Finished() const override { return closing_ && !done_; }
  bool OnEof(runtime::Time now) override;
  bool OnTimer(runtime::Time) override { return true; }
  void Drain(runtime::Time now) override;
  void DrainNow(runtime::Time now) override;
  void OnDisconnected(const base::Error& why) override;

  bool CanStart() const override { return !done_ && !closing_; }
  size_t in_progress() const override { return done_ ? 1 : 0; }
  uint64_t StartRequest(HttpRequest request, runtime::Time now, ResponseDone done) override;
  void CancelRequest(uint64_t number) override;
  bool AnswerBegan(uint64_t) const override { return answer_began_; }

 private:
  void Complete(base::Result<HttpResponse> result);

  SessionHost& host_;
  Http1Parser parser_;
  std::string out_;
  size_t out_offset_ = 0;
  bool head_ = false;
  bool closing_ = false;
  bool answer_began_ = false;
  uint64_t number_ = 0;
  ResponseDone done_;
};

}  // namespace kuma::net::internal
