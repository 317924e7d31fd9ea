#include "rest/request_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace kuma::rest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A pool whose threads are busy until Run.
class BusyPool final : public runtime::Pool {
 public:
  void Post(runtime::Task task) override { tasks_.push_back(std::move(task)); }
  void Run() {
    for (; !tasks_.empty(); tasks_.pop_front()) tasks_.front()();
  }

 private:
  std::deque<runtime::Task> tasks_;
};

class RequestQueueTest : public testing::Test {
 protected:
  void Put(const std::string& path, std::shared_ptr<const std::atomic<bool>> gone = nullptr) {
    net::HttpRequest request;
    request.path = path;
    queue_.Put(std::move(request),
               net::HttpResponder(
                   [this](net::HttpResponse response) { answers_.push_back(std::move(response)); },
                   std::move(gone)),
               [this](const net::HttpRequest& served, const net::HttpResponder& responder) {
                 served_.push_back(served.path);
                 responder.Send({.status = 200, .headers = {}, .body = served.path});
               });
  }

  BusyPool pool_;
  RequestQueue queue_{pool_, 3};
  std::vector<net::HttpResponse> answers_;
  std::vector<std::string> served_;
};

TEST_F(RequestQueueTest, WhatDoesNotFitIsAnsweredAtOnceWithAHint) {
  for (const char* path : {"/a", "/b", "/c"}) Put(path);
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(queue_.waiting(), 3u);
  Put("/d");
  ASSERT_EQ(answers_.size(), 1u) << "before any of those that wait";
  EXPECT_EQ(answers_[0].status, 503);
  EXPECT_THAT(answers_[0].body, HasSubstr("try again in a second"));
  ASSERT_NE(answers_[0].headers.Find("retry-after"), nullptr);
  EXPECT_EQ(*answers_[0].headers.Find("retry-after"), "1");
  EXPECT_EQ(queue_.shed(), 1u);

  pool_.Run();
  EXPECT_THAT(served_, ElementsAre("/a", "/b", "/c"));
  EXPECT_EQ(queue_.waiting(), 0u);
  Put("/e");
  pool_.Run();
  EXPECT_EQ(answers_.back().status, 200);
  EXPECT_EQ(queue_.shed(), 1u);
}

TEST_F(RequestQueueTest, NobodyWorksForAClientThatIsGone) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  Put("/a", gone);
  *gone = true;
  pool_.Run();
  EXPECT_TRUE(served_.empty());
  EXPECT_EQ(queue_.waiting(), 0u);
}

}  // namespace
}  // namespace kuma::rest
