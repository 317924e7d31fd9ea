// kuma_conformance [-v] [SUITE...]: runs the suites of suites.def on the recorded vectors, prints
// passed and total of each and what failed. Exit code 1 when a case fails that not_yet.txt does not
// list, or one passes that it lists.

#include <cstdio>
#include <map>
#include <set>

#include "base/format.h"
#include "base/strings.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance {

#define SUITE(name, folder)                \
  namespace name {                         \
  void Run(const fs::path&, SuiteReport&); \
  }
#include "tests/conformance/suites.def"
#undef SUITE

namespace {

struct Suite {
  std::string folder;
  void (*run)(const fs::path&, SuiteReport&);
  std::string name() const { return fs::path(folder).filename().string(); }
};

const Suite kSuites[] = {
#define SUITE(name, folder) {folder, &name::Run},
#include "tests/conformance/suites.def"
#undef SUITE
};

// What not_yet.txt says: cases and their reasons.
class NotYet {
 public:
  // Prints what is wrong with the file; false then.
  bool Load(const fs::path& file) {
    bool good = fs::exists(file);
    if (!good)
      std::printf("%s is absent: run it in the source folder or set KUMA_SOURCE_DIR\n",
                  file.c_str());
    for (const std::string& line : base::Split(ReadText(file), '\n')) {
      if (base::Trim(line).empty() || line.starts_with('#')) continue;
      const size_t colon = line.find(": ");
      if (colon == std::string::npos || base::Trim(line.substr(colon + 2)).empty()) {
        std::printf("not_yet.txt: no reason in \"%s\"\n", line.c_str());
        good = false;
        continue;
      }
      reasons_[line.substr(0, colon)] = base::Trim(line.substr(colon + 2));
    }
    return good;
  }
  // Null when the case is not listed.
  const std::string* Find(const std::string& name) const {
    for (const auto& [listed, reason] : reasons_) {
      const bool fits =
          listed.ends_with('*')
              ? name.starts_with(std::string_view(listed).substr(0, listed.size() - 1))
              : name == listed;
      if (fits) return &reason;
    }
    return nullptr;
  }

 private:
  std::map<std::string, std::string> reasons_;
};

void PrintIndented(const std::string& text) {
  for (const std::string& line : base::Split(base::Trim(text), '\n'))
    std::printf("    %s\n", line.c_str());
}

// Returns the number of failures.
int RunSuite(const Suite& suite, const fs::path& folder, const NotYet& not_yet, bool verbose) {
  SuiteReport report;
  suite.run(folder, report);
  int passed = 0, waiting = 0, failures = 0;
  std::set<std::string> seen;
  for (const auto& [case_name, difference] : report.entries()) {
    const std::string name = suite.name() + "/" + case_name;
    const std::string* reason = not_yet.Find(name);
    passed += difference.empty() ? 1 : 0;
    if (!seen.insert(case_name).second) {
      ++failures;
      std::printf("  FAILED %s: two cases of this name\n", name.c_str());
    } else if (difference.empty() && reason != nullptr) {
      ++failures;
      std::printf("  FAILED %s: passes, but not_yet.txt lists it\n", name.c_str());
    } else if (!difference.empty() && reason != nullptr) {
      ++waiting;
      if (verbose) {
        std::printf("  not yet %s: %s\n", name.c_str(), reason->c_str());
        PrintIndented(difference);
      }
    } else if (!difference.empty()) {
      ++failures;
      std::printf("  FAILED %s\n", name.c_str());
      PrintIndented(difference);
    }
  }
  if (report.entries().empty()) {
    ++failures;
    std::printf("  FAILED %s: no case found\n", suite.name().c_str());
  }
  std::printf("%-22s %4d/%zu passed", suite.name().c_str(), passed, report.entries().size());
  if (waiting > 0) std::printf(", %d not yet ours", waiting);
  if (failures > 0) std::printf(", %d FAILED", failures);
  std::printf("\n");
  std::fflush(stdout);
  return failures;
}

int Main(const std::vector<std::string>& args) {
  bool verbose = false;
  std::set<std::string> chosen;
  for (const std::string& arg : args) {
    if (arg == "-v")
      verbose = true;
    else
      chosen.insert(arg);
  }
  const fs::path root = VectorFolder();
  if (!fs::exists(root)) {
    std::printf("SKIPPED: no conformance vectors at %s\n", root.lexically_normal().c_str());
    return 0;
  }
  NotYet not_yet;
  int failures = not_yet.Load(SourceFolder() / "tests" / "conformance" / "not_yet.txt") ? 0 : 1;
  const bool all = chosen.empty();
  for (const Suite& suite : kSuites) {
    if (!all && chosen.erase(suite.name()) == 0) continue;
    const fs::path folder = root / suite.folder;
    if (fs::exists(folder))
      failures += RunSuite(suite, folder, not_yet, verbose);
    else
      std::printf("%-22s SKIPPED: no vectors at %s\n", suite.name().c_str(),
                  folder.lexically_normal().c_str());
  }
  for (const std::string& name : chosen) {
    ++failures;
    std::printf("there is no suite %s\n", name.c_str());
  }
  std::printf("%s\n", failures == 0 ? "all suites as expected"
                                    : base::Format("{} FAILED", failures).c_str());
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kuma::conformance

int main(int argc, char** argv) { return kuma::conformance::Main({argv + 1, argv + argc}); }
