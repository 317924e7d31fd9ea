// Rules for destinations: <case>.input.yaml, seen from the places that <case>/<view>.golden.yaml
// name.

#include "tests/conformance/policy_vectors.h"

namespace kuma::conformance::rules_outbound {
namespace {

using namespace policies_of_vectors;

std::string Difference(const std::vector<Value>& documents, const std::string& kind,
                       const fs::path& golden) {
  const policy::PolicyType* type = RowOf(kind);
  if (type == nullptr) return base::Format("kind {} is not there", kind);
  const auto wanted = ReadYaml(golden);
  if (!wanted.has_value()) return wanted.error().message();
  const std::string file = golden.filename();
  const Place place = ParsePlace(file.substr(0, file.find('.')));
  World world;
  for (const Value& document : documents) world.Put(document, &place);
  if (!world.faults.empty()) return world.faults.front();
  const mesh::SnapshotPtr snapshot = world.Snapshot();
  const Value rules =
      ResourceRules(world, *type, *World::OnlyMesh(snapshot), MatchedView(world, kind));
  return ValueDifference(rules, wanted->front());
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  constexpr std::string_view kInput = ".input.yaml";
  for (const fs::path& input : FilesIn(folder, kInput)) {
    const std::string file = input.filename();
    const std::string name = file.substr(0, file.size() - kInput.size());
    const auto documents = ReadYaml(input);
    const std::string kind =
        documents.has_value() ? PolicyKindOf(*documents, IsMatched) : std::string();
    for (const fs::path& golden : FilesIn(folder / name, ".golden.yaml")) {
      const std::string view = golden.filename();
      report.Case(base::Format("{}/{}/{}", kind, name, view.substr(0, view.find('.'))),
                  documents.has_value() ? Difference(*documents, kind, golden)
                                        : documents.error().message());
    }
  }
}

}  // namespace kuma::conformance::rules_outbound
