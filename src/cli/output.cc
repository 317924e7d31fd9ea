#include "cli/output.h"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "model/duration.h"

namespace kuma::cli {

base::Result<OutputFormat> ParseOutputFormat(std::string_view text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "wide") return OutputFormat::kWide;
  if (text == "yaml") return OutputFormat::kYaml;
  if (text == "json") return OutputFormat::kJson;
  return base::Invalid(base::Format("unknown output format \"{}\"", text));
}

const std::vector<std::string>& OutputFormats() {
  static const std::vector<std::string> kFormats = {"table", "wide", "yaml", "json"};
  return kFormats;
}

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths;
  for (const std::string& header : headers) widths.push_back(header.size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  return widths;
}

void Table::Fit(size_t width, const std::vector<std::string>& least_wanted_first) {
  if (width == 0) return;
  std::vector<std::string> left_out;
  for (const std::string& header : least_wanted_first) {
    const std::vector<size_t> widths = Widths();
    size_t line = 3 * (widths.size() - 1);
    for (const size_t column : widths) line += column;
    if (line <= width) break;
    const auto at = std::ranges::find(headers, header);
    if (at == headers.end()) continue;
    const auto column = at - headers.begin();
    headers.erase(at);
    for (auto& row : rows) row.erase(row.begin() + column);
    left_out.push_back(header);
  }
  if (left_out.empty()) return;
  if (!footer.empty()) footer += "\n";
  footer +=
      base::Format("{} columns do not fit and are left out; -o wide shows them", left_out.size());
}

void Table::Print(std::ostream& out) const {
  if (!headers.empty()) {
    const std::vector<size_t> widths = Widths();
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

void PrintResource(const model::Value& resource, OutputFormat format, std::ostream& out) {
  if (format != OutputFormat::kYaml || resource.if_object() == nullptr ||
      resource.Find("spec") != nullptr) {
    PrintValue(resource, format, out);
    return;
  }
  model::Object head, rest;
  for (const auto& [key, value] : *resource.if_object()) {
    static const std::set<std::string_view> kHead = {
        "type", "mesh", "name", "creationTime", "modificationTime", "labels", "kri"};
    (kHead.contains(key) ? head : rest).Set(key, value);
  }
  PrintValue(head, format, out);
  if (!rest.empty()) PrintValue(rest, format, out);
}

std::string TextOf(const model::Value* value) {
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : "";
}

int64_t NumberOf(const model::Value* value) {
  if (value == nullptr) return 0;
  if (value->if_int() != nullptr) return *value->if_int();
  return value->if_string() != nullptr ? base::ParseInt(*value->if_string()).value_or(0) : 0;
}

std::string LabelsText(const model::Value* labels) {
  std::vector<std::string> pairs;
  if (labels != nullptr && labels->if_object() != nullptr) {
    const model::Value sorted = model::Sorted(*labels);
    for (const auto& [key, value] : *sorted.if_object())
      pairs.push_back(key + "=" + TextOf(&value));
  }
  return base::Join(pairs, " ");
}

std::string Date(std::string_view time) {
  const auto parsed = model::ParseRfc3339(time);
  if (!parsed) return "-";
  std::string text = model::ToRfc3339(std::chrono::floor<std::chrono::seconds>(*parsed));
  text.resize(19);
  text[10] = ' ';
  return text;
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
