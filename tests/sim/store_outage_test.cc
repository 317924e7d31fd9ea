// What is derived waits out an outage of the store, and no longer.

#include <gtest/gtest.h>

#include <map>

#include "control/control_loop.h"
#include "policies/all.h"
#include "runtime/simulation.h"
#include "store/memory/memory_store.h"
#include "tests/kit/builders.h"
#include "tests/kit/faulty_store.h"

namespace kuma::sim {
namespace {

using kit::FaultyStore;
using std::chrono::milliseconds;

TEST(StoreOutageTest, WhatIsDerivedIsStoredAsSoonAsTheStoreTakesSomething) {
  runtime::Simulation simulation{1};
  runtime::SerialExecutor& writer = simulation.AddExecutor("writer");
  const std::unique_ptr<store::Store> memory = store::NewMemoryStore(simulation.clock(), true);
  FaultyStore store(*memory);
  generate::Generator generator{policies::AllPolicies(), {}};
  control::ControlLoop loop{{},
                            {},
                            {.store = store,
                             .generator = generator,
                             .clock = simulation.clock(),
                             .writer = writer,
                             .pool = simulation.pool(),
                             .publish = [](auto, auto) {},
                             .newcomers = [] { return uint64_t{0}; },
                             .withdraw = nullptr,
                             .forget = nullptr,
                             .on_round = nullptr}};
  ASSERT_TRUE(loop.Start().has_value());
  simulation.Advance(std::chrono::seconds(1));

  // The store takes what users write, and not what follows from it.
  bool out = true;
  bool users = false;
  int refused = 0;
  store.Inject([&](const store::Transaction&) {
    if (users || !out) return FaultyStore::Fault::kNone;
    ++refused;
    return FaultyStore::Fault::kRefused;
  });
  std::map<std::string, store::Revision> written;
  const auto put_service = [&](const std::string& name) {
    users = true;
    const auto done = store.Commit({.writes = {kit::Put(kit::MeshService(name))}, .cause = {}});
    users = false;
    ASSERT_TRUE(done.has_value());
    written[name] = done->revision;
  };
  const auto has_status = [&](const std::string& name) {
    return (*store.Get({"MeshService", "default", name}))->meta().revision > written[name];
  };
  const auto run = [&](int steps) {
    for (int step = 0; step < steps; ++step) simulation.Advance(milliseconds(10));
  };
  put_service("one");
  run(6000);
  EXPECT_FALSE(has_status("one"));
  EXPECT_GT(refused, 5);
  EXPECT_LT(refused, 40) << "it waits longer each time";

  const int before = refused;
  for (int step = 0; step < 1000 && refused == before; ++step) simulation.Advance(milliseconds(10));
  ASSERT_GT(refused, before);
  out = false;  // the next attempt is five seconds away
  run(10);
  EXPECT_FALSE(has_status("one"));
  put_service("two");
  run(10);
  EXPECT_TRUE(has_status("one"));
  EXPECT_TRUE(has_status("two"));
}

}  // namespace
}  // namespace kuma::sim
