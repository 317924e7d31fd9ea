#include "tests/bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/format.h"
#include "tests/bench/budgets.h"

namespace kuma::bench {
namespace {

std::string Number(double value) {
  const double size = std::fabs(value);
  if (value == std::floor(value) && size < 1e9) return base::Format("{:.0f}", value);
  return size >= 100 ? base::Format("{:.0f}", value)
         : size >= 1 ? base::Format("{:.2f}", value)
                     : base::Format("{:.4f}", value);
}

}  // namespace

double Median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

double Percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

Report::Measured& Report::Of(const std::string& piece) {
  for (auto& [name, measured] : pieces_) {
    if (name == piece) return measured;
  }
  return pieces_.emplace_back(piece, Measured{}).second;
}

void Report::Add(const std::string& piece, const std::string& name, double sample) {
  Measured& measured = Of(piece);
  for (auto& [row, samples] : measured.rows) {
    if (row == name) return samples.push_back(sample);
  }
  measured.rows.push_back({name, {sample}});
}

void Report::AddText(const std::string& piece, const std::string& text) { Of(piece).text += text; }

double Report::Median(const std::string& piece, const std::string& name) const {
  for (const auto& [known, measured] : pieces_) {
    if (known != piece) continue;
    for (const auto& [row, samples] : measured.rows) {
      if (row == name) return bench::Median(samples);
    }
  }
  return 0;
}

void Report::PrintTable() const {
  for (const auto& [piece, measured] : pieces_) {
    std::printf("\n%s\n", piece.c_str());
    if (!measured.rows.empty()) {
      std::printf("  %-38s %12s %25s %12s %12s\n", "", "median", "smallest .. largest", "budget",
                  "Kuma");
    }
    for (const auto& [name, samples] : measured.rows) {
      const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
      const Budget* budget = FindBudget(piece, name);
      const double median = bench::Median(samples);
      std::printf(
          "  %-38s %12s %25s %12s %12s%s\n", name.c_str(), Number(median).c_str(),
          samples.size() == 1 ? "" : base::Format("{} .. {}", Number(*low), Number(*high)).c_str(),
          budget != nullptr && budget->ours ? Number(*budget->ours).c_str() : "",
          budget != nullptr && budget->kuma ? Number(*budget->kuma).c_str() : "",
          budget != nullptr && budget->ours && median > *budget->ours ? "  MISSED" : "");
    }
    if (!measured.text.empty()) std::printf("%s", measured.text.c_str());
  }
}

model::Value Report::ToValue() const {
  model::Object pieces;
  for (const auto& [piece, measured] : pieces_) {
    model::Object rows;
    for (const auto& [name, samples] : measured.rows) {
      model::Object row{{"median", bench::Median(samples)},
                        {"samples", model::Array(samples.begin(), samples.end())}};
      if (const Budget* budget = FindBudget(piece, name)) {
        if (budget->ours) row.Set("budget", *budget->ours);
        if (budget->kuma) row.Set("kuma", *budget->kuma);
      }
      rows.Set(name, std::move(row));
    }
    if (!measured.text.empty()) rows.Set("text", measured.text);
    pieces.Set(piece, std::move(rows));
  }
  return pieces;
}

}  // namespace kuma::bench
