#include "derive/internal/hostnames.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "derive/internal/go_template.h"
#include "derive/service_hostnames.h"
#include "model/names.h"
#include "resources/hostname_generator/hostname_generator.h"

namespace kuma::derive {

namespace hostname_generator = resources::hostname_generator;

namespace {

// As Go's %q writes plain text.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

}  // namespace

HostnameRule RuleOf(const model::Resource& generator, std::string_view kind) {
  const auto& spec = generator.Spec<hostname_generator::Spec>();
  HostnameRule rule{.generator = generator.name(),
                    .local = generator.meta().Label(model::kOriginLabel) == "zone",
                    .creation_time = generator.meta().creation_time,
                    .text = spec.template_text,
                    .match_labels = std::nullopt};
  const std::optional<hostname_generator::LabelSelector>* selector = nullptr;
  if (kind == "MeshService") selector = &spec.selector.mesh_service;
  if (kind == "MeshExternalService") selector = &spec.selector.mesh_external_service;
  if (kind == "MeshMultiZoneService") selector = &spec.selector.mesh_multi_zone_service;
  if (selector != nullptr && selector->has_value()) rule.match_labels = (*selector)->match_labels;
  return rule;
}

bool Selects(const HostnameRule& rule, const model::Labels& labels) {
  if (!rule.match_labels.has_value()) return false;
  return std::all_of(rule.match_labels->begin(), rule.match_labels->end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

base::Result<std::string> HostnameFrom(std::string_view text, const model::Metadata& meta,
                                       std::string_view local_zone) {
  const std::string_view display_name = meta.Label(model::kDisplayNameLabel);
  const std::string_view zone = meta.Label(model::kZoneLabel);
  base::Result<std::string> expanded =
      ExpandTemplate(text, {"hostname.meshedName",
                            {{"Name", meta.name},
                             {"DisplayName", display_name.empty() ? meta.name : display_name},
                             {"Namespace", meta.Label(model::kNamespaceLabel)},
                             {"Mesh", meta.mesh},
                             {"Zone", zone.empty() ? local_zone : zone}},
                            &meta.labels});
  if (!expanded.has_value()) {
    const std::string_view what =
        expanded.error().code() == base::Code::kNotFound
            ? "pre evaluation of template with parameters failed with error="
            : "failed compiling gotemplate error=";
    return base::Invalid(std::string(what) + Quoted(expanded.error().message()));
  }
  if (const std::vector<std::string> faults = model::CheckRfc1123Subdomain(*expanded);
      !faults.empty()) {
    return base::Invalid(base::Format("generated hostname \"{}\" is not a valid DNS name: {}",
                                      *expanded, base::Join(faults, ", ")));
  }
  return expanded;
}

Hostnames::Hostnames(std::string kind, std::string local_zone)
    : kind_(std::move(kind)), local_zone_(std::move(local_zone)) {}

Hostnames::Claim Hostnames::ClaimOf(const HostnameRule& rule, const model::Metadata& meta) {
  return {!rule.local, rule.creation_time, rule.generator, meta.creation_time, meta.name};
}

const std::string& Hostnames::WinnerOf(const HostKey& host) const {
  static const std::string nobody;
  const auto found = claims_.find(host);
  return found == claims_.end() ? nobody : std::get<4>(*found->second.begin());
}

void Hostnames::ChangeClaim(const HostKey& host, const Claim& claim, bool add, Affected& affected) {
  const std::string before = WinnerOf(host);
  std::set<Claim>& claims = claims_[host];
  if (add) {
    claims.insert(claim);
  } else {
    claims.erase(claim);
  }
  if (claims.empty()) {
    claims_.erase(host);
  } else if (WinnerOf(host) != before) {
    for (const Claim& other : claims) affected.emplace(host.first, std::get<4>(other));
  }
}

void Hostnames::Withdraw(const ServiceKey& key, Service& service, Affected& affected) {
  for (const Wanted& wanted : service.wanted) {
    if (wanted.hostname.empty()) continue;
    ChangeClaim({key.first, wanted.hostname}, ClaimOf(*wanted.rule, service.meta), false, affected);
  }
  service.wanted.clear();
}

void Hostnames::Evaluate(const ServiceKey& key, Service& service, Affected& affected) {
  affected.insert(key);
  for (const HostnameRule& rule : rules_) {
    if (!Selects(rule, service.meta.labels)) continue;
    Wanted wanted{&rule, {}, {}};
    if (auto hostname = HostnameFrom(rule.text, service.meta, local_zone_); hostname.has_value()) {
      wanted.hostname = *std::move(hostname);
      ChangeClaim({key.first, wanted.hostname}, ClaimOf(rule, service.meta), true, affected);
    } else {
      wanted.fault = hostname.error().message();
    }
    service.wanted.push_back(std::move(wanted));
  }
}

void Hostnames::SetRules(std::vector<HostnameRule> rules, Affected& affected) {
  std::sort(rules.begin(), rules.end(),
            [](const auto& a, const auto& b) { return a.generator < b.generator; });
  if (rules == rules_) return;
  for (auto& [key, service] : services_) service.wanted.clear();
  claims_.clear();
  rules_ = std::move(rules);
  for (auto& [key, service] : services_) Evaluate(key, service, affected);
}

void Hostnames::Put(const model::Resource& resource, Affected& affected) {
  const ServiceKey key(resource.mesh(), resource.name());
  const auto [at, added] = services_.try_emplace(key);
  Service& service = at->second;
  const model::Metadata& meta = resource.meta();
  if (!added && service.meta.labels == meta.labels &&
      service.meta.creation_time == meta.creation_time) {
    return;
  }
  Withdraw(key, service, affected);
  service.meta = meta;
  Evaluate(key, service, affected);
}

void Hostnames::Erase(const std::string& mesh, const std::string& name, Affected& affected) {
  const auto found = services_.find({mesh, name});
  if (found == services_.end()) return;
  Withdraw(found->first, found->second, affected);
  affected.erase(found->first);
  services_.erase(found);
}

std::vector<HostnameOutcome> Hostnames::OutcomesOf(const std::string& mesh,
                                                   const std::string& name) const {
  std::vector<HostnameOutcome> outcomes;
  const auto found = services_.find({mesh, name});
  if (found == services_.end()) return outcomes;
  for (const Wanted& wanted : found->second.wanted) {
    if (wanted.hostname.empty()) {
      outcomes.push_back({wanted.rule->generator, {}, "TemplateError", wanted.fault});
      continue;
    }
    const std::string& winner = WinnerOf({mesh, wanted.hostname});
    if (winner == name) {
      outcomes.push_back({wanted.rule->generator, wanted.hostname, "Generated", {}});
    } else {
      outcomes.push_back({wanted.rule->generator,
                          {},
                          "Collision",
                          base::Format("Hostname collision with {}: {}", kind_, winner)});
    }
  }
  return outcomes;
}

std::vector<std::string> HostnamesOf(const mesh::Snapshot& snapshot, const model::Resource& service,
                                     std::string_view local_zone) {
  std::set<std::string> hostnames;
  snapshot.GlobalsOf("HostnameGenerator")
      .ForEach([&](const std::string&, const model::ResourcePtr& generator) {
        const HostnameRule rule = RuleOf(*generator, service.type().kind);
        if (!Selects(rule, service.meta().labels)) return;
        if (auto hostname = HostnameFrom(rule.text, service.meta(), local_zone))
          hostnames.insert(*std::move(hostname));
      });
  return {hostnames.begin(), hostnames.end()};
}

}  // namespace kuma::derive
