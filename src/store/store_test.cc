#include "tests/conformance/store_suite.h"

#include "store/memory/memory_store.h"
#include "store/sqlite/sqlite_store.h"

namespace kuma::store_test {

std::string BackendName(const ::testing::TestParamInfo<Backend>& backend) {
  return backend.param.name;
}

std::unique_ptr<Store> OpenSqlite(const std::string& folder, const runtime::Clock& clock,
                                  store::HistoryLimits history) {
  auto store = store::OpenSqliteStore(folder + "/kuma.db", Types(), clock, history);
  EXPECT_TRUE(store.has_value()) << store.error().message();
  return store.has_value() ? *std::move(store) : nullptr;
}

template <bool kInline>
std::unique_ptr<Store> OpenMemory(const std::string&, const runtime::Clock& clock,
                                  store::HistoryLimits history) {
  return store::NewMemoryStore(clock, kInline, history);
}

INSTANTIATE_TEST_SUITE_P(Store, StoreSuite,
                         ::testing::Values(Backend{"MemoryInline", false, OpenMemory<true>},
                                           Backend{"MemoryThreaded", false, OpenMemory<false>},
                                           Backend{"Sqlite", true, OpenSqlite}),
                         BackendName);

}  // namespace kuma::store_test
