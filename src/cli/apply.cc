#include <unistd.h>

#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/documents.h"
#include "cli/output.h"
#include "cli/wait.h"
#include "model/duration.h"
#include "model/value.h"

namespace kuma::cli {
namespace {

struct Options {
  std::string file;
  StringMap variables;
  bool dry_run = false;
  std::string wait;  // empty: not at all
};

base::Result<std::vector<Document>> ReadResources(Invocation& invocation, const Options& options) {
  if (options.file.empty() && isatty(STDIN_FILENO)) {
    return base::Invalid("no input: give a file, a folder, a URL or - (standard input) with -f");
  }
  TRY_ASSIGN(std::vector<std::string> texts,
             ReadDocuments(options.file.empty() ? "-" : options.file, invocation.environment().in));
  std::vector<Document> documents;
  std::vector<std::string> missing;
  bool faults = false;
  for (size_t i = 0; i < texts.size(); ++i) {
    // Without variables braces stay: access log formats and patches use them too.
    if (!options.variables.empty())
      texts[i] = FillPlaceholders(texts[i], options.variables, missing);
    auto document = ParseDocument(texts[i]);
    if (document.has_value()) {
      documents.push_back(*std::move(document));
    } else if (document.error().code() != base::Code::kNotFound) {
      invocation.err() << base::Format("resource[{}]: {}\n", i, document.error().message());
      faults = true;
    }
  }
  if (!missing.empty()) {
    invocation.err() << base::Format("Warning: no value for {}: set it with --var {}=...\n",
                                     base::Join(missing, ", "), missing.front());
  }
  if (faults) return base::Invalid("failed to validate some resources");
  return documents;
}

void PrintWarnings(const Reply& reply, std::ostream& err) {
  const auto parsed = model::ParseJson(reply.body);
  const model::Value* warnings = parsed.has_value() ? parsed->Find("warnings") : nullptr;
  if (warnings == nullptr || warnings->if_array() == nullptr) return;
  for (const model::Value& warning : *warnings->if_array()) {
    if (const std::string* text = warning.if_string()) err << "Warning: " << *text << "\n";
  }
}

base::Result<Written> Write(Invocation& invocation, const Document& document) {
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  const std::string who = base::Format("resource type=\"{}\" mesh=\"{}\" name=\"{}\"",
                                       document.kind->kind, document.mesh, document.name);
  auto reply = server->Call("PUT", PathOf(*document.kind, document.mesh, document.name),
                            model::ToJson(document.content));
  if (!reply.has_value()) return std::move(reply).error().Context(who + ": failed server side");
  if (!reply->ok()) {
    return base::Invalid(base::Format("{}: failed server side: {}", who, DescribeFailure(*reply)));
  }
  PrintWarnings(*reply, invocation.err());
  invocation.out() << who << (reply->status == 201 ? " Created\n" : " Updated\n");
  return Written{.what = base::Format("{} {}{}{}", document.kind->kind, document.mesh,
                                      document.mesh.empty() ? "" : "/", document.name),
                 .revision = base::ParseUint(reply->headers.Get("kuma-revision")).value_or(0)};
}

// Prints what the schemas find; false if something is wrong.
bool Check(Invocation& invocation, const Document& document) {
  const Findings findings = CheckOffline(document);
  const std::string who = base::Format("{} \"{}\"", document.kind->kind, document.name);
  for (const std::string& path : findings.unknown) {
    invocation.err() << base::Format("Warning: {}: unknown field {}\n", who, path);
  }
  for (const model::Violation& violation : findings.violations.list()) {
    invocation.err() << base::Format("{}: {}: {}\n", who, violation.path, violation.message);
    if (!violation.hint.empty()) invocation.err() << base::Format("  hint: {}\n", violation.hint);
  }
  return findings.violations.empty();
}

base::Status DryRun(Invocation& invocation, const std::vector<Document>& documents) {
  bool good = true;
  for (size_t i = 0; i < documents.size(); ++i) {
    if (i > 0) invocation.out() << "---\n";
    PrintValue(documents[i].content, OutputFormat::kYaml, invocation.out());
    good = Check(invocation, documents[i]) && good;
  }
  if (!good) return base::Invalid("failed to validate some resources");
  return base::Ok{};
}

base::Status Apply(Invocation& invocation, const Options& options) {
  std::optional<model::Duration> wait;
  if (!options.wait.empty()) {
    wait = model::ParseDuration(options.wait);
    if (!wait || wait->value <= runtime::Duration::zero()) {
      return base::Invalid(base::Format(
          "invalid argument \"{}\" for \"--wait\" flag: not a duration such as 30s", options.wait));
    }
  }
  TRY_ASSIGN(const std::vector<Document> documents, ReadResources(invocation, options));
  if (options.dry_run) return DryRun(invocation, documents);
  std::vector<Written> writes;
  for (const Document& document : documents) {
    TRY_ASSIGN(Written written, Write(invocation, document));
    writes.push_back(std::move(written));
  }
  return wait ? WaitForRollouts(invocation, writes, wait->value) : base::Ok{};
}

}  // namespace

void AddApply(Invocation& invocation, Command& root) {
  auto options = std::make_shared<Options>();
  root.children.push_back(
      {.name = "apply",
       .aliases = {},
       .arguments = "",
       .help = "Create or modify Kuma resources",
       .flags = {{.name = "dry-run",
                  .help = "Resolve variable and prints result out without actual applying",
                  .target = &options->dry_run},
                 {.name = "file",
                  .letter = 'f',
                  .help = "Path to file, directory or URL to apply. Pass `-` to read "
                          "from stdin",
                  .target = &options->file},
                 {.name = "var",
                  .letter = 'v',
                  .help = "Variable to replace in configuration",
                  .target = &options->variables},
                 {.name = "wait",
                  .help = "Wait until every proxy that is affected has what was applied; exit code "
                          "3: some rejected it, 4: not all answered in this time",
                  .target = &options->wait,
                  .bare = "30s"}},
       .children = {},
       .run = [&invocation, options](const Strings&) { return Apply(invocation, *options); }});
}

}  // namespace kuma::cli
