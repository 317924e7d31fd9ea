#include "cli/documents.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <istream>
#include <iterator>

#include "base/format.h"
#include "base/strings.h"
#include "cli/config_file.h"
#include "net/client.h"

namespace kuma::cli {
namespace {

namespace fs = std::filesystem;

base::Result<std::string> Download(const std::string& url) {
  TRY_ASSIGN(net::HttpRequest request, net::MakeRequest("GET", url));
  net::ClientOptions options;
  options.request_timeout = std::chrono::seconds(10);
  TRY_ASSIGN(net::HttpResponse response, net::Fetch(std::move(request), std::move(options)));
  if (response.status != 200) {
    return base::Invalid(base::Format("error while retrieving URL: {} answered {} {}", url,
                                      response.status, net::ReasonPhrase(response.status)));
  }
  return std::move(response.body);
}

base::Result<std::vector<std::string>> ReadFolder(const std::string& path) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension == ".yaml" || extension == ".yml" || extension == ".json")
      files.push_back(it->path());
  }
  if (error) return base::Invalid(base::Format("read folder {}: {}", path, error.message()));
  std::ranges::sort(files);
  std::vector<std::string> documents;
  for (const fs::path& file : files) {
    TRY_ASSIGN(const std::string text, ReadFile(file.string()));
    std::ranges::move(SplitDocuments(text), std::back_inserter(documents));
  }
  return documents;
}

std::string Text(const model::Value& object, std::string_view key) {
  const model::Value* value = object.Find(key);
  if (value == nullptr || value->is_null()) return "";
  if (const std::string* text = value->if_string()) return *text;
  return model::ToJson(*value);
}

// The reason as Go's YAML library words it, for the fault that people make.
std::string YamlReason(std::string_view message) {
  if (message.find("EOF in scalar") != std::string_view::npos)
    return "yaml: found unexpected end of stream";
  return base::Format("yaml: {}", message);
}

}  // namespace

base::Result<std::vector<std::string>> ReadDocuments(const std::string& source, std::istream& in) {
  if (source == "-") {
    return SplitDocuments(std::string(std::istreambuf_iterator<char>(in), {}));
  }
  if (source.starts_with("http://") || source.starts_with("https://")) {
    TRY_ASSIGN(const std::string text, Download(source));
    return SplitDocuments(text);
  }
  std::error_code error;
  if (fs::is_directory(source, error)) return ReadFolder(source);
  auto text = ReadFile(source);
  if (!text.has_value())
    return std::move(text).error().Context("error while reading provided file");
  return SplitDocuments(*text);
}

std::vector<std::string> SplitDocuments(std::string_view text) {
  std::vector<std::string> documents(1);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    const std::string_view line = text.substr(0, end + 1);
    text.remove_prefix(line.size());
    if (line.starts_with("---") && base::Trim(line) == "---") {
      documents.emplace_back();
    } else {
      documents.back() += line;
    }
  }
  // A separator before the first document starts none.
  if (documents.size() > 1 && base::Trim(documents.front()).empty())
    documents.erase(documents.begin());
  return documents;
}

std::string FillPlaceholders(std::string_view text, const StringMap& values,
                             std::vector<std::string>& missing) {
  std::string filled;
  for (;;) {
    const size_t open = text.find("{{");
    if (open == std::string_view::npos) break;
    const bool triple = text.substr(open).starts_with("{{{");
    const std::string_view closing = triple ? "}}}" : "}}";
    const size_t begin = open + closing.size();
    const size_t close = text.find(closing, begin);
    if (close == std::string_view::npos) break;
    filled += text.substr(0, open);
    std::string_view name = base::Trim(text.substr(begin, close - begin));
    text.remove_prefix(close + closing.size());
    if (name.starts_with('!')) continue;
    if (name.starts_with('&')) name = base::Trim(name.substr(1));
    const auto last = std::find_if(values.rbegin(), values.rend(),
                                   [&](const auto& pair) { return pair.first == name; });
    if (last != values.rend()) {
      filled += last->second;
    } else if (std::ranges::find(missing, name) == missing.end()) {
      missing.emplace_back(name);
    }
  }
  filled += text;
  return filled;
}

base::Result<Document> ParseDocument(std::string_view text) {
  auto parsed = model::ParseYaml(text);
  const auto bad = [](std::string_view reason) {
    return base::Invalid(base::Format("failed to parse resource: {}", reason));
  };
  if (!parsed.has_value()) {
    return bad(base::Format("invalid meta type: \"error converting YAML to JSON: {}\"",
                            YamlReason(parsed.error().message())));
  }
  if (parsed->empty()) return base::NotFound("empty document");
  Document document;
  document.content = std::move(parsed->front());
  if (document.content.if_object() == nullptr) {
    // The YAML library takes a quote that is never closed for closed.
    const std::string_view whole = base::Trim(text);
    if ((whole.front() == '"' || whole.front() == '\'') &&
        (whole.size() == 1 || whole.back() != whole.front())) {
      return bad(
          "invalid meta type: \"error converting YAML to JSON: yaml: found unexpected end of "
          "stream\"");
    }
    return bad(base::Format("invalid meta type: \"expected a mapping, found {}\"",
                            document.content.TypeName()));
  }
  const std::string type = Text(document.content, "type");
  document.kind = FindKind(type);
  if (document.kind == nullptr) return bad(base::Format("invalid resource type \"{}\"", type));
  document.name = Text(document.content, "name");
  if (document.kind->in_mesh) document.mesh = Text(document.content, "mesh");
  std::vector<std::string> faults;
  if (document.name.empty()) faults.emplace_back("name: cannot be empty");
  if (document.kind->in_mesh && document.mesh.empty()) faults.emplace_back("mesh: cannot be empty");
  if (!faults.empty()) {
    return base::Invalid(base::Format("failed to read meta: {}", base::Join(faults, "; ")));
  }
  return document;
}

}  // namespace kuma::cli
