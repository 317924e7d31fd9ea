#include "tests/bench/budgets.h"

namespace kuma::bench {
namespace {

constexpr std::nullopt_t kNone = std::nullopt;

constexpr Budget kBudgets[] = {
    {"table 500x50", "idle_cores", kNone, 0.18},
    {"table 500x50", "edit.cpu_s", kNone, 3.3},
    {"table 500x50", "edit.p50_ms", kNone, 2500},
    {"table 500x50", "edit.p99_ms", kNone, 3100},
    {"table 500x50", "move.cpu_s", kNone, 3.1},
    {"table 500x50", "move.p50_ms", kNone, 2400},
    {"table 500x50", "move.p99_ms", kNone, 5300},
    {"table 500x50", "connect.cpu_s", kNone, 58},
    {"table 500x50", "memory.rss_kb_each", kNone, 800},
    {"restart 500x50", "restart.p50_s", kNone, 25},
    {"restart 500x50", "restart.max_s", kNone, 35},
    {"restart 500x50", "restart.cpu_s", kNone, 44},
    {"restart 500x50", "restart.resources", 0, kNone},
    {"table 1000x100", "idle_cores", 0.002, 0.83},
    {"table 1000x100", "edit.cpu_s", 0.1, 9.5},
    {"table 1000x100", "edit.p50_ms", kNone, 4500},
    {"table 1000x100", "edit.p99_ms", 150, 7200},
    {"table 1000x100", "edit.ratio_to_limit", 1.5, kNone},
    {"table 1000x100", "move.cpu_s", 0.02, 5.4},
    {"table 1000x100", "move.p50_ms", kNone, 2900},
    {"table 1000x100", "move.p99_ms", 20, 6700},
    {"table 1000x100", "connect.cpu_s", 2, 102},
    {"table 1000x100", "memory.rss_kb_each", 64, 800},
    {"restart 1000x100", "restart.resources", 0, kNone},
    {"restart 5000x500", "restart.resources", 0, kNone},
    {"growth 10000x1000", "connect.max_s", 30, kNone},
    {"growth 10000x1000", "memory.rss_total_mb", 1024, kNone},
    {"growth 10000x1000", "idle_cores", 0.01, kNone},
    {"growth 10000x1000", "move.p99_ms", 50, kNone},
    {"growth 10000x1000", "edit.ratio_to_limit", 1.5, kNone},
    {"stored 200x20", "replaced.writer_cpu_us", 50, kNone},
    {"stored 200x20", "replaced_in_a_row.writer_cpu_us", 50, kNone},
    {"stored 200x20", "replaced.bytes", 0, kNone},
    {"stored 200x20", "cold_start.first_config_s", 3, kNone},
    {"writes", "writes.ms_each", 0.5, kNone},
    {"overload 500x50", "recovered.s", 10, kNone},
    {"overload 500x50", "faults.broken_promises", 0, kNone},
    {"overload 500x50", "faults.oracle", 0, kNone},
};

}  // namespace

const Budget* FindBudget(std::string_view piece, std::string_view name) {
  for (const Budget& budget : kBudgets) {
    if (budget.piece == piece && budget.name == name) return &budget;
  }
  return nullptr;
}

}  // namespace kuma::bench
