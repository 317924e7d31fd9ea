#include "dp/dynamic_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "net/server.h"

namespace kuma::dp {
namespace {

using std::chrono::milliseconds;

bool Eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// A server like Envoy's listener for such documents.
class DynamicConfigTest : public testing::Test {
 protected:
  DynamicConfigTest() {
    std::string pattern = "/tmp/kuma-dc-test-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    loops_.at(0).RunAndWait([this] {
      config_ = std::make_unique<DynamicConfig>(loops_.at(0), Socket(), milliseconds(2));
      config_->Add("/dns", [this](std::string_view document) -> base::Status {
        std::lock_guard lock(mutex_);
        if (document == "bad") return base::Invalid("no JSON");
        taken_.emplace_back(document);
        return base::Ok{};
      });
      config_->Start();
    });
  }
  ~DynamicConfigTest() override {
    loops_.at(0).RunAndWait([this] { config_.reset(); });
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string Socket() const { return folder_ + "/config.sock"; }
  void Serve() {
    net::ServerOptions options;
    options.name = "config";
    options.address = "unix:" + Socket();
    auto server = net::Server::Start(
        loops_, options, [this](const net::HttpRequest& request, const net::HttpResponder& to) {
          std::lock_guard lock(mutex_);
          net::HttpResponse response;
          response.status = status_;
          ++asked_;
          if (status_ == 200) {
            response.headers.Set("etag", etag_);
            if (request.headers.Get("if-none-match") == etag_) {
              response.status = 304;
              ++unchanged_;
            } else {
              response.body = body_;
            }
          }
          to.Send(std::move(response));
        });
    ASSERT_TRUE(server.has_value()) << server.error().message();
    server_ = *std::move(server);
  }
  void Set(int status, const std::string& body, const std::string& etag) {
    std::lock_guard lock(mutex_);
    status_ = status;
    body_ = body;
    etag_ = etag;
    asked_ = unchanged_ = 0;
  }
  bool Taken(size_t count) {
    return Eventually([&] {
      std::lock_guard lock(mutex_);
      return taken_.size() >= count;
    });
  }
  bool Asked(int count, const int& value) {
    return Eventually([&] {
      std::lock_guard lock(mutex_);
      return value >= count;
    });
  }

  std::string folder_;
  net::EventLoops loops_{1, "dynamic-config-test"};
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<DynamicConfig> config_;
  std::mutex mutex_;
  int status_ = 404;
  std::string body_;
  std::string etag_;
  int asked_ = 0;
  int unchanged_ = 0;
  std::vector<std::string> taken_;
};

TEST_F(DynamicConfigTest, TakesEachVersionOnce) {
  Serve();  // later than the first look
  EXPECT_TRUE(Asked(2, asked_));
  Set(200, "one", "1");
  EXPECT_TRUE(Taken(1));
  EXPECT_TRUE(Asked(3, unchanged_));
  Set(200, "two", "2");
  EXPECT_TRUE(Taken(2));
  EXPECT_TRUE(Asked(3, unchanged_));
  EXPECT_EQ(taken_, (std::vector<std::string>{"one", "two"}));
}

TEST_F(DynamicConfigTest, WhatIsNotTakenIsAskedForAgain) {
  Set(200, "bad", "1");
  Serve();
  EXPECT_TRUE(Asked(3, asked_));
  {
    std::lock_guard lock(mutex_);
    EXPECT_EQ(unchanged_, 0);
  }
  Set(503, "", "");
  EXPECT_TRUE(Asked(2, asked_));
  Set(200, "good", "1");
  EXPECT_TRUE(Taken(1));
  EXPECT_EQ(taken_, std::vector<std::string>{"good"});
}

// The same document with the same tag is news after that.
TEST_F(DynamicConfigTest, ADocumentThatIsGone) {
  Set(200, "one", "1");
  Serve();
  EXPECT_TRUE(Taken(1));
  Set(404, "", "");
  EXPECT_TRUE(Taken(2));
  EXPECT_TRUE(Asked(3, asked_));
  Set(200, "one", "1");
  EXPECT_TRUE(Taken(3));
  EXPECT_EQ(taken_, (std::vector<std::string>{"one", "", "one"}));
}

// Envoy closes the listener of the last document, and leaves its socket.
TEST_F(DynamicConfigTest, AListenerThatIsGone) {
  Set(200, "one", "1");
  Serve();
  EXPECT_TRUE(Taken(1));
  const std::string kept = Socket() + ".kept";
  std::filesystem::rename(Socket(), kept);
  server_.reset();
  std::filesystem::rename(kept, Socket());
  EXPECT_TRUE(Taken(2));
  Serve();
  EXPECT_TRUE(Taken(3));
  EXPECT_EQ(taken_, (std::vector<std::string>{"one", "", "one"}));
}

}  // namespace
}  // namespace kuma::dp
