#include "policies/mesh_proxy_patch/mesh_proxy_patch.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"
#include "model/describe.h"

namespace kuma::policies::mesh_proxy_patch {
namespace {

using model::IndexPath;
using model::JoinPath;
using model::Violations;

std::string OneOfText(std::string_view field, std::string_view what,
                      std::initializer_list<std::string_view> values) {
  std::vector<std::string> quoted;
  for (const std::string_view value : values) quoted.push_back(base::Format("\"{}\"", value));
  return base::Format("\"{}\" {} one of [{}]", field, what, base::Join(quoted, ", "));
}

void ValidateJsonPatch(const JsonPatch& patch, const std::string& path, Violations& out) {
  using enum PatchOp;
  const bool known = patch.op != kUnknown;
  const bool takes_value = patch.op == kAdd || patch.op == kReplace;
  const bool takes_from = patch.op == kMove || patch.op == kCopy;
  if (!known)
    out.Add(JoinPath(path, "op"),
            OneOfText("op", "must be", {"add", "remove", "replace", "move", "copy"}));
  const std::string from = JoinPath(path, "from");
  if (takes_from && !patch.from)
    out.Add(from, OneOfText("from", "must not be empty when \"op\" is", {"move", "copy"}));
  if (!takes_from && patch.from)
    out.Add(from, OneOfText("from", "is allowed only when \"op\" is", {"move", "copy"}));
  const std::string value = JoinPath(path, "value");
  if (takes_value && !patch.value)
    out.Add(value, OneOfText("value", "must not be empty when \"op\" is", {"add", "replace"}));
  if (!takes_value && patch.value)
    out.Add(value, OneOfText("value", "is allowed only when \"op\" is", {"add", "replace"}));
  if (patch.op == kRemove && (patch.path.empty() || patch.path == "/"))
    out.Add(JoinPath(path, "path"), "root path cannot be removed");
  for (const auto& [name, pointer] :
       {std::pair<const char*, std::string>{"path", patch.path}, {"from", patch.from.value_or("")}})
    if (!pointer.empty() && !pointer.starts_with('/'))
      out.Add(JoinPath(path, name), "must be empty or begin with '/'",
              "it is a JSON pointer: /connectTimeout, /filterChains/0/filters/1");
}

// What Envoy demands of something new.
enum class Needs { kName, kNameAndDomains };

void ValidateValue(const std::string& text, std::string_view message, std::optional<Needs> needs,
                   const std::string& path, Violations& out) {
  constexpr std::string_view kInvalid = "native Envoy resource is not valid: {}";
  const auto parsed = ParseEnvoyYaml(text);
  if (!parsed.has_value()) {
    out.Add(path, base::Format(kInvalid, parsed.error().message()));
    return;
  }
  if (!needs) return;
  const model::Value* name = parsed->Find("name");
  if (name == nullptr || name->is_null() || *name == model::Value(""))
    out.Add(path,
            base::Format(
                kInvalid,
                base::Format("invalid {}.Name: value length must be at least 1 runes", message)));
  const model::Value* domains = parsed->Find("domains");
  const bool any =
      domains != nullptr && domains->if_array() != nullptr && !domains->if_array()->empty();
  if (needs == Needs::kNameAndDomains && !any)
    out.Add(path,
            base::Format(kInvalid, base::Format("invalid {}.Domains: value must contain at least 1 "
                                                "item(s)",
                                                message)));
}

template <class AnyMod>
void ValidateNew(const AnyMod& mod, std::string_view message, Needs needs, const std::string& path,
                 Violations& out) {
  const std::string at = JoinPath(path, "value");
  if (mod.value) {
    ValidateValue(*mod.value, message, needs, at, out);
  } else {
    out.Add(at, std::string(policy::kMustBeDefined));
  }
}

template <class AnyMod>
void ValidatePatch(const AnyMod& mod, std::string_view name, std::string_view message,
                   const std::string& path, Violations& out) {
  if (mod.value && !mod.json_patches.empty()) {
    out.Add(path, base::Format("{} must have only one type defined: value, jsonPatches", name));
  } else if (mod.value) {
    ValidateValue(*mod.value, message, std::nullopt, JoinPath(path, "value"), out);
  } else if (mod.json_patches.empty()) {
    out.Add(path, base::Format("{} must have exactly one defined: value, jsonPatches", name));
  } else {
    for (size_t i = 0; i < mod.json_patches.size(); ++i)
      ValidateJsonPatch(mod.json_patches[i], IndexPath(JoinPath(path, "jsonPatches"), i), out);
  }
}

template <class AnyMod>
void ValidateRemove(const AnyMod& mod, const std::string& path, Violations& out) {
  if (mod.value) out.Add(JoinPath(path, "value"), std::string(policy::kMustNotBeDefined));
}

void BadOperation(std::initializer_list<Operation> operations, const std::string& path,
                  Violations& out) {
  std::vector<std::string> quoted;
  for (const Operation operation : operations)
    quoted.push_back(base::Format("\"{}\"", model::NameOf(operation)));
  out.Add(JoinPath(path, "operation"),
          base::Format("invalid operation. Available operations: {}", base::Join(quoted, ", ")));
}

void CheckUnmatched(bool matched, const std::string& path, Violations& out) {
  if (matched) out.Add(path, std::string(policy::kMustNotBeDefined));
}

// Clusters, listeners and virtual hosts. `match_path`: what an addition must not have.
template <class AnyMod>
void ValidateResource(const AnyMod& mod, std::string_view name, std::string_view message,
                      Needs needs, bool matched, std::string_view match_path,
                      const std::string& parent, Violations& out) {
  using enum Operation;
  const std::string path = JoinPath(parent, name);
  switch (mod.operation) {
    case kAdd:
      CheckUnmatched(matched, JoinPath(path, match_path), out);
      return ValidateNew(mod, message, needs, path, out);
    case kPatch: return ValidatePatch(mod, name, message, path, out);
    case kRemove: return ValidateRemove(mod, path, out);
    default: return BadOperation({kAdd, kPatch, kRemove}, path, out);
  }
}

void ValidateFilter(const FilterMod& mod, std::string_view name, std::string_view message,
                    const std::string& parent, Violations& out) {
  using enum Operation;
  const std::string path = JoinPath(parent, name);
  const auto needs_name = [&](std::string_view why) {
    if (!mod.match || !mod.match->name)
      out.Add(JoinPath(path, "match.name"), base::Format("{}{}", policy::kMustBeDefined, why));
  };
  switch (mod.operation) {
    case kAddBefore:
      needs_name(". You need to pick a filter before which this one will be added");
      return ValidateNew(mod, message, Needs::kName, path, out);
    case kAddAfter:
      needs_name(". You need to pick a filter after which this one will be added");
      return ValidateNew(mod, message, Needs::kName, path, out);
    case kAddFirst:
    case kAddLast: return ValidateNew(mod, message, Needs::kName, path, out);
    case kPatch: needs_name(""); return ValidatePatch(mod, name, message, path, out);
    case kRemove: return ValidateRemove(mod, path, out);
    default:
      return BadOperation({kAddFirst, kAddLast, kAddBefore, kAddAfter, kPatch, kRemove}, path, out);
  }
}

void Validate(const model::Resource& resource, Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  policy::ValidateTopTargetRef(spec.target_ref, false, out);
  const std::string path = "spec.default.appendModifications";
  const auto& modifications = spec.default_conf.append_modifications;
  if (modifications.empty()) out.Add(path, std::string(policy::kMustNotBeEmpty));
  for (size_t i = 0; i < modifications.size(); ++i) {
    const Modification& mod = modifications[i];
    const std::string at = IndexPath(path, i);
    const int given = mod.cluster.has_value() + mod.listener.has_value() +
                      mod.network_filter.has_value() + mod.http_filter.has_value() +
                      mod.virtual_host.has_value();
    if (given != 1) {
      out.Add(at, base::Format("exactly one modification can be defined at a time. Currently, {} "
                               "modifications are defined",
                               given));
      continue;
    }
    if (mod.cluster)
      ValidateResource(*mod.cluster, "cluster", "Cluster", Needs::kName,
                       mod.cluster->match.has_value(), "match", at, out);
    if (mod.listener)
      ValidateResource(*mod.listener, "listener", "Listener", Needs::kName,
                       mod.listener->match.has_value(), "match", at, out);
    if (mod.network_filter) ValidateFilter(*mod.network_filter, "networkFilter", "Filter", at, out);
    if (mod.http_filter) ValidateFilter(*mod.http_filter, "httpFilter", "HttpFilter", at, out);
    if (mod.virtual_host)
      ValidateResource(*mod.virtual_host, "virtualHost", "VirtualHost", Needs::kNameAndDomains,
                       mod.virtual_host->match.name.has_value(), "match.name", at, out);
  }
}

}  // namespace

base::Result<model::Value> ParseEnvoyYaml(std::string_view text) {
  auto documents = model::ParseYaml(text);
  if (!documents.has_value()) {
    // Text that is no YAML counts as JSON that is wrong. One that only ends too early has this
    // name.
    const auto json = model::ParseJson(text);
    if (!json.has_value() &&
        model::WithoutPosition(json.error().message()) == "unexpected end of JSON input")
      return base::Invalid("unexpected EOF");
    return std::move(documents).error();
  }
  if (documents->empty()) return model::Value(model::Object());
  if (documents->size() > 1)
    return base::Invalid(base::Format("one YAML document expected, {} found", documents->size()));
  model::Value& value = documents->front();
  if (value.if_object() == nullptr)
    return base::Invalid(base::Format("an object expected, {} found", value.TypeName()));
  return std::move(value);
}

const model::ResourceType& Schema() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "MeshProxyPatch",
      .singular = "meshproxypatch",
      .plural = "meshproxypatches",
      .short_name = "mpp",
      .singular_display_name = "Mesh Proxy Patch",
      .plural_display_name = "Mesh Proxy Patches",
      .is_policy = true,
      .in_federation_export = true,
      .global_to_zones = true,
      .zone_to_global = true,
      .across_zones = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::policies::mesh_proxy_patch
