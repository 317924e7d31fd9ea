#pragma once

// kumactl on a stage: a home of its own, a fixed clock, and a control plane that only stores.

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "cli/kumactl.h"
#include "model/resource_type.h"
#include "model/value.h"
#include "net/server.h"

namespace kuma::kit {

class FixedClock final : public runtime::Clock {
 public:
  runtime::Time Now() const override { return {}; }
  runtime::WallTime WallNow() const override { return now; }
  // 2008-04-01T16:05:36.995Z: the clock of Kuma's golden files.
  runtime::WallTime now{std::chrono::milliseconds(1207065936995)};
};

// Stores what is PUT; lists by kind and mesh in the order of the writes. No defaults, no computed
// labels, no validation; all times are those of a store that has none. Thread-safe.
class BareControlPlane {
 public:
  // With `types` resources go through their schemas as in a real store (unknown fields are dropped,
  // kri is added); without, they are stored as they come.
  explicit BareControlPlane(const model::TypeTable* types = nullptr) : types_(types) {
    auto started = net::Server::Start(
        loops_, {}, [this](net::HttpRequest request, net::HttpResponder responder) {
          std::lock_guard lock(mutex_);
          responder.Send(Answer(request));
        });
    server_ = std::move(*started);
  }
  std::string url() const { return server_->url(); }
  std::string authority() const { return base::Format("127.0.0.1:{}", server_->port()); }

  // What the next request but "GET /" gets.
  void AnswerNext(int status, std::string body, net::Headers headers = {}) {
    std::lock_guard lock(mutex_);
    next_ =
        net::HttpResponse{.status = status, .headers = std::move(headers), .body = std::move(body)};
  }
  // What every GET of this path gets.
  void AnswerAlways(const std::string& path, std::string body) {
    std::lock_guard lock(mutex_);
    fixed_[path] = std::move(body);
  }
  net::HttpRequest last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  void SetIndex(std::string body) { AnswerAlways("/", std::move(body)); }
  void Put(const std::string& plural, const model::Value& content) {
    std::lock_guard lock(mutex_);
    Store(plural, Text(content, "mesh"), Text(content, "name"), content);
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return resources_.size();
  }
  // For each kind "# Kind", then each resource as a YAML document, by name; an empty line behind
  // each.
  std::string Dump() {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::map<Key, std::string>> by_kind;
    for (const auto& [key, value] : resources_)
      by_kind[Text(value, "type")][key] = model::ToYaml(model::Sorted(value));
    std::string dump;
    for (const auto& [kind, documents] : by_kind) {
      dump += "# " + kind + "\n";
      for (const auto& [key, text] : documents)
        dump += "---\n" + std::string(base::Trim(text)) + "\n\n";
    }
    return dump;
  }

 private:
  using Key = std::array<std::string, 3>;  // plural, mesh, name

  static std::string Text(const model::Value& object, std::string_view key) {
    const model::Value* value = object.Find(key);
    return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
  }
  static net::HttpResponse Reply(int status, std::string body) {
    return {.status = status, .headers = {}, .body = std::move(body)};
  }

  auto Find(const Key& key) {
    return std::find_if(resources_.begin(), resources_.end(),
                        [&](const auto& entry) { return entry.first == key; });
  }

  void Store(const std::string& plural, const std::string& mesh, const std::string& name,
             const model::Value& content) {
    static constexpr std::string_view kZero = "0001-01-01T00:00:00Z";
    model::Object stored;
    model::Decoded decoded;
    if (types_ != nullptr) decoded = model::DecodeResource(content, *types_);
    if (decoded.resource != nullptr) {
      stored = *model::EncodeResource(*decoded.resource).if_object();
      stored.Set("creationTime", kZero);
      stored.Set("modificationTime", kZero);
    } else {
      stored.Set("type", Text(content, "type"));
      if (!mesh.empty()) stored.Set("mesh", mesh);
      stored.Set("name", name);
      stored.Set("creationTime", kZero);
      stored.Set("modificationTime", kZero);
      if (const model::Value* labels = content.Find("labels")) stored.Set("labels", *labels);
      for (const auto& [key, value] : *content.if_object()) {
        if (stored.Find(key) == nullptr) stored.Set(key, value);
      }
    }
    const Key key{plural, mesh, name};
    if (const auto found = Find(key); found != resources_.end())
      found->second = std::move(stored);
    else
      resources_.emplace_back(key, std::move(stored));
  }

  net::HttpResponse Answer(const net::HttpRequest& request) {
    if (request.path == "/") return Reply(200, fixed_["/"]);
    last_ = request;
    if (next_) return *std::exchange(next_, std::nullopt);
    if (request.method == "GET") {
      for (const auto& path : {request.target, request.path}) {
        if (const auto found = fixed_.find(path); found != fixed_.end())
          return Reply(200, found->second);
      }
    }
    std::vector<std::string> parts = base::Split(std::string_view(request.path).substr(1), '/');
    std::string mesh;
    if (parts.size() >= 3 && parts[0] == "meshes") {
      mesh = parts[1];
      parts.erase(parts.begin(), parts.begin() + 2);
    }
    if (parts.size() == 1) return List(request, parts[0], mesh);
    const auto found = Find({parts[0], mesh, parts[1]});
    if (request.method == "PUT") {
      const bool is_new = found == resources_.end();
      Store(parts[0], mesh, parts[1], *model::ParseJson(request.body));
      return Reply(is_new ? 201 : 200, "{}");
    }
    if (found == resources_.end())
      return Reply(404, R"({"title": "Could not retrieve", "detail": "Not found"})");
    if (request.method == "DELETE") {
      resources_.erase(found);
      return Reply(200, "{}");
    }
    return Reply(200, model::ToJson(found->second, 1));
  }

  net::HttpResponse List(const net::HttpRequest& request, const std::string& plural,
                         const std::string& mesh) {
    model::Array items;
    for (const auto& [key, value] : resources_) {
      if (key[0] == plural && key[1] == mesh) items.push_back(value);
    }
    const auto total = static_cast<int64_t>(items.size());
    const std::string* size = request.FindQuery("size");
    const std::string* offset = request.FindQuery("offset");
    const int64_t first = offset != nullptr ? std::min<int64_t>(std::stoll(*offset), total) : 0;
    const int64_t last =
        size != nullptr ? std::min<int64_t>(first + std::stoll(*size), total) : total;
    model::Value next;
    if (last < total)
      next = base::Format("http://{}{}?offset={}&size={}", authority(), request.path, last, *size);
    model::Array page(items.begin() + first, items.begin() + last);
    return Reply(
        200, model::ToJson(
                 model::Object{{"total", total}, {"items", std::move(page)}, {"next", next}}, 1));
  }

  const model::TypeTable* types_;
  net::EventLoops loops_{1, "bare"};
  std::mutex mutex_;
  std::vector<std::pair<Key, model::Value>> resources_;
  std::map<std::string, std::string> fixed_ = {
      {"/", R"({"product": "Kuma", "version": "3.0.0", "hostname": "h", "instanceId": "i"})"}};
  std::optional<net::HttpResponse> next_;
  net::HttpRequest last_;
  std::unique_ptr<net::Server> server_;
};

// Calls kumactl in this process. Confined to one thread.
class KumactlStage {
 public:
  struct Outcome {
    int code = 0;
    std::string out;
    std::string err;
  };

  explicit KumactlStage(const model::TypeTable* types = nullptr) : server_(types) {
    std::string pattern = "/tmp/kumactl-test-XXXXXX";
    home_ = mkdtemp(pattern.data());
  }
  ~KumactlStage() { std::filesystem::remove_all(home_); }
  KumactlStage(const KumactlStage&) = delete;
  KumactlStage& operator=(const KumactlStage&) = delete;

  Outcome Call(const std::vector<std::string>& args, const std::string& input = "") {
    std::ostringstream out, err;
    std::istringstream in(input);
    cli::Environment environment{
        .out = out, .err = err, .in = in, .home = home_, .clock = clock_, .width = width_};
    Outcome outcome;
    outcome.code = cli::Run(args, environment);
    outcome.out = out.str();
    outcome.err = err.str();
    return outcome;
  }
  // With a configuration that points to the bare control plane.
  Outcome CallServer(std::vector<std::string> args, const std::string& input = "") {
    const std::string config = home_ + "/server.yaml";
    std::ofstream(config) << base::Format(
        "currentContext: t\ncontexts: [{{name: t, controlPlane: t}}]\n"
        "controlPlanes: [{{name: t, coordinates: {{apiServer: {{url: '{}'}}}}}}]\n",
        server_.url());
    args.insert(args.begin(), {"--config-file", config});
    return Call(args, input);
  }

  const std::string& home() const { return home_; }
  BareControlPlane& server() { return server_; }
  void set_width(size_t width) { width_ = width; }
  void set_now(runtime::WallTime now) { clock_.now = now; }

 private:
  BareControlPlane server_;
  std::string home_;
  FixedClock clock_;
  size_t width_ = 0;
};

}  // namespace kuma::kit
