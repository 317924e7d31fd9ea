// KUMA_SIM_SEEDS=N runs N seeds (default 30) from KUMA_SIM_FIRST (default 1) on. KUMA_SIM_SEED=S runs
// the seed S alone and prints what happens; with KUMA_SIM_ONLY="3 17" only these of its events
// happen, with KUMA_SIM_SHRINK=1 the events that its failure needs are found and printed first.

#include "tests/sim/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "base/strings.h"
#include "tests/sim/shrink.h"

namespace kuma::sim {
namespace {

uint64_t Number(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : base::ParseUint(text).value_or(otherwise);
}

std::set<size_t> Numbers(const std::string& text) {
  std::set<size_t> numbers;
  std::istringstream words(text);
  for (std::string word; words >> word;) numbers.insert(base::ParseUint(word).value());
  return numbers;
}

// A CHECK that fails ends the process; then the seed is all that is needed.
volatile uint64_t g_seed = 0;
extern "C" void NameTheSeed(int) {
  std::fprintf(stderr, "in the world of KUMA_SIM_SEED=%llu\n",
               static_cast<unsigned long long>(g_seed));
  std::signal(SIGABRT, SIG_DFL);
}

class WorldTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Number("KUMA_SIM_SEED", 0) == 0) base::SetLogLevel(base::LogLevel::kOff);
    std::signal(SIGABRT, NameTheSeed);
  }
  void TearDown() override { base::SetLogLevel(base::LogLevel::kInfo); }

  uint64_t Run(WorldOptions options) {
    g_seed = options.seed;
    World world(options);
    world.Run();
    for (const std::string& failure : world.failures())
      ADD_FAILURE() << "seed " << options.seed << ": " << failure
                    << "\n  KUMA_SIM_SEED=" << options.seed
                    << " KUMA_SIM_SHRINK=1 finds the events that it needs";
    for (const auto& [what, count] : world.counts()) counts_[what] += count;
    if (!options.only && world.failures().empty()) {
      EXPECT_GE(world.elapsed(), std::chrono::seconds(60)) << "seed " << options.seed;
      EXPECT_GE(world.events().size(), 200u) << "seed " << options.seed;
      EXPECT_GE(world.proxies(), 20u) << "seed " << options.seed;
    }
    return world.trace_hash();
  }

  std::map<std::string, uint64_t> counts_;
};

// What a failure says, whoever and whatever it met.
std::string KindOf(std::string failure) {
  std::erase_if(failure, [](char c) { return c >= '0' && c <= '9'; });
  return failure;
}

// The events that the failure needs, printed as what happens.
std::set<size_t> ShrinkSeed(uint64_t seed) {
  base::SetLogLevel(base::LogLevel::kOff);
  size_t runs = 0;
  std::map<size_t, std::string> words;
  std::string failure;
  const auto fails = [&](const std::set<size_t>& only) {
    ++runs;
    World world({.seed = seed, .only = only});
    world.Run();
    if (world.failures().empty()) return false;
    if (!failure.empty() && KindOf(world.failures().front()) != KindOf(failure)) return false;
    words = world.events();
    failure = world.failures().front();
    return true;
  };
  std::set<size_t> all;
  for (size_t number = 1; number <= WorldOptions().events; ++number) all.insert(number);
  if (!fails(all)) {
    std::printf("the seed does not fail\n");
    return all;
  }
  const std::set<size_t> kept = Shrink(WorldOptions().events, fails);
  std::string list;
  for (const size_t number : kept) list += (list.empty() ? "" : " ") + std::to_string(number);
  std::printf("%zu runs; still fails: %s\nKUMA_SIM_SEED=%llu KUMA_SIM_ONLY=\"%s\"\n", runs,
              failure.c_str(), static_cast<unsigned long long>(seed), list.c_str());
  for (const auto& [number, text] : words) std::printf("  #%zu %s\n", number, text.c_str());
  base::SetLogLevel(base::LogLevel::kInfo);
  return kept;
}

TEST_F(WorldTest, ConvergesUnderDisturbances) {
  if (const uint64_t seed = Number("KUMA_SIM_SEED", 0); seed != 0) {
    WorldOptions options{.seed = seed, .verbose = true};
    if (const char* only = std::getenv("KUMA_SIM_ONLY")) options.only = Numbers(only);
    if (Number("KUMA_SIM_SHRINK", 0) != 0) options.only = ShrinkSeed(seed);
    Run(options);
    return;
  }
  const uint64_t first = Number("KUMA_SIM_FIRST", 1);
  const uint64_t seeds = Number("KUMA_SIM_SEEDS", 30);
  const auto& result = *testing::UnitTest::GetInstance()->current_test_info()->result();
  int failed = 0;
  for (uint64_t seed = first; seed < first + seeds && failed < 10; ++seed) {
    const int before = result.total_part_count();
    Run({.seed = seed});
    if (result.total_part_count() != before) ++failed;
  }
  for (const auto& [what, count] : counts_) {
    RecordProperty(what, static_cast<int>(count));
    std::printf("  %s: %llu\n", what.c_str(), static_cast<unsigned long long>(count));
  }
}

// Lines of "SEED [EVENT...]  # what it found".
TEST_F(WorldTest, SeedsThatOnceFailed) {
  std::ifstream file(
      std::string(std::getenv("KUMA_SOURCE_DIR") ? std::getenv("KUMA_SOURCE_DIR") : ".") +
      "/tests/sim/seeds.txt");
  for (std::string line; std::getline(file, line);) {
    const std::string text(base::Trim(line.substr(0, line.find('#'))));
    if (text.empty()) continue;
    const size_t end = std::min(text.find(' '), text.size());
    WorldOptions options{.seed = base::ParseUint(text.substr(0, end)).value()};
    if (end < text.size()) options.only = Numbers(text.substr(end));
    Run(options);
  }
}

TEST_F(WorldTest, TheSameSeedIsTheSameWorld) {
  for (const uint64_t seed : {3u, 17u}) EXPECT_EQ(Run({.seed = seed}), Run({.seed = seed}));
}

TEST(ShrinkTest, LeavesWhatTheFailureNeeds) {
  for (const std::set<size_t>& needed :
       {std::set<size_t>{}, {1}, {220}, {3, 17, 44}, {1, 2, 3, 100, 219, 220}}) {
    size_t runs = 0;
    const auto fails = [&](const std::set<size_t>& only) {
      ++runs;
      return std::includes(only.begin(), only.end(), needed.begin(), needed.end());
    };
    EXPECT_EQ(Shrink(220, fails), needed);
    EXPECT_LE(runs, 120u);
  }
}

}  // namespace
}  // namespace kuma::sim
