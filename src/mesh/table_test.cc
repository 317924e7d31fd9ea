#include "mesh/table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/format.h"

namespace kuma::mesh {
namespace {

using Value = std::shared_ptr<const int>;

uint64_t Below(std::mt19937_64& random, uint64_t bound) { return random() % bound; }

std::map<std::string, int> Contents(const Table<Value>& table) {
  std::map<std::string, int> contents;
  std::string last;
  table.ForEach([&](const std::string& key, const Value& value) {
    EXPECT_TRUE(contents.empty() || last < key) << "out of order: " << last << ", " << key;
    last = key;
    contents[key] = *value;
  });
  return contents;
}

TEST(TableTest, EmptyTableHasNothing) {
  Table<Value> table;
  EXPECT_EQ(table.Find("a"), nullptr);
  EXPECT_FALSE(table.Erase("a"));
  EXPECT_TRUE(table.empty());
  EXPECT_TRUE(Contents(table).empty());
}

TEST(TableTest, CopyKeepsWhatItWas) {
  Table<Value> table;
  for (int i = 0; i < 2000; ++i) table.Put(base::Format("key-{:05}", i), std::make_shared<int>(i));
  const Table<Value> copy = table;
  EXPECT_EQ(table.SharedChunksForTest(copy), table.ChunksForTest());

  table.Put("key-00777", std::make_shared<int>(-1));
  table.Erase("key-00001");
  EXPECT_EQ(**copy.Find("key-00777"), 777);
  EXPECT_NE(copy.Find("key-00001"), nullptr);
  EXPECT_EQ(**table.Find("key-00777"), -1);
  EXPECT_EQ(table.size(), 1999u);
  EXPECT_EQ(copy.size(), 2000u);
  // Two changes in two chunks: the others are still shared.
  EXPECT_EQ(table.SharedChunksForTest(copy), copy.ChunksForTest() - 2);
}

TEST(TableTest, InOrderInsertionFillsChunks) {
  Table<Value> table;
  for (int i = 0; i < 256 * 20; ++i) table.Put(base::Format("{:06}", i), nullptr);
  EXPECT_EQ(table.ChunksForTest(), 20u);
}

TEST(TableTest, ChunksDoNotStayTinyAfterErasing) {
  Table<Value> table;
  for (int i = 0; i < 20000; ++i) table.Put(base::Format("{:06}", i), nullptr);
  for (int i = 0; i < 20000; ++i) {
    if (i % 100 != 0) table.Erase(base::Format("{:06}", i));
  }
  EXPECT_EQ(table.size(), 200u);
  EXPECT_LE(table.ChunksForTest(), 10u);
}

// A random walk against std::map, with copies kept on the way that must not move.
TEST(TableTest, BehavesAsStdMap) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(base::Format("seed {}", seed));
    std::mt19937_64 random(seed);
    const uint64_t keys = seed % 2 == 0 ? 3000 : 300;
    Table<Value> table;
    std::map<std::string, int> model;
    std::vector<std::pair<Table<Value>, std::map<std::string, int>>> kept;
    for (int step = 0; step < 5000; ++step) {
      const std::string key = base::Format("k{}", Below(random, keys));
      if (Below(random, 100) < (step < 3000 ? 70u : 30u)) {
        table.Put(key, std::make_shared<int>(step));
        model[key] = step;
      } else {
        ASSERT_EQ(table.Erase(key), model.erase(key) == 1);
      }
      ASSERT_EQ(table.size(), model.size());
      const std::string probe = base::Format("k{}", Below(random, keys));
      const Value* found = table.Find(probe);
      const auto expected = model.find(probe);
      ASSERT_EQ(found != nullptr, expected != model.end());
      if (found != nullptr) {
        ASSERT_EQ(**found, expected->second);
      }
      if (Below(random, 500) == 0) kept.emplace_back(table, model);
      if (Below(random, 50) == 0) table = Table<Value>(table);
    }
    ASSERT_EQ(Contents(table), model);
    for (const auto& [copy, contents] : kept) ASSERT_EQ(Contents(copy), contents);
  }
}

// Readers of copies in other threads see what they were given (meant for the thread sanitizer,
// too).
TEST(TableTest, CopiesAreReadByOtherThreads) {
  Table<Value> table;
  for (int i = 0; i < 1000; ++i) table.Put(base::Format("{:04}", i), std::make_shared<int>(0));
  std::vector<std::thread> readers;
  for (int round = 1; round <= 8; ++round) {
    readers.emplace_back([copy = table, round] {
      int sum = 0;
      copy.ForEach([&](const std::string&, const Value& value) { sum += *value; });
      EXPECT_EQ(sum, 1000 * (round - 1));
    });
    for (int i = 0; i < 1000; ++i) {
      table.Put(base::Format("{:04}", i), std::make_shared<int>(round));
    }
  }
  for (std::thread& reader : readers) reader.join();
}

struct Counted {
  Counted() = default;
  Counted(const Counted&) { ++copies; }
  Counted& operator=(const Counted&) {
    ++copies;
    return *this;
  }
  Counted(Counted&&) = default;
  Counted& operator=(Counted&&) = default;
  static int copies;
};
int Counted::copies = 0;

// The bound on the cost of a change, counted instead of timed: one chunk's entries at most.
TEST(TableTest, OneChangeOfManyCopiesAtMostOneChunk) {
  Table<Counted> table;
  for (int i = 0; i < 50000; ++i) table.Put(base::Format("dataplane-{:06}", i * 7919 % 50000), {});
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) {
    const Table<Counted> snapshot = table;
    Counted::copies = 0;
    table.Put(base::Format("dataplane-{:06}", Below(random, 60000)), {});
    ASSERT_LE(Counted::copies, 256);
  }
}

}  // namespace
}  // namespace kuma::mesh
