#include "tests/bench/cases.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "tests/bench/relay.h"

namespace kuma::bench {
namespace {

using model::Array;
using model::Object;
using model::Value;
using std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;
using PutList = std::vector<std::pair<std::string, Value>>;

double Since(SteadyTime begin) { return Seconds(std::chrono::steady_clock::now() - begin).count(); }

std::string PathOf(size_t proxy) { return base::Format("/meshes/load/dataplanes/dp-{}", proxy); }

void AddTimes(Report& report, const std::string& piece, const std::string& name,
              std::vector<double> milliseconds_each) {
  if (milliseconds_each.empty()) return;
  std::sort(milliseconds_each.begin(), milliseconds_each.end());
  report.Add(piece, name + ".p50_ms", Percentile(milliseconds_each, 0.5));
  report.Add(piece, name + ".p99_ms", Percentile(milliseconds_each, 0.99));
  report.Add(piece, name + ".max_ms", milliseconds_each.back());
}

// From now to the receipts of the marked resource.
std::vector<double> TimesSince(const Fleet& fleet, SteadyTime begin) {
  std::vector<double> times;
  for (const SteadyTime at : fleet.Marks())
    times.push_back(std::max(0.0, Seconds(at - begin).count() * 1000));
  return times;
}

// As a SocketAddress holds it: 10.0.0.1 is not the beginning of 10.0.0.11.
bool Holds(std::string_view packed, const std::string& address) {
  std::string field = "\x12";
  field.push_back(static_cast<char>(address.size()));
  return packed.find(field + address) != std::string_view::npos;
}
Fleet::Mark EndpointsWith(const std::string& address) {
  return [address](const bundle::SealedResource& resource, std::string_view packed) {
    return resource.type == bundle::XdsType::kEndpoints && Holds(packed, address);
  };
}
Fleet::Mark ClustersWith(int timeout) {
  return [timeout](const bundle::SealedResource& resource, std::string_view packed) {
    return resource.type == bundle::XdsType::kCluster && ConnectTimeoutOf(packed) == timeout;
  };
}

void AddEnd(Report& report, const std::string& piece, World& world) {
  report.Add(piece, "rss_total_mb", MemoryOf(world.control_plane().pid()).rss / 1024);
  report.Add(piece, "faults.broken_promises", static_cast<double>(world.fleet().Faults().size()));
}

// Another address for proxy 0, received by all who call it.
base::Result<std::vector<double>> Flap(World& world, size_t number) {
  const std::string address = base::Format("10.240.{}.{}", number / 250, number % 250 + 1);
  world.fleet().ArmMark(EndpointsWith(address));
  TRY(world.control_plane().Put(PathOf(0), world.DataplaneOf(0, address)));
  const SteadyTime answered = std::chrono::steady_clock::now();
  TRY(world.WaitForMarks("flap", world.ConsumersOf(0)));
  return TimesSince(world.fleet(), answered);
}

}  // namespace

base::Status Views(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "views " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, settings.store));
  TRY(world.Start());
  constexpr size_t kViews = 50;
  const auto policy = [&](size_t i, int connect) {
    Value value = world.TimeoutOf(connect);
    Object& object = *value.if_object();
    object.Set("name", base::Format("view-{}", i));
    object["spec"].if_object()->Set(
        "targetRef",
        Object{{"kind", "Dataplane"},
               {"labels", Object{{"app", base::Format("svc-{}", i % size.services)}}}});
    if (connect == 0) {
      Value& conf = (*object["spec"].if_object())["to"];
      Object& first = *(*conf.if_array())[0].if_object();
      first.Set("default",
                Object{{"http", Object{{"requestTimeout", base::Format("{}s", 20 + i)}}}});
    }
    return std::pair{base::Format("/meshes/load/meshtimeouts/view-{}", i), std::move(value)};
  };
  PutList policies;
  for (size_t i = 0; i < kViews; ++i) policies.push_back(policy(i, 0));
  TRY(world.control_plane().PutAll(std::move(policies)));
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));
  report.Add(piece, "cells", world.control_plane().Metrics()["kuma_cells"]);
  for (int i = 0; i < 5; ++i) TRY(world.MeasureEdit(report, piece));
  for (int i = 0; i < 5; ++i) {
    const size_t selected = size.proxies / size.services;
    TRY(world.Measure(report, piece, "edit_of_one_view", selected, ClustersWith(8001 + i), [&] {
      const auto [path, value] = policy(0, 8001 + i);
      return world.control_plane().Put(path, value);
    }));
  }
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Rollout(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "rollout " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, settings.store));
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  // All of service 0, which has 50 replicas at first, and 50 others at the end.
  constexpr size_t kReplicas = 50;
  std::vector<size_t> old_ones, new_ones;
  const size_t first = (size.proxies + size.services - 1) / size.services * size.services;
  for (size_t i = 0; i < kReplicas; ++i) {
    old_ones.push_back(first + i * size.services);
    new_ones.push_back(first + (kReplicas + i) * size.services);
  }
  const auto configured = [&](size_t count) {
    return WaitFor(LimitOf(size), [&] { return world.fleet().configured() >= count; });
  };
  world.Begin(old_ones);
  if (!configured(size.proxies + kReplicas)) return base::Unavailable("the replicas did not come");
  world.WaitForQuiet(milliseconds(1500));
  const Meter meter(world.control_plane().pid(), world.fleet());
  const size_t consumers = world.ConsumersOf(0);
  std::vector<double> come, go;
  const SteadyTime begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < kReplicas; ++i) {
    const std::string address = world.AddressOf(new_ones[i]);
    const std::string old = world.AddressOf(old_ones[i]);
    world.fleet().ArmMark(EndpointsWith(address));
    SteadyTime at = std::chrono::steady_clock::now();
    world.Begin({new_ones[i]});
    TRY(world.WaitForMarks("a new replica", consumers));
    for (const double time : TimesSince(world.fleet(), at)) come.push_back(time);
    world.fleet().ArmMark(
        [address, old](const bundle::SealedResource& resource, std::string_view packed) {
          return resource.type == bundle::XdsType::kEndpoints && Holds(packed, address) &&
                 !Holds(packed, old);
        });
    at = std::chrono::steady_clock::now();
    world.fleet().StopOne(size.proxies + i);
    TRY(world.WaitForMarks("an old replica", consumers));
    for (const double time : TimesSince(world.fleet(), at)) go.push_back(time);
  }
  report.Add(piece, "rollout.s", Since(begin));
  world.WaitForTheRest();
  report.Add(piece, "replica.cpu_s", meter.Cpu() / kReplicas);
  AddTimes(report, piece, "come", std::move(come));
  AddTimes(report, piece, "go", std::move(go));
  const Traffic traffic = meter.TrafficSince();
  report.Add(piece, "consumer_and_replica.bytes",
             static_cast<double>(traffic.bytes) / static_cast<double>(consumers * kReplicas));
  report.Add(piece, "consumer_and_replica.responses",
             static_cast<double>(traffic.responses) / static_cast<double>(consumers * kReplicas));
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Stored(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "stored " + size.Name();
  Say(piece);
  const size_t stored = 250 * size.proxies;
  World world(OptionsOf(settings, size, "sqlite"));
  ControlPlane& control_plane = world.control_plane();
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  const auto dataplane = [&](size_t i, const std::string& address) {
    const size_t number = 100'000 + i;
    Value value = world.DataplaneOf(number, address);
    // Nobody calls them: what remains is the price of their being there.
    value.if_object()->Set("labels", Object{{"app", base::Format("stored-{}", i % 500)}});
    (*(*value.if_object())["networking"].if_object()).Erase("outbound");
    return std::pair{PathOf(number), std::move(value)};
  };
  SteadyTime begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < stored;) {
    PutList batch;
    for (; i < stored && batch.size() < 5000; ++i)
      batch.push_back(dataplane(i, world.AddressOf(i)));
    TRY(control_plane.PutAll(std::move(batch)));
  }
  report.Add(piece, "stored.per_second", static_cast<double>(stored) / Since(begin));
  world.WaitForQuiet(milliseconds(2500));
  report.Add(piece, "stored.rss_total_mb", MemoryOf(control_plane.pid()).rss / 1024);

  constexpr int kReplaced = 10;
  auto before = control_plane.Metrics();
  const Meter meter(control_plane.pid(), world.fleet());
  for (int i = 0; i < kReplaced; ++i) {
    const auto [path, value] = dataplane(static_cast<size_t>(i), base::Format("10.9.9.{}", i + 1));
    TRY(control_plane.Put(path, value));
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  report.Add(piece, "replaced.writer_cpu_us", meter.Threads()["mesh-writer"] * 1e6 / kReplaced);
  auto after = control_plane.Metrics();
  const auto grown = [&](const char* name) { return after[name] - before[name]; };
  report.Add(piece, "replaced.cpu_ms", meter.Cpu() * 1000 / kReplaced);
  report.Add(piece, "replaced.writer_us",
             grown("kuma_step_seconds_total") / grown("kuma_steps_total") * 1e6);
  report.Add(piece, "replaced.bytes", static_cast<double>(meter.TrafficSince().bytes));
  // The same without the second between: what it costs when the processor's caches are warm.
  constexpr int kInARow = 1000;
  const Meter row(control_plane.pid(), world.fleet());
  for (int i = 0; i < kInARow; ++i) {
    const auto [path, value] =
        dataplane(static_cast<size_t>(i), base::Format("10.9.{}.{}", 10 + i / 250, i % 250 + 1));
    TRY(control_plane.Put(path, value));
  }
  report.Add(piece, "replaced_in_a_row.writer_cpu_us",
             row.Threads()["mesh-writer"] * 1e6 / kInARow);
  for (int i = 0; i < 5; ++i) TRY(world.MeasureMove(report, piece));

  world.fleet().Stop(0);
  control_plane.Kill();
  begin = std::chrono::steady_clock::now();
  TRY(control_plane.Start());
  report.Add(piece, "cold_start.ready_s", Since(begin));
  TRY(world.Connect(size.proxies, 1, LimitOf(size)));
  report.Add(piece, "cold_start.first_config_s", Since(begin));
  report.Add(piece, "cold_start.cpu_s", CpuSeconds(control_plane.pid()));
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Starve(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "starve " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, settings.store));
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));
  std::vector<double> alone, during;
  size_t flaps = 0;
  for (int i = 0; i < 20; ++i) {
    TRY_ASSIGN(const auto times, Flap(world, flaps++));
    alone.insert(alone.end(), times.begin(), times.end());
  }
  const Meter meter(world.control_plane().pid(), world.fleet());
  for (int i = 0; i < 10; ++i) {
    world.WaitForQuiet(milliseconds(300));
    TRY(world.control_plane().Put("/meshes/load/meshtimeouts/all", world.TimeoutOf(9001 + i)));
    for (int j = 0; j < 3; ++j) {
      TRY_ASSIGN(const auto times, Flap(world, flaps++));
      during.insert(during.end(), times.begin(), times.end());
    }
  }
  world.WaitForTheRest();
  report.Add(piece, "edit_and_3_flaps.cpu_s", meter.Cpu() / 10);
  AddTimes(report, piece, "flap_alone", std::move(alone));
  AddTimes(report, piece, "flap_during_edit", std::move(during));
  for (int i = 0; i < 3; ++i) TRY(world.MeasureEdit(report, piece));
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Slow(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "slow " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, settings.store));
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));
  int edits = 0;
  const auto measure = [&](const std::string& name) -> base::Status {
    std::vector<double> times;
    for (int i = 0; i < 5; ++i) {
      const int timeout = 5101 + edits++;
      world.fleet().ArmMark(ClustersWith(timeout));
      TRY(world.control_plane().Put("/meshes/load/meshtimeouts/all", world.TimeoutOf(timeout)));
      const SteadyTime answered = std::chrono::steady_clock::now();
      TRY(world.WaitForMarks(name, size.proxies));
      std::vector<double> some = TimesSince(world.fleet(), answered);
      some.resize(size.proxies);  // the slow ones come last
      times.insert(times.end(), some.begin(), some.end());
      std::this_thread::sleep_for(kUntilStored);
    }
    AddTimes(report, piece, name, std::move(times));
    return base::Ok{};
  };
  TRY(measure("edit_without"));
  const double rss = MemoryOf(world.control_plane().pid()).rss;

  const auto url = net::ParseUrl(world.control_plane().dp_url());
  SlowRelay relay(url->port, 1000);
  const size_t slow = std::max<size_t>(1, size.proxies / 10);
  std::vector<size_t> numbers(slow);
  for (size_t i = 0; i < slow; ++i) numbers[i] = size.proxies + i;
  const size_t connected = world.fleet().connected();
  world.Begin(numbers, relay.url());
  if (!WaitFor(LimitOf(size), [&] { return world.fleet().connected() >= connected + slow; }))
    return base::Unavailable("the slow ones did not connect: " + world.fleet().last_error());
  std::this_thread::sleep_for(std::chrono::seconds(2));
  TRY(measure("edit_with_slow"));
  report.Add(piece, "slow.rss_kb_each",
             (MemoryOf(world.control_plane().pid()).rss - rss) / static_cast<double>(slow));
  report.Add(piece, "slow.configured",
             static_cast<double>(world.fleet().configured() - size.proxies));
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Writes(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "writes";
  Say(piece);
  WorldOptions options = OptionsOf(settings, size, "sqlite");
  options.connections = 64;
  World world(std::move(options));
  TRY(world.Start());
  const auto round = [&](int number, size_t count) {
    PutList writes;
    for (size_t i = 0; i < count; ++i)
      writes.emplace_back(PathOf(i), world.DataplaneOf(i, base::Format("10.{}.{}.{}", number,
                                                                       i / 250, i % 250 + 1)));
    return writes;
  };
  constexpr size_t kCount = 5000;
  TRY(world.control_plane().PutAll(round(1, kCount)));
  for (int i = 2; i < 5; ++i) {
    world.WaitForQuiet(milliseconds(1000));
    PutList writes = round(i, kCount);
    const Meter meter(world.control_plane().pid(), world.fleet());
    const SteadyTime begin = std::chrono::steady_clock::now();
    TRY(world.control_plane().PutAll(std::move(writes)));
    const double took = Since(begin);
    report.Add(piece, "writes.per_second", kCount / took);
    report.Add(piece, "writes.ms_each", took * 1000 / kCount);
    report.Add(piece, "writes.cpu_ms_each", meter.Cpu() * 1000 / kCount);
  }
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Overload(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "overload " + size.Name();
  Say(piece);
  WorldOptions options = OptionsOf(settings, size, settings.store);
  options.connections = 640;
  World world(std::move(options));
  ControlPlane& control_plane = world.control_plane();
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));
  const auto flaps = [&](const std::string& name, size_t from) -> base::Status {
    std::vector<double> times;
    for (size_t i = 0; i < 10; ++i) {
      TRY_ASSIGN(const auto some, Flap(world, from + i));
      times.insert(times.end(), some.begin(), some.end());
    }
    AddTimes(report, piece, name, std::move(times));
    return base::Ok{};
  };
  TRY(flaps("flap_before", 0));

  // Edits that change every proxy, addresses of all, and a tenth of the proxies that come back again
  // and again: as much as 640 clients can ask for.
  std::map<int, size_t> statuses;
  const Meter meter(control_plane.pid(), world.fleet());
  const SteadyTime begin = std::chrono::steady_clock::now();
  size_t writes = 0;
  for (int round = 0; Since(begin) < 10; ++round) {
    world.fleet().Cut(size.proxies / 10);
    PutList batch;
    for (size_t i = 0; i < 2000; ++i, ++writes) {
      if (i % 20 == 0) {
        batch.emplace_back("/meshes/load/meshtimeouts/all",
                           world.TimeoutOf(10'000 + static_cast<int>(writes % 50'000)));
      } else {
        const size_t proxy = writes % size.proxies;
        batch.emplace_back(PathOf(proxy),
                           world.DataplaneOf(proxy, base::Format("10.{}.{}.{}", 60 + round % 100,
                                                                 proxy / 250, proxy % 250 + 1)));
      }
    }
    for (const auto& [status, count] : control_plane.TryAll(std::move(batch)))
      statuses[status] += count;
  }
  const double took = Since(begin);
  report.Add(piece, "storm.writes_per_second", static_cast<double>(writes) / took);
  for (const auto& [status, count] : statuses)
    report.Add(piece, base::Format("storm.answered_{}", status), static_cast<double>(count));
  report.Add(piece, "storm.cores", meter.Cpu() / took);
  report.Add(piece, "storm.rss_total_mb", MemoryOf(control_plane.pid()).rss / 1024);

  const SteadyTime end = std::chrono::steady_clock::now();
  const auto recovered = [&] {
    auto metrics = control_plane.Metrics();
    return metrics["kuma_xds_streams_in_step"] >= static_cast<double>(size.proxies) &&
           metrics["kuma_waiting_events"] + metrics["kuma_waiting_proxies"] == 0;
  };
  if (!WaitFor(std::chrono::seconds(60), recovered))
    return base::Unavailable("not all proxies are in step a minute after the storm");
  report.Add(piece, "recovered.s", Since(end));
  world.WaitForQuiet(milliseconds(1500));
  TRY(flaps("flap_after", 1000));
  report.Add(piece, "faults.oracle", control_plane.Metrics()["kuma_oracle_differences_total"]);
  AddEnd(report, piece, world);
  return base::Ok{};
}

base::Status Soak(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "soak " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, "sqlite"));
  ControlPlane& control_plane = world.control_plane();
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));

  constexpr int kWindows = 6;
  constexpr size_t kMoved = 10, kCut = 5, kReplicas = 5;
  constexpr milliseconds kRound(200);
  const double window_seconds = 60.0 * settings.minutes / kWindows;
  const size_t first = (size.proxies + size.services - 1) / size.services * size.services;
  size_t round = 0, replicas = 0;
  for (int window = 1; window <= kWindows; ++window) {
    std::vector<double> moves, edits;
    const Meter meter(control_plane.pid(), world.fleet());
    const SteadyTime begin = std::chrono::steady_clock::now();
    const size_t first_round = round;
    for (; Since(begin) < window_seconds; ++round) {
      const SteadyTime next = std::chrono::steady_clock::now() + kRound;
      TRY_ASSIGN(const auto times, Flap(world, round % 60'000));
      moves.insert(moves.end(), times.begin(), times.end());
      PutList batch;
      for (size_t i = 0; i < kMoved; ++i) {
        const size_t proxy = 1 + (round * kMoved + i) % (size.proxies - 1);
        batch.emplace_back(PathOf(proxy),
                           world.DataplaneOf(proxy, base::Format("10.{}.{}.{}", 60 + round % 100,
                                                                 proxy / 250, proxy % 250 + 1)));
      }
      TRY(control_plane.PutAll(std::move(batch)));
      if (round % 10 == 3) {
        const int timeout = 10'000 + static_cast<int>(round % 50'000);
        world.fleet().ArmMark(ClustersWith(timeout));
        TRY(control_plane.Put("/meshes/load/meshtimeouts/all", world.TimeoutOf(timeout)));
        const SteadyTime answered = std::chrono::steady_clock::now();
        TRY(world.WaitForMarks("edit", size.proxies));
        for (const double time : TimesSince(world.fleet(), answered)) edits.push_back(time);
      }
      if (round % 4 == 2) {
        world.Begin({first + replicas * size.services});
        if (++replicas > kReplicas) world.fleet().StopOne(size.proxies + replicas - kReplicas - 1);
      }
      if (round % 20 == 6) {
        world.fleet().Cut(kCut);
        const auto back = [&] { return world.fleet().configured() >= size.proxies; };
        if (!WaitFor(std::chrono::seconds(30), back))
          return base::Unavailable("proxies whose connections were cut did not come back");
      }
      std::this_thread::sleep_until(next);
    }
    const std::string name = base::Format("window{}.", window);
    report.Add(piece, name + "rounds", static_cast<double>(round - first_round));
    report.Add(piece, name + "cores", meter.Cpu() / Since(begin));
    AddTimes(report, piece, name + "move", std::move(moves));
    AddTimes(report, piece, name + "edit", std::move(edits));
    world.WaitForTheRest();
    report.Add(piece, name + "rss_mb", MemoryOf(control_plane.pid()).rss / 1024);
    report.Add(piece, name + "descriptors",
               static_cast<double>(DescriptorsOf(control_plane.pid())));
    Say(base::Format("  {} of {} minutes: {} MB", settings.minutes * window / kWindows,
                     settings.minutes, MemoryOf(control_plane.pid()).rss / 1024));
  }
  report.Add(piece, "faults.oracle", control_plane.Metrics()["kuma_oracle_differences_total"]);
  AddEnd(report, piece, world);
  return base::Ok{};
}

}  // namespace kuma::bench
