// Reconnecting and dropping: see also dp/access_log_test.cc.

#include "net/tcp_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "net/internal/testing.h"

namespace kuma::net {
namespace {

using internal::Eventually;

TEST(TcpSender, TellsTheFirstFailureOfARowOnly) {
  EventLoop loop("sender-test");
  std::mutex mutex;
  std::vector<std::string> changes;
  std::unique_ptr<TcpSender> sender;
  loop.RunAndWait([&] {
    sender = std::make_unique<TcpSender>(
        loop,
        TcpSender::Options{.host = "127.0.0.1",
                           .port = 1,  // nobody listens there
                           .max_queued_bytes = 10,
                           .connect_timeout = std::chrono::seconds(5),
                           .first_pause = std::chrono::microseconds(100),
                           .longest_pause = std::chrono::milliseconds(1)},
        [&](const base::Status& status) {
          std::lock_guard lock(mutex);
          changes.push_back(status.has_value() ? "ok" : status.error().message());
        });
    EXPECT_TRUE(sender->Send("12345"));
    EXPECT_TRUE(sender->Send("67890"));
    EXPECT_FALSE(sender->Send("1"));
    EXPECT_EQ(sender->queued(), 2u);
  });
  EXPECT_TRUE(Eventually([&] {
    std::lock_guard lock(mutex);
    return !changes.empty();
  }));
  // Some more attempts: the sender is asked between them.
  for (int i = 0; i < 200; ++i) loop.RunAndWait([&] { EXPECT_EQ(sender->queued(), 2u); });
  loop.RunAndWait([&] { sender.reset(); });
  EXPECT_EQ(changes, std::vector<std::string>{"127.0.0.1:1: connection refused"});
}

TEST(TcpSender, AnUnknownNameIsAReason) {
  EventLoop loop("sender-test");
  std::promise<std::string> change;
  std::unique_ptr<TcpSender> sender;
  loop.RunAndWait([&] {
    TcpSender::Options options;
    options.host = "no-such-host.invalid";
    options.port = 5000;
    sender = std::make_unique<TcpSender>(loop, options, [&](const base::Status& status) {
      change.set_value(status.has_value() ? "ok" : status.error().message());
    });
    EXPECT_TRUE(sender->Send("x"));
  });
  EXPECT_THAT(change.get_future().get(),
              testing::StartsWith("no-such-host.invalid:5000: resolve no-such-host.invalid: "));
  loop.RunAndWait([&] { sender.reset(); });
}

}  // namespace
}  // namespace kuma::net
