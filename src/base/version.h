#pragma once

#include <string_view>

namespace kuma::base {

// What the three binaries report. `version` is the Kuma API that we serve.
struct BuildVersion {
  std::string_view product;  // "Kuma", as tools of Kuma expect it
  std::string_view version;
  std::string_view git_tag;
  std::string_view git_commit;
  std::string_view build_date;
};
const BuildVersion& Version();

}  // namespace kuma::base
