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

enum class OutputFormat { kTable, kWide, kYaml, kJson };  // kWide: a table with all columns
// kInvalid: unknown output format "<x>".
base::Result<OutputFormat> ParseOutputFormat(std::string_view text);
// For flags: table, wide, yaml, json.
const std::vector<std::string>& OutputFormats();
constexpr bool IsTable(OutputFormat format) {
  return format == OutputFormat::kTable || format == OutputFormat::kWide;
}

// Left aligned columns, three spaces apart. Nothing without headers.
struct Table {
  std::vector<std::string> headers;
  std::vector<std::vector<std::string>> rows;
  std::string footer;  // after an empty line; or empty

  void Print(std::ostream& out) const;
  // Leaves out columns, in this order, until a line fits into `width` characters, and says so in
  // the footer. Width 0 fits all.
  void Fit(size_t width, const std::vector<std::string>& least_wanted_first);

 private:
  std::vector<size_t> Widths() const;
};

// JSON in the order of the value, indented by two spaces; YAML with sorted keys. REQUIRES: no
// table.
void PrintValue(const model::Value& value, OutputFormat format, std::ostream& out);
// The same of one resource; in YAML the metadata of a kind without `spec` stands before the rest.
void PrintResource(const model::Value& resource, OutputFormat format, std::ostream& out);

// The time since an RFC 3339 text in its largest unit, rounded down: "5s", "3m", "2h", "10d", "1y";
// "never" if there is none.
std::string Age(std::string_view time, runtime::WallTime now);
// "2020-05-08 08:28:22" of an RFC 3339 text; "-" if there is none.
std::string Date(std::string_view time);

// Members of JSON answers: text or "", a whole number (also one in quotes) or 0.
std::string TextOf(const model::Value* value);
int64_t NumberOf(const model::Value* value);
// "a=b c=d", sorted.
std::string LabelsText(const model::Value* labels);

}  // namespace kuma::cli
