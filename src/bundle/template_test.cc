#include "bundle/template.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace kuma::bundle {
namespace {

std::string Varint(uint64_t value) {
  std::string out;
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
  return out;
}

TEST(TemplateTest, LengthsFollowFromWhatIsInTheHoles) {
  Template made;
  made.Text("\x0A");
  made.Open();
  made.Text("ab");
  made.Hole(1);
  made.Text("\x12");
  made.Open();
  made.Hole(0);
  made.Hole(1);
  made.Close();
  made.Text("c");
  made.Close();
  made.Hole(Template::kVersion);
  EXPECT_EQ(made.Holes(), (std::vector<size_t>{0, 1}));
  for (const size_t size : {0u, 1u, 120u, 126u, 127u, 128u, 300u, 16'383u, 16'384u}) {
    const Values values{std::string(size, 'x'), "yy"};
    const std::string inner = values[0] + "yy";
    const std::string outer = "abyy\x12" + Varint(inner.size()) + inner + "c";
    const std::string whole = "\x0A" + Varint(outer.size()) + outer + "v7";
    EXPECT_EQ(made.Fill(values, "v7"), whole) << size;
    EXPECT_EQ(made.SizeOf(values, "v7"), whole.size());
  }
}

// Random trees of fields against the plain way.
TEST(TemplateTest, AnyNesting) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    Values values;
    for (int i = 0; i < 3; ++i) values.emplace_back(random() % 400, static_cast<char>('a' + i));
    Template made;
    const std::function<std::string(int)> grow = [&](int depth) {
      std::string plain;
      for (uint32_t i = 0; i < random() % 5; ++i) {
        const uint32_t what = random() % (depth < 6 ? 3 : 2);
        if (what == 0) {
          const std::string text(random() % 200, '.');
          made.Text(text);
          plain += text;
        } else if (what == 1) {
          const size_t hole = random() % values.size();
          made.Hole(hole);
          plain += values[hole];
        } else {
          made.Open();
          const std::string inner = grow(depth + 1);
          made.Close();
          plain += Varint(inner.size()) + inner;
        }
      }
      return plain;
    };
    const std::string plain = grow(0);
    EXPECT_EQ(made.Fill(values, ""), plain);
    EXPECT_EQ(made.SizeOf(values, ""), plain.size());
  }
}

}  // namespace
}  // namespace kuma::bundle
