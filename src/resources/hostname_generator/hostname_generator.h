#pragma once

// Makes host names for services from a template.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/result.h"
#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::hostname_generator {

struct LabelSelector {
  std::map<std::string, std::string> match_labels;
  static constexpr auto Fields() {
    return std::tuple{model::Field("matchLabels", &LabelSelector::match_labels,
                                   "Labels, all of which must match.")};
  }
};
struct Selector {
  std::optional<LabelSelector> mesh_service;
  std::optional<LabelSelector> mesh_external_service;
  std::optional<LabelSelector> mesh_multi_zone_service;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("meshService", &Selector::mesh_service, "Selects MeshServices."),
        Field("meshExternalService", &Selector::mesh_external_service,
              "Selects MeshExternalServices."),
        Field("meshMultiZoneService", &Selector::mesh_multi_zone_service,
              "Selects MeshMultiZoneServices."),
    };
  }
};
struct Extension {
  std::string type;
  model::Value config;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("type", &Extension::type, "Type of the extension.", model::Required{}),
        Field("config", &Extension::config, "Configuration of the extension."),
    };
  }
};
struct Spec {
  Selector selector;
  std::string template_text;  // "template"
  std::optional<Extension> extension;
  static constexpr auto Fields() {
    using model::Field;
    using model::Input;
    return std::tuple{
        Field("selector", &Spec::selector, "The services that get a host name.", Input{}),
        Field("template", &Spec::template_text,
              "Template of the host name: {{ .DisplayName }}, {{ .Name }}, {{ .Namespace }}, {{ "
              ".Zone }}, {{ .Mesh }}, "
              "{{ label \"key\" }}.",
              model::Required{}, Input{}),
        Field("extension", &Spec::extension, "A plugin that makes the host names.", Input{}),
    };
  }
};

const model::ResourceType& Type();

// What a template may use of a service.
struct TemplateInput {
  std::string name;
  std::string display_name;
  std::string ns;
  std::string zone;
  std::string mesh;
  std::map<std::string, std::string> labels;
};
// kInvalid: the template is no template, uses something unknown, or a label that the service does
// not have.
base::Result<std::string> RenderHostname(std::string_view template_text,
                                         const TemplateInput& input);

}  // namespace kuma::resources::hostname_generator
