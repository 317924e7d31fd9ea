// The bench: pieces by name, settings as name=value. docs/performance.md tells what each measures.
//
//   bench [PIECE...] [n=1000] [services=100] [outbounds=5] [transparent=0] [runs=5] [edits=5] [idle=120]
//         [store=memory] [limit=1] [json=FILE]
//   bench --serve-recording FILE        (started by itself)

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "tests/bench/cases.h"
#include "tests/bench/world.h"

namespace kuma::bench {

using std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;

void Say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

WorldOptions OptionsOf(const Settings& settings, const Size& size, const std::string& store) {
  return {.size = size,
          .store = store,
          .bin_folder = settings.bin_folder,
          .work_folder = settings.work_folder + "/cp",
          .control_plane_cores = settings.control_plane_cores};
}

std::chrono::seconds LimitOf(const Size& size) {
  return std::chrono::seconds(60 + size.proxies / 20);
}

namespace {

double Each(double total, size_t count) { return total / static_cast<double>(count); }

void AddMemory(Report& report, const std::string& piece, const std::string& name,
               const Memory& before, const Memory& after, size_t proxies) {
  report.Add(piece, name + ".rss_kb_each", Each(after.rss - before.rss, proxies));
  report.Add(piece, name + ".pss_kb_each", Each(after.pss - before.pss, proxies));
  report.Add(piece, name + ".heap_kb_each", Each(after.heap - before.heap, proxies));
  report.Add(piece, name + ".file_kb_each", Each(after.file - before.file, proxies));
  report.Add(piece, name + ".rss_total_mb", after.rss / 1024);
}

// What the control plane says of its memory.
using Account = std::map<std::string, double>;
void AddAccount(Report& report, const std::string& piece, const std::string& name,
                const Account& before, const Account& after, size_t proxies) {
  for (const char* kind : {"in_use", "free", "sealed", "openssl", "nghttp2"}) {
    const std::string metric = base::Format("kuma_memory_bytes{{kind=\"{}\"}}", kind);
    if (!before.contains(metric) || !after.contains(metric)) continue;
    report.Add(piece, base::Format("{}.{}_kb_each", name, kind),
               Each(after.at(metric) - before.at(metric), proxies) / 1024);
  }
}

base::Status MeasureConnect(Report& report, const std::string& piece, World& world) {
  const Size& size = world.options().size;
  const Memory before = MemoryOf(world.control_plane().pid());
  const Account account = world.control_plane().Metrics();
  const Meter meter(world.control_plane().pid(), world.fleet());
  const SteadyTime begin = std::chrono::steady_clock::now();
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  std::this_thread::sleep_for(milliseconds(1500));
  world.WaitForQuiet(milliseconds(1000));
  report.Add(piece, "connect.cpu_s", meter.Cpu());
  std::vector<double> times;
  for (const SteadyTime at : world.fleet().ConfiguredAt())
    times.push_back(Seconds(at - begin).count());
  report.Add(piece, "connect.p50_s", Percentile(times, 0.5));
  report.Add(piece, "connect.max_s", times.back());
  const Traffic traffic = meter.TrafficSince();
  report.Add(piece, "connect.bytes_each", Each(static_cast<double>(traffic.bytes), size.proxies));
  report.Add(piece, "connect.responses_each",
             Each(static_cast<double>(traffic.responses), size.proxies));
  for (const auto& [thread, seconds] : meter.Threads()) {
    if (seconds > 0.005) report.Add(piece, "connect.cpu." + thread + "_s", seconds);
  }
  AddMemory(report, piece, "memory", before, MemoryOf(world.control_plane().pid()), size.proxies);
  AddAccount(report, piece, "memory", account, world.control_plane().Metrics(), size.proxies);
  return base::Ok{};
}

void AddCounters(Report& report, const std::string& piece, World& world) {
  const auto metrics = world.control_plane().Metrics();
  for (const char* name : {"kuma_generations_total", "kuma_cell_hits_total", "kuma_cells",
                           "kuma_cell_bytes", "kuma_publishes_total"}) {
    const auto found = metrics.find(name);
    if (found != metrics.end()) report.Add(piece, base::Format("metric.{}", name), found->second);
  }
  report.Add(piece, "faults.broken_promises", static_cast<double>(world.fleet().Faults().size()));
  report.Add(piece, "faults.stream_errors", static_cast<double>(world.fleet().stream_errors()));
}

// Sends a recording again from a server without any logic.
base::Status MeasureLimit(Report& report, const std::string& piece, const Settings& settings,
                          const Recording& recording, const std::vector<std::string>& phases) {
  const std::string file = settings.work_folder + "/recording";
  TRY(recording.Save(file));
  const size_t proxies = recording.streams.size();
  for (size_t run = 0; run < settings.runs; ++run) {
    const std::string output = settings.work_folder + "/bare-server.log";
    std::filesystem::remove(output);
    base::Result<Child> started = base::Unavailable("not started");
    std::thread([&] {
      RunOn(settings.control_plane_cores);
      started =
          Child::Start({settings.bin_folder + "/bench", "--serve-recording", file}, {}, output);
    }).join();
    TRY_ASSIGN(Child server, std::move(started));
    std::string url;
    if (!WaitFor(std::chrono::seconds(30),
                 [&] {
                   url = ReadFile(output);
                   return url.ends_with("\n") || !server.alive();
                 }) ||
        !server.alive())
      return base::Unavailable("the bare server did not start: " + url);
    url.pop_back();
    Fleet fleet({.url = url});
    const Memory before = MemoryOf(server.pid());
    for (size_t phase = 0; phase < phases.size(); ++phase) {
      size_t affected = 0;
      for (const RecordedStream& stream : recording.streams) {
        affected += std::any_of(stream.server.begin(), stream.server.end(),
                                [&](const auto& message) { return message.phase == phase; });
      }
      fleet.ArmMark(nullptr);
      const Meter meter(server.pid(), fleet);
      const SteadyTime begin = std::chrono::steady_clock::now();
      if (phase == 0)
        fleet.StartReplay(recording);
      else
        server.WriteInput(base::Format("{}\n", phase));
      if (!WaitFor(LimitOf({.proxies = proxies}), [&] { return fleet.marked() >= affected; }))
        return base::Unavailable(base::Format("the bare server sent {} to {} of {} proxies: {}",
                                              phases[phase], fleet.marked(), affected,
                                              fleet.last_error()));
      std::this_thread::sleep_for(milliseconds(500));
      WaitFor(std::chrono::seconds(10), [&] {
        return std::chrono::steady_clock::now() - fleet.last_message() > milliseconds(400);
      });
      const std::string name = "limit." + phases[phase];
      report.Add(piece, name + ".cpu_s", meter.Cpu());
      std::vector<double> times;
      for (const SteadyTime at : fleet.Marks()) times.push_back(Seconds(at - begin).count() * 1000);
      report.Add(piece, name + ".p50_ms", Percentile(times, 0.5));
      report.Add(piece, name + ".p99_ms", Percentile(times, 0.99));
      report.Add(piece, name + ".bytes_each",
                 static_cast<double>(meter.TrafficSince().bytes) / static_cast<double>(affected));
      if (phase == 0)
        AddMemory(report, piece, "limit.memory", before, MemoryOf(server.pid()), proxies);
    }
  }
  for (const std::string& phase : phases) {
    const double limit = report.Median(piece, "limit." + phase + ".cpu_s");
    if (limit > 0)
      report.Add(piece, phase + ".ratio_to_limit", report.Median(piece, phase + ".cpu_s") / limit);
  }
  return base::Ok{};
}

// The table of docs/performance.md for one size.
base::Status Measure(Report& report, const Settings& settings, const Size& size,
                     const std::string& piece) {
  Recording recording;
  for (size_t run = 0; run < settings.runs; ++run) {
    Say(base::Format("{}: run {} of {}", piece, run + 1, settings.runs));
    World world(OptionsOf(settings, size, settings.store));
    const bool records = run == 0 && settings.limit;
    TRY(world.Start());
    if (records) world.fleet().Record(&recording);
    TRY(MeasureConnect(report, piece, world));
    if (run == 0 && settings.idle_seconds > 0) {
      std::this_thread::sleep_for(std::chrono::seconds(5));
      const Meter meter(world.control_plane().pid(), world.fleet());
      std::this_thread::sleep_for(std::chrono::seconds(settings.idle_seconds));
      report.Add(piece, "idle_cores", meter.Cpu() / settings.idle_seconds);
      report.Add(piece, "idle_responses", static_cast<double>(meter.TrafficSince().responses));
    }
    for (size_t i = 0; i < settings.edits; ++i) {
      if (records) recording.phase = 1;
      TRY(world.MeasureEdit(report, piece));
      if (records && i == 0) world.fleet().Record(nullptr);
    }
    if (records) world.fleet().Record(&recording);
    for (size_t i = 0; i < settings.edits; ++i) {
      if (records) recording.phase = 2;
      TRY(world.MeasureMove(report, piece));
      if (records && i == 0) world.fleet().Record(nullptr);
    }
    AddCounters(report, piece, world);
  }
  if (settings.limit) {
    Say(base::Format("{}: the limit", piece));
    TRY(MeasureLimit(report, piece, settings, recording, {"connect", "edit", "move"}));
  }
  return base::Ok{};
}

base::Status Table(Report& report, const Settings& settings, const Size& size) {
  return Measure(report, settings, size, "table " + size.Name());
}

// One run of the same, for curves.
base::Status Growth(Report& report, Settings settings, const Size& size) {
  settings.runs = 1;
  settings.idle_seconds = std::min(settings.idle_seconds, 10);
  return Measure(report, settings, size, "growth " + size.Name());
}

// A fifth of the proxies get other addresses at once, again and again.
base::Status Flap(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "flap " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, settings.store));
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));
  const size_t changes = std::max<size_t>(1, size.proxies / 5);
  for (int round = 0; round < 10; ++round) {
    const std::string last = base::Format("10.251.{}.{}", round, 1);
    std::vector<std::pair<std::string, model::Value>> writes;
    for (size_t i = changes; i-- > 0;) {
      const std::string address =
          i == 0 ? last : base::Format("10.{}.{}.{}", 252 + i / 62500, 100 + round, i % 250 + 2);
      writes.emplace_back(base::Format("/meshes/load/dataplanes/dp-{}", i),
                          world.DataplaneOf(i, address));
    }
    TRY(world.Measure(
        report, piece, "round", world.ConsumersOf(0),
        [last](const bundle::SealedResource& resource, std::string_view packed) {
          return resource.type == bundle::XdsType::kEndpoints &&
                 packed.find(last) != std::string_view::npos;
        },
        [&] { return world.control_plane().PutAll(std::move(writes)); }));
  }
  report.Add(piece, "change.cpu_s",
             report.Median(piece, "round.cpu_s") / static_cast<double>(changes));
  AddCounters(report, piece, world);
  return base::Ok{};
}

// An access log of the whole mesh, whose lines name the proxy itself, made and edited.
base::Status AccessLog(Report& report, const Settings& settings, const Size& size) {
  using model::Array, model::Object;
  const std::string piece = "accesslog " + size.Name();
  for (size_t run = 0; run < settings.runs; ++run) {
    Say(base::Format("{}: run {} of {}", piece, run + 1, settings.runs));
    World world(OptionsOf(settings, size, settings.store));
    TRY(world.Start());
    TRY(world.Connect(0, size.proxies, LimitOf(size)));
    world.WaitForQuiet(milliseconds(1500));
    const Memory before = MemoryOf(world.control_plane().pid());
    for (int i = 0; i < 5; ++i) {
      const std::string path = base::Format("/var/log/calls-{}.log", i);
      TRY(world.Measure(
          report, piece, i == 0 ? "create" : "edit", size.proxies,
          [path](const bundle::SealedResource& resource, std::string_view packed) {
            return resource.type == bundle::XdsType::kListener &&
                   packed.find(path) != std::string_view::npos;
          },
          [&] {
            const Object backend{{"type", "File"}, {"file", Object{{"path", path}}}};
            const Object to{{"targetRef", Object{{"kind", "Mesh"}}},
                            {"default", Object{{"backends", Array{backend}}}}};
            return world.control_plane().Put("/meshes/load/meshaccesslogs/calls",
                                             Object{{"type", "MeshAccessLog"},
                                                    {"name", "calls"},
                                                    {"mesh", "load"},
                                                    {"spec", Object{{"to", Array{to}}}}});
          }));
      if (i == 0)
        AddMemory(report, piece, "memory", before, MemoryOf(world.control_plane().pid()),
                  size.proxies);
    }
    AddCounters(report, piece, world);
  }
  return base::Ok{};
}

// Writes that no configuration reads, and a change in a mesh without proxies: all must be 0.
base::Status Unread(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "unread " + size.Name();
  Say(piece);
  World world(OptionsOf(settings, size, settings.store));
  ControlPlane& control_plane = world.control_plane();
  TRY(world.Start());
  TRY(world.Connect(0, size.proxies, LimitOf(size)));
  world.WaitForQuiet(milliseconds(1500));
  const auto measure =
      [&](const std::string& name,
          std::vector<std::pair<std::string, model::Value>> writes) -> base::Status {
    const auto before = control_plane.Metrics();
    const Meter meter(control_plane.pid(), world.fleet());
    const auto count = static_cast<double>(writes.size());
    TRY(control_plane.PutAll(std::move(writes)));
    world.WaitForTheRest();
    auto after = control_plane.Metrics();
    report.Add(piece, name + ".cpu_ms_each", meter.Cpu() * 1000 / count);
    report.Add(piece, name + ".bytes", static_cast<double>(meter.TrafficSince().bytes));
    for (const char* metric : {"kuma_generations_total", "kuma_cell_hits_total"}) {
      const auto found = before.find(metric);
      report.Add(piece, base::Format("{}.{}", name, metric),
                 after[metric] - (found == before.end() ? 0 : found->second));
    }
    return base::Ok{};
  };
  using model::Array, model::Object, model::Value;
  std::vector<std::pair<std::string, Value>> equal, secrets, other;
  for (size_t i = 0; i < std::min<size_t>(100, size.proxies); ++i) {
    equal.emplace_back(base::Format("/meshes/load/dataplanes/dp-{}", i),
                       world.DataplaneOf(i, world.AddressOf(i)));
    const std::string name = base::Format("secret-{}", i);
    secrets.emplace_back(
        "/meshes/load/secrets/" + name,
        Object{{"type", "Secret"}, {"mesh", "load"}, {"name", name}, {"data", "eA=="}});
  }
  TRY(control_plane.Put("/meshes/other", Object{{"type", "Mesh"}, {"name", "other"}}));
  world.WaitForQuiet(milliseconds(1500));
  for (int i = 0; i < 20; ++i) {
    Value timeout = world.TimeoutOf(3000 + i);
    timeout.if_object()->Set("mesh", "other");
    other.emplace_back("/meshes/other/meshtimeouts/all", std::move(timeout));
  }
  // The first write of these makes the users their owners, which is a change.
  TRY(control_plane.PutAll(equal));
  world.WaitForQuiet(milliseconds(1500));
  TRY(measure("equal_dataplane", std::move(equal)));
  TRY(measure("secret", std::move(secrets)));
  TRY(measure("policy_of_another_mesh", std::move(other)));
  return base::Ok{};
}

// kill -9 and start again, on sqlite: all reconnect and are sent nothing.
base::Status Restart(Report& report, const Settings& settings, const Size& size) {
  const std::string piece = "restart " + size.Name();
  for (size_t run = 0; run < settings.runs; ++run) {
    Say(base::Format("{}: run {} of {}", piece, run + 1, settings.runs));
    World world(OptionsOf(settings, size, "sqlite"));
    TRY(world.Start());
    TRY(MeasureConnect(report, piece, world));
    const Traffic before = world.fleet().traffic();
    world.control_plane().Kill();
    WaitFor(std::chrono::seconds(20), [&] { return world.fleet().connected() == 0; });
    const SteadyTime begin = std::chrono::steady_clock::now();
    TRY(world.control_plane().Start());
    const auto since = [begin] {
      return Seconds(std::chrono::steady_clock::now() - begin).count();
    };
    report.Add(piece, "restart.ready_s", since());
    if (!WaitFor(LimitOf(size), [&] { return world.fleet().connected() >= size.proxies; }))
      return base::Unavailable("not all proxies reconnected: " + world.fleet().last_error());
    report.Add(piece, "restart.connected_s", since());
    const auto in_step = [&] {
      std::this_thread::sleep_for(milliseconds(100));
      return world.control_plane().Metrics()["kuma_xds_streams_in_step"] >=
             static_cast<double>(size.proxies);
    };
    if (!WaitFor(LimitOf(size), in_step))
      return base::Unavailable("not all proxies are in step again");
    report.Add(piece, "restart.in_step_s", since());
    std::this_thread::sleep_for(milliseconds(1500));
    report.Add(piece, "restart.cpu_s", CpuSeconds(world.control_plane().pid()));
    const Traffic after = world.fleet().traffic();
    report.Add(
        piece, "restart.resources",
        static_cast<double>(after.resources - before.resources + after.removed - before.removed));
    report.Add(piece, "restart.bytes", static_cast<double>(after.bytes - before.bytes));
    report.Add(piece, "restart.rss_total_mb", MemoryOf(world.control_plane().pid()).rss / 1024);
    TRY(world.MeasureEdit(report, piece));
    TRY(world.MeasureMove(report, piece));
    AddCounters(report, piece, world);
  }
  return base::Ok{};
}

// Another program of this repository, its text in the report.
base::Status Program(Report& report, const std::string& piece, const Settings& settings,
                     std::vector<std::string> command) {
  Say(piece);
  const std::string output = settings.work_folder + "/" + piece + ".log";
  std::filesystem::remove(output);
  command[0] = settings.bin_folder + "/" + command[0];
  TRY_ASSIGN(Child child, Child::Start(command, {}, output));
  const int code = child.Wait();
  report.AddText(piece, ReadFile(output));
  if (code != 0) return base::Internal(base::Format("{} ended with {}", command[0], code));
  return base::Ok{};
}

base::Status Run(Report& report, const Settings& settings, const std::string& piece) {
  const auto each_size = [&](auto measure, std::vector<Size> sizes) -> base::Status {
    for (const Size& size : settings.sizes.empty() ? sizes : settings.sizes)
      TRY(measure(report, settings, size));
    return base::Ok{};
  };
  const Size small{.proxies = 500, .services = 50}, large{.proxies = 1000, .services = 100};
  if (piece == "table") return each_size(Table, {small, large});
  if (piece == "restart") return each_size(Restart, {small, large});
  if (piece == "storm") return each_size(Restart, {{.proxies = 5000, .services = 500}});
  if (piece == "tproxy")
    return each_size(Table, {{.proxies = 500, .services = 1000, .transparent = true}});
  if (piece == "accesslog") return each_size(AccessLog, {small, large});
  if (piece == "flap") return each_size(Flap, {small});
  if (piece == "unread") return each_size(Unread, {small});
  if (piece == "growth") {
    return each_size(Growth, {{.proxies = 100, .services = 10},
                              {.proxies = 500, .services = 50},
                              {.proxies = 1000, .services = 100},
                              {.proxies = 2000, .services = 200},
                              {.proxies = 5000, .services = 500},
                              {.proxies = 10000, .services = 1000},
                              {.proxies = 1000, .services = 1000},
                              {.proxies = 1000, .services = 100, .outbounds = 50},
                              {.proxies = 500, .services = 200, .outbounds = 200}});
  }
  if (piece == "views") return each_size(Views, {small});
  if (piece == "rollout") return each_size(Rollout, {{.proxies = 2000, .services = 100}});
  if (piece == "stored") return each_size(Stored, {{.proxies = 200, .services = 20}});
  if (piece == "starve")
    return each_size(Starve, {{.proxies = 900, .services = 100, .outbounds = 10}});
  if (piece == "slow") return each_size(Slow, {small});
  if (piece == "writes") return each_size(Writes, {{.proxies = 1, .services = 500}});
  if (piece == "overload") return each_size(Overload, {small});
  if (piece == "soak") return each_size(Soak, {small});
  if (piece == "net") return Program(report, piece, settings, {"net_bench"});
  if (piece == "store") {
    return Program(report, piece, settings, {"store_bench", settings.work_folder + "/store"});
  }
  return base::Invalid(
      base::Format("no piece \"{}\"; there are: table restart storm growth tproxy accesslog flap "
                   "unread views rollout "
                   "stored starve slow writes overload soak net store",
                   piece));
}

base::Status Parse(int argc, char** argv, Settings& settings) {
  Size size;
  bool sized = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      settings.pieces.push_back(word);
      continue;
    }
    const std::string name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "store" || name == "json") {
      (name == "store" ? settings.store : settings.json) = value;
      continue;
    }
    const auto number = base::ParseUint(value);
    if (!number) return base::Invalid(base::Format("{}: \"{}\" is not a number", name, value));
    if (name == "n") {
      size.proxies = *number;
    } else if (name == "services") {
      size.services = *number;
    } else if (name == "outbounds") {
      size.outbounds = *number;
    } else if (name == "runs") {
      settings.runs = *number;
    } else if (name == "edits") {
      settings.edits = *number;
    } else if (name == "idle") {
      settings.idle_seconds = static_cast<int>(*number);
    } else if (name == "minutes") {
      settings.minutes = static_cast<int>(*number);
    } else if (name == "transparent") {
      size.transparent = *number != 0;
    } else if (name == "limit") {
      settings.limit = *number != 0;
    } else {
      return base::Invalid(base::Format("no setting \"{}\"", name));
    }
    sized |= name == "n" || name == "services" || name == "outbounds" || name == "transparent";
  }
  if (sized) settings.sizes = {size};
  if (settings.pieces.empty()) settings.pieces = {"table", "restart", "net", "store"};
  if (settings.runs == 0 || size.services == 0 || size.proxies == 0)
    return base::Invalid("runs, n and services are at least 1");
  return base::Ok{};
}

int Main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--serve-recording") return ServeRecording(argv[2]);
  Settings settings;
  if (const auto parsed = Parse(argc, argv, settings); !parsed) {
    Say(parsed.error().message());
    return 2;
  }
  settings.bin_folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  settings.work_folder =
      std::filesystem::temp_directory_path() / base::Format("kuma-bench-{}", getpid());
  std::filesystem::create_directories(settings.work_folder);

  // Two descriptors for each proxy would be needed if the control plane shared our limit; it has
  // its own, of the same size.
  const uint64_t descriptors = RaiseDescriptorLimit();
  size_t largest = 1000;
  for (const Size& size : settings.sizes) largest = std::max(largest, size.proxies);
  for (const std::string& piece : settings.pieces) {
    if (settings.sizes.empty() && piece == "storm") largest = std::max<size_t>(largest, 5000);
    if (settings.sizes.empty() && piece == "growth") largest = 10000;
    if (piece == "soak") largest += 200;
    if (settings.sizes.empty() && piece == "rollout") largest = std::max<size_t>(largest, 2100);
  }
  if (descriptors < largest + 200) {
    Say(
        base::Format("only {} descriptors may be open: too few for {} proxies. Run `ulimit -n {}` "
                     "as root first, or choose a smaller n.",
                     descriptors, largest, largest + 200));
    return 2;
  }
  const std::vector<int> cores = Cores();
  if (cores.size() >= 2) {
    settings.own_cores = {cores.back()};
    settings.control_plane_cores.assign(cores.begin(), cores.end() - 1);
    RunOn(settings.own_cores);
  } else {
    Say("one core only: the simulator takes its time from the control plane's");
  }

  Report report;
  int code = 0;
  for (const std::string& piece : settings.pieces) {
    if (const auto done = Run(report, settings, piece); !done) {
      Say(base::Format("{}: {}", piece, done.error().message()));
      code = done.error().code() == base::Code::kInvalid ? 2 : 1;
    }
  }
  report.PrintTable();
  if (!settings.json.empty()) {
    utsname system{};
    uname(&system);
    const model::Object result{
        {"machine", model::Object{{"kernel", system.release},
                                  {"cores", static_cast<int64_t>(cores.size())},
                                  {"simulator_cpu_s", CpuSeconds(getpid())}}},
        {"time", static_cast<int64_t>(std::time(nullptr))},
        {"store", settings.store},
        {"pieces", report.ToValue()}};
    std::ofstream(settings.json) << model::ToJson(model::Value(result), 1) << "\n";
    std::printf("\n%s\n", settings.json.c_str());
  }
  if (code == 0) std::filesystem::remove_all(settings.work_folder);
  return code;
}

}  // namespace
}  // namespace kuma::bench

int main(int argc, char** argv) { return kuma::bench::Main(argc, argv); }
