#include "rest/diagnostics.h"

#include <cmath>

#include "base/format.h"
#include "base/log.h"
#include "base/strings.h"
#include "model/value.h"
#include "rest/problem.h"

namespace kuma::rest {
namespace {

using model::Object;
using model::Value;

struct LevelName {
  base::LogLevel level;
  std::string_view name;
};
constexpr LevelName kLevels[] = {{base::LogLevel::kDebug, "debug"},
                                 {base::LogLevel::kInfo, "info"},
                                 {base::LogLevel::kWarn, "warn"},
                                 {base::LogLevel::kError, "error"},
                                 {base::LogLevel::kOff, "off"}};

// One level for the whole process; its component is called "root".
net::HttpResponse Logging(const net::HttpRequest& request) {
  if (request.method == "DELETE") {
    base::SetLogLevel(base::LogLevel::kInfo);
    return Json(200, Value(Object()));
  }
  if (request.method == "PUT") {
    const auto body = model::ParseJson(request.body);
    const Value* level = body ? body->Find("level") : nullptr;
    if (level == nullptr || !level->if_string()) {
      return Text(400, "expected {\"component\": \"root\", \"level\": \"debug\"}");
    }
    for (const LevelName& row : kLevels) {
      if (row.name != base::ToLower(*level->if_string())) continue;
      base::SetLogLevel(row.level);
      return Json(200, Value(Object()));
    }
    return Text(400, base::Format("unknown level \"{}\": debug, info, warn, error, off",
                                  *level->if_string()));
  }
  Object components;
  for (const LevelName& row : kLevels) {
    if (row.level == base::GetLogLevel()) components.Set("root", row.name);
  }
  return Json(200, Value(Object{{"components", std::move(components)}}));
}

std::string Number(double value) {
  if (value == std::floor(value) && std::fabs(value) < 1e15) {
    return base::Format("{}", static_cast<int64_t>(value));
  }
  return base::Format("{}", value);
}

}  // namespace

std::string ToPrometheusText(const std::vector<Metric>& metrics) {
  std::string text;
  std::string_view last;
  for (const Metric& metric : metrics) {
    if (metric.name != last) {
      text += base::Format("# HELP {} {}\n# TYPE {} {}\n", metric.name, metric.help, metric.name,
                           metric.kind == Metric::Kind::kCounter ? "counter" : "gauge");
      last = metric.name;
    }
    text += metric.name;
    if (!metric.labels.empty()) {
      text += '{';
      bool first = true;
      for (const auto& [name, value] : metric.labels) {
        std::string escaped = base::ReplaceAll(value, "\\", "\\\\");
        escaped = base::ReplaceAll(std::move(escaped), "\"", "\\\"");
        escaped = base::ReplaceAll(std::move(escaped), "\n", "\\n");
        text += base::Format("{}{}=\"{}\"", first ? "" : ",", name, escaped);
        first = false;
      }
      text += '}';
    }
    text += base::Format(" {}\n", Number(metric.value));
  }
  return text;
}

void Diagnostics::Handle(net::HttpRequest request, net::HttpResponder responder) const {
  net::HttpResponse response = Answer(request);
  if (request.path != "/metrics" || response.status != 200 || sources_.proxies == nullptr)
    return responder.Send(std::move(response));
  const std::string* which = request.FindQuery("proxies");
  sources_.proxies(which != nullptr && *which == "all",
                   [response, responder](const std::vector<Metric>& more) mutable {
                     response.body += ToPrometheusText(more);
                     responder.Send(std::move(response));
                   });
}

net::HttpResponse Diagnostics::Answer(const net::HttpRequest& request) const {
  if (request.path == "/logging" || request.path.starts_with("/logging/")) return Logging(request);
  if (request.method != "GET" && request.method != "HEAD") {
    net::HttpResponse response = Text(405, "405: Method Not Allowed");
    response.headers.Set("allow", "GET");
    return response;
  }
  if (request.path == "/healthy" || request.path == "/") return Text(200, "");
  if (request.path == "/ready") {
    const std::string reason = sources_.not_ready();
    return reason.empty() ? Text(200, "") : Text(503, reason + "\n");
  }
  if (request.path == "/metrics") {
    net::HttpResponse response = Text(200, ToPrometheusText(sources_.metrics()));
    response.headers.Set("content-type", "text/plain; version=0.0.4; charset=utf-8");
    return response;
  }
  return Text(404, "404: Page Not Found");
}

}  // namespace kuma::rest
