#include "cli/wait.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "model/value.h"

namespace kuma::cli {
namespace {

using model::Array;
using model::Value;

constexpr int kRejected = 3;
constexpr int kTimedOut = 4;
// One question waits for so long at the server: progress is printed between them.
constexpr runtime::Duration kSlice = std::chrono::seconds(1);

std::string Text(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}
int64_t Number(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_int() != nullptr ? *value->if_int() : 0;
}
bool IsTrue(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  return value != nullptr && value->if_bool() != nullptr && *value->if_bool();
}
const Array& List(const Value& object, std::string_view key) {
  static const Array kNone;
  const Value* value = object.Find(key);
  return value != nullptr && value->if_array() != nullptr ? *value->if_array() : kNone;
}
std::string ProxyName(const Value& proxy) {
  return Text(proxy, "mesh") + "/" + Text(proxy, "name");
}
std::string Joined(const Value& object, std::string_view key) {
  std::vector<std::string> texts;
  for (const Value& text : List(object, key)) {
    if (text.if_string() != nullptr) texts.push_back(*text.if_string());
  }
  return base::Join(texts, ", ");
}

// "118 of 120 proxies acknowledged, 1 rejected, 1 pending"
std::string Describe(const Value& rollout) {
  const int64_t affected = Number(rollout, "affected");
  if (affected == 0) return IsTrue(rollout, "settled") ? "no proxy is affected" : "in progress";
  std::string text = base::Format("{} of {} {} acknowledged", Number(rollout, "acknowledged"),
                                  affected, affected == 1 ? "proxy" : "proxies");
  for (const std::string_view state : {"rejected", "superseded", "gone", "pending"}) {
    if (const int64_t number = Number(rollout, state); number > 0)
      text += base::Format(", {} {}", number, state);
  }
  return text;
}

void PrintRejections(const Value& rollout, std::ostream& err) {
  for (const Value& rejection : List(rollout, "rejections")) {
    const Value* proxy = rejection.Find("proxy");
    const std::string policies = Joined(rejection, "policies");
    err << base::Format("  {} rejected {}{}: {}\n", proxy == nullptr ? "?" : ProxyName(*proxy),
                        Joined(rejection, "resources"),
                        policies.empty() ? "" : base::Format(" (shaped by {})", policies),
                        Text(rejection, "detail"));
  }
  for (const Value& revision : List(rollout, "supersededBy")) {
    if (revision.if_int() != nullptr)
      err << base::Format("  superseded by revision {}, which was rejected\n", *revision.if_int());
  }
}

void PrintPending(const Value& rollout, std::ostream& err) {
  std::vector<std::string> names;
  for (const Value& proxy : List(rollout, "pendingProxies")) names.push_back(ProxyName(proxy));
  if (names.empty()) return;
  const auto more = Number(rollout, "pending") - static_cast<int64_t>(names.size());
  err << base::Format("  pending: {}{}\n", base::Join(names, ", "),
                      more > 0 ? base::Format(" and {} more", more) : "");
}

// The rollout as it is when it is complete or `left` is used up.
base::Result<Value> Follow(Invocation& invocation, const Written& write, runtime::Duration& left) {
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  TRY_ASSIGN(const runtime::Duration call, invocation.Timeout());
  std::string said;
  while (true) {
    runtime::Duration slice = std::min(kSlice, left);
    if (call > runtime::Duration::zero()) slice = std::min(slice, call / 2);
    TRY_ASSIGN(const Reply reply,
               server->Call("GET", base::Format("/rollouts/{}?wait={}", write.revision,
                                                model::ToString(model::Duration{slice}))));
    if (!reply.ok()) return base::Invalid(DescribeFailure(reply));
    TRY_ASSIGN(Value rollout, model::ParseJson(reply.body));
    left -= slice;
    const bool done = IsTrue(rollout, "complete");
    const std::string now =
        base::Format("{}: revision {}: {}", write.what, write.revision, Describe(rollout));
    if (now != said) invocation.err() << now << "\n";
    said = now;
    if (done || left <= runtime::Duration::zero()) return rollout;
  }
}

}  // namespace

base::Status WaitForRollouts(Invocation& invocation, const std::vector<Written>& writes,
                             runtime::Duration timeout) {
  runtime::Duration left = timeout;
  bool rejected = false;
  bool late = false;
  for (const Written& write : writes) {
    if (write.revision == 0) {
      return base::Invalid(
          "this control plane does not tell the revision of a write: it was applied, but cannot be "
          "waited for");
    }
    auto rollout = Follow(invocation, write, left);
    if (!rollout.has_value()) {
      return std::move(rollout).error().Context(base::Format(
          "{} was applied at revision {}, but cannot be waited for", write.what, write.revision));
    }
    PrintRejections(*rollout, invocation.err());
    rejected = rejected || Number(*rollout, "rejected") + Number(*rollout, "superseded") > 0;
    if (IsTrue(*rollout, "complete")) continue;
    late = true;
    PrintPending(*rollout, invocation.err());
  }
  if (rejected) {
    invocation.exit_code = kRejected;
    return base::Invalid("some proxies rejected what was applied");
  }
  if (late) {
    invocation.exit_code = kTimedOut;
    return base::Invalid(base::Format("not complete within {}: it was applied, and goes on",
                                      model::ToString(model::Duration{timeout})));
  }
  return base::Ok{};
}

}  // namespace kuma::cli
