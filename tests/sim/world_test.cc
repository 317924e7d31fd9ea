// KUMA_SIM_SEEDS=N runs the seeds 1 to N (default 100); KUMA_SIM_SEED=S runs the seed S alone and
// prints what happens.

#include "tests/sim/world.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/log.h"
#include "base/strings.h"

namespace kuma::sim {
namespace {

uint64_t Number(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : base::ParseUint(text).value_or(otherwise);
}

class WorldTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Number("KUMA_SIM_SEED", 0) == 0) base::SetLogLevel(base::LogLevel::kOff);
  }
  void TearDown() override { base::SetLogLevel(base::LogLevel::kInfo); }

  uint64_t Run(uint64_t seed, bool verbose = false) {
    World world({.seed = seed, .verbose = verbose});
    world.Run();
    for (const std::string& failure : world.failures())
      ADD_FAILURE() << "seed " << seed << ": " << failure;
    for (const auto& [what, count] : world.counts()) counts_[what] += count;
    return world.trace_hash();
  }

  std::map<std::string, uint64_t> counts_;
};

TEST_F(WorldTest, ConvergesUnderDisturbances) {
  if (const uint64_t seed = Number("KUMA_SIM_SEED", 0); seed != 0) {
    Run(seed, true);
    return;
  }
  const uint64_t seeds = Number("KUMA_SIM_SEEDS", 100);
  int failed = 0;
  for (uint64_t seed = 1; seed <= seeds && failed < 10; ++seed) {
    const auto before =
        testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
    Run(seed);
    if (testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() !=
        before)
      ++failed;
  }
  for (const auto& [what, count] : counts_) RecordProperty(what, static_cast<int>(count));
  for (const auto& [what, count] : counts_)
    std::printf("  %s: %llu\n", what.c_str(), static_cast<unsigned long long>(count));
}

TEST_F(WorldTest, SeedsThatOnceFailed) {
  std::ifstream file(
      std::string(std::getenv("KUMA_SOURCE_DIR") ? std::getenv("KUMA_SOURCE_DIR") : ".") +
      "/tests/sim/seeds.txt");
  for (std::string line; std::getline(file, line);) {
    const std::string number(base::Trim(line.substr(0, line.find('#'))));
    if (!number.empty()) Run(base::ParseUint(number).value());
  }
}

TEST_F(WorldTest, TheSameSeedIsTheSameWorld) {
  for (const uint64_t seed : {3u, 17u, 41u}) EXPECT_EQ(Run(seed), Run(seed)) << "seed " << seed;
}

}  // namespace
}  // namespace kuma::sim
