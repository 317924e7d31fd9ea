#pragma once

// The part of Go's text/template that hostnames and SPIFFE IDs are written in: text, fields ({{
// .Mesh }}), labels
// ({{ label "team" }}), string literals, comments and trim markers ({{- -}}).

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/resource.h"

namespace kuma::derive {

struct TemplateFields {
  std::string_view type_name;  // of Go's struct, for messages: "hostname.meshedName"
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  const model::Labels* labels = nullptr;
};

// kInvalid: the template is malformed or uses what is not supported. kNotFound: a field or label is
// absent. Messages are those of text/template where it has the same error.
base::Result<std::string> ExpandTemplate(std::string_view text, const TemplateFields& fields);

}  // namespace kuma::derive
