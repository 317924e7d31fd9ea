#pragma once

// Pieces that measure one hard case each; docs/performance.md tells which and why. Each adds its
// rows to the report under "<piece> <size>".

#include <string>
#include <vector>

#include "base/result.h"
#include "tests/bench/report.h"
#include "tests/bench/world.h"

namespace kuma::bench {

struct Settings {
  std::vector<std::string> pieces;
  std::vector<Size> sizes;  // of the pieces that measure a mesh
  size_t runs = 5;
  size_t edits = 5;  // and moves, of each run
  int idle_seconds = 120;
  std::string store = "memory";
  bool limit = true;
  int minutes = 30;  // of the soak
  std::string json;
  std::string bin_folder;
  std::string work_folder;
  std::vector<int> control_plane_cores, own_cores;
};

void Say(const std::string& text);  // to standard error
WorldOptions OptionsOf(const Settings& settings, const Size& size, const std::string& store);
std::chrono::seconds LimitOf(const Size& size);

// 50 policies that select a part of the proxies each; an edit of one of them, and one of all.
base::Status Views(Report& report, const Settings& settings, const Size& size);
// 50 replicas of one service are replaced, one after the other, among many proxies.
base::Status Rollout(Report& report, const Settings& settings, const Size& size);
// 50,000 Dataplanes stored; some proxies connected; one Dataplane replaced each second; a cold start.
base::Status Stored(Report& report, const Settings& settings, const Size& size);
// Endpoints change all the time while one edit changes every cluster of every proxy.
base::Status Starve(Report& report, const Settings& settings, const Size& size);
// Some proxies read 1 kB/s; the others must not notice.
base::Status Slow(Report& report, const Settings& settings, const Size& size);
// 64 clients write at once, on sqlite.
base::Status Writes(Report& report, const Settings& settings, const Size& size);
// Ten times as much as it can do, from clients that wait for answers and from proxies that come and
// go; then how long it takes to be as before.
base::Status Overload(Report& report, const Settings& settings, const Size& size);

// Everything changes all the time for half an hour (`minutes`): addresses, replicas, edits of every
// proxy, cut connections. Memory, descriptors and times must stay as they are.
base::Status Soak(Report& report, const Settings& settings, const Size& size);

}  // namespace kuma::bench
