#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <sstream>

#include "base/format.h"
#include "base/version.h"
#include "cli/kumactl.h"
#include "model/value.h"
#include "net/server.h"

namespace kuma::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FixedClock final : public runtime::Clock {
 public:
  runtime::Time Now() const override { return {}; }
  runtime::WallTime WallNow() const override {
    return runtime::WallTime(std::chrono::seconds(1207065936));  // 2008-04-01T16:05:36Z
  }
};

constexpr const char* kPreview = R"({"to": 17, "newest": 21, "changes": [
  {"verb": "update", "type": "MeshTimeout", "mesh": "default", "name": "web", "diff": [
    {"path": "spec.to[0].default.idleTimeout", "before": "2h", "after": "1h"},
    {"path": "labels.team", "before": "a"}]},
  {"verb": "create", "type": "Zone", "name": "z", "diff": [{"path": "enabled", "after": true}]}],
  "notRestored": [{"type": "Secret", "mesh": "default", "name": "key",
                   "reason": "it was changed since, and values of secrets are not kept"}]})";

// Answers what it is told to, by "METHOD target".
class HistoryCommandsTest : public testing::Test {
 protected:
  HistoryCommandsTest() {
    auto started = net::Server::Start(
        loops_, {}, [this](net::HttpRequest request, net::HttpResponder responder) {
          std::lock_guard lock(mutex_);
          if (request.path == "/") {
            return responder.Send(
                {.status = 200,
                 .headers = {},
                 .body = base::Format(R"({{"product": "{}", "version": "{}"}})",
                                      base::Version().product, base::Version().version)});
          }
          asked_.push_back(request.method + " " + request.target);
          if (!request.body.empty()) asked_.back() += " " + request.body;
          if (answers_.empty()) return responder.Send({.status = 500, .headers = {}, .body = "{}"});
          auto [status, body] = answers_.front();
          if (answers_.size() > 1) answers_.erase(answers_.begin());
          responder.Send({.status = status, .headers = {}, .body = body});
        });
    server_ = std::move(*started);
    std::string pattern = testing::TempDir() + "kumactl-history-XXXXXX";
    home_ = mkdtemp(pattern.data());
    Kumactl({"config", "control-planes", "add", "--name=test", "--address=" + server_->url()});
  }

  struct Outcome {
    int code;
    std::string out;
    std::string err;
  };
  Outcome Kumactl(std::vector<std::string> args, const std::string& input = {}) {
    std::ostringstream out;
    std::ostringstream err;
    std::istringstream in(input);
    Environment environment{.out = out, .err = err, .in = in, .home = home_, .clock = clock_};
    const int code = cli::Run(args, environment);
    return {code, out.str(), err.str()};
  }
  void AnswerWith(std::vector<std::pair<int, std::string>> answers) {
    std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
    asked_.clear();
  }
  std::vector<std::string> Asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }

  FixedClock clock_;
  std::string home_;
  std::mutex mutex_;  // guards the two below
  std::vector<std::pair<int, std::string>> answers_;
  std::vector<std::string> asked_;
  net::EventLoops loops_{1, "test"};
  std::unique_ptr<net::Server> server_;
};

TEST_F(HistoryCommandsTest, HistoryIsATable) {
  AnswerWith({{200, R"({"items": [
    {"revision": 21, "time": "2008-04-01T16:00:36Z", "user": "ann", "address": "10.0.0.1",
     "note": "rollback to 3", "verb": "update", "type": "MeshTimeout", "mesh": "default",
     "name": "web", "fields": ["spec.to[0].default.idleTimeout", "labels.team"]},
    {"revision": 9, "time": "2008-03-01T16:00:36Z", "user": "mesh-system:admin",
     "address": "127.0.0.1", "verb": "create", "type": "Secret", "mesh": "default", "name": "key",
     "secret": true, "fields": []}],
    "next": "http://x/history?before=9", "completeAfter": 0})"}});
  const Outcome shown = Kumactl({"history"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out,
            "REVISION   AGE   USER                FROM        VERB     TYPE          NAME          "
            "CHANGED\n"
            "21         5m    ann                 10.0.0.1    update   MeshTimeout   default/web   "
            "(rollback to 3) spec.to[0].default.idleTimeout labels.team\n"
            "9          31d   mesh-system:admin   127.0.0.1   create   Secret        default/key   "
            "(value not kept)\n"
            "\n"
            "Rerun command with --before=9 argument to see earlier changes\n");
  EXPECT_THAT(Asked(), testing::ElementsAre("GET /history"));
  EXPECT_THAT(Kumactl({"history", "-o", "json"}).out, HasSubstr("\"completeAfter\": 0"));
}

TEST_F(HistoryCommandsTest, HistoryPassesItsFiltersOn) {
  AnswerWith({{200, R"({"items": [], "next": null})"}});
  Kumactl({"history", "meshtimeout", "web", "-m", "default", "--size", "5", "--before", "30"});
  Kumactl({"history", "MeshTimeout", "--since", "24h"});
  Kumactl({"history", "--since", "17"});
  EXPECT_THAT(Asked(), testing::ElementsAre(
                           "GET /history?type=MeshTimeout&name=web&mesh=default&before=30&limit=5",
                           "GET /history?type=MeshTimeout&since=2008-03-31T16%3A05%3A36Z",
                           "GET /history?since=17"));
  EXPECT_THAT(Kumactl({"history", "nosuch"}).err, HasSubstr("unknown TYPE: nosuch"));
  EXPECT_THAT(Kumactl({"history", "mesh", "a", "b"}).err,
              HasSubstr("accepts between 0 and 2 arg(s), received 3"));
}

TEST_F(HistoryCommandsTest, DiffShowsEachField) {
  AnswerWith({{200, kPreview}});
  const Outcome shown = Kumactl({"diff", "17", "21"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.out,
            "update MeshTimeout default/web\n"
            "  ~ spec.to[0].default.idleTimeout: \"2h\" -> \"1h\"\n"
            "  - labels.team: \"a\"\n"
            "create Zone z\n"
            "  + enabled: true\n");
  Kumactl({"diff", "17"});
  EXPECT_THAT(Asked(), testing::ElementsAre("GET /history/diff?from=17&to=21", "GET /history/17"));
  EXPECT_THAT(Kumactl({"diff", "now", "17"}).err, HasSubstr("now is not a revision"));
  AnswerWith({{200, R"({"changes": []})"}});
  EXPECT_THAT(Kumactl({"diff", "1", "2"}).out, HasSubstr("nothing that users write changed"));
  AnswerWith({{410, R"({"title": "Could not retrieve the history",
                        "detail": "the history of revision 1 is not kept any more",
                        "hint": "the oldest revision is 7"})"}});
  EXPECT_THAT(Kumactl({"diff", "1", "2"}).err,
              AllOf(HasSubstr("not kept any more"), HasSubstr("the oldest revision is 7")));
}

TEST_F(HistoryCommandsTest, RollbackAsksFirst) {
  const std::string done = R"({"to": 17, "newest": 21, "revision": 22, "changes": []})";
  AnswerWith({{200, kPreview}, {200, done}});
  const Outcome rolled = Kumactl({"rollback", "--to", "17"}, "y\n");
  EXPECT_EQ(rolled.code, 0) << rolled.err;
  EXPECT_THAT(rolled.out, AllOf(HasSubstr("going back to revision 17 changes 2 resources:"),
                                HasSubstr("  ~ spec.to[0].default.idleTimeout: \"2h\" -> \"1h\""),
                                HasSubstr("not put back:\n  Secret default/key: it was changed"),
                                HasSubstr("rolled back to revision 17: this is revision 22")));
  EXPECT_THAT(Asked(), testing::ElementsAre(
                           R"(POST /history/rollback {"to":17,"dryRun":true})",
                           R"(POST /history/rollback {"to":17,"dryRun":false,"expected":21})"));
  for (const char* answer : {"n\n", "", "\n"}) {
    AnswerWith({{200, kPreview}});
    const Outcome refused = Kumactl({"rollback", "--to=17"}, answer);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("nothing was changed"));
    EXPECT_EQ(Asked().size(), 1u);
  }
  AnswerWith({{200, kPreview}, {200, done}});
  EXPECT_EQ(Kumactl({"rollback", "--to=17", "--yes"}).code, 0);
  EXPECT_EQ(Asked().size(), 2u);
  AnswerWith({{200, kPreview}});
  const Outcome dry = Kumactl({"rollback", "--to=17", "--dry-run"});
  EXPECT_EQ(dry.code, 0);
  EXPECT_THAT(dry.out, Not(HasSubstr("rolled back")));
  EXPECT_EQ(Asked().size(), 1u);
  EXPECT_THAT(Kumactl({"rollback"}).err, HasSubstr("required flag(s) \"to\" not set"));
}

TEST_F(HistoryCommandsTest, RollbackTellsOfOthersInBetween) {
  AnswerWith(
      {{200, kPreview}, {409, R"({"title": "Conflict", "detail": "somebody changed something since",
                        "hint": "look at a new preview"})"}});
  const Outcome refused = Kumactl({"rollback", "--to=17", "--yes"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("somebody changed something since"),
                                 HasSubstr("look at a new preview")));
}

}  // namespace
}  // namespace kuma::cli
