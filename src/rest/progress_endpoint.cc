#include "rest/progress_endpoint.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using base::ProxyKey;
using base::Revision;
using insight::TimelineEvent;
using model::Array;
using model::Object;
using model::Value;

constexpr runtime::Duration kLongestWait = std::chrono::minutes(5);
constexpr uint64_t kMostRollouts = 1000;

Value ProxyValue(const ProxyKey& proxy) {
  return Object{{"mesh", proxy.mesh}, {"name", proxy.name}};
}

Array Strings(const std::vector<std::string>& texts) {
  Array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

Object RejectionValue(const insight::Rejection& rejection) {
  return {{"proxy", ProxyValue(rejection.proxy)},
          {"policies", Strings(rejection.origins)},
          {"resources", Strings(rejection.resources)},
          {"detail", std::string(base::Trim(rejection.detail))}};
}

Value RolloutValue(const insight::Rollout& rollout) {
  Array changes;
  for (const auto& what : rollout.what) changes.emplace_back(*what);
  Array by;
  for (const Revision revision : rollout.superseded_by) by.emplace_back(revision.value);
  Array pending;
  for (const ProxyKey& proxy : rollout.pending_proxies) pending.push_back(ProxyValue(proxy));
  Array rejections;
  for (const insight::Rejection& rejection : rollout.rejections)
    rejections.emplace_back(RejectionValue(rejection));
  return Object{{"revision", rollout.revision.value},   {"settled", rollout.settled},
                {"complete", rollout.complete()},       {"affected", rollout.affected()},
                {"acknowledged", rollout.acknowledged}, {"pending", rollout.pending},
                {"rejected", rollout.rejected},         {"gone", rollout.gone},
                {"superseded", rollout.superseded},     {"changes", std::move(changes)},
                {"pendingProxies", std::move(pending)}, {"rejections", std::move(rejections)},
                {"supersededBy", std::move(by)}};
}

Value EventValue(const TimelineEvent& event) {
  Object value{{"time", model::ToRfc3339(event.time)}, {"event", NameOf(event.what)}};
  if (event.revision.value != 0) value.Set("revision", event.revision.value);
  if (event.has_type()) value.Set("type", insight::ShortName(event.type));
  if (event.what == TimelineEvent::What::kSent) {
    value.Set("resources", uint64_t{event.resources});
    value.Set("removed", uint64_t{event.removed});
    value.Set("bytes", event.bytes);
  }
  if (event.text != nullptr) value.Set("detail", *event.text);
  return value;
}

net::HttpResponse BadQuery(std::string_view title, std::string field, std::string reason) {
  model::Violations violations;
  violations.Add(std::move(field), std::move(reason));
  return ToResponse(NotValid(title, std::move(violations)));
}

// "30s"; nothing: not asked for. A violation text if it is no duration.
std::optional<std::string> ReadWait(const net::HttpRequest& request, runtime::Duration* wait) {
  const std::string* text = request.FindQuery("wait");
  if (text == nullptr) return std::nullopt;
  const auto parsed = model::ParseDuration(text->empty() ? "30s" : *text);
  if (!parsed || parsed->value < runtime::Duration::zero() || parsed->value > kLongestWait) {
    return base::Format("\"{}\" is not a duration from 0s to {}", *text,
                        model::ToString(model::Duration{kLongestWait}));
  }
  *wait = parsed->value;
  return std::nullopt;
}

}  // namespace

bool ProgressEndpoint::Has(const std::vector<std::string>& at) {
  if (at.empty()) return false;
  if (at[0] == "rollouts") return at.size() <= 2;
  if (at[0] == "degraded") return at.size() == 1;
  return at.size() == 5 && at[0] == "meshes" && at[2] == "dataplanes" && at[4] == "_timeline";
}

void ProgressEndpoint::Serve(const net::HttpRequest& request, const std::vector<std::string>& at,
                             const Answer& answer) const {
  if (request.method != "GET" && request.method != "HEAD") {
    net::HttpResponse response = Text(405, "405: Method Not Allowed");
    response.headers.Set("allow", "GET");
    answer(std::move(response));
  } else if (at[0] == "degraded") {
    Degraded(answer);
  } else if (at[0] == "meshes") {
    Timeline(at[1], at[3], answer);
  } else if (at.size() == 1) {
    Rollouts(request, answer);
  } else {
    Rollout(request, at[1], answer);
  }
}

void ProgressEndpoint::Rollouts(const net::HttpRequest& request, const Answer& answer) const {
  uint64_t size = 20;
  if (const std::string* text = request.FindQuery("size")) {
    const auto parsed = base::ParseUint(*text);
    if (!parsed || *parsed == 0 || *parsed > kMostRollouts) {
      return answer(
          BadQuery("Could not list the rollouts", "size",
                   base::Format("\"{}\" is not a number from 1 to {}", *text, kMostRollouts)));
    }
    size = *parsed;
  }
  progress_.AskRollouts(size, [answer](const std::vector<insight::Rollout>& newest) {
    Array items;
    for (const insight::Rollout& rollout : newest) items.push_back(RolloutValue(rollout));
    answer(Json(200, Object{{"items", std::move(items)}}));
  });
}

void ProgressEndpoint::Rollout(const net::HttpRequest& request, const std::string& revision,
                               const Answer& answer) const {
  constexpr std::string_view kTitle = "Could not retrieve the rollout";
  const auto number = base::ParseUint(revision);
  if (!number || *number == 0) {
    return answer(BadQuery(kTitle, "revision",
                           base::Format("\"{}\" is not a revision: a write answers its revision in "
                                        "the header kuma-revision",
                                        revision)));
  }
  runtime::Duration wait{};
  if (auto wrong = ReadWait(request, &wait)) return answer(BadQuery(kTitle, "wait", *wrong));
  progress_.AskRollout(
      {*number}, wait, [answer, kTitle, number](const insight::Rollouts::Answer& found) {
        if (const auto* rollout = std::get_if<insight::Rollout>(&found)) {
          answer(Json(200, RolloutValue(*rollout)));
        } else if (const auto* old = std::get_if<insight::Rollouts::TooOld>(&found)) {
          answer(ToResponse({410, std::string(kTitle), old->reason, {}, {}}));
        } else {
          answer(ToResponse({404,
                             std::string(kTitle),
                             base::Format("revision {} has not been written yet", *number),
                             {},
                             {}}));
        }
      });
}

void ProgressEndpoint::Timeline(const std::string& mesh, const std::string& name,
                                const Answer& answer) const {
  progress_.AskTimeline({mesh, name}, [answer](const auto& events) {
    if (!events) {
      return answer(ToResponse(
          {404,
           "Could not retrieve the timeline",
           "Not found",
           {},
           "a timeline begins when the proxy connects to this control plane, and is kept for the "
           "last 1000 proxies that left"}));
    }
    Array items;
    for (const TimelineEvent& event : *events) items.push_back(EventValue(event));
    answer(Json(200, Object{{"items", std::move(items)}}));
  });
}

void ProgressEndpoint::Degraded(const Answer& answer) const {
  control_.ListDegraded([&progress = progress_,
                         answer](const std::vector<control::DegradedCell>& cells) {
    Array broken;
    for (const control::DegradedCell& cell : cells) {
      Array proxies;
      for (const ProxyKey& proxy : cell.proxies) proxies.push_back(ProxyValue(proxy));
      broken.emplace_back(Object{{"cell", cell.id.ToString()},
                                 {"mesh", cell.id.mesh},
                                 {"reason", cell.reason},
                                 {"since", cell.since.value},
                                 {"hasLastGood", cell.has_last_good},
                                 {"proxyCount", cell.proxy_count},
                                 {"proxies", std::move(proxies)}});
    }
    progress.AskTroubles(
        [answer, broken = std::move(broken)](const std::vector<insight::TroubledProxy>& troubled) {
          Array stalled;
          Array withheld;
          for (const insight::TroubledProxy& one : troubled) {
            if (one.stalled_since) {
              stalled.emplace_back(Object{{"proxy", ProxyValue(one.proxy)},
                                          {"since", model::ToRfc3339(*one.stalled_since)}});
            }
            for (const insight::Rejection& rejection : one.withheld)
              withheld.emplace_back(RejectionValue(rejection));
          }
          answer(Json(200, Object{{"cells", broken},
                                  {"stalled", std::move(stalled)},
                                  {"withheld", std::move(withheld)}}));
        });
  });
}

}  // namespace kuma::rest
