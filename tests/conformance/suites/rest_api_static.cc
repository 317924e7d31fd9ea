// What the API says about itself: the name of a file is its path.

#include "tests/conformance/rest_case.h"
#include "tests/conformance/suite.h"
#include "tests/kit/rest_server.h"

namespace kuma::conformance::rest_api_static {

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".golden.json")) {
    std::string name = file.filename().string();
    name.resize(name.size() - std::string_view(".golden.json").size());
    kit::RestServer server(AllKinds());
    const net::HttpResponse response = server.Send("GET", "/" + name);
    report.Case(name, JsonDifference(response.body, ReadText(file)));
  }
}

}  // namespace kuma::conformance::rest_api_static
