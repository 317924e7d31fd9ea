#pragma once

// What was measured: samples by piece, size and name; their medians as a table and as JSON.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/value.h"

namespace kuma::bench {

// Confined to one thread.
class Report {
 public:
  // One sample. `piece` is "table 1000x100", `name` is "edit.cpu_s"; the unit is behind the last
  // underscore.
  void Add(const std::string& piece, const std::string& name, double sample);
  // The text that another program printed.
  void AddText(const std::string& piece, const std::string& text);
  double Median(const std::string& piece, const std::string& name) const;  // 0: no sample

  void PrintTable() const;
  model::Value ToValue() const;

 private:
  struct Measured {
    std::vector<std::pair<std::string, std::vector<double>>> rows;  // in order of appearance
    std::string text;
  };
  std::vector<std::pair<std::string, Measured>> pieces_;

  Measured& Of(const std::string& piece);
};

double Median(std::vector<double> samples);
// Of a sorted list; 0 if it is empty.
double Percentile(const std::vector<double>& sorted, double share);

}  // namespace kuma::bench
