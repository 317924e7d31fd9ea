#pragma once

// What `apply -f` reads: a file, a folder, a URL or standard input, cut into YAML documents.

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/kinds.h"
#include "model/value.h"
#include "model/violations.h"

namespace kuma::cli {

// The texts of all documents, empty ones included: their positions are what error messages count.
// `source` is a path (of a folder: its .yaml, .yml and .json files by name, not recursively), an
// http(s) URL, or
// "-" for `in`.
base::Result<std::vector<std::string>> ReadDocuments(const std::string& source, std::istream& in);

// Cuts at lines that start with "---".
std::vector<std::string> SplitDocuments(std::string_view text);

// Fills mustache placeholders: {{ name }}, {{{ name }}}, {{& name }}; {{! comment }} vanishes.
// Nothing is escaped. Names without a value become empty and are added to `missing`.
std::string FillPlaceholders(std::string_view text, const StringMap& values,
                             std::vector<std::string>& missing);

// One resource of a file, with its kind known and its metadata complete.
struct Document {
  const Kind* kind = nullptr;
  std::string mesh;  // empty for global kinds
  std::string name;
  model::Value content;
};

// What the schemas say about a document without a server: what is wrong, and which fields are
// unknown. Nothing about kinds that have no schema here.
struct Findings {
  model::Violations violations;
  std::vector<std::string> unknown;
};
Findings CheckOffline(const Document& document);

// kNotFound: the document is empty. kInvalid reads as Kuma prints it after "resource[<index>]: ".
base::Result<Document> ParseDocument(std::string_view text);

}  // namespace kuma::cli
