#include "resources/hostname_generator/hostname_generator.h"

#include <cctype>
#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "model/describe.h"
#include "model/names.h"

namespace kuma::resources::hostname_generator {
namespace {

// What stands between {{ and }}: a field (".Name") or a function with text arguments (label "key").
struct Action {
  std::vector<std::string> words;
};

bool IsPartOfWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_.$|:,()").find(c) != std::string_view::npos;
}

// As Go's templates say it.
base::Error BadCharacter(char c) {
  return base::Invalid(
      base::Format("template: :1: bad character U+{:04X} '{}'", static_cast<unsigned char>(c), c));
}

base::Result<Action> ParseAction(std::string_view text) {
  // {{- and -}} eat white space, of which a host name has none.
  if (text.starts_with("-")) text.remove_prefix(1);
  if (text.ends_with("-")) text.remove_suffix(1);
  Action action;
  size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at;
    } else if (c == '"' || c == '`') {
      const size_t end = text.find(c, at + 1);
      if (end == std::string_view::npos) return base::Invalid("unterminated quoted string");
      action.words.emplace_back(text.substr(at, end - at));  // with the opening quote: it is a text
      at = end + 1;
    } else {
      size_t end = at;
      while (end < text.size() && text[end] != ' ' && text[end] != '\t' && text[end] != '"' &&
             text[end] != '`') {
        if (!IsPartOfWord(text[end])) return BadCharacter(text[end]);
        ++end;
      }
      action.words.emplace_back(text.substr(at, end - at));
      at = end;
    }
  }
  if (action.words.empty()) return base::Invalid("missing value for command");
  return action;
}

base::Result<std::string> Evaluate(const Action& action, const TemplateInput& input) {
  const std::string& first = action.words[0];
  if (action.words.size() == 1) {
    if (first == ".Name") return input.name;
    if (first == ".DisplayName") return input.display_name;
    if (first == ".Namespace") return input.ns;
    if (first == ".Zone") return input.zone;
    if (first == ".Mesh") return input.mesh;
    if (first[0] == '"' || first[0] == '`') return first.substr(1);
  }
  if (first == "label" && action.words.size() == 2 &&
      (action.words[1][0] == '"' || action.words[1][0] == '`')) {
    const std::string key = action.words[1].substr(1);
    const auto found = input.labels.find(key);
    if (found == input.labels.end()) return base::Invalid(base::Format("label {} not found", key));
    return found->second;
  }
  if (first[0] == '.')
    return base::Invalid(base::Format("can't evaluate field {}", first.substr(1)));
  return base::Invalid(base::Format("function \"{}\" not defined", first));
}

// Calls `visit` for each piece in order: plain text, or an action.
template <class Text, class Act>
base::Status Walk(std::string_view text, const Text& on_text, const Act& on_action) {
  while (true) {
    const size_t open = text.find("{{");
    on_text(text.substr(0, open));
    if (open == std::string_view::npos) return base::Ok{};
    const size_t close = text.find("}}", open + 2);
    if (close == std::string_view::npos) return base::Invalid("unclosed action");
    TRY_ASSIGN(const Action action, ParseAction(text.substr(open + 2, close - open - 2)));
    TRY(on_action(action));
    text.remove_prefix(close + 2);
  }
}

// A service on which every template works.
TemplateInput SampleFor(std::string_view text) {
  TemplateInput input{.name = "name",
                      .display_name = "display-name",
                      .ns = "namespace",
                      .zone = "zone",
                      .mesh = "mesh",
                      .labels = {}};
  const auto ignored = Walk(
      text, [](std::string_view) {},
      [&input](const Action& action) -> base::Status {
        if (action.words.size() == 2 && action.words[0] == "label" && !action.words[1].empty())
          input.labels[action.words[1].substr(1)] = "label";
        return base::Ok{};
      });
  (void)ignored;
  return input;
}

void Validate(const model::Resource& resource, model::Violations& out) {
  const Spec& spec = resource.Spec<Spec>();
  if (spec.extension && spec.extension->type.empty())
    out.Add("spec.extension.type", "must not be empty");
  const int selectors = (spec.selector.mesh_service ? 1 : 0) +
                        (spec.selector.mesh_external_service ? 1 : 0) +
                        (spec.selector.mesh_multi_zone_service ? 1 : 0);
  if (selectors != 1)
    out.Add("spec.selector",
            "exact one selector (meshService, meshExternalService) must be defined");
  if (spec.template_text.empty()) {
    out.Add("spec.template", "must not be empty");
    return;
  }
  const auto host = RenderHostname(spec.template_text, SampleFor(spec.template_text));
  if (!host.has_value()) {
    out.Add("spec.template", base::Format("couldn't parse template: {}", host.error().message()));
    return;
  }
  for (const std::string& wrong : model::CheckRfc1123Subdomain(*host))
    out.Add(
        "spec.template",
        base::Format("template renders to \"{}\" which is not a valid DNS name: {}", *host, wrong));
}

}  // namespace

base::Result<std::string> RenderHostname(std::string_view template_text,
                                         const TemplateInput& input) {
  std::string host;
  TRY(Walk(
      template_text, [&host](std::string_view text) { host += text; },
      [&](const Action& action) -> base::Status {
        TRY_ASSIGN(const std::string value, Evaluate(action, input));
        host += value;
        return base::Ok{};
      }));
  return host;
}

const model::ResourceType& Type() {
  static const model::ResourceType type = model::Describe<Spec>({
      .kind = "HostnameGenerator",
      .singular = "hostnamegenerator",
      .plural = "hostnamegenerators",
      .short_name = "hg",
      .singular_display_name = "Hostname Generator",
      .plural_display_name = "Hostname Generators",
      .scope = model::Scope::kGlobal,
      .in_federation_export = true,
      .global_to_zones = true,
      .zone_to_global = true,
      .hashed_name = true,
      .validate = Validate,
  });
  return type;
}

}  // namespace kuma::resources::hostname_generator
