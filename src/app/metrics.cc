#include "app/metrics.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string>

#include "base/version.h"
#include "net/library_memory.h"

namespace kuma::app {
namespace {

using Kind = rest::Metric::Kind;

constexpr size_t kMostStaleProxies = 100;

double ResidentBytes() {
  long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenDescriptors() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = -3;  // ".", ".." and this one
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

std::vector<rest::Metric> CollectMetrics(const store::Store& store,
                                         const control::ControlLoop& control, const xds::Hub& hub,
                                         const rest::RequestQueue& api,
                                         const rest::RequestQueue& dp,
                                         const std::vector<std::unique_ptr<net::Server>>& servers) {
  std::vector<rest::Metric> metrics;
  const auto add = [&metrics](std::string_view name, std::string_view help, Kind kind, double value,
                              std::vector<std::pair<std::string, std::string>> labels = {}) {
    metrics.push_back({name, help, kind, std::move(labels), value});
  };
  const auto number = [](const std::atomic<uint64_t>& value) {
    return static_cast<double>(value.load(std::memory_order_relaxed));
  };
  const control::Counters& c = control.counters();

  add("kuma_cp_info", "Version of this control plane.", Kind::kGauge, 1,
      {{"version", std::string(base::Version().version)}});
  add("kuma_store_revision", "Newest revision of the store.", Kind::kGauge,
      static_cast<double>(store.revision().value));
  add("kuma_snapshot_revision", "Revision that configuration is generated from.", Kind::kGauge,
      static_cast<double>(control.snapshots().Load()->revision.value));

  add("kuma_events_total", "Store events received.", Kind::kCounter, number(c.events));
  add("kuma_steps_total", "Batches of events applied.", Kind::kCounter, number(c.steps));
  add("kuma_step_seconds_total", "Time of the mesh writer in steps.", Kind::kCounter,
      number(c.step_nanoseconds) / 1e9);
  add("kuma_step_longest_seconds", "Longest step.", Kind::kGauge,
      number(c.longest_step_nanoseconds) / 1e9);
  add("kuma_derived_writes_total", "Derived resources written.", Kind::kCounter,
      number(c.derived_writes));
  add("kuma_derived_conflicts_total", "Follow-up transactions that met a newer write.",
      Kind::kCounter, number(c.derived_conflicts));
  add("kuma_derived_failures_total", "Follow-up transactions that the store did not take.",
      Kind::kCounter, number(c.derived_failures));
  constexpr std::string_view kKinds[] = {"listener", "cluster", "endpoints", "own"};
  for (size_t i = 0; i < c.generations.size(); ++i) {
    add("kuma_generations_total", "Cells built.", Kind::kCounter, number(c.generations[i]),
        {{"kind", std::string(kKinds[i])}});
  }
  add("kuma_cell_hits_total", "Cells whose context had not changed.", Kind::kCounter,
      number(c.hits));
  add("kuma_build_failures_total", "Cells that could not be built.", Kind::kCounter,
      number(c.build_failures));
  add("kuma_publishes_total", "Bundles given to streams.", Kind::kCounter, number(c.publishes));
  add("kuma_publishes_equal_total", "Bundles that changed nothing and were not given.",
      Kind::kCounter, number(c.publishes_equal));
  add("kuma_oracle_checks_total", "Bundles compared with the computation from scratch.",
      Kind::kCounter, number(c.oracle_checks));
  add("kuma_oracle_differences_total",
      "Bundles that differ from the computation from scratch; must be 0.", Kind::kCounter,
      number(c.oracle_differences));
  add("kuma_proxies", "Connected proxies.", Kind::kGauge, number(c.proxies));
  add("kuma_cells", "Cells held.", Kind::kGauge, number(c.cells));
  add("kuma_cell_bytes", "Sealed bytes held.", Kind::kGauge, number(c.cell_bytes));
  add("kuma_degraded_cells",
      "Cells that serve older content because what is stored cannot be applied.", Kind::kGauge,
      number(c.degraded_cells));
  add("kuma_waiting_events", "Store events queued.", Kind::kGauge, number(c.waiting_events));
  add("kuma_waiting_cells", "Cells marked.", Kind::kGauge, number(c.waiting_cells));
  add("kuma_waiting_proxies", "Proxies marked.", Kind::kGauge, number(c.waiting_proxies));
  add("kuma_held_dataplanes", "Dataplanes whose removal the guard holds.", Kind::kGauge,
      number(c.held_dataplanes));
  add("kuma_dataplanes_removed_total", "Dataplanes removed because their proxy left.",
      Kind::kCounter, number(c.dataplanes_removed));
  add("kuma_health_changes_total",
      "Changes of a workload's health stored because its probes say so.", Kind::kCounter,
      number(c.health_changes));

  const xds::HubCounters& h = hub.counters();
  add("kuma_xds_streams", "Authenticated streams.", Kind::kGauge, number(h.streams));
  add("kuma_xds_streams_in_step", "Streams that have everything of their newest bundle.",
      Kind::kGauge, number(h.streams_in_step));
  add("kuma_xds_streams_stalled", "Streams that leave a response without an answer for too long.",
      Kind::kGauge, number(h.streams_stalled));
  add("kuma_xds_streams_waiting", "New streams that wait for their turn to be admitted.",
      Kind::kGauge, number(h.streams_waiting));
  add("kuma_xds_streams_entering", "New streams that are being brought into step.", Kind::kGauge,
      number(h.streams_entering));
  add("kuma_xds_streams_refused_total", "Streams refused because too many waited.", Kind::kCounter,
      number(h.streams_refused));
  add("kuma_xds_responses_sent_total", "Responses sent.", Kind::kCounter, number(h.responses_sent));
  add("kuma_xds_resources_sent_total", "Resources sent.", Kind::kCounter, number(h.resources_sent));
  add("kuma_xds_resources_removed_total", "Removals sent.", Kind::kCounter,
      number(h.resources_removed));
  add("kuma_xds_bytes_sent_total", "Bytes of resources sent.", Kind::kCounter,
      number(h.bytes_sent));
  add("kuma_xds_rejected_total", "Responses rejected by proxies.", Kind::kCounter,
      number(h.rejected));

  add("kuma_requests_waiting", "Requests that wait or are being answered.", Kind::kGauge,
      static_cast<double>(api.waiting()), {{"server", "api"}});
  add("kuma_requests_waiting", "", Kind::kGauge, static_cast<double>(dp.waiting()),
      {{"server", "dp"}});
  add("kuma_requests_shed_total", "Requests answered 503 because too many waited.", Kind::kCounter,
      static_cast<double>(api.shed()), {{"server", "api"}});
  add("kuma_requests_shed_total", "", Kind::kCounter, static_cast<double>(dp.shed()),
      {{"server", "dp"}});
  for (const auto& server : servers) {
    add("kuma_connections", "Open connections.", Kind::kGauge,
        static_cast<double>(server->stats().open), {{"server", server->url()}});
  }
  for (const auto& server : servers) {
    add("kuma_tls_handshakes_failed_total", "TLS handshakes that failed.", Kind::kCounter,
        static_cast<double>(server->stats().handshakes_failed), {{"server", server->url()}});
  }
  const struct mallinfo2 heap = mallinfo2();
  const auto memory = [&](std::string_view kind, double bytes) {
    add("kuma_memory_bytes",
        "Heap: in use, and free but kept by the allocator. Of what is in use: sealed "
        "configuration, OpenSSL, nghttp2.",
        Kind::kGauge, bytes, {{"kind", std::string(kind)}});
  };
  memory("in_use", static_cast<double>(heap.uordblks + heap.hblkhd));
  memory("free", static_cast<double>(heap.fordblks));
  memory("sealed", number(c.cell_bytes));
  const net::LibraryMemory libraries = net::MemoryOfLibraries();
  memory("openssl", static_cast<double>(libraries.openssl));
  memory("nghttp2", static_cast<double>(libraries.nghttp2));
  add("process_resident_memory_bytes", "Resident memory.", Kind::kGauge, ResidentBytes());
  add("process_open_fds", "Open file descriptors.", Kind::kGauge, OpenDescriptors());
  add("process_cpu_seconds_total", "CPU time.", Kind::kCounter, CpuSeconds());
  return metrics;
}

std::vector<rest::Metric> FreshnessMetrics(const std::vector<insight::Freshness>& proxies,
                                           bool each) {
  using Labels = std::vector<std::pair<std::string, std::string>>;
  // Cumulative, as Prometheus's histograms are.
  static constexpr std::array<uint64_t, 6> kBounds = {0, 1, 10, 100, 1000, 10000};
  struct Mesh {
    uint64_t proxies = 0, stale = 0, stalled = 0, lag = 0;
    double behind = 0;
    std::array<uint64_t, kBounds.size()> within{};
  };
  const auto seconds = [](const insight::Freshness& one) {
    return std::chrono::duration<double>(one.behind_for.value_or(runtime::Duration{})).count();
  };
  std::map<std::string, Mesh> meshes;
  std::vector<const insight::Freshness*> named;
  for (const insight::Freshness& one : proxies) {
    Mesh& mesh = meshes[one.proxy.mesh];
    ++mesh.proxies;
    if (one.behind_for) ++mesh.stale;
    if (one.stalled) ++mesh.stalled;
    mesh.lag = std::max(mesh.lag, one.lag);
    mesh.behind = std::max(mesh.behind, seconds(one));
    for (size_t i = 0; i < kBounds.size(); ++i) {
      if (one.lag <= kBounds[i]) ++mesh.within[i];
    }
    if (each || one.behind_for) named.push_back(&one);
  }
  if (!each && named.size() > kMostStaleProxies) {
    std::partial_sort(named.begin(), named.begin() + kMostStaleProxies, named.end(),
                      [](const auto* a, const auto* b) { return a->behind_for > b->behind_for; });
    named.resize(kMostStaleProxies);
  }

  std::vector<rest::Metric> metrics;
  const auto for_meshes = [&](std::string_view name, std::string_view help, auto value) {
    for (const auto& [mesh, numbers] : meshes) {
      metrics.push_back(
          {name, help, Kind::kGauge, Labels{{"mesh", mesh}}, static_cast<double>(value(numbers))});
    }
  };
  for_meshes("kuma_mesh_proxies", "Connected proxies of a mesh.",
             [](const Mesh& mesh) { return mesh.proxies; });
  for_meshes("kuma_mesh_proxies_stale", "Of these: not all that was sent is acknowledged.",
             [](const Mesh& mesh) { return mesh.stale; });
  for_meshes("kuma_mesh_proxies_stalled", "Of these: a response waits for its answer for too long.",
             [](const Mesh& mesh) { return mesh.stalled; });
  for_meshes("kuma_mesh_lag_revisions_max",
             "The largest difference of the store's revision and the one a proxy acknowledged.",
             [](const Mesh& mesh) { return mesh.lag; });
  for_meshes("kuma_mesh_stale_seconds_max", "The longest that a proxy has been stale.",
             [](const Mesh& mesh) { return mesh.behind; });
  for (const auto& [mesh, numbers] : meshes) {
    for (size_t i = 0; i < kBounds.size(); ++i) {
      metrics.push_back({"kuma_mesh_proxies_within_lag",
                         "Connected proxies that are at most `revisions` behind the store.",
                         Kind::kGauge,
                         Labels{{"mesh", mesh}, {"revisions", std::to_string(kBounds[i])}},
                         static_cast<double>(numbers.within[i])});
    }
  }
  const auto for_proxies = [&](std::string_view name, std::string_view help, auto value) {
    for (const insight::Freshness* one : named) {
      metrics.push_back({name, help, Kind::kGauge,
                         Labels{{"mesh", one->proxy.mesh}, {"proxy", one->proxy.name}},
                         static_cast<double>(value(*one))});
    }
  };
  for_proxies("kuma_proxy_lag_revisions",
              "Store's revision minus the acknowledged one; of stale proxies, or with "
              "?proxies=all of every one.",
              [](const insight::Freshness& one) { return one.lag; });
  for_proxies("kuma_proxy_stale_seconds", "For how long the proxy has been stale.", seconds);
  return metrics;
}

}  // namespace kuma::app
