#include "net/internal/http1_session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::net::internal {
namespace {

size_t TakeOutput(std::string& out, size_t& offset, std::span<char> into) {
  const size_t count = std::min(into.size(), out.size() - offset);
  if (count == 0) return 0;
  std::memcpy(into.data(), out.data() + offset, count);
  offset += count;
  if (offset == out.size()) {
    std::string().swap(out);  // an idle connection holds no buffer
    offset = 0;
  }
  return count;
}

void AppendHeaders(const Headers& headers, bool skip_host, std::string& out) {
  for (const auto& [name, value] : headers) {
    if (!IsHeaderName(name) || IsHopByHop(name) || (skip_host && name == "host")) continue;
    out += name;
    out += ": ";
    out += CleanHeaderValue(value);
    out += "\r\n";
  }
}

}  // namespace

Http1ServerSession::Http1ServerSession(const Limits& limits, const ServerHooks& hooks, Peer peer,
                                       SessionHost& host, runtime::Time now)
    : limits_(limits),
      hooks_(hooks),
      peer_(std::move(peer)),
      host_(host),
      parser_(Http1Parser::Kind::kRequest, limits),
      in_share_(hooks.budget),
      out_share_(hooks.budget),
      since_(now),
      now_(now),
      self_(std::make_shared<Http1ServerSession*>(this)) {}

Http1ServerSession::~Http1ServerSession() {
  *self_ = nullptr;
  if (gone_ != nullptr) gone_->store(true);
}

bool Http1ServerSession::Feed(std::string_view bytes, runtime::Time now) {
  now_ = now;
  if (closing_) return true;  // what follows the last request is dropped
  held_.append(bytes);
  Parse(now);
  return true;
}

void Http1ServerSession::Parse(runtime::Time now) {
  while (!busy_ && !closing_ && held_offset_ < held_.size() && out_.size() < kMaxOut) {
    if (!parser_.begun()) since_ = now;
    held_offset_ += parser_.Feed(std::string_view(held_).substr(held_offset_));
    if (parser_.failed()) {
      Refuse(parser_.error_status(), parser_.error());
      return;
    }
    if (!in_share_.Set(parser_.done() ? 0 : parser_.body.size())) {
      Refuse(503, "too many requests are being received, try again");
      return;
    }
    if (parser_.done()) {
      Dispatch(now);
    } else if (parser_.headers_done() && parser_.expects_continue && !continued_) {
      continued_ = true;
      out_ += "HTTP/1.1 100 Continue\r\n\r\n";
      host_.WantWrite();
    }
  }
  if (held_offset_ == held_.size()) {
    DropHeld();
  } else if (held_offset_ > kMaxHeld / 2) {
    // Not after each request: a pipeline of small ones would move all that follows each time.
    held_.erase(0, held_offset_);
    held_offset_ = 0;
  }
}

void Http1ServerSession::DropHeld() {
  std::string().swap(held_);
  held_offset_ = 0;
}

void Http1ServerSession::Dispatch(runtime::Time now) {
  HttpRequest request;
  request.method = std::move(parser_.method);
  request.version = parser_.minor_version == 0 ? HttpVersion::kHttp10 : HttpVersion::kHttp11;
  request.scheme = peer_.tls ? "https" : "http";
  request.authority = std::string(parser_.headers.Get("host"));
  request.peer = peer_;
  const bool keep_alive = parser_.keep_alive;
  if (!ParseTarget(parser_.target, request)) {
    Refuse(request.method == "CONNECT" ? 501 : 400, "malformed request target");
    return;
  }
  request.headers = std::move(parser_.headers);
  request.body = std::move(parser_.body);
  parser_.Reset();
  continued_ = false;
  since_ = now;
  busy_ = true;
  busy_head_ = request.method == "HEAD";
  busy_keep_alive_ = keep_alive;
  gone_ = std::make_shared<std::atomic<bool>>(false);
  HttpResponder responder(
      [poster = host_.poster(), self = std::weak_ptr<Http1ServerSession*>(self_),
       number = ++number_](HttpResponse response) {
        poster([self, number, response = std::move(response)]() mutable {
          const auto alive = self.lock();
          if (alive != nullptr && *alive != nullptr) (*alive)->Answer(number, std::move(response));
        });
      },
      gone_);
  if (hooks_.http == nullptr) {
    responder.Send({404, {{"content-type", "text/plain"}}, "nothing is served here\n"});
    return;
  }
  hooks_.http(std::move(request), std::move(responder));
}

void Http1ServerSession::Answer(uint64_t number, HttpResponse response) {
  if (!busy_ || number != number_) return;
  busy_ = false;
  gone_.reset();
  Write(std::move(response), busy_head_, busy_keep_alive_ && !closing_ && !draining_);
  since_ = now_;
  Parse(now_);
}

void Http1ServerSession::Write(HttpResponse response, bool head, bool keep_alive) {
  if (!out_share_.Set(out_share_.bytes() + response.body.size())) {
    response = {503, {{"content-type", "text/plain"}}, "too many answers wait to be read\n"};
    keep_alive = false;
  }
  const bool bodiless = response.status < 200 || response.status == 204 || response.status == 304;
  out_ += base::Format("HTTP/1.1 {} {}\r\n", response.status, ReasonPhrase(response.status));
  AppendHeaders(response.headers, false, out_);
  if (!bodiless) out_ += base::Format("content-length: {}\r\n", response.body.size());
  out_ += keep_alive ? "\r\n" : "connection: close\r\n\r\n";
  if (!head && !bodiless) out_ += response.body;
  if (!keep_alive) {
    closing_ = true;
    DropHeld();
  }
  host_.WantWrite();
}

void Http1ServerSession::Refuse(int status, const std::string& why) {
  in_share_.Set(0);
  std::string().swap(parser_.body);
  Write({status, {{"content-type", "text/plain"}}, why + "\n"}, false, false);
}

size_t Http1ServerSession::Produce(std::span<char> out, runtime::Time now) {
  now_ = now;
  const size_t count = TakeOutput(out_, out_offset_, out);
  if (out_.empty()) out_share_.Set(0);
  if (count == 0 || busy_) return count;
  since_ = now;
  if (!held_.empty()) Parse(now);
  return count;
}

bool Http1ServerSession::OnEof(runtime::Time) {
  // A request that is incomplete will never be one; answers to complete ones are still wanted.
  // Most clients that close their side are gone, a few only half-close.
  const bool pending = busy_ || !out_.empty();
  if (gone_ != nullptr) gone_->store(true);
  closing_ = true;
  return pending;
}

bool Http1ServerSession::OnTimer(runtime::Time now) {
  now_ = now;
  if (busy_ || closing_ || !out_.empty()) return true;
  const bool begun = parser_.begun();
  const runtime::Duration limit = !begun                   ? limits_.idle_time
                                  : parser_.headers_done() ? limits_.request_time
                                                           : limits_.header_time;
  if (now - since_ < limit) return true;
  if (!begun) {
    failure_ = "idle";
    return false;
  }
  Refuse(408, "the request did not arrive in time");
  return true;
}

void Http1ServerSession::Drain(runtime::Time now) {
  now_ = now;
  draining_ = true;
  if (!busy_ && !parser_.begun()) closing_ = true;
  if (closing_) host_.WantWrite();
}

void Http1ServerSession::DrainNow(runtime::Time now) {
  now_ = now;
  if (busy_) {
    Answer(number_, {503, {{"content-type", "text/plain"}}, "the server is shutting down\n"});
  }
  closing_ = true;
  host_.WantWrite();
}

void Http1ServerSession::OnDisconnected(const base::Error&) {
  if (gone_ != nullptr) gone_->store(true);
  busy_ = false;
  closing_ = true;
}

Http1ClientSession::Http1ClientSession(const Limits& limits, SessionHost& host)
    : host_(host), parser_(Http1Parser::Kind::kResponse, limits) {}

uint64_t Http1ClientSession::StartRequest(HttpRequest request, runtime::Time, ResponseDone done) {
  head_ = request.method == "HEAD";
  parser_.Reset(head_);
  answer_began_ = false;
  done_ = std::move(done);
  const auto clean = [](std::string text) {
    for (char& c : text) {
      if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) c = '_';
    }
    return text;
  };
  out_ += base::Format("{} {} HTTP/1.1\r\nhost: {}\r\n", clean(request.method),
                       clean(request.target), clean(request.authority));
  AppendHeaders(request.headers, true, out_);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
      request.method == "PATCH") {
    out_ += base::Format("content-length: {}\r\n", request.body.size());
  }
  out_ += "\r\n";
  out_ += request.body;
  host_.WantWrite();
  return ++number_;
}

void Http1ClientSession::CancelRequest(uint64_t number) {
  if (number != number_ || !done_) return;
  done_ = nullptr;
  closing_ = true;  // its answer may still arrive: the connection cannot be used again
  host_.WantWrite();
}

bool Http1ClientSession::Feed(std::string_view bytes, runtime::Time) {
  while (!bytes.empty()) {
    if (!done_) {
      if (closing_) return true;
      failure_ = "bytes without a request";
      closing_ = true;
      return false;
    }
    answer_began_ = true;
    bytes.remove_prefix(parser_.Feed(bytes));
    if (parser_.failed()) {
      failure_ = "malformed answer: " + parser_.error();
      closing_ = true;
      Complete(base::Unavailable(failure_));
      return false;
    }
    if (!parser_.done()) continue;
    if (parser_.status < 200 && parser_.status != 101) {
      parser_.Reset(head_);
      continue;
    }
    if (!parser_.keep_alive || !out_.empty() || parser_.status == 101) closing_ = true;
    Complete(HttpResponse{parser_.status, std::move(parser_.headers), std::move(parser_.body)});
  }
  return true;
}

void Http1ClientSession::Complete(base::Result<HttpResponse> result) {
  if (closing_) host_.WantWrite();
  if (const auto done = std::exchange(done_, nullptr)) done(std::move(result));
}

size_t Http1ClientSession::Produce(std::span<char> out, runtime::Time) {
  return TakeOutput(out_, out_offset_, out);
}

bool Http1ClientSession::OnEof(runtime::Time) {
  closing_ = true;
  if (!done_) return false;
  parser_.OnEof();
  if (parser_.done() && parser_.status >= 200) {
    Complete(HttpResponse{parser_.status, std::move(parser_.headers), std::move(parser_.body)});
  }
  return false;  // OnDisconnected ends what is left
}

void Http1ClientSession::Drain(runtime::Time) {
  closing_ = true;
  host_.WantWrite();
}

void Http1ClientSession::DrainNow(runtime::Time) {
  closing_ = true;
  Complete(base::Error(base::Code::kCancelled, "the client is shutting down"));
}

void Http1ClientSession::OnDisconnected(const base::Error& why) {
  closing_ = true;
  Complete(why);
}

}  // namespace kuma::net::internal
