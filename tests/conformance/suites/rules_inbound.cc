// Rules for inbounds: the policies named matched-for-rules-..., as rules in their order.

#include "tests/conformance/policy_vectors.h"

namespace kuma::conformance::rules_inbound {
namespace {

using namespace policies_of_vectors;

std::string Difference(const std::vector<Value>& documents, const std::string& kind,
                       const fs::path& golden) {
  const policy::PolicyType* type = RowOf(kind);
  if (type == nullptr) return base::Format("kind {} is not there", kind);
  const auto wanted = ReadYaml(golden);
  if (!wanted.has_value()) return wanted.error().message();
  World world;
  for (const Value& document : documents) world.Put(document);
  if (!world.faults.empty()) return world.faults.front();
  const mesh::SnapshotPtr snapshot = world.Snapshot();
  // Of whichever inbound the policies name.
  Array rules =
      InboundRules(world, *type, *World::OnlyMesh(snapshot), MatchedView(world, kind), {});
  return ValueDifference(Object{{"rules", std::move(rules)}}, wanted->front());
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
    report.Case(base::Format("{}/{}", kind, name),
                documents.has_value()
                    ? Difference(*documents, kind, folder / (name + ".golden.yaml"))
                    : documents.error().message());
  }
}

}  // namespace kuma::conformance::rules_inbound
