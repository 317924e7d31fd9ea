#include "tests/bench/world.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <thread>
#include <utility>

#include "base/format.h"
#include "tests/kit/wire.h"

namespace kuma::bench {
namespace {

using model::Array;
using model::Object;
using model::Value;
using std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;

constexpr std::string_view kMesh = "load";
constexpr auto kLimit = std::chrono::seconds(60);

std::string ServiceName(size_t number) { return base::Format("svc-{}", number); }

}  // namespace

int ConnectTimeoutOf(std::string_view packed) {
  kit::Fields any(packed);
  while (any.Next()) {
    if (any.number() != 2) continue;
    kit::Fields cluster(any.bytes());
    while (cluster.Next()) {
      if (cluster.number() != 4) continue;
      uint64_t seconds = 0, nanos = 0;
      kit::Fields duration(cluster.bytes());
      while (duration.Next()) (duration.number() == 1 ? seconds : nanos) = duration.varint();
      return static_cast<int>(seconds * 1000 + nanos / 1'000'000);
    }
  }
  return 0;
}

std::string Size::Name() const {
  if (transparent) return base::Format("{}x{} transparent", proxies, services);
  return outbounds == 5 ? base::Format("{}x{}", proxies, services)
                        : base::Format("{}x{}x{}", proxies, services, outbounds);
}

Meter::Meter(pid_t pid, Fleet& fleet)
    : pid_(pid),
      fleet_(fleet),
      cpu_(CpuSeconds(pid)),
      traffic_(fleet.traffic()),
      threads_(CpuSecondsByThread(pid)) {}

double Meter::Cpu() const { return CpuSeconds(pid_) - cpu_; }

Traffic Meter::TrafficSince() const {
  Traffic now = fleet_.traffic();
  now.responses -= traffic_.responses;
  now.resources -= traffic_.resources;
  now.removed -= traffic_.removed;
  now.bytes -= traffic_.bytes;
  now.requests -= traffic_.requests;
  return now;
}

std::map<std::string, double> Meter::Threads() const {
  std::map<std::string, double> used;
  for (const auto& [name, seconds] : CpuSecondsByThread(pid_)) {
    const auto before = threads_.find(name);
    used[name] = seconds - (before == threads_.end() ? 0 : before->second);
  }
  return used;
}

World::World(WorldOptions options) : options_(std::move(options)) {
  std::filesystem::remove_all(options_.work_folder);
  control_plane_ =
      std::make_unique<ControlPlane>(ControlPlaneOptions{.binary = options_.bin_folder + "/kuma-cp",
                                                         .folder = options_.work_folder,
                                                         .store = options_.store,
                                                         .cores = options_.control_plane_cores,
                                                         .connections = options_.connections});
  fleet_ = std::make_unique<Fleet>(FleetOptions{.url = control_plane_->dp_url()});
}

World::~World() = default;

base::Status World::Start() {
  TRY(control_plane_->Start());
  TRY(control_plane_->Put(
      base::Format("/meshes/{}", kMesh),
      Object{{"type", "Mesh"}, {"name", kMesh}, {"skipCreatingInitialPolicies", Array{"*"}}}));
  TRY(control_plane_->Put(base::Format("/meshes/{}/meshtimeouts/all", kMesh), TimeoutOf(5000)));
  std::vector<std::pair<std::string, Value>> services;
  for (size_t i = 0; i < options_.size.services; ++i) {
    const std::string name = ServiceName(i);
    services.emplace_back(
        base::Format("/meshes/{}/meshservices/{}", kMesh, name),
        Object{
            {"type", "MeshService"},
            {"name", name},
            {"mesh", kMesh},
            {"labels", Object{{"kuma.io/origin", "zone"}, {"team", "load"}}},
            {"spec", Object{{"selector", Object{{"dataplaneLabels",
                                                 Object{{"matchLabels", Object{{"app", name}}}}}}},
                            {"ports", Array{Object{{"port", 8080},
                                                   {"targetPort", 8080},
                                                   {"appProtocol", "http"},
                                                   {"name", "8080"}}}}}}});
  }
  TRY(control_plane_->PutAll(std::move(services)));
  for (size_t i = 0; i < options_.size.services; ++i) {
    TRY_ASSIGN(std::string token,
               control_plane_->Post(
                   "/tokens/dataplane",
                   Object{{"mesh", kMesh}, {"workload", ServiceName(i)}, {"validFor", "24h"}}));
    tokens_.push_back(std::move(token));
  }
  return base::Ok{};
}

void World::Begin(const std::vector<size_t>& numbers, const std::string& url) {
  std::vector<ProxyOptions> proxies;
  for (const size_t i : numbers) {
    proxies.push_back({.mesh = std::string(kMesh),
                       .name = base::Format("dp-{}", i),
                       .token = tokens_[i % options_.size.services],
                       .dataplane = model::ToJson(DataplaneOf(i, AddressOf(i))),
                       .url = url});
  }
  fleet_->Start(std::move(proxies));
}

base::Status World::Connect(size_t first, size_t count, std::chrono::seconds limit) {
  std::vector<size_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), first);
  const size_t wanted = fleet_->configured() + count;
  Begin(numbers);
  if (!WaitFor(limit, [&] { return fleet_->configured() >= wanted; })) {
    return base::Unavailable(base::Format("{} of {} proxies are configured after {} s; last: {}",
                                          fleet_->configured(), wanted, limit.count(),
                                          fleet_->last_error()));
  }
  return base::Ok{};
}

void World::WaitForQuiet(milliseconds quiet) {
  WaitFor(kLimit,
          [&] { return std::chrono::steady_clock::now() - fleet_->last_message() > quiet; });
}

void World::WaitForTheRest() {
  std::this_thread::sleep_for(kUntilStored);
  WaitForQuiet(milliseconds(500));
}

base::Status World::WaitForMarks(const std::string& name, size_t affected) {
  if (WaitFor(kLimit, [&] { return fleet_->marked() >= affected; })) return base::Ok{};
  return base::Unavailable(
      base::Format("{}: {} of {} proxies received it", name, fleet_->marked(), affected));
}

base::Status World::Measure(Report& report, const std::string& piece, const std::string& name,
                            size_t affected, Fleet::Mark mark,
                            const std::function<base::Status()>& write) {
  fleet_->ArmMark(std::move(mark));
  const Meter meter(control_plane_->pid(), *fleet_);
  const SteadyTime begin = std::chrono::steady_clock::now();
  TRY(write());
  const SteadyTime answered = std::chrono::steady_clock::now();
  TRY(WaitForMarks(name, affected));
  WaitForTheRest();
  const std::vector<SteadyTime> marks = fleet_->Marks();
  if (marks.size() != affected) {
    return base::Internal(
        base::Format("{}: {} proxies received it instead of {}", name, marks.size(), affected));
  }
  std::vector<double> times;
  for (const SteadyTime at : marks) {
    times.push_back(std::max(0.0, Seconds(at - answered).count() * 1000));
  }
  const Traffic traffic = meter.TrafficSince();
  report.Add(piece, name + ".cpu_s", meter.Cpu());
  report.Add(piece, name + ".p50_ms", Percentile(times, 0.5));
  report.Add(piece, name + ".p99_ms", Percentile(times, 0.99));
  report.Add(piece, name + ".max_ms", times.back());
  report.Add(piece, name + ".max_with_write_ms", Seconds(marks.back() - begin).count() * 1000);
  report.Add(piece, name + ".bytes_each",
             static_cast<double>(traffic.bytes) / static_cast<double>(affected));
  report.Add(piece, name + ".responses_each",
             static_cast<double>(traffic.responses) / static_cast<double>(affected));
  for (const auto& [thread, seconds] : meter.Threads()) {
    if (seconds > 0.0005) report.Add(piece, name + ".cpu." + thread + "_s", seconds);
  }
  return base::Ok{};
}

base::Status World::MeasureEdit(Report& report, const std::string& piece) {
  const int wanted = 6001 + edits_++;
  return Measure(
      report, piece, "edit", options_.size.proxies,
      [wanted](const bundle::SealedResource& resource, std::string_view packed) {
        return resource.type == bundle::XdsType::kCluster && ConnectTimeoutOf(packed) == wanted;
      },
      [&] {
        return control_plane_->Put(base::Format("/meshes/{}/meshtimeouts/all", kMesh),
                                   TimeoutOf(wanted));
      });
}

base::Status World::MeasureMove(Report& report, const std::string& piece) {
  const std::string address = base::Format("10.250.{}.{}", edits_ / 250, edits_ % 250 + 1);
  ++edits_;
  return Measure(
      report, piece, "move", ConsumersOf(0),
      [address](const bundle::SealedResource& resource, std::string_view packed) {
        return resource.type == bundle::XdsType::kEndpoints &&
               packed.find(address) != std::string_view::npos;
      },
      [&] {
        return control_plane_->Put(base::Format("/meshes/{}/dataplanes/dp-0", kMesh),
                                   DataplaneOf(0, address));
      });
}

Value World::TimeoutOf(int connect) const {
  return Object{
      {"type", "MeshTimeout"},
      {"name", "all"},
      {"mesh", kMesh},
      {"spec",
       Object{{"to",
               Array{Object{{"targetRef", Object{{"kind", "Mesh"}}},
                            {"default", Object{{"connectionTimeout", base::Format("{}ms", connect)},
                                               {"http", Object{{"requestTimeout", "15s"}}}}}}}}}}};
}

Value World::DataplaneOf(size_t number, const std::string& address) const {
  const Size& size = options_.size;
  Array outbounds;
  for (size_t j = 0; j < size.outbounds && !size.transparent; ++j) {
    outbounds.push_back(Object{
        {"address", "127.0.0.1"},
        {"port", static_cast<int64_t>(10000 + j)},
        {"backendRef", Object{{"kind", "MeshService"},
                              {"name", ServiceName((number * 7 + j * 13 + 1) % size.services)},
                              {"port", 8080}}}});
  }
  const std::string service = ServiceName(number % size.services);
  Object networking{
      {"address", address},
      {"inbound",
       Array{
           Object{{"port", 8080}, {"servicePort", 8080}, {"name", "8080"}, {"protocol", "http"}}}}};
  if (size.transparent) {
    networking.Set("transparentProxying",
                   Object{{"redirectPortInbound", 15006}, {"redirectPortOutbound", 15001}});
  } else {
    networking.Set("outbound", std::move(outbounds));
  }
  return Object{{"type", "Dataplane"},
                {"mesh", kMesh},
                {"name", base::Format("dp-{}", number)},
                {"labels", Object{{"app", service}, {"kuma.io/workload", service}}},
                {"networking", std::move(networking)}};
}

std::string World::AddressOf(size_t number) const {
  return base::Format("10.{}.{}.{}", 100 + number / 62500, number / 250 % 250, number % 250 + 1);
}

size_t World::ConsumersOf(size_t number) const {
  const Size& size = options_.size;
  if (size.transparent) return size.proxies;
  size_t consumers = 0;
  for (size_t i = 0; i < size.proxies; ++i) {
    for (size_t j = 0; j < size.outbounds; ++j) {
      if ((i * 7 + j * 13 + 1) % size.services == number % size.services) {
        ++consumers;
        break;
      }
    }
  }
  return consumers;
}

}  // namespace kuma::bench
