// Tables, JSON and YAML as kumactl prints them: every golden file, read and printed again.

#include <sstream>

#include "base/strings.h"
#include "cli/output.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::kumactl_output {
namespace {

// Cells of a line stand three or more spaces apart.
std::vector<std::string> CellsOf(const std::string& line) {
  std::vector<std::string> cells;
  for (size_t at = 0; at < line.size();) {
    const size_t end = std::min(line.find("   ", at), line.size());
    cells.push_back(line.substr(at, end - at));
    at = std::min(line.find_first_not_of(' ', end), line.size());
  }
  return cells;
}

std::string PrintTable(const std::string& text) {
  cli::Table table;
  for (const std::string& line : base::Split(text, '\n')) {
    if (line.empty()) continue;
    if (table.headers.empty())
      table.headers = CellsOf(line);
    else
      table.rows.push_back(CellsOf(line));
  }
  std::ostringstream out;
  table.Print(out);
  return out.str();
}

std::string PrintValue(const fs::path& file, bool yaml) {
  const auto documents =
      yaml ? ReadYaml(file) : base::Result<std::vector<model::Value>>(base::Invalid(""));
  const auto json = yaml ? base::Result<model::Value>(base::Invalid("")) : ReadJson(file);
  model::Value value;
  if (documents.has_value() && !documents->empty()) value = documents->front();
  if (json.has_value()) value = *json;
  std::ostringstream out;
  cli::PrintValue(value, yaml ? cli::OutputFormat::kYaml : cli::OutputFormat::kJson, out);
  return out.str();
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& file : FilesIn(folder, ".golden.txt", true)) {
    const std::string text = ReadText(file);
    report.Case("table/" + file.stem().stem().string(),
                TextDifference(base::Trim(PrintTable(text)), base::Trim(text)));
  }
  for (const std::string format : {"json", "yaml"}) {
    for (const fs::path& file : FilesIn(folder, ".golden." + format, true)) {
      report.Case(format + "/" + file.stem().stem().string(),
                  TextDifference(base::Trim(PrintValue(file, format == "yaml")),
                                 base::Trim(ReadText(file))));
    }
  }
}

}  // namespace kuma::conformance::kumactl_output
