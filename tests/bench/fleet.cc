#include "tests/bench/fleet.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "model/value.h"
#include "tests/kit/model_envoy.h"
#include "tests/kit/wire.h"

namespace kuma::bench {
namespace {

using model::Array;
using model::Object;
using model::Value;
using std::chrono::milliseconds;

constexpr std::string_view kDeltaAds =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

std::string Text(const Value* value) {
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

// google.protobuf.Value and Struct.
std::string EncodeStruct(const Object& object);
std::string EncodeValue(const Value& value) {
  std::string out;
  if (const bool* flag = value.if_bool()) {
    kit::AppendVarint(out, 4 << 3);
    kit::AppendVarint(out, *flag ? 1 : 0);
  } else if (value.is_number()) {
    const double number =
        value.if_int() != nullptr ? static_cast<double>(*value.if_int()) : *value.if_double();
    kit::AppendVarint(out, 2 << 3 | 1);
    out.append(reinterpret_cast<const char*>(&number), sizeof number);  // little-endian
  } else if (const std::string* text = value.if_string()) {
    kit::AppendBytes(out, 3, *text);
  } else if (const Object* object = value.if_object()) {
    kit::AppendBytes(out, 5, EncodeStruct(*object));
  } else if (const Array* array = value.if_array()) {
    std::string list;
    for (const Value& item : *array) kit::AppendBytes(list, 1, EncodeValue(item));
    kit::AppendBytes(out, 6, list);
  } else {
    kit::AppendVarint(out, 1 << 3);
    kit::AppendVarint(out, 0);
  }
  return out;
}
std::string EncodeStruct(const Object& object) {
  std::string out;
  for (const auto& [key, value] : object) {
    std::string entry;
    kit::AppendBytes(entry, 1, key);
    kit::AppendBytes(entry, 2, EncodeValue(value));
    kit::AppendBytes(out, 1, entry);
  }
  return out;
}

// envoy.config.core.v3.Node of a bootstrap, as Envoy sends it in its first request.
base::Result<std::string> NodeOf(const net::HttpResponse& reply) {
  TRY_ASSIGN(const Value answer, model::ParseJson(reply.body));
  const auto yaml = base::DecodeBase64(Text(answer.Find("bootstrap")));
  if (!yaml) return base::Invalid("the answer holds no bootstrap");
  // The rest is many times as much, and as slow to read.
  const size_t begin = yaml->find("\nnode:");
  if (begin == std::string::npos) return base::Invalid("the bootstrap has no node");
  size_t end = yaml->find('\n', begin + 1);
  while (end != std::string::npos && end + 1 < yaml->size() && (*yaml)[end + 1] == ' ')
    end = yaml->find('\n', end + 1);
  TRY_ASSIGN(const std::vector<Value> documents,
             model::ParseYaml(std::string_view(*yaml).substr(begin, end - begin)));
  const Value* node = documents.empty() ? nullptr : documents[0].Find("node");
  if (node == nullptr) return base::Invalid("the bootstrap has no node");
  std::string out;
  kit::AppendBytes(out, 1, Text(node->Find("id")));
  kit::AppendBytes(out, 2, Text(node->Find("cluster")));
  if (const Value* metadata = node->Find("metadata"); metadata && metadata->if_object())
    kit::AppendBytes(out, 3, EncodeStruct(*metadata->if_object()));
  kit::AppendBytes(out, 6, "envoy");
  return out;
}

std::string BootstrapBody(const ProxyOptions& proxy) {
  Object request{{"mesh", proxy.mesh},
                 {"name", proxy.name},
                 {"proxyType", "dataplane"},
                 {"dataplaneToken", proxy.token}};
  if (!proxy.dataplane.empty()) request.Set("dataplaneResource", proxy.dataplane);
  request.Set("version", Object{{"kumaDp", Object{{"version", "0.0.0"},
                                                  {"gitTag", "unknown"},
                                                  {"gitCommit", "unknown"},
                                                  {"buildDate", "unknown"}}},
                                {"envoy", Object{{"version", "1.40.0"},
                                                 {"build", "simulated/1.40.0/Clean/RELEASE/x"},
                                                 {"kumaDpCompatible", true}}}});
  request.Set("caCert", "");
  request.Set("dynamicMetadata", Object{});
  request.Set("dnsPort", 15053);
  request.Set("readinessPort", 9902);
  request.Set("operatingSystem", "linux");
  request.Set("features",
              Array{Value("feature-tcp-accesslog-via-named-pipe"), Value("feature-reuse-port")});
  request.Set("resources", Object{});
  request.Set("workdir", "/tmp/kuma-dp");
  request.Set("metricsResources", Object{{"certPath", ""}, {"keyPath", ""}});
  request.Set("systemCaPath", "/etc/ssl/certs/ca-certificates.crt");
  request.Set("ipv6Enabled", false);
  request.Set("spireResources", Object{{"socketPath", ""}});
  return model::ToJson(request);
}

// Of envoy.config.cluster.v3.Cluster: type = EDS.
bool IsEdsCluster(std::string_view packed) {
  kit::Fields any(packed);
  while (any.Next()) {
    if (any.number() != 2) continue;
    kit::Fields cluster(any.bytes());
    while (cluster.Next()) {
      if (cluster.number() == 2) return cluster.varint() == 3;
    }
  }
  return false;
}

}  // namespace

bool WaitFor(std::chrono::seconds limit, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(3));
  }
  return true;
}

struct Fleet::State {
  explicit State(FleetOptions o) : options(std::move(o)) {}

  bundle::SealedPtr Intern(bundle::XdsType type, std::string_view name, std::string_view version,
                           std::string_view packed);
  void BootstrapNext();
  void OpenNextPlayer();
  void OnMessage(std::string_view message) {
    last_message = std::chrono::steady_clock::now();
    ++traffic.responses;
    traffic.bytes += message.size();
  }

  const FleetOptions options;
  net::EventLoop loop{"fleet"};
  // Everything below is confined to the loop.
  runtime::SeededRandom random{1};
  std::unique_ptr<net::HttpClient> http;
  std::vector<std::unique_ptr<Proxy>> proxies;
  std::vector<std::unique_ptr<Player>> players;
  size_t players_opened = 0;
  std::deque<size_t> to_bootstrap;
  size_t bootstrapping = 0;
  std::unordered_map<std::string, std::shared_ptr<const SeenResource>> seen;
  std::string key;  // scratch
  Mark mark;
  Recording* recording = nullptr;
  Traffic traffic;
  SteadyTime last_message;
  size_t connected = 0;
  size_t configured = 0;
  size_t marked = 0;
  uint64_t stream_errors = 0;
  std::string last_error;
};

bundle::SealedPtr Fleet::State::Intern(bundle::XdsType type, std::string_view name,
                                       std::string_view version, std::string_view packed) {
  key.assign(1, static_cast<char>('0' + static_cast<int>(type)));
  key.append(name).append(1, '\n').append(version);
  const auto found = seen.find(key);
  if (found != seen.end()) return found->second;
  auto resource = std::make_shared<SeenResource>();
  resource->type = type;
  resource->name = name;
  resource->wire_version = version;
  resource->has_endpoints = type == bundle::XdsType::kCluster && IsEdsCluster(packed);
  resource->marked = mark && mark(*resource, packed);
  seen.emplace(key, resource);
  return resource;
}

// -------------------------------------------------------------------------------------------------

// One simulated Envoy. Confined to the loop.
class Fleet::Proxy {
 public:
  Proxy(State& state, size_t number, ProxyOptions options)
      : state_(state), number_(number), options_(std::move(options)) {
    kit::ModelEnvoyOptions envoy;
    envoy.has_endpoints = [](const bundle::SealedResource& resource) {
      return static_cast<const SeenResource&>(resource).has_endpoints;
    };
    envoy_.emplace(std::move(envoy), state_.random);
  }

  void Bootstrap() {
    auto request = net::MakeRequest("POST", state_.options.url + "/bootstrap");
    request->headers.Set("content-type", "application/json");
    request->headers.Set("accept", "application/json");
    request->body = BootstrapBody(options_);
    state_.http->Send(*std::move(request), [this](base::Result<net::HttpResponse> reply) {
      --state_.bootstrapping;
      base::Result<std::string> node =
          !reply ? base::Result<std::string>(std::move(reply).error())
          : reply->status != 200
              ? base::Invalid(base::Format("bootstrap: {}: {}", reply->status, reply->body))
              : NodeOf(*reply);
      if (node) {
        node_ = *std::move(node);
        options_.dataplane.clear();
        options_.dataplane.shrink_to_fit();
        Connect();
      } else {
        Failed(node.error().message());
        timer_ = state_.loop.PostAfter(std::chrono::seconds(1), [this] {
          state_.to_bootstrap.push_back(number_);
          state_.BootstrapNext();
        });
      }
      state_.BootstrapNext();
    });
  }

  void Connect() {
    net::GrpcChannelOptions channel;
    channel.target = options_.url.empty() ? state_.options.url : options_.url;
    channel.tls.skip_verify = true;
    channel.backoff = {.initial = milliseconds(500)};
    channel.on_connected = [this] { Open(); };
    channel.on_disconnected = [this](const base::Error& error) { Failed(error.message()); };
    channel_.emplace(state_.loop, std::move(channel));
    Open();
  }
  void Stop() {
    stopped_ = true;
    timer_.Cancel();
    envoy_timer_.Cancel();
    channel_.reset();
  }
  void Cut() {
    if (stopped_ || !channel_) return;
    Stop();
    stopped_ = false;
    Connect();
  }

  void OnStart(net::GrpcStream& stream) {
    stream_ = &stream;
    first_request_ = true;
    listeners_answered_ = false;
    ++state_.connected;
    Send(envoy_->Connect(std::chrono::steady_clock::now()));
  }
  void OnMessage(std::string_view bytes) {
    state_.OnMessage(bytes);
    if (state_.recording != nullptr) state_.recording->FromServer(number_, bytes);
    const auto response = kit::DecodeResponse(
        bytes,
        [this](bundle::XdsType type, std::string_view name, std::string_view version,
               std::string_view packed) { return state_.Intern(type, name, version, packed); });
    if (!response) return Failed("a response that cannot be decoded");
    state_.traffic.resources += response->resources.size();
    state_.traffic.removed += response->removed.size();
    for (const bundle::SealedPtr& resource : response->resources) {
      if (!marked_at_ && static_cast<const SeenResource&>(*resource).marked) {
        marked_at_ = state_.last_message;
        ++state_.marked;
      }
    }
    listeners_answered_ |= response->type == bundle::XdsType::kListener;
    Send(envoy_->OnResponse(state_.last_message, *response));
    if (!configured_at_ && listeners_answered_ && envoy_->warming() == 0) {
      configured_at_ = state_.last_message;
      ++state_.configured;
    }
    ArmTimer();
  }
  void OnClosed(const net::GrpcStatus& status) {
    if (std::exchange(stream_, nullptr) != nullptr) {
      --state_.connected;
      envoy_->Disconnect();
      if (!stopped_) Failed(status.message);
    }
    opening_ = false;
    if (stopped_) return;
    // A new connection opens the stream sooner.
    timer_ =
        state_.loop.PostAfter(milliseconds(500 + state_.random.Below(500)), [this] { Open(); });
  }

  const std::optional<SteadyTime>& marked_at() const { return marked_at_; }
  const std::optional<SteadyTime>& configured_at() const { return configured_at_; }
  void Unmark() { marked_at_.reset(); }
  void Unconfigure() { configured_at_.reset(); }
  const kit::ModelEnvoy& envoy() const { return *envoy_; }

 private:
  void Open();
  void Failed(std::string reason) {
    ++state_.stream_errors;
    state_.last_error = base::Format("{}: {}", options_.name, reason);
  }
  void Send(const std::vector<xds::DeltaRequest>& requests) {
    for (const xds::DeltaRequest& request : requests) {
      if (stream_ == nullptr) return;
      std::string bytes;
      if (std::exchange(first_request_, false)) kit::AppendBytes(bytes, 1, node_);
      bytes += kit::EncodeRequest(request);
      ++state_.traffic.requests;
      if (state_.recording != nullptr) state_.recording->FromClient(number_, bytes);
      stream_->Send(std::move(bytes));
    }
  }
  // Drained listeners and clusters without endpoints.
  void ArmTimer() {
    const auto next = envoy_->NextTimer();
    if (!next || timer_at_ == next) return;
    timer_at_ = next;
    envoy_timer_ = state_.loop.PostAfter(*next - std::chrono::steady_clock::now(), [this] {
      timer_at_.reset();
      Send(envoy_->OnTimer(std::chrono::steady_clock::now()));
      ArmTimer();
    });
  }

  State& state_;
  const size_t number_;
  ProxyOptions options_;
  std::string node_;
  std::optional<net::GrpcChannel> channel_;
  net::GrpcStream* stream_ = nullptr;
  bool opening_ = false;
  bool stopped_ = false;
  bool first_request_ = false;
  bool listeners_answered_ = false;
  std::optional<kit::ModelEnvoy> envoy_;
  runtime::Timer timer_, envoy_timer_;
  std::optional<runtime::Time> timer_at_;
  std::optional<SteadyTime> marked_at_, configured_at_;
};

class Fleet::Stream final : public net::GrpcStreamHandler {
 public:
  explicit Stream(Proxy& proxy) : proxy_(proxy) {}
  void OnStart(net::GrpcStream& stream) override { proxy_.OnStart(stream); }
  void OnMessage(std::string_view message) override { proxy_.OnMessage(message); }
  void OnClosed(const net::GrpcStatus& status, const net::Headers&) override {
    proxy_.OnClosed(status);
  }

 private:
  Proxy& proxy_;
};

void Fleet::Proxy::Open() {
  if (stopped_ || stream_ != nullptr || opening_) return;
  timer_.Cancel();
  opening_ = true;
  net::GrpcCall call;
  call.path = kDeltaAds;
  if (!options_.token.empty()) call.metadata.Add("authorization", options_.token);
  channel_->Open(std::move(call), std::make_unique<Stream>(*this));
}

void Fleet::State::BootstrapNext() {
  while (bootstrapping < options.bootstraps && !to_bootstrap.empty()) {
    const size_t number = to_bootstrap.front();
    to_bootstrap.pop_front();
    ++bootstrapping;
    proxies[number]->Bootstrap();
  }
}

// The clients' side of a recorded stream.
class Fleet::Player final {
 public:
  Player(State& state, RecordedStream script, size_t number)
      : state_(state), script_(std::move(script)), number_(number) {}
  void Open() {
    net::GrpcChannelOptions options;
    options.target = state_.options.url;
    options.tls.skip_verify = true;
    channel_.emplace(state_.loop, std::move(options));
    net::GrpcCall call;
    call.path = kDeltaAds;
    call.metadata.Add("x-stream", std::to_string(number_));
    channel_->Open(std::move(call), std::make_unique<Handler>(*this));
  }
  void Stop() { channel_.reset(); }
  const std::optional<SteadyTime>& marked_at() const { return marked_at_; }
  void Unmark() { marked_at_.reset(); }

 private:
  class Handler final : public net::GrpcStreamHandler {
   public:
    explicit Handler(Player& player) : player_(player) {}
    void OnStart(net::GrpcStream& stream) override {
      player_.stream_ = &stream;
      ++player_.state_.connected;
      player_.Go();
    }
    void OnMessage(std::string_view message) override {
      player_.state_.OnMessage(message);
      if (player_.received_++ == 0) player_.state_.OpenNextPlayer();
      if (!player_.marked_at_) {
        player_.marked_at_ = player_.state_.last_message;
        ++player_.state_.marked;
      }
      player_.Go();
    }
    void OnClosed(const net::GrpcStatus& status, const net::Headers&) override {
      player_.state_.connected -= player_.stream_ != nullptr;
      player_.stream_ = nullptr;
      ++player_.state_.stream_errors;
      player_.state_.last_error = status.message;
      if (player_.received_ == 0) player_.state_.OpenNextPlayer();
    }

   private:
    Player& player_;
  };
  void Go() {
    while (next_ < script_.client.size() && script_.client[next_].after <= received_) {
      ++state_.traffic.requests;
      stream_->Send(script_.client[next_++].head);
    }
  }

  State& state_;
  const RecordedStream script_;
  const size_t number_;
  std::optional<net::GrpcChannel> channel_;
  net::GrpcStream* stream_ = nullptr;
  size_t next_ = 0;
  uint32_t received_ = 0;
  std::optional<SteadyTime> marked_at_;
};

void Fleet::State::OpenNextPlayer() {
  if (players_opened < players.size()) players[players_opened++]->Open();
}

// -------------------------------------------------------------------------------------------------

namespace {

// The value that `get` gives on the loop.
template <class Get>
auto OnLoop(net::EventLoop& loop, const Get& get) {
  std::optional<decltype(get())> value;
  loop.RunAndWait([&] { value.emplace(get()); });
  return *std::move(value);
}

}  // namespace

Fleet::Fleet(FleetOptions options) : state_(std::make_shared<State>(std::move(options))) {
  net::ClientOptions client;
  client.tls.skip_verify = true;
  client.connections_per_origin = state_->options.bootstraps;
  state_->http = std::make_unique<net::HttpClient>(state_->loop, std::move(client));
}

Fleet::~Fleet() {
  state_->loop.RunAndWait([this] {
    for (const auto& proxy : state_->proxies) proxy->Stop();
    for (const auto& player : state_->players) player->Stop();
    state_->to_bootstrap.clear();
    state_->http.reset();
  });
  // A call that was about to be opened is told in between that its channel is gone.
  state_->loop.RunAndWait([this] {
    state_->players.clear();
    state_->proxies.clear();
  });
}

void Fleet::Start(std::vector<ProxyOptions> proxies) {
  state_->loop.RunAndWait([&] {
    for (ProxyOptions& options : proxies) {
      const size_t number = state_->proxies.size();
      state_->proxies.push_back(std::make_unique<Proxy>(*state_, number, std::move(options)));
      state_->to_bootstrap.push_back(number);
    }
    state_->BootstrapNext();
  });
}

void Fleet::StartReplay(const Recording& recording) {
  state_->loop.RunAndWait([&] {
    for (size_t i = 0; i < recording.streams.size(); ++i) {
      state_->players.push_back(std::make_unique<Player>(*state_, recording.streams[i], i));
    }
    for (size_t i = 0; i < state_->options.bootstraps; ++i) state_->OpenNextPlayer();
  });
}

void Fleet::Stop(size_t first) {
  state_->loop.RunAndWait([&] {
    for (size_t i = first; i < state_->proxies.size(); ++i) state_->proxies[i]->Stop();
  });
}

void Fleet::StopOne(size_t number) {
  state_->loop.RunAndWait([&] { state_->proxies.at(number)->Stop(); });
}

void Fleet::Cut(size_t count) {
  state_->loop.RunAndWait([&] {
    for (size_t i = 0; i < std::min(count, state_->proxies.size()); ++i) state_->proxies[i]->Cut();
  });
}

void Fleet::ArmMark(Mark mark) {
  state_->loop.RunAndWait([&] {
    state_->mark = std::move(mark);
    state_->marked = 0;
    for (const auto& proxy : state_->proxies) proxy->Unmark();
    for (const auto& player : state_->players) player->Unmark();
  });
}

std::vector<SteadyTime> Fleet::Marks() const {
  auto times = OnLoop(state_->loop, [this] {
    std::vector<SteadyTime> marks;
    for (const auto& proxy : state_->proxies) {
      if (proxy->marked_at()) marks.push_back(*proxy->marked_at());
    }
    for (const auto& player : state_->players) {
      if (player->marked_at()) marks.push_back(*player->marked_at());
    }
    return marks;
  });
  std::sort(times.begin(), times.end());
  return times;
}

std::vector<SteadyTime> Fleet::ConfiguredAt() const {
  auto times = OnLoop(state_->loop, [this] {
    std::vector<SteadyTime> at;
    for (const auto& proxy : state_->proxies) {
      if (proxy->configured_at()) at.push_back(*proxy->configured_at());
    }
    return at;
  });
  std::sort(times.begin(), times.end());
  return times;
}

void Fleet::ForgetConfigured() {
  state_->loop.RunAndWait([this] {
    state_->configured = 0;
    for (const auto& proxy : state_->proxies) proxy->Unconfigure();
  });
}

size_t Fleet::configured() const {
  return OnLoop(state_->loop, [this] { return state_->configured; });
}
size_t Fleet::marked() const {
  return OnLoop(state_->loop, [this] { return state_->marked; });
}
size_t Fleet::size() const {
  return OnLoop(state_->loop, [this] { return state_->proxies.size() + state_->players.size(); });
}
size_t Fleet::connected() const {
  return OnLoop(state_->loop, [this] { return state_->connected; });
}
Traffic Fleet::traffic() const {
  return OnLoop(state_->loop, [this] { return state_->traffic; });
}
SteadyTime Fleet::last_message() const {
  return OnLoop(state_->loop, [this] { return state_->last_message; });
}
uint64_t Fleet::stream_errors() const {
  return OnLoop(state_->loop, [this] { return state_->stream_errors; });
}
std::string Fleet::last_error() const {
  return OnLoop(state_->loop, [this] { return state_->last_error; });
}

std::vector<std::string> Fleet::Faults() const {
  return OnLoop(state_->loop, [this] {
    std::vector<std::string> faults;
    for (const auto& proxy : state_->proxies) {
      for (const std::string& fault : proxy->envoy().faults()) faults.push_back(fault);
      if (proxy->envoy().fetch_timeouts() != 0) faults.emplace_back("endpoints never came");
    }
    return faults;
  });
}

void Fleet::Record(Recording* recording) {
  state_->loop.RunAndWait([&] { state_->recording = recording; });
}

}  // namespace kuma::bench
