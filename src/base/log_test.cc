#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "base/log.h"
#include "base/log_output.h"

namespace kuma::base {
namespace {

using namespace std::chrono_literals;

// What is logged while it lives.
class Captured {
 public:
  Captured()
      : path_(::testing::TempDir() + "/log-" + std::to_string(getpid())),
        stderr_(dup(STDERR_FILENO)) {
    std::remove(path_.c_str());
    EXPECT_TRUE(SetLogFile(path_));
  }
  ~Captured() {
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
    SetLogFormat(LogFormat::kText);
  }
  std::string Text() const {
    std::ifstream file(path_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  size_t Lines() const {
    const std::string text = Text();
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

 private:
  std::string path_;
  int stderr_;
};

TEST(LogTest, TextIsOneLineWhateverAValueHolds) {
  const Captured captured;
  Logger("t1").Warn("odd", {{"a", "x\ny"}, {"b", 7}});
  EXPECT_NE(captured.Text().find(" WARN  t1 odd a=\"x\\ny\" b=7\n"), std::string::npos)
      << captured.Text();
}

TEST(LogTest, JsonIsValidWhateverAValueHolds) {
  const Captured captured;
  SetLogFormat(LogFormat::kJson);
  Logger("t2").Info("say \"hi\"", {{"a", "x\ny\\"}, {"b", "\xff\xc3\xbc"}});
  const std::string text = captured.Text();
  EXPECT_TRUE(text.starts_with("{\"time\":\"20")) << text;
  EXPECT_NE(text.find("\"level\":\"INFO\",\"logger\":\"t2\",\"message\":\"say "
                      "\\\"hi\\\"\",\"a\":\"x\\u000ay\\\\\","
                      "\"b\":\"\\ufffd\xc3\xbc\"}\n"),
            std::string::npos)
      << text;
}

TEST(LogTest, AStormOfTheSameMessageIsBounded) {
  const Captured captured;
  for (int i = 0; i < 500; ++i) Logger("t3").Info("connected", {{"proxy", i}});
  EXPECT_EQ(captured.Lines(), kLogLinesPerWindow);
  FlushLog();
  EXPECT_NE(captured.Text().find("like=connected lines=480\n"), std::string::npos)
      << captured.Text();
  EXPECT_EQ(captured.Lines(), kLogLinesPerWindow + 1);
}

TEST(RepeatLimitTest, WhatWasCountedIsToldWhenTheWindowIsOver) {
  RepeatLimit limit;
  RepeatLimit::Time now{1h};
  for (size_t i = 0; i < kLogLinesPerWindow; ++i) EXPECT_TRUE(limit.Allow("a", "m", now));
  EXPECT_FALSE(limit.Allow("a", "m", now));
  EXPECT_FALSE(limit.Allow("a", "m", now + kLogWindow - 1s));
  EXPECT_TRUE(limit.Allow("b", "m", now)) << "another logger";
  EXPECT_TRUE(limit.Allow("a", "n", now)) << "another message";
  EXPECT_TRUE(limit.Take(now + kLogWindow - 1s).empty());
  const auto counted = limit.Take(now + kLogWindow);
  ASSERT_EQ(counted.size(), 1u);
  EXPECT_EQ(counted[0].logger, "a");
  EXPECT_EQ(counted[0].message, "m");
  EXPECT_EQ(counted[0].lines, 2u);
  EXPECT_TRUE(limit.Allow("a", "m", now + kLogWindow));
  EXPECT_TRUE(limit.Take(now + 2 * kLogWindow).empty());
}

TEST(RepeatLimitTest, ASlowMessageIsAlwaysWritten) {
  RepeatLimit limit;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limit.Allow("a", "m", RepeatLimit::Time(i * 4s)));
}

TEST(RepeatLimitTest, ManyMessagesCostBoundedMemory) {
  RepeatLimit limit;
  for (int i = 0; i < 5000; ++i)
    EXPECT_TRUE(limit.Allow("a", std::to_string(i), RepeatLimit::Time(1h)));
}

TEST(LogTest, FormatsHaveNames) {
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_EQ(ParseLogFormat("xml").error().message(),
            "unknown log format \"xml\": it is text or json");
}

}  // namespace
}  // namespace kuma::base
