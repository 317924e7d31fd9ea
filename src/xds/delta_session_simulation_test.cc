// Seeds: 500, or as many as KUMA_SEEDS says, from KUMA_FIRST_SEED on. KUMA_VERBOSE=1 prints every
// message.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/strings.h"
#include "tests/sim/xds_world.h"

namespace kuma::xds {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : base::ParseUint(text).value_or(otherwise);
}

TEST(DeltaSessionSimulationTest, ConvergesUnderAnyOrderOfEvents) {
  const uint64_t first = FromEnvironment("KUMA_FIRST_SEED", 1);
  const uint64_t count = FromEnvironment("KUMA_SEEDS", 500);
  uint64_t responses = 0;
  uint64_t nacks = 0;
  int failed = 0;
  const bool verbose = FromEnvironment("KUMA_VERBOSE", 0) != 0;
  for (uint64_t seed = first; seed < first + count && failed < 5; ++seed) {
    sim::XdsWorld world({.seed = seed, .verbose = verbose});
    world.Run();
    for (const std::string& failure : world.failures())
      ADD_FAILURE() << "seed " << seed << ": " << failure;
    failed += world.failures().empty() ? 0 : 1;
    responses += world.responses();
    nacks += world.nacks();
    if (seed % 10 != 0) continue;
    sim::XdsWorld again({.seed = seed});
    again.Run();
    EXPECT_EQ(again.trace_hash(), world.trace_hash()) << "seed " << seed << " is not deterministic";
  }
  RecordProperty("responses", static_cast<int>(responses));
  RecordProperty("nacks", static_cast<int>(nacks));
  if (count >= 100) {
    EXPECT_GT(nacks, count);
    EXPECT_GT(responses, 20 * count);
  }
}

}  // namespace
}  // namespace kuma::xds
