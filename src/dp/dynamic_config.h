#pragma once

// What the control plane tells kuma-dp: documents that Envoy serves on a Unix socket.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "net/client.h"
#include "net/event_loop.h"

namespace kuma::dp {

// Asks for each document in turn, once in an interval, as there is no other way to learn of a change.
// As long as there is no socket, that costs one look at the file system. Confined to the loop,
// destruction included.
class DynamicConfig {
 public:
  // Gets a document that is new or changed, and an empty one when the control plane has it no more.
  // An error: it is asked for again.
  using Handler = std::function<base::Status(std::string_view document)>;

  DynamicConfig(net::EventLoop& loop, std::string socket, runtime::Duration interval);
  void Add(std::string path, Handler handler);
  void Start();

 private:
  struct Document {
    std::string path;
    Handler handler;
    std::string etag;  // of what the handler took
    std::string last_fault;
    bool asked = false;
    bool taken = false;  // the handler took one that is not empty
  };
  void Step();
  void Ask(Document& document);
  base::Status Take(Document& document, const base::Result<net::HttpResponse>& answer);

  net::EventLoop& loop_;
  const std::string socket_;
  const runtime::Duration interval_;
  base::Logger log_{"dynamic-config"};
  std::vector<Document> documents_;  // none is added after Start
  runtime::Timer timer_;
  net::HttpClient client_;  // last: its answers come here
};

}  // namespace kuma::dp
