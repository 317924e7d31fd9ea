// kumactl apply --wait and inspect dataplane --timeline against a server with prepared answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <sstream>

#include "base/format.h"
#include "cli/kumactl.h"
#include "net/server.h"

namespace kuma::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kPolicies = R"(
type: MeshTimeout
mesh: default
name: one
spec: {to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 1s}}]}
---
type: MeshTimeout
mesh: default
name: two
spec: {to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 2s}}]}
)";

class WaitTest : public testing::Test {
 protected:
  WaitTest() {
    std::string pattern = "/tmp/kumactl-wait-XXXXXX";
    home_ = mkdtemp(pattern.data());
    auto started = net::Server::Start(
        loops_, {}, [this](net::HttpRequest request, net::HttpResponder responder) {
          std::lock_guard lock(mutex_);
          responder.Send(Answer(request));
        });
    server_ = *std::move(started);
    Call({"config", "control-planes", "add", "--name=test", "--address=" + server_->url()});
  }
  ~WaitTest() override { std::filesystem::remove_all(home_); }

  net::HttpResponse Answer(const net::HttpRequest& request) {
    if (request.path == "/")
      return {.status = 200, .headers = {}, .body = R"({"product": "Kuma", "version": "3.0.0"})"};
    if (request.method == "PUT") {
      net::HttpResponse response{.status = 201, .headers = {}, .body = "{}"};
      if (tells_revisions_) response.headers.Set("kuma-revision", std::to_string(++revision_));
      return response;
    }
    asked_.push_back(request.target);
    std::deque<net::HttpResponse>& answers = answers_[request.path];
    if (answers.empty()) return {.status = 404, .headers = {}, .body = "404: Page Not Found"};
    net::HttpResponse response = answers.front();
    if (answers.size() > 1) answers.pop_front();
    return response;
  }
  // The next answer for this path; the last one stays.
  void Prepare(const std::string& path, std::string body, int status = 200) {
    answers_[path].push_back({.status = status, .headers = {}, .body = std::move(body)});
  }
  static std::string Rollout(const std::string& complete, int affected, int acknowledged,
                             const std::string& more) {
    return base::Format(
        R"({{"revision": 1, "settled": true, "complete": {}, "affected": {}, "acknowledged": {}{}}})",
        complete, affected, acknowledged, more);
  }

  int Call(const std::vector<std::string>& args, const std::string& input = "") {
    std::ostringstream out, err;
    std::istringstream in(input);
    const runtime::SystemClock clock;
    Environment environment{.out = out, .err = err, .in = in, .home = home_, .clock = clock};
    const int code = cli::Run(args, environment);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  net::EventLoops loops_{1, "fake"};
  std::mutex mutex_;
  std::map<std::string, std::deque<net::HttpResponse>> answers_;
  std::vector<std::string> asked_;
  uint64_t revision_ = 0;
  bool tells_revisions_ = true;
  std::unique_ptr<net::Server> server_;
  std::string home_, out_, err_;
};

TEST_F(WaitTest, WithoutTheFlagNothingIsAsked) {
  EXPECT_EQ(Call({"apply", "-f", "-"}, std::string(kPolicies)), 0);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(WaitTest, WaitsForEveryDocumentAndTellsTheProgress) {
  Prepare("/rollouts/1", Rollout("false", 120, 3, R"(, "pending": 117)"));
  Prepare("/rollouts/1", Rollout("true", 120, 119, R"(, "gone": 1)"));
  Prepare("/rollouts/2", Rollout("true", 0, 0, ""));
  EXPECT_EQ(Call({"apply", "-f", "-", "--wait"}, std::string(kPolicies)), 0) << err_;
  EXPECT_THAT(err_, HasSubstr("MeshTimeout default/one: revision 1: 3 of 120 proxies acknowledged, "
                              "117 pending\n"));
  EXPECT_THAT(err_, HasSubstr("revision 1: 119 of 120 proxies acknowledged, 1 gone\n"));
  EXPECT_THAT(err_, HasSubstr("MeshTimeout default/two: revision 2: no proxy is affected\n"));
  ASSERT_EQ(asked_.size(), 3u);
  EXPECT_THAT(asked_[0], StartsWith("/rollouts/1?wait="));
  EXPECT_THAT(out_, Not(HasSubstr("revision")));
}

TEST_F(WaitTest, ARejectionIsNamedAndExits3) {
  Prepare("/rollouts/1", Rollout("true", 2, 1, R"(, "rejected": 1, "rejections": [{
      "proxy": {"mesh": "default", "name": "web"}, "policies": ["MeshTimeout default/one"],
      "resources": ["outbound:x"], "detail": "no good"}])"));
  Prepare("/rollouts/2", Rollout("true", 2, 2, ""));
  EXPECT_EQ(Call({"apply", "-f", "-", "--wait=5s"}, std::string(kPolicies)), 3);
  EXPECT_THAT(err_,
              HasSubstr("default/web rejected outbound:x (shaped by MeshTimeout default/one): "
                        "no good\n"));
  EXPECT_THAT(err_, HasSubstr("revision 2: 2 of 2 proxies acknowledged\n"));  // waits for all
  EXPECT_THAT(err_, HasSubstr("Error: some proxies rejected what was applied\n"));
}

TEST_F(WaitTest, WhatIsNotCompleteInTimeExits4) {
  Prepare("/rollouts/1", Rollout("false", 2, 1, R"(, "pending": 1,
      "pendingProxies": [{"mesh": "default", "name": "web"}])"));
  Prepare("/rollouts/2", Rollout("true", 0, 0, ""));
  EXPECT_EQ(Call({"apply", "-f", "-", "--wait=3s"}, std::string(kPolicies)), 4);
  EXPECT_THAT(err_, HasSubstr("pending: default/web\n"));
  EXPECT_THAT(err_, HasSubstr("Error: not complete within 3s"));
}

TEST_F(WaitTest, AServerThatCannotTellIsAnError) {
  EXPECT_EQ(Call({"apply", "-f", "-", "--wait=3s"}, std::string(kPolicies)), 1);
  EXPECT_THAT(err_, HasSubstr("MeshTimeout default/one was applied at revision 1, but cannot be "
                              "waited for: "));
  tells_revisions_ = false;
  EXPECT_EQ(Call({"apply", "-f", "-", "--wait"}, std::string(kPolicies)), 1);
  EXPECT_THAT(err_, HasSubstr("does not tell the revision of a write"));
  EXPECT_EQ(Call({"apply", "-f", "-", "--wait=soon"}, std::string(kPolicies)), 1);
  EXPECT_THAT(err_, HasSubstr("invalid argument \"soon\" for \"--wait\" flag"));
}

TEST_F(WaitTest, ATimelineIsATable) {
  Prepare("/meshes/default/dataplanes/web/_timeline", R"({"items": [
      {"time": "2026-01-01T00:00:00Z", "event": "connected", "detail": "from 127.0.0.1:1"},
      {"time": "2026-01-01T00:00:01Z", "event": "sent", "revision": 7, "type": "Listener",
       "resources": 2, "removed": 1, "bytes": 300}]})");
  EXPECT_EQ(Call({"inspect", "dataplane", "web", "--timeline"}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("TIME"));
  EXPECT_THAT(out_, HasSubstr("connected"));
  EXPECT_THAT(out_, HasSubstr("2 resources, 300 bytes, 1 removed"));
  EXPECT_EQ(Call({"inspect", "dataplane", "other", "--timeline"}), 1);
}

}  // namespace
}  // namespace kuma::cli
