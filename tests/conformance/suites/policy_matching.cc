// Which policies select a Dataplane, and the rules that follow for its inbounds and destinations.
// Names of cases: kind/folder/case[/view].

#include "resources/dataplane/dataplane.h"
#include "tests/conformance/policy_vectors.h"

namespace kuma::conformance::policy_matching {
namespace {

using namespace policies_of_vectors;
namespace dataplane = resources::dataplane;

// Where the Dataplane and the policies of a view were made and are looked at, and the role of the
// policies.
struct View {
  std::string_view name;
  std::string_view dataplane;
  std::string_view policies;
  std::string_view role;
};
constexpr View kViews[] = {
    {"uni-zone", "zone-uni", "zone-uni", ""},
    {"k8s-zone", "zone-k8s", "zone-k8s", ""},
    {"policy-from-global-uni-zone-uni-on-global", "zone-uni-2-uni", "global-uni", "system"},
    {"policy-from-global-uni-zone-uni-on-zone", "zone-uni", "global-uni-2-uni", "system"},
    {"policy-from-global-uni-zone-k8s-on-zone", "zone-k8s", "global-uni-2-k8s", "system"},
    {"policy-from-global-uni-zone-k8s-on-global", "zone-k8s-2-uni", "global-uni", "system"},
    {"policy-from-global-k8s-zone-uni-on-zone", "zone-uni", "global-k8s-2-uni", "system"},
    {"policy-from-global-k8s-zone-uni-on-global", "zone-uni-2-k8s", "global-k8s", "system"},
    {"policy-from-global-k8s-zone-k8s-on-zone", "zone-k8s", "global-k8s-2-k8s", "system"},
    {"policy-from-global-k8s-zone-k8s-on-global", "zone-k8s-2-k8s", "global-k8s", "system"},
    {"policy-global-uni-dpp-k8s-on-zone", "zone-uni", "global-uni-2-uni", "system"},
    {"policy-global-uni-dpp-k8s-on-global", "zone-uni-2-uni", "global-uni", "system"},
    {"policy-from-k8s-to-uni", "zone-uni", "zone-k8s-2-uni", "producer"},
    {"policy-from-k8s-to-k8s", "zone-k8s", "zone-k8s-2-k8s", "producer"},
};

const View* FindView(std::string_view name) {
  for (const View& view : kViews) {
    if (view.name == name) return &view;
  }
  return nullptr;
}

Value SelectedPolicies(const World& world, const policy::View& view) {
  Array items;
  for (const model::ResourceKey& key : view.policies) {
    Value item = model::EncodeResource(*world.vectors.at(key).printed);
    for (const char* time : {"creationTime", "modificationTime"})
      item.if_object()->Set(time, kZeroTime);
    items.push_back(std::move(item));
  }
  // A list that nothing was put into is null in Go.
  return Object{{"items", items.empty() ? Value() : Value(std::move(items))},
                {"next", nullptr},
                {"total", 0}};
}

// Address and port of an inbound or listener -> its rules; where no policy selects it, it is
// absent.
Value RulesByInbound(const World& world, const policy::PolicyType& type,
                     const mesh::MeshSnapshot& mesh, const policy::View& view,
                     const model::Resource& proxy) {
  Object by_inbound;
  const auto& networking = proxy.Spec<dataplane::Spec>().networking;
  if (!networking) return by_inbound;
  const auto add = [&](std::string_view address, uint32_t port, const std::string& section) {
    Array rules = InboundRules(world, type, mesh, view, section);
    if (!rules.empty()) by_inbound.Set(base::Format("{}:{}", address, port), std::move(rules));
  };
  for (const dataplane::Inbound& inbound : networking->inbound)
    add(dataplane::AddressOf(*networking, inbound), inbound.port, inbound.SectionName());
  for (const dataplane::Listener& listener : networking->listeners) {
    add(listener.address.empty() ? networking->address : listener.address, listener.port,
        listener.SectionName());
  }
  return by_inbound;
}

enum class Question { kPolicies, kFromRules, kToRules };

std::string Difference(const std::vector<Value>& policies, const std::string& kind,
                       const fs::path& dataplane_file, const fs::path& more_file,
                       const fs::path& golden, const View* view_of, Question question) {
  const policy::PolicyType* type = RowOf(kind);
  if (type == nullptr) return base::Format("kind {} is not there", kind);
  const auto proxies = ReadYaml(dataplane_file);
  if (!proxies.has_value()) return proxies.error().message();
  const auto wanted = ReadYaml(golden);
  if (!wanted.has_value()) return wanted.error().message();

  World world;
  std::optional<Place> place_of_proxy;
  std::optional<Place> place_of_policies;
  model::Labels role;
  if (view_of != nullptr) {
    place_of_proxy = ParsePlace(view_of->dataplane);
    place_of_policies = ParsePlace(view_of->policies);
    if (!view_of->role.empty()) role.emplace(model::kPolicyRoleLabel, std::string(view_of->role));
    // System policies live in the namespace of the control plane.
    if (view_of->role == "system") role.emplace(model::kNamespaceLabel, "kuma-system");
  }
  world.Put(proxies->front(), place_of_proxy ? &*place_of_proxy : nullptr);
  for (const Value& document : policies)
    world.Put(document, place_of_policies ? &*place_of_policies : nullptr, role);
  if (fs::exists(more_file)) {
    const auto more = ReadYaml(more_file);
    if (!more.has_value()) return more.error().message();
    for (const Value& document : *more) world.Put(document);
  }
  if (!world.faults.empty()) return world.faults.front();

  const mesh::SnapshotPtr snapshot = world.Snapshot();
  const mesh::MeshSnapshot& mesh = *World::OnlyMesh(snapshot);
  const model::Resource& proxy = *world.vectors.at(world.order.front()).resource;
  const policy::PolicyTable table = {*type};
  const policy::ViewPtr view = policy::SelectView(mesh, proxy, table);
  Value got;
  switch (question) {
    case Question::kPolicies: got = SelectedPolicies(world, *view); break;
    case Question::kFromRules:
      got = Object{{"InboundRules", RulesByInbound(world, *type, mesh, *view, proxy)}};
      break;
    case Question::kToRules:
      got = Object{{"ResourceRules", ResourceRules(world, *type, mesh, *view)}};
      break;
  }
  return ValueDifference(got, wanted->front());
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  constexpr std::string_view kPolicies = ".policies.yaml";
  struct Part {
    const char* folder;
    Question question;
  };
  for (const Part& part :
       {Part{"dataplanepolicies", Question::kPolicies}, Part{"fromrules", Question::kFromRules},
        Part{"torules", Question::kToRules}, Part{"meshexternalservice", Question::kToRules},
        Part{"dataplane-kind", Question::kPolicies}}) {
    for (const fs::path& input : FilesIn(folder / part.folder, kPolicies)) {
      const std::string file = input.filename();
      const std::string name = file.substr(0, file.size() - kPolicies.size());
      const auto documents = ReadYaml(input);
      const std::string kind = documents.has_value() ? PolicyKindOf(*documents) : std::string();
      const fs::path beside = input.parent_path();
      const auto check = [&](const std::string& case_name, const fs::path& golden,
                             const View* view) {
        report.Case(base::Format("{}/{}/{}", kind, part.folder, case_name),
                    documents.has_value()
                        ? Difference(*documents, kind, beside / (name + ".dataplane.yaml"),
                                     beside / (name + ".mes.yaml"), golden, view, part.question)
                        : documents.error().message());
      };
      const fs::path golden = beside / (name + ".golden.yaml");
      if (fs::exists(golden)) check(name, golden, nullptr);
      for (const fs::path& of_view : FilesIn(beside / name, ".golden.yaml")) {
        const std::string view_file = of_view.filename();
        const std::string view_name = view_file.substr(0, view_file.find('.'));
        if (const View* view = FindView(view_name)) {
          check(name + "/" + view_name, of_view, view);
        } else {
          report.Case(base::Format("{}/{}/{}/{}", kind, part.folder, name, view_name),
                      "no such view is known");
        }
      }
    }
  }
}

}  // namespace kuma::conformance::policy_matching
