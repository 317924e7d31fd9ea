#pragma once

// Which hostname each HostnameGenerator gives to each service of one kind, and who wins where two
// want the same one.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/resource.h"

namespace kuma::derive {

// A HostnameGenerator as far as it concerns one kind of service.
struct HostnameRule {
  std::string generator;
  bool local = false;  // its origin is this zone: goes before others
  model::WallTime creation_time;
  std::string text;                           // of the template
  std::optional<model::Labels> match_labels;  // absent: selects no service of this kind
  bool operator==(const HostnameRule&) const = default;
};

// Of a HostnameGenerator resource, for services of this kind.
HostnameRule RuleOf(const model::Resource& generator, std::string_view kind);
bool Selects(const HostnameRule& rule, const model::Labels& labels);

// What a generator that selects a service made of it.
struct HostnameOutcome {
  std::string generator;
  std::string hostname;  // empty: not generated
  std::string reason;    // "Generated", "Collision" or "TemplateError"
  std::string message;
  bool operator==(const HostnameOutcome&) const = default;
};

// Confined to its Derivation. Among services of a mesh that want one hostname the first wins: by
// generator (local ones first, then the older, then by name), then by service (the older, then by
// name).
class Hostnames {
 public:
  using Affected =
      std::set<std::pair<std::string, std::string>>;  // (mesh, service) whose outcomes may differ

  Hostnames(std::string kind, std::string local_zone);

  void SetRules(std::vector<HostnameRule> rules, Affected& affected);
  void Put(const model::Resource& service, Affected& affected);
  void Erase(const std::string& mesh, const std::string& name, Affected& affected);

  // Sorted by generator.
  std::vector<HostnameOutcome> OutcomesOf(const std::string& mesh, const std::string& name) const;

 private:
  // Orders the claims to one hostname.
  using Claim = std::tuple<bool, model::WallTime, std::string, model::WallTime, std::string>;
  struct Wanted {
    const HostnameRule* rule;
    std::string hostname;  // empty: `fault` says why
    std::string fault;
  };
  struct Service {
    model::Metadata meta;
    std::vector<Wanted> wanted;
  };
  using ServiceKey = std::pair<std::string, std::string>;
  using HostKey = std::pair<std::string, std::string>;  // (mesh, hostname)

  static Claim ClaimOf(const HostnameRule& rule, const model::Metadata& meta);
  const std::string& WinnerOf(const HostKey& host) const;
  void Evaluate(const ServiceKey& key, Service& service, Affected& affected);
  void Withdraw(const ServiceKey& key, Service& service, Affected& affected);
  void ChangeClaim(const HostKey& host, const Claim& claim, bool add, Affected& affected);

  std::string kind_;
  std::string local_zone_;
  std::vector<HostnameRule> rules_;
  std::map<ServiceKey, Service> services_;
  std::map<HostKey, std::set<Claim>> claims_;
};

// kInvalid with Kuma's message. `meta` is of the service.
base::Result<std::string> HostnameFrom(std::string_view text, const model::Metadata& meta,
                                       std::string_view local_zone);

}  // namespace kuma::derive
