// Names of resources that travel between control planes.

#include "base/format.h"
#include "model/names.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::hash_names {

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".json")) {
    const auto vectors = ReadJson(file);
    if (!vectors.has_value()) {
      report.Case(file.stem(), vectors.error().message());
      continue;
    }
    for (const model::Value& vector : *vectors->if_array()) {
      const auto text = [&](std::string_view key) { return TextOf(vector, key); };
      report.Case(base::Format("{}:{}:{}:{}", text("mesh"), text("display_name"), text("zone"),
                               text("namespace")),
                  TextDifference(model::HashedName(text("mesh"), text("display_name"), text("zone"),
                                                   text("namespace")),
                                 text("expected")));
    }
  }
}

}  // namespace kuma::conformance::hash_names
