#pragma once

// What one cell is built from.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "generate/generate.h"
#include "generate/internal/collectors.h"
#include "generate/transparent_proxy.h"
#include "policy/contexts.h"

namespace kuma::generate {

// An inbound with this port stands for a proxy without any service.
inline constexpr uint32_t kNoServicePort = 49151;

struct ListenerCell {
  policy::ListenerContext context;
  std::map<std::string, CellId> clusters;  // every cluster that a route may name: name -> its cell
};

struct ClusterCell {
  policy::ClusterContext context;
  CellId endpoints;
};

struct EndpointsCell {
  policy::EndpointsContext context;
};

// Where a peer is called without a service between; by address and port.
using DirectAddress = std::pair<std::string, uint32_t>;

struct OwnCell {
  policy::ProxyContext proxy;
  std::vector<policy::InboundContext> inbounds;
  uint32_t admin_port = 0;
  std::string admin_address;
  std::string admin_socket_path;
  uint32_t readiness_port = 0;
  int64_t admin_epoch = 0;
  TransparentProxy transparent_proxy;
  // Not empty: redirected connections from outside are taken on these ports only.
  std::vector<uint32_t> strict_ports;
  std::optional<std::vector<DirectAddress>> direct_access;  // absent: not asked for
  std::string dns;  // JSON for kuma-dp's DNS proxy; empty: none
  std::vector<UsedCollector> collectors;
  std::string collector_env;  // of ProxyNode, where collectors are used through kuma-dp
};

class CellContext {
 public:
  using Content = std::variant<ListenerCell, ClusterCell, EndpointsCell, OwnCell>;
  explicit CellContext(Content content);

  const Content& content() const { return content_; }
  const base::ContentHash& hash() const { return hash_; }

 private:
  Content content_;
  base::ContentHash hash_;
};

}  // namespace kuma::generate
