#pragma once

// The DNS proxy of a sidecar: names of the mesh are answered from a table that the control plane
// makes, all others by the server of this host.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/dns_transport.h"
#include "net/event_loop.h"

namespace kuma::dp {

// What the control plane says: {"ttl": 30, "records": [{"name": "web.mesh", "ips": ["241.0.0.1"]}]}.
struct DnsTable {
  struct Addresses {
    std::vector<std::string> v4;  // four bytes each
    std::vector<std::string> v6;  // sixteen
  };
  uint32_t ttl = 30;
  std::map<std::string, Addresses, std::less<>> names;  // in lower case, without the last dot
};
// kInvalid: no such JSON. What is no address is left out.
base::Result<DnsTable> ParseDnsTable(std::string_view json);

// The answer to a query for an A or AAAA record of a name of the table, in which a name without such
// an address has none; nothing for all other queries. An answer that is too long for UDP is cut and
// says so.
std::optional<std::string> AnswerFrom(const DnsTable& table, std::string_view query,
                                      net::DnsTransport transport);
// Says that there is no answer now (SERVFAIL).
std::string FailureOf(std::string_view query);

// The first server of a resolv.conf; empty: none.
std::string FirstNameserver(std::string_view resolv_conf);

// Confined to the loop, destruction included.
class DnsProxy {
 public:
  struct Options {
    net::DnsServer::Options listen;
    bool ipv6 = false;               // at ::1 as well, if this host has it
    net::DnsClient::Options others;  // who answers the other names; empty host: nobody
  };
  static base::Result<std::unique_ptr<DnsProxy>> Start(net::EventLoop& loop, Options options);

  void SetTable(DnsTable table);
  bool has_table() const { return has_table_; }
  uint16_t port() const { return servers_.front()->port(); }

 private:
  DnsProxy(net::EventLoop& loop, const Options& options);
  void Handle(std::string_view query, net::DnsTransport transport, const net::DnsAnswer& answer);

  DnsTable table_;
  bool has_table_ = false;
  std::unique_ptr<net::DnsClient> others_;                // null: nobody
  std::vector<std::unique_ptr<net::DnsServer>> servers_;  // last: they call this
};

}  // namespace kuma::dp
