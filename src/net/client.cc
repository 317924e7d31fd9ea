#include "net/client.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <future>
#include <map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/format.h"
#include "base/log.h"
#include "net/internal/client_link.h"
#include "runtime/random.h"

namespace kuma::net {
namespace {

constexpr base::Logger kLog("net");
constexpr auto kUseful =
    std::chrono::seconds(10);  // a connection that lived this long resets the backoff

using internal::ClientLink;
using internal::Credentials;
using internal::LinkTarget;

bool MayRepeat(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS";
}

// "GET http://localhost:5681/meshes"
std::string Describe(const HttpRequest& request) {
  return base::Format("{} {}://{}{}", request.method, request.scheme, request.authority,
                      request.target);
}

std::string Seconds(runtime::Duration time) {
  const double seconds = std::chrono::duration<double>(time).count();
  return base::Format("{}s", std::round(seconds * 1000) / 1000);
}

}  // namespace

// Confined to the loop, except for construction.
class HttpClient::State : public std::enable_shared_from_this<HttpClient::State> {
 public:
  State(EventLoop& loop, ClientOptions options) : loop_(loop), options_(std::move(options)) {}

  void Start(HttpRequest request, Done done) {
    auto exchange = std::make_shared<Exchange>();
    exchange->request = std::move(request);
    exchange->done = std::move(done);
    exchanges_.push_back(exchange);
    if (stopped_)
      return Finish(*exchange, base::Error(base::Code::kCancelled, "the HTTP client was stopped"));
    auto origin = OriginOf(exchange->request);
    if (!origin.has_value()) return Finish(*exchange, std::move(origin).error());
    exchange->origin = *origin;
    exchange->timer =
        loop_.PostAfter(options_.request_timeout, [this, weak = std::weak_ptr(exchange)] {
          if (const auto late = weak.lock()) OnTimeout(*late);
        });
    (*origin)->waiting.push_back(std::move(exchange));
    Dispatch(**origin);
  }

  void Stop() {
    stopped_ = true;
    idle_.Cancel();
    const base::Error why(base::Code::kCancelled, "the HTTP client was stopped");
    for (auto& [key, origin] : origins_) {
      origin->waiting.clear();
      for (const auto& link : std::exchange(origin->links, {})) link->Close(why);
    }
    for (const auto& exchange : std::exchange(exchanges_, {})) {
      exchange->timer.Cancel();
      if (const Done done = std::exchange(exchange->done, nullptr)) done(why);
    }
  }

 private:
  struct Origin;
  // One request, from Send to `done`.
  struct Exchange {
    HttpRequest request;  // empty body once it was handed over for good
    Done done;
    Origin* origin = nullptr;
    std::weak_ptr<ClientLink> link;
    uint64_t number = 0;  // on the link
    bool repeatable = false;
    bool repeated = false;
    bool finished = false;  // `done` is posted
    runtime::Timer timer;
  };
  struct Origin {
    LinkTarget target;
    std::vector<std::shared_ptr<ClientLink>> links;
    std::deque<std::shared_ptr<Exchange>> waiting;
  };

  base::Result<Origin*> OriginOf(const HttpRequest& request) {
    const std::string key = request.scheme + "://" + request.authority;
    if (const auto found = origins_.find(key); found != origins_.end()) return found->second.get();
    TRY_ASSIGN(const Url url, ParseUrl(key));
    LinkTarget target;
    target.host = options_.unix_socket.empty() ? url.host : "unix:" + options_.unix_socket;
    target.port = options_.unix_socket.empty() ? url.port : uint16_t{0};
    if (url.scheme == "https") {
      if (credentials_ == nullptr) {
        TRY_ASSIGN(credentials_, Credentials::ForClient(options_.tls, options_.http2, true));
      }
      target.credentials = credentials_;
      target.server_name = options_.tls.server_name.empty() ? url.host : options_.tls.server_name;
    } else if (url.scheme != "http") {
      return base::Invalid(base::Format("unknown scheme \"{}\"", url.scheme));
    }
    auto& origin = origins_[key];
    origin = std::make_unique<Origin>();
    origin->target = std::move(target);
    return origin.get();
  }

  void Dispatch(Origin& origin) {
    if (stopped_) return;
    while (!origin.waiting.empty()) {
      if (!origin.waiting.front()->done) {  // timed out
        origin.waiting.pop_front();
        continue;
      }
      const auto link = Available(origin);
      if (link == nullptr) break;
      auto exchange = std::move(origin.waiting.front());
      origin.waiting.pop_front();
      Begin(link, std::move(exchange));
    }
    const size_t connecting = static_cast<size_t>(
        std::count_if(origin.links.begin(), origin.links.end(),
                      [](const auto& link) { return link->session() == nullptr; }));
    const bool http2 = std::any_of(origin.links.begin(), origin.links.end(),
                                   [](const auto& link) { return link->http2() != nullptr; });
    if (origin.waiting.size() > connecting &&
        origin.links.size() < options_.connections_per_origin && !(http2 && connecting > 0)) {
      OpenLink(origin);
    }
  }

  static std::shared_ptr<ClientLink> Available(Origin& origin) {
    for (const auto& link : origin.links) {
      if (link->session() != nullptr && link->session()->CanStart()) return link;
    }
    return nullptr;
  }

  void OpenLink(Origin& origin) {
    // Origins are never removed, so the reference stays good as long as this does.
    const auto slot = std::make_shared<std::weak_ptr<ClientLink>>();
    const std::weak_ptr<State> weak = weak_from_this();
    auto link = std::make_shared<ClientLink>(
        loop_, options_.limits, origin.target,
        ClientLink::Events{[weak, &origin] {
                             if (const auto self = weak.lock()) self->Dispatch(origin);
                           },
                           [weak, &origin, slot](const base::Error& why) {
                             const auto self = weak.lock();
                             if (self == nullptr) return;
                             self->OnLinkClosed(origin, slot->lock(), why);
                           }});
    *slot = link;
    origin.links.push_back(link);
    if (origin.links.size() == 1) ScheduleIdleCheck();
    link->Start(options_.connect_timeout);
  }

  void OnLinkClosed(Origin& origin, const std::shared_ptr<ClientLink>& link,
                    const base::Error& why) {
    std::erase(origin.links, link);
    // Nobody is left who could serve the waiting, and a new attempt would meet the same fault.
    if (link == nullptr || link->ready_at == runtime::Time{}) {
      if (origin.links.empty()) {
        for (const auto& exchange : std::exchange(origin.waiting, {})) Finish(*exchange, why);
      }
    }
    Dispatch(origin);
  }

  void Begin(const std::shared_ptr<ClientLink>& link, std::shared_ptr<Exchange> exchange) {
    exchange->link = link;
    // Only a connection that was kept can have been closed by the server before the request
    // arrived.
    exchange->repeatable =
        link->requests_started > 0 && !exchange->repeated && MayRepeat(exchange->request.method);
    ++link->requests_started;
    HttpRequest request = exchange->repeatable ? exchange->request : std::move(exchange->request);
    if (!exchange->repeatable) {
      exchange->request.method = request.method;
      exchange->request.authority = request.authority;
      exchange->request.target = request.target;
      exchange->request.scheme = request.scheme;
    }
    Exchange& started = *exchange;
    started.number = link->session()->StartRequest(
        std::move(request), loop_.Now(),
        [weak = weak_from_this(), exchange, link = link.get()](base::Result<HttpResponse> result) {
          const auto self = weak.lock();
          if (self != nullptr) self->OnResult(exchange, link, std::move(result));
        });
  }

  void OnResult(const std::shared_ptr<Exchange>& exchange, ClientLink* link,
                base::Result<HttpResponse> result) {
    link->idle_since = loop_.Now();
    Origin& origin = *exchange->origin;
    const bool began = link->session() != nullptr && link->session()->AnswerBegan(exchange->number);
    if (!result.has_value() && exchange->repeatable && !began && exchange->done && !stopped_) {
      exchange->repeated = true;
      origin.waiting.push_front(exchange);
    } else if (result.has_value()) {
      Finish(*exchange, std::move(result));
    } else {
      Finish(*exchange, std::move(result).error().Context(Describe(exchange->request)));
    }
    // Posted: this may be the session's own stack.
    loop_.Post([weak = weak_from_this(), &origin] {
      if (const auto self = weak.lock()) self->Dispatch(origin);
    });
  }

  void OnTimeout(Exchange& exchange) {
    if (const auto link = exchange.link.lock(); link != nullptr && link->session() != nullptr) {
      link->session()->CancelRequest(exchange.number);
    }
    Finish(exchange,
           base::Unavailable(base::Format("{}: no answer within {}", Describe(exchange.request),
                                          Seconds(options_.request_timeout))));
  }

  // `done` is posted, so that it may do anything, even destroy the client. Until it runs the exchange
  // is in progress: the end of the client ends it, too.
  void Finish(Exchange& exchange, base::Result<HttpResponse> result) {
    exchange.timer.Cancel();
    const auto found = std::find_if(exchanges_.begin(), exchanges_.end(),
                                    [&](const auto& one) { return one.get() == &exchange; });
    if (found == exchanges_.end() || std::exchange(exchange.finished, true)) return;
    loop_.Post([weak = weak_from_this(), exchange = *found, result = std::move(result)]() mutable {
      if (const auto self = weak.lock()) std::erase(self->exchanges_, exchange);
      if (const Done done = std::exchange(exchange->done, nullptr)) done(std::move(result));
    });
  }

  void ScheduleIdleCheck() {
    idle_ = loop_.PostAfter(
        std::max<runtime::Duration>(options_.idle_timeout / 4, std::chrono::milliseconds(10)),
        [this] {
          if (CloseIdle()) ScheduleIdleCheck();
        });
  }

  // True if connections are left.
  bool CloseIdle() {
    bool left = false;
    const base::Error why(base::Code::kCancelled, "idle");
    for (auto& [key, origin] : origins_) {
      const auto links = origin->links;
      for (const auto& link : links) {
        const bool idle = link->session() != nullptr && link->session()->in_progress() == 0 &&
                          loop_.Now() - link->idle_since >= options_.idle_timeout;
        if (!idle) continue;
        link->Close(why);
        std::erase(origin->links, link);
      }
      left = left || !origin->links.empty();
    }
    return left;
  }

  EventLoop& loop_;
  const ClientOptions options_;
  std::shared_ptr<const Credentials> credentials_;
  std::map<std::string, std::unique_ptr<Origin>> origins_;
  std::vector<std::shared_ptr<Exchange>> exchanges_;  // all that are not done
  runtime::Timer idle_;
  bool stopped_ = false;
};

HttpClient::HttpClient(EventLoop& loop, ClientOptions options)
    : loop_(loop), state_(std::make_shared<State>(loop, std::move(options))) {}

HttpClient::~HttpClient() {
  loop_.RunAndWait([this] { state_->Stop(); });
}

void HttpClient::Send(HttpRequest request, Done done) {
  loop_.Post([state = state_, request = std::move(request), done = std::move(done)]() mutable {
    state->Start(std::move(request), std::move(done));
  });
}

base::Result<HttpResponse> Fetch(HttpRequest request, ClientOptions options) {
  std::promise<base::Result<HttpResponse>> promise;
  auto future = promise.get_future();
  EventLoop loop("fetch");
  HttpClient client(loop, std::move(options));
  client.Send(std::move(request),
              [&](base::Result<HttpResponse> result) { promise.set_value(std::move(result)); });
  return future.get();
}

// Confined to the loop, except for construction.
class GrpcChannel::State : public std::enable_shared_from_this<GrpcChannel::State> {
 public:
  State(EventLoop& loop, GrpcChannelOptions options) : loop_(loop), options_(std::move(options)) {}

  void Start() {
    if (stopped_) return;
    if (auto prepared = Prepare(); !prepared.has_value()) {
      // Nothing will change that: it is said once, and every call gets it.
      error_ = std::move(prepared).error();
      broken_ = true;
      Report();
      FailWaiting();
      return;
    }
    Connect();
  }

  void Open(GrpcCall call, std::unique_ptr<GrpcStreamHandler> handler) {
    internal::Http2Session* session = link_ == nullptr ? nullptr : link_->http2();
    if (session != nullptr && session->CanStart()) {
      session->StartCall(call, authority_, loop_.Now(), std::move(handler));
      return;
    }
    if (session != nullptr && !stopped_) {
      // The server said GOAWAY: its streams may end there, new ones go to a new connection.
      leaving_.push_back(std::move(link_));
      Connect();
    }
    if (stopped_ || broken_ || link_ == nullptr) {
      const GrpcStatus status = stopped_
                                    ? GrpcStatus{GrpcCode::kCancelled, "the channel was stopped"}
                                    : GrpcStatus{GrpcCode::kUnavailable, error_.message()};
      handler->OnClosed(status, {});
    } else if (waiting_.size() >= options_.waiting_calls) {
      handler->OnClosed({GrpcCode::kResourceExhausted, "too many calls wait for a connection"}, {});
    } else {
      waiting_.emplace_back(std::move(call), std::move(handler));
    }
  }

  void Stop() {
    stopped_ = true;
    retry_.Cancel();
    error_ = base::Error(base::Code::kCancelled, "the channel was stopped");
    if (const auto link = std::exchange(link_, nullptr)) link->Close(error_);
    for (const auto& link : std::exchange(leaving_, {})) link->Close(error_);
    FailWaiting();
  }

 private:
  base::Status Prepare() {
    std::string target = options_.target;
    bool tls = false;
    if (target.starts_with("unix:")) {
      target_.host = target;
      authority_ = options_.authority.empty() ? "localhost" : options_.authority;
    } else {
      if (target.find("://") == std::string::npos) target = "grpc://" + target;
      TRY_ASSIGN(const Url url, ParseUrl(target));
      tls = url.scheme == "grpcs" || url.scheme == "https";
      if (!tls && url.scheme != "grpc" && url.scheme != "http") {
        return base::Invalid(
            base::Format("\"{}\": the scheme must be grpc or grpcs", options_.target));
      }
      target_.host = url.host;
      target_.port = url.port != 0 ? url.port : static_cast<uint16_t>(tls ? 443 : 80);
      authority_ = options_.authority.empty() ? target_.ToString() : options_.authority;
    }
    target_.plain_http2 = true;
    target_.http2_only = true;
    if (tls) {
      TRY_ASSIGN(target_.credentials, Credentials::ForClient(options_.tls, true, false));
      target_.server_name =
          options_.tls.server_name.empty() ? target_.host : options_.tls.server_name;
    }
    return base::Ok{};
  }

  void Connect() {
    const std::weak_ptr<State> weak = weak_from_this();
    const auto slot = std::make_shared<std::weak_ptr<ClientLink>>();
    link_ = std::make_shared<ClientLink>(loop_, options_.limits, target_,
                                         ClientLink::Events{[weak] {
                                                              if (const auto self = weak.lock())
                                                                self->OnReady();
                                                            },
                                                            [weak, slot](const base::Error& why) {
                                                              if (const auto self = weak.lock())
                                                                self->OnLost(slot->lock(), why);
                                                            }});
    *slot = link_;
    link_->Start(options_.connect_timeout);
  }

  void OnReady() {
    if (options_.on_connected) options_.on_connected();
    auto waiting = std::exchange(waiting_, {});
    for (auto& [call, handler] : waiting) Open(std::move(call), std::move(handler));
  }

  void OnLost(const std::shared_ptr<ClientLink>& link, const base::Error& why) {
    if (stopped_) return;
    if (link != link_) {
      std::erase(leaving_, link);
      return;
    }
    error_ = why;
    const bool useful = link_ != nullptr && link_->ready_at != runtime::Time{} &&
                        loop_.Now() - link_->ready_at >= kUseful;
    link_ = nullptr;
    if (useful) attempts_ = 0;
    const runtime::Duration delay = useful ? runtime::Duration{} : NextDelay();
    retry_ = loop_.PostAfter(delay, [this] { Connect(); });
    Report();
    FailWaiting();
  }

  runtime::Duration NextDelay() {
    const Backoff& backoff = options_.backoff;
    const double grown =
        static_cast<double>(backoff.initial.count()) * std::pow(backoff.multiplier, attempts_);
    const double base = std::min(grown, static_cast<double>(backoff.max.count()));
    if (grown < static_cast<double>(backoff.max.count())) ++attempts_;
    const double unit = static_cast<double>(random_.Below(20001)) / 10000.0 - 1.0;
    return runtime::Duration(static_cast<int64_t>(base * (1.0 + unit * backoff.jitter)));
  }

  void Report() {
    kLog.Debug("channel disconnected", {{"target", options_.target}, {"reason", error_.message()}});
    if (options_.on_disconnected) options_.on_disconnected(error_);
  }

  void FailWaiting() {
    for (auto& [call, handler] : std::exchange(waiting_, {})) {
      handler->OnClosed(ToGrpcStatus(error_), {});
    }
  }

  EventLoop& loop_;
  const GrpcChannelOptions options_;
  LinkTarget target_;
  std::string authority_;
  std::shared_ptr<ClientLink> link_;                  // null: waits for the next attempt
  std::vector<std::shared_ptr<ClientLink>> leaving_;  // after GOAWAY
  std::deque<std::pair<GrpcCall, std::unique_ptr<GrpcStreamHandler>>> waiting_;
  base::Error error_ = base::Unavailable("not connected yet");
  int attempts_ = 0;
  runtime::Timer retry_;
  runtime::SystemRandom random_;
  bool stopped_ = false;
  bool broken_ = false;
};

namespace {

class UnaryCall final : public GrpcStreamHandler {
 public:
  UnaryCall(std::string request, GrpcChannel::Done done)
      : request_(std::move(request)), done_(std::move(done)) {}

  void OnStart(GrpcStream& stream) override {
    if (stream.Send(std::move(request_))) stream.Finish(GrpcStatus{});
  }
  void OnMessage(std::string_view message) override {
    ++replies_;
    reply_ = std::string(message);
  }
  void OnClosed(const GrpcStatus& status, const Headers&) override {
    if (status.ok() && replies_ != 1) {
      done_({GrpcCode::kInternal, "the server did not answer with exactly one message"}, {});
    } else {
      done_(status, std::move(reply_));
    }
  }

 private:
  std::string request_;
  GrpcChannel::Done done_;
  std::string reply_;
  int replies_ = 0;
};

}  // namespace

GrpcChannel::GrpcChannel(EventLoop& loop, GrpcChannelOptions options)
    : loop_(loop), state_(std::make_shared<State>(loop, std::move(options))) {
  loop.Post([state = state_] { state->Start(); });
}

GrpcChannel::~GrpcChannel() {
  loop_.RunAndWait([this] { state_->Stop(); });
}

void GrpcChannel::Open(GrpcCall call, std::unique_ptr<GrpcStreamHandler> handler) {
  // std::function copies; the handler cannot be copied.
  auto shared = std::make_shared<std::unique_ptr<GrpcStreamHandler>>(std::move(handler));
  loop_.Post([state = state_, call = std::move(call), shared]() mutable {
    state->Open(std::move(call), std::move(*shared));
  });
}

void GrpcChannel::CallUnary(GrpcCall call, std::string request, Done done) {
  Open(std::move(call), std::make_unique<UnaryCall>(std::move(request), std::move(done)));
}

}  // namespace kuma::net
