#pragma once

// The REST API of one control plane, called one request at a time.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/config_file.h"
#include "model/value.h"
#include "net/client.h"

namespace kuma::cli {

struct Reply {
  int status = 0;
  std::string body;
  net::Headers headers;
  bool ok() const { return status >= 200 && status < 300; }
};

// Blocks the calling thread. Keeps its connection between calls.
class ControlPlane {
 public:
  // Connects at the first call. `timeout` bounds each call; 0: an hour. kInvalid for an unusable
  // URL or authentication.
  static base::Result<std::unique_ptr<ControlPlane>> Make(const ApiServer& server,
                                                          runtime::Duration timeout);

  // `target` is path and query; a body that is not empty is sent as JSON. Every status is a reply;
  // kUnavailable when there was none.
  base::Result<Reply> Call(std::string_view method, std::string_view target, std::string body = {});

  // A GET whose answer is JSON. Any status but success becomes an error in the server's words, 404
  // with code kNotFound.
  base::Result<model::Value> GetJson(std::string_view target);
  // All items of a list, page after page; `target` has no size and offset.
  base::Result<model::Array> GetAllItems(const std::string& target);

  const std::string& url() const { return url_; }

 private:
  ControlPlane() = default;

  std::string url_;  // without the slash at its end
  net::Headers headers_;
  net::EventLoop loop_{"kumactl"};
  std::unique_ptr<net::HttpClient> client_;
};

// An error reply in words: "<title> (<detail>)", then ";<field>=<reason> " for each violation, as
// Kuma prints it; then one line "hint: ..." for each hint of the server.
std::string DescribeFailure(const Reply& reply);

// The offset in the URL of a list's next page, or empty.
std::string NextOffset(const model::Value& list);

}  // namespace kuma::cli
