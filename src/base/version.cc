#include "base/version.h"

namespace kuma::base {

const BuildVersion& Version() {
  // The commit and date stay out of the build, so that equal sources give equal binaries.
  static constexpr BuildVersion kVersion{"Kuma", "3.0.0", "v3.0.0", "unknown", "unknown"};
  return kVersion;
}

}  // namespace kuma::base
