#include "policy/collector.h"

#include "base/format.h"
#include "model/names.h"

namespace kuma::policy {
namespace {

namespace backend = resources::mesh_open_telemetry_backend;

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool HasLabels(const model::Resource& resource, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) {
    const auto found = resource.meta().labels.find(key);
    if (found == resource.meta().labels.end() || found->second != value) return false;
  }
  return true;
}

Collector CollectorOf(const model::Resource& resource) {
  const auto& spec = resource.Spec<backend::Spec>();
  Collector collector;
  collector.name = model::DisplayName(resource.meta());
  collector.port = backend::kDefaultPort;
  collector.http = spec.protocol && *spec.protocol == backend::Protocol::kHttp;
  collector.env = spec.env;
  if (!spec.endpoint) return collector;
  collector.address = spec.endpoint->address.value_or(std::string());
  if (spec.endpoint->port) collector.port = static_cast<uint32_t>(*spec.endpoint->port);
  collector.path = spec.endpoint->path.value_or(std::string());
  return collector;
}

std::string CleanName(std::string text) {
  for (char& c : text) {
    if (!IsLowerOrDigit(c) && c != '_') c = '-';
  }
  return text;
}

}  // namespace

model::Violations ValidateCollectorRef(const CollectorRef& ref) {
  model::Violations out;
  if (ref.kind != CollectorKind::kMeshOpenTelemetryBackend)
    out.Add("kind", base::Format(R"("kind" must be one of ["{}"])", backend::kKind));
  if (ref.labels.empty())
    out.Add("", "backendRef must have exactly one defined: labels",
            base::Format("to name a backend, use the label {}", model::kDisplayNameLabel));
  return out;
}

bool IsAttributeName(std::string_view text) {
  if (text.empty() || text[0] < 'a' || text[0] > 'z') return false;
  for (size_t i = 1; i < text.size(); ++i) {
    if (IsLowerOrDigit(text[i])) continue;
    if ((text[i] != '.' && text[i] != '_') || i + 1 == text.size() || !IsLowerOrDigit(text[i + 1]))
      return false;
  }
  return true;
}

void ValidateAttributeName(std::string_view name, std::string path, model::Violations& out) {
  if (name.empty()) {
    out.Add(std::move(path), "must be defined");
  } else if (name.find('%') != std::string_view::npos) {
    out.Add(std::move(path),
            "must be a static OpenTelemetry attribute name; placeholders are only supported in "
            "values");
  } else if (name.starts_with("otel.")) {
    out.Add(std::move(path), "must not use the reserved OpenTelemetry prefix 'otel.'");
  } else if (!IsAttributeName(name)) {
    out.Add(std::move(path),
            "must start with a lowercase letter, use only lowercase letters, digits, '.' or '_', "
            "avoid consecutive delimiters, and end with a letter or digit");
  }
}

void Collector::AddTo(base::Hasher& hasher) const {
  hasher.Add(name).Add(address).Add(uint64_t{port}).Add(uint64_t{http}).Add(path);
  hasher.Add(uint64_t{env.has_value()});
  if (env) hasher.Add(model::Hash(*env));
}

void Collectors::Resolve(const mesh::MeshSnapshot& mesh, const CollectorRef& ref) {
  if (ref.labels.empty() || by_labels_.contains(ref.labels)) return;
  model::ResourcePtr oldest;
  mesh.Of(backend::kKind).ForEach([&](const std::string&, const model::ResourcePtr& resource) {
    if (HasLabels(*resource, ref.labels) &&
        (oldest == nullptr || resource->meta().creation_time < oldest->meta().creation_time))
      oldest = resource;
  });
  if (oldest != nullptr) by_labels_.emplace(ref.labels, CollectorOf(*oldest));
}

const Collector* Collectors::Find(const CollectorRef& ref) const {
  const auto found = by_labels_.find(ref.labels);
  return found == by_labels_.end() ? nullptr : &found->second;
}

void Collectors::AddTo(base::Hasher& hasher) const {
  hasher.Add(by_labels_.size());
  for (const auto& [labels, collector] : by_labels_) {
    for (const auto& [key, value] : labels) hasher.Add(key).Add(value);
    collector.AddTo(hasher);
  }
}

const Collector* FindCollector(const CollectorsPtr& collectors, const CollectorRef& ref) {
  return collectors == nullptr ? nullptr : collectors->Find(ref);
}

std::string CollectorCluster(std::string_view prefix, const Collector& collector,
                             bool via_kuma_dp) {
  if (via_kuma_dp) return base::Format("system_{}_otel_{}", prefix, CleanName(collector.name));
  return base::Format(
      "system_{}_{}", prefix,
      CleanName(base::Format("{}-{}", collector.address.empty() ? "127.0.0.1" : collector.address,
                             collector.port)));
}

}  // namespace kuma::policy
