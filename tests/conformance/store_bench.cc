// Commits per second of the sqlite store: store_bench [folder [clients...]]

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <thread>
#include <vector>

#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/store_kinds.h"

namespace kuma::store_test {
namespace {

using Seconds = std::chrono::duration<double>;

// Each client commits one widget of 1 KB after the other, for two seconds; `for_user`: into the
// history, of which so little is kept that each commit also drops an old revision.
void Measure(const std::string& path, int clients, bool for_user) {
  const runtime::SystemClock clock;
  std::filesystem::remove(path);
  auto opened = store::OpenSqliteStore(path, Types(), clock, {.revisions = 100});
  if (!opened.has_value()) {
    std::fprintf(stderr, "%s\n", opened.error().message().c_str());
    std::exit(1);
  }
  store::Store& store = **opened;
  std::atomic<int64_t> commits = 0;
  std::vector<std::thread> threads;
  const std::clock_t cpu = std::clock();
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::seconds(2);
  for (int client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      for (int64_t i = 0; std::chrono::steady_clock::now() < end; ++i) {
        const std::string name = std::to_string(client) + "-" + std::to_string(i % 100);
        store::Transaction transaction = Writes({Put(Widget(name, {std::string(1'000, 'x'), i}))});
        if (for_user) transaction.origin = store::Origin{"somebody", "127.0.0.1"};
        if (store.Commit(std::move(transaction)).has_value()) ++commits;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
  const double rate = static_cast<double>(commits) / seconds;
  const double cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  std::printf("%3d clients%s: %8.0f commits/s, %.2f ms and %.0f us of CPU each\n", clients,
              for_user ? ", with history" : "              ", rate, clients * 1000.0 / rate,
              cpu_seconds * 1e6 / static_cast<double>(commits));
}

void MeasureOpen(const std::string& path, int count) {
  const runtime::SystemClock clock;
  std::filesystem::remove(path);
  {
    auto store = store::OpenSqliteStore(path, Types(), clock);
    std::vector<store::Write> writes;
    for (int i = 0; i < count; ++i) {
      writes.push_back(Put(Widget("n" + std::to_string(i), {std::string(1'000, 'x'), i})));
    }
    const auto start = std::chrono::steady_clock::now();
    (void)(*store)->Commit(Writes(std::move(writes)));
    std::printf("%d resources in one transaction: %.2f s\n", count,
                Seconds(std::chrono::steady_clock::now() - start).count());
  }
  const auto start = std::chrono::steady_clock::now();
  auto store = store::OpenSqliteStore(path, Types(), clock);
  std::printf("%d resources opened: %.2f s\n", count,
              Seconds(std::chrono::steady_clock::now() - start).count());
}

}  // namespace
}  // namespace kuma::store_test

int main(int argc, char** argv) {
  const std::string folder =
      argc > 1 ? argv[1] : std::filesystem::temp_directory_path() / "store-bench";
  std::filesystem::remove_all(folder);
  std::vector<int> clients{1, 8, 64};
  if (argc > 2) clients.clear();
  for (int i = 2; i < argc; ++i) clients.push_back(std::atoi(argv[i]));
  for (const int each : clients) {
    for (const bool for_user : {false, true})
      kuma::store_test::Measure(folder + "/bench.db", each, for_user);
  }
  kuma::store_test::MeasureOpen(folder + "/open.db", 50'000);
  std::filesystem::remove_all(folder);
}
