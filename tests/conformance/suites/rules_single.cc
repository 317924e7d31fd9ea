// Configurations for a proxy as a whole: policies of one kind in, what they say together out.

#include "tests/conformance/policy_vectors.h"

namespace kuma::conformance::rules_single {
namespace {

using namespace policies_of_vectors;

std::string Difference(const std::vector<Value>& documents, const std::string& kind,
                       const fs::path& golden) {
  const policy::PolicyType* type = RowOf(kind);
  if (type == nullptr) return base::Format("kind {} is not there", kind);
  const auto wanted = ReadYaml(golden);
  if (!wanted.has_value()) return wanted.error().message();
  World world;
  policy::View view;
  for (const Value& document : documents) world.Put(document);
  if (!world.faults.empty()) return world.faults.front();
  view.policies = world.order;
  const mesh::SnapshotPtr snapshot = world.Snapshot();
  const policy::Effective conf = policy::EffectiveForProxy(*type, *World::OnlyMesh(snapshot), view);
  if (conf.empty()) return "nothing is configured";
  Array origins;
  for (const policy::Origin& origin : conf.origins())
    origins.push_back(MetaOf(world.vectors.at(origin.policy)));
  return ValueDifference(
      Object{{"Conf", type->conf.encode(conf.raw())}, {"Origin", std::move(origins)}},
      wanted->front());
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  constexpr std::string_view kInput = ".input.yaml";
  for (const fs::path& input : FilesIn(folder, kInput)) {
    const std::string file = input.filename();
    const std::string name = file.substr(0, file.size() - kInput.size());
    const auto documents = ReadYaml(input);
    const std::string kind = documents.has_value() ? PolicyKindOf(*documents) : std::string();
    report.Case(base::Format("{}/{}", kind, name),
                documents.has_value()
                    ? Difference(*documents, kind, folder / (name + ".golden.yaml"))
                    : documents.error().message());
  }
}

}  // namespace kuma::conformance::rules_single
