#include "tests/bench/control_plane.h"

#include <atomic>
#include <filesystem>
#include <future>
#include <sstream>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/strings.h"
#include "tests/bench/fleet.h"

namespace kuma::bench {
namespace {

net::ClientOptions ClientOf(size_t connections) {
  net::ClientOptions options;
  options.connections_per_origin = connections;
  return options;
}

base::Status Accepted(const base::Result<net::HttpResponse>& response, std::string_view what) {
  if (!response) return base::Error(response.error().code(), response.error().message());
  if (response->status != 200 && response->status != 201)
    return base::Internal(base::Format("{}: {}: {}", what, response->status, response->body));
  return base::Ok{};
}

}  // namespace

ControlPlane::ControlPlane(ControlPlaneOptions options)
    : options_(std::move(options)), http_(loop_, ClientOf(options_.connections)) {
  std::filesystem::create_directories(options_.folder);
  const uint16_t api = FreePort(), dp = FreePort(), diagnostics = FreePort();
  environment_ = {
      {"KUMA_STORE_TYPE", options_.store},
      {"KUMA_GENERAL_WORK_DIR", options_.folder},
      {"KUMA_API_SERVER_HTTP_PORT", std::to_string(api)},
      {"KUMA_API_SERVER_HTTPS_PORT", std::to_string(FreePort())},
      {"KUMA_DP_SERVER_PORT", std::to_string(dp)},
      {"KUMA_DIAGNOSTICS_SERVER_PORT", std::to_string(diagnostics)},
      {"KUMA_MONITORING_ASSIGNMENT_SERVER_PORT", std::to_string(FreePort())},
      // Each measured change pays for what is stored about it, by default once in ten seconds.
      {"KUMA_XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL", "1s"},
  };
  api_url_ = base::Format("http://127.0.0.1:{}", api);
  dp_url_ = base::Format("https://127.0.0.1:{}", dp);
  diagnostics_url_ = base::Format("http://127.0.0.1:{}", diagnostics);
  log_ = options_.folder + "/kuma-cp.log";
}

base::Status ControlPlane::Start() {
  // A child inherits the cores of the thread that starts it; ours are those of the simulator.
  std::promise<base::Result<Child>> started;
  std::thread([&] {
    RunOn(options_.cores);
    started.set_value(Child::Start({options_.binary, "run"}, environment_, log_));
  }).join();
  TRY_ASSIGN(child_, started.get_future().get());
  const bool ready = WaitFor(std::chrono::seconds(60), [this] {
    if (!child_.alive()) return true;
    auto request = net::MakeRequest("GET", diagnostics_url_ + "/ready");
    const auto answer = net::Fetch(*std::move(request));
    return answer && answer->status == 200;
  });
  if (!ready || !child_.alive())
    return base::Unavailable(base::Format("kuma-cp did not get ready, see {}", log_));
  return base::Ok{};
}

base::Result<net::HttpResponse> ControlPlane::Send(std::string method, std::string_view path,
                                                   std::string body) {
  TRY_ASSIGN(net::HttpRequest request,
             net::MakeRequest(std::move(method), api_url_ + std::string(path)));
  if (!body.empty()) request.headers.Set("content-type", "application/json");
  request.body = std::move(body);
  std::promise<base::Result<net::HttpResponse>> answer;
  http_.Send(std::move(request), [&answer](base::Result<net::HttpResponse> response) {
    answer.set_value(std::move(response));
  });
  return answer.get_future().get();
}

base::Status ControlPlane::Put(std::string_view path, const model::Value& resource) {
  return Accepted(Send("PUT", path, model::ToJson(resource)), path);
}

std::map<int, size_t> ControlPlane::TryAll(
    std::vector<std::pair<std::string, model::Value>> resources) {
  std::atomic<size_t> left = resources.size();
  std::promise<void> done;
  std::map<int, size_t> statuses;  // of the loop until `done`
  if (resources.empty()) return statuses;
  for (const auto& [path, resource] : resources) {
    auto request = net::MakeRequest("PUT", api_url_ + path);
    request->headers.Set("content-type", "application/json");
    request->body = model::ToJson(resource);
    http_.Send(*std::move(request), [&](const base::Result<net::HttpResponse>& response) {
      ++statuses[response ? response->status : 0];
      if (--left == 0) done.set_value();
    });
  }
  done.get_future().wait();
  return statuses;
}

base::Status ControlPlane::PutAll(std::vector<std::pair<std::string, model::Value>> resources) {
  const std::string first = resources.empty() ? std::string() : resources[0].first;
  for (const auto& [status, count] : TryAll(std::move(resources))) {
    if (status != 200 && status != 201)
      return base::Internal(base::Format("{} and others: {} times {}", first, count, status));
  }
  return base::Ok{};
}

base::Result<std::string> ControlPlane::Post(std::string_view path, const model::Value& body) {
  auto response = Send("POST", path, model::ToJson(body));
  TRY(Accepted(response, path));
  return std::move(response->body);
}

std::map<std::string, double> ControlPlane::Metrics() {
  std::map<std::string, double> sums;
  auto request = net::MakeRequest("GET", diagnostics_url_ + "/metrics");
  const auto answer = net::Fetch(*std::move(request));
  if (!answer) return sums;
  std::istringstream lines(answer->body);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    const std::string name = line.substr(0, std::min(line.find('{'), line.find(' ')));
    const double value = base::ParseDouble(line.substr(space + 1)).value_or(0);
    sums[name] += value;
    if (line[name.size()] == '{') sums[line.substr(0, space)] = value;
  }
  return sums;
}

}  // namespace kuma::bench
