#include "cli/output.h"

#include <algorithm>
#include <chrono>
#include <ostream>

#include "base/format.h"
#include "model/duration.h"

namespace kuma::cli {

base::Result<OutputFormat> ParseOutputFormat(std::string_view text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "yaml") return OutputFormat::kYaml;
  if (text == "json") return OutputFormat::kJson;
  return base::Invalid(base::Format("unknown output format \"{}\"", text));
}

void Table::Print(std::ostream& out) const {
  if (!headers.empty()) {
    std::vector<size_t> widths;
    for (const std::string& header : headers) widths.push_back(header.size());
    for (const auto& row : rows) {
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    const auto print = [&](const std::vector<std::string>& row) {
      for (size_t i = 0; i < row.size(); ++i) {
        out << row[i];
        if (i + 1 < row.size()) out << std::string(widths[i] - row[i].size() + 3, ' ');
      }
      out << "\n";
    };
    print(headers);
    for (const auto& row : rows) print(row);
  }
  if (!footer.empty()) out << "\n" << footer << "\n";
}

void PrintValue(const model::Value& value, OutputFormat format, std::ostream& out) {
  std::string text =
      format == OutputFormat::kYaml ? model::ToYaml(model::Sorted(value)) : model::ToJson(value, 2);
  if (!text.ends_with('\n')) text += '\n';
  out << text;
}

std::string Age(std::string_view time, runtime::WallTime now) {
  using namespace std::chrono;
  if (time.empty()) return "never";
  nanoseconds age =
      nanoseconds::max();  // also of a time before what the clock can say, such as the year 1
  if (!time.starts_with("0001-")) {
    const auto parsed = model::ParseRfc3339(time);
    if (!parsed) return "never";
    age = duration_cast<nanoseconds>(now - *parsed);
  }
  if (age < -seconds(1)) return "never";
  if (age < seconds(1)) return "0s";
  if (age < minutes(1)) return base::Format("{}s", duration_cast<seconds>(age).count());
  if (age < hours(1)) return base::Format("{}m", duration_cast<minutes>(age).count());
  const auto whole_hours = duration_cast<hours>(age).count();
  if (whole_hours < 24) return base::Format("{}h", whole_hours);
  if (whole_hours < 24 * 365) return base::Format("{}d", whole_hours / 24);
  return base::Format("{}y", whole_hours / (24 * 365));
}

}  // namespace kuma::cli
