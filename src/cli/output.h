#pragma once

// How results are printed: tables, JSON, YAML, ages.

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/value.h"
#include "runtime/clock.h"

namespace kuma::cli {

enum class OutputFormat { kTable, kYaml, kJson };
// kInvalid: unknown output format "<x>".
base::Result<OutputFormat> ParseOutputFormat(std::string_view text);

// Left aligned columns, three spaces apart. Nothing without headers.
struct Table {
  std::vector<std::string> headers;
  std::vector<std::vector<std::string>> rows;
  std::string footer;  // after an empty line; or empty

  void Print(std::ostream& out) const;
};

// JSON in the order of the value, indented by two spaces; YAML with sorted keys. REQUIRES: not
// kTable.
void PrintValue(const model::Value& value, OutputFormat format, std::ostream& out);

// The time since an RFC 3339 text in its largest unit, rounded down: "5s", "3m", "2h", "10d", "1y";
// "never" if there is none.
std::string Age(std::string_view time, runtime::WallTime now);

}  // namespace kuma::cli
