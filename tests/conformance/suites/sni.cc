// Server names of services in other zones.

#include <map>

#include "base/format.h"
#include "model/sni.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::sni {
namespace {

using model::Value;

// Says that a value could not be extracted when the vectors were made.
bool Unconverted(const Value* value) {
  return value != nullptr && value->if_object() != nullptr && value->Find("unconverted") != nullptr;
}

// Also of kinds that this control plane does not have: a server name is made of the short name
// only.
std::string ShortName(const std::string& kind) {
  static const std::map<std::string, std::string> kNames = {{"MeshService", "msvc"},
                                                            {"MeshExternalService", "extsvc"},
                                                            {"MeshMultiZoneService", "mzsvc"}};
  const auto found = kNames.find(kind);
  return found == kNames.end() ? "" : found->second;
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".cases.json")) {
    const auto cases = ReadJson(file);
    if (!cases.has_value()) {
      report.Case(file.stem(), cases.error().message());
      continue;
    }
    for (const Value& test : *cases->if_array()) {
      const Value* id = test.Find("id");
      bool converted = id != nullptr && id->if_object() != nullptr && !Unconverted(id) &&
                       !Unconverted(test.Find("expected"));
      if (converted) {
        for (const auto& [key, value] : *id->if_object())
          converted = converted && !Unconverted(&value);
      }
      if (!converted) continue;  // README.md of the suite says so
      const model::Kri kri{.short_name = ShortName(TextOf(*id, "ResourceType")),
                           .mesh = TextOf(*id, "Mesh"),
                           .zone = TextOf(*id, "Zone"),
                           .ns = TextOf(*id, "Namespace"),
                           .name = TextOf(*id, "Name"),
                           .section = TextOf(*id, "SectionName")};
      const auto sni = model::SniOf(kri);
      const std::string wanted = TextOf(test, "expected");
      std::string difference;
      if (wanted.empty()) {
        if (sni.has_value()) difference = "wanted an error, got " + *sni;
      } else {
        difference = sni.has_value()
                         ? TextDifference(*sni, wanted)
                         : base::Format("wanted {}, got {}", wanted, sni.error().message());
      }
      report.Case(
          base::Format("{}", test.Find("case") != nullptr ? model::ToJson(*test.Find("case"))
                                                          : model::ToJson(*id)),
          difference);
    }
  }
}

}  // namespace kuma::conformance::sni
