// What a fresh control plane holds: one is started, and asked over HTTP.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "app/config.h"
#include "app/control_plane.h"
#include "base/format.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "tests/conformance/rest_case.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::recorded {
namespace {

using model::Object;
using model::Value;

constexpr std::chrono::seconds kDeadline{30};

// A port that nobody has at the moment.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

// Confined to one thread.
class Asker {
 public:
  base::Result<Value> Get(const std::string& url) {
    TRY_ASSIGN(net::HttpRequest request, net::MakeRequest("GET", url));
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<base::Result<net::HttpResponse>> answer;
    client_.Send(std::move(request), [&](base::Result<net::HttpResponse> response) {
      const std::lock_guard lock(mutex);
      answer = std::move(response);
      answered.notify_one();
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return answer.has_value(); });
    if (!*answer) return std::move(*answer).error();
    if ((*answer)->status != 200) {
      return base::Internal(base::Format("{}: {}", (*answer)->status, (*answer)->body));
    }
    return model::ParseJson((*answer)->body);
  }

 private:
  net::EventLoops loops_{1, "asker"};
  net::HttpClient client_{loops_.at(0), {}};
};

std::string KeyOf(const Value& resource) {
  return base::Format("{} {} {}", TextOf(resource, "type"), TextOf(resource, "mesh"),
                      TextOf(resource, "name"));
}

// As the recording is written: no times, no keys.
Value Masked(Value resource) {
  Object& object = *resource.if_object();
  object.Erase("creationTime");
  object.Erase("modificationTime");
  const std::string kind = TextOf(resource, "type");
  if (kind == "Secret" || kind == "GlobalSecret") object.Set("data", "(generated)");
  return resource;
}

base::Result<std::map<std::string, Value>> Everything(const std::string& mode) {
  const fs::path folder =
      fs::temp_directory_path() / base::Format("kuma-recorded-{}-{}", getpid(), mode);
  fs::create_directories(folder);
  const std::map<std::string, std::string> variables{
      {"KUMA_MODE", mode},
      {"KUMA_STORE_TYPE", "memory"},
      {"KUMA_GENERAL_WORK_DIR", folder.string()},
      {"KUMA_API_SERVER_HTTP_PORT", std::to_string(FreePort())},
      {"KUMA_API_SERVER_HTTP_INTERFACE", "127.0.0.1"},
      {"KUMA_API_SERVER_HTTPS_ENABLED", "false"},
      {"KUMA_DP_SERVER_PORT", std::to_string(FreePort())},
      {"KUMA_DIAGNOSTICS_SERVER_PORT", std::to_string(FreePort())}};
  TRY_ASSIGN(const app::Config config,
             app::Config::Load("", [&](const std::string& name) -> std::optional<std::string> {
               const auto found = variables.find(name);
               return found == variables.end() ? std::nullopt : std::optional(found->second);
             }));
  TRY_ASSIGN(const auto control_plane, app::ControlPlane::Start(config));
  Asker asker;
  const std::string url = "http://127.0.0.1:" + variables.at("KUMA_API_SERVER_HTTP_PORT");
  std::map<std::string, Value> held;
  // The last default resources may come a moment later: until nothing comes any more.
  const auto end = std::chrono::steady_clock::now() + kDeadline;
  for (size_t before = SIZE_MAX; before != held.size();) {
    before = held.size();
    held.clear();
    for (const model::ResourceType* type : AllKinds().all()) {
      if (type->plural.empty()) continue;
      TRY_ASSIGN(const Value page, asker.Get(base::Format("{}/{}?size=1000", url, type->plural)));
      for (const Value& item : *page.Find("items")->if_array()) {
        held.emplace(KeyOf(item), Masked(item));
      }
    }
    const bool complete = held.contains("Secret default dataplane-token-signing-key-default-1");
    if (!complete && std::chrono::steady_clock::now() < end) before = SIZE_MAX;
  }
  control_plane->Stop();
  fs::remove_all(folder);
  return held;
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".json")) {
    const std::string stem = file.stem().string();
    const auto recording = ReadJson(file);
    if (!recording || !recording->if_array()) {
      report.Case(stem, "cannot be read");
      continue;
    }
    const std::string mode = stem.substr(stem.find('-') + 1);
    auto held = Everything(mode);
    for (const Value& want : *recording->if_array()) {
      const std::string key = KeyOf(want);
      std::string difference;
      if (!held) {
        difference = held.error().message();
      } else if (const auto found = held->find(key); found == held->end()) {
        difference = "is not there";
      } else {
        difference = ValueDifference(found->second, want);
        held->erase(found);
      }
      report.Case(base::Format("{}/{}", stem, key), std::move(difference));
    }
    std::string more;
    if (held) {
      for (const auto& [key, value] : *held) more += key + "\n";
    } else {
      more = held.error().message();
    }
    report.Case(stem + "/nothing else", std::move(more));
  }
}

}  // namespace kuma::conformance::recorded
