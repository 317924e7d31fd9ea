#pragma once

// A kuma-cp of its own for a measurement: started, written to, watched, killed.

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/value.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "tests/bench/machine.h"

namespace kuma::bench {

struct ControlPlaneOptions {
  std::string binary;
  std::string folder;  // for its files and its log
  std::string store = "memory";
  std::vector<int> cores;   // empty: all
  size_t connections = 32;  // of the client that writes
};

// Confined to one thread.
class ControlPlane {
 public:
  explicit ControlPlane(ControlPlaneOptions options);

  // Ready when it returns. After Kill, on the same ports and the same store.
  base::Status Start();
  void Kill() { child_.Kill(); }
  pid_t pid() const { return child_.pid(); }
  bool alive() { return child_.alive(); }

  base::Status Put(std::string_view path, const model::Value& resource);
  base::Result<std::string> Post(std::string_view path, const model::Value& body);
  base::Result<net::HttpResponse> Send(std::string method, std::string_view path, std::string body);
  // Many at a time (`connections` of the options), in any order.
  base::Status PutAll(std::vector<std::pair<std::string, model::Value>> resources);
  // The same, whatever becomes of them: how often each status was answered, 0 for no answer.
  std::map<int, size_t> TryAll(std::vector<std::pair<std::string, model::Value>> resources);

  // Sums of the samples of each metric.
  std::map<std::string, double> Metrics();

  const std::string& dp_url() const { return dp_url_; }
  const std::string& log() const { return log_; }

 private:
  const ControlPlaneOptions options_;
  std::map<std::string, std::string> environment_;
  std::string api_url_, dp_url_, diagnostics_url_, log_;
  net::EventLoop loop_{"api"};
  net::HttpClient http_;
  Child child_;
};

}  // namespace kuma::bench
