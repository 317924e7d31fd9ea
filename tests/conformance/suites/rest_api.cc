// Requests and answers of the REST API on a store that holds the input and nothing else. How a case
// is written: README of the suite.

#include "base/format.h"
#include "base/strings.h"
#include "derive/service_hostnames.h"
#include "generate/generate.h"
#include "policies/all.h"
#include "tests/conformance/rest_case.h"
#include "tests/conformance/suite.h"
#include "tests/kit/rest_server.h"
#include "tests/kit/snapshot_of.h"

namespace kuma::conformance::rest_api {
namespace {

struct Request {
  std::string target;
  std::string method = "GET";
  int status = 0;
};

// "#/meshes?size=2 200 method=PUT"
std::optional<Request> ReadRequest(std::string_view line) {
  Request request;
  const std::vector<std::string> words = base::Split(base::Trim(line.substr(1)), ' ');
  for (const std::string& word : words) {
    if (word.empty()) continue;
    if (request.target.empty()) {
      request.target = word;
    } else if (word.starts_with("method=")) {
      request.method = word.substr(7);
    } else if (const auto status = base::ParseInt(word)) {
      request.status = static_cast<int>(*status);
    }
  }
  if (request.target.empty() || request.status == 0) return std::nullopt;
  return request;
}

std::string Run(const fs::path& file) {
  const std::string input = ReadText(file);
  std::vector<Request> requests;
  for (const std::string& line : base::Split(input, '\n')) {
    if (!line.starts_with("#")) break;
    if (!line.starts_with("#/")) continue;
    const auto request = ReadRequest(line);
    if (!request) return base::Format("cannot read \"{}\"", line);
    requests.push_back(*request);
  }
  if (requests.empty()) return "no request";

  rest::ApiSettings settings = kit::RestServer::Settings();
  if (file.string().find("/global/") != std::string::npos) {
    settings.resources.here.mode = model::ControlPlane::Mode::kGlobal;
  }
  settings.compute_mesh_insights = false;
  static const generate::Generator inspector(policies::AllPolicies(), {});
  store::Store* store = nullptr;
  settings.inspection.snapshot = [&store] { return kit::SnapshotOf(*store, AllKinds()); };
  settings.inspection.generator = &inspector;
  settings.inspection.hostnames = [](const mesh::Snapshot& snapshot,
                                     const model::Resource& service) {
    return derive::HostnamesOf(snapshot, service, "");
  };
  kit::RestServer server(AllKinds(), std::move(settings));
  store = &server.store();
  const auto documents = model::ParseYaml(input);
  if (!documents) return documents.error().message();
  for (const model::Value& document : *documents) {
    auto resource = ReadAsIs(document);
    if (!resource) return resource.error().message();
    server.Load(*std::move(resource));
  }

  const std::string stem =
      file.string().substr(0, file.string().size() - std::string_view(".input.yaml").size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& request = requests[i];
    const std::string number = requests.size() == 1 ? "" : base::Format("_{:02}", i);
    const std::string what = base::Format("{} {}: ", request.method, request.target);
    const net::HttpResponse response =
        server.Send(request.method, request.target, ReadText(stem + number + ".request.json"));
    if (response.status != request.status) {
      return base::Format("{}want {}, got {}\n{}", what, request.status, response.status,
                          response.body.substr(0, 600));
    }
    const std::string golden = ReadText(stem + number + ".golden.json");
    const std::string got = WithoutAdditions(response.body, kit::RestServer::kAddress);
    if (golden.empty()) {
      if (!response.body.empty()) return what + "want no body, got " + got.substr(0, 600);
      continue;
    }
    const std::string difference = JsonDifference(got, golden);
    if (!difference.empty()) return what + difference;
  }
  return "";
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".input.yaml", true)) {
    std::string name = fs::relative(file, folder).string();
    name.resize(name.size() - std::string_view(".input.yaml").size());
    report.Case(std::move(name), Run(file));
  }
}

}  // namespace kuma::conformance::rest_api
