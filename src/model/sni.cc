#include "model/sni.h"

#include <vector>

#include "base/format.h"
#include "base/strings.h"
#include "model/names.h"

namespace kuma::model {

base::Result<std::string> SniOf(const Kri& id) {
  constexpr size_t max_length = 253;
  std::vector<std::string> wrong;
  if (id.short_name != "msvc" && id.short_name != "extsvc" && id.short_name != "mzsvc")
    wrong.push_back(base::Format("resource type with short name \"{}\" has no SNI", id.short_name));
  std::string sni = "sni." + id.short_name;
  const auto add = [&](std::string_view what, const std::string& part) {
    if (part.empty())
      wrong.push_back(base::Format("{} is required", what));
    else if (!IsRfc1123Label(part))
      wrong.push_back(base::Format("{} \"{}\" is not a valid DNS label", what, part));
    sni += "." + part;
  };
  add("mesh", id.mesh);
  if (!id.zone.empty()) add("zone", id.zone);
  if (!id.zone.empty() && !id.ns.empty()) add("namespace", id.ns);
  add("name", id.name);
  add("section name", id.section);
  if (sni.size() > max_length)
    wrong.push_back(
        base::Format("computed SNI is {} characters which exceeds the DNS hostname limit ({})",
                     sni.size(), max_length));
  if (!wrong.empty()) return base::Invalid(base::Join(wrong, "; "));
  return sni;
}

}  // namespace kuma::model
