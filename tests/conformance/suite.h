#pragma once

// What a conformance suite sees: its folder of vectors, and a report that it tells every case to. A
// suite is one file in suites/ with one function
//
//   namespace kuma::conformance::NAME { void Run(const fs::path& folder, SuiteReport& report); }
//
// and one line in suites.def. It runs whatever cases it finds in the folder, by any names. No case
// is skipped in silence: what is not ours yet is reported as well and stands in not_yet.txt.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/conformance/comparison.h"

namespace kuma::conformance {

namespace fs = std::filesystem;

// Confined to one thread.
class SuiteReport {
 public:
  struct Entry {
    std::string name;
    std::string difference;  // empty: passed
  };

  // `name` is unique in the suite and says where the case lies ("Mesh/validator-003"). An empty
  // difference is a pass.
  void Case(std::string name, std::string difference) {
    entries_.push_back({std::move(name), std::move(difference)});
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace kuma::conformance
