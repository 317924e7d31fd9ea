// Short texts in resources: durations, times, KRIs, names, labels, addresses, SNIs.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "model/address.h"
#include "model/duration.h"
#include "model/kri.h"
#include "model/names.h"
#include "model/sni.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace kuma::model;  // NOLINT: one small program
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto duration = ParseDuration(text)) {
    CHECK(ParseDuration(ToString(*duration)) == duration, "a duration is read as it was written");
  }
  if (const auto time = ParseRfc3339(text)) {
    CHECK(ParseRfc3339(ToRfc3339(*time)) == time, "a time is read as it was written");
  }
  if (const auto kri = ParseKri(text); kri.has_value()) {
    const auto again = ParseKri(kri->ToString());
    CHECK(again.has_value() && *again == *kri, "a KRI is read as it was written");
    if (const auto sni = SniOf(*kri); sni.has_value()) {
      CHECK(sni->size() <= 253, "an SNI is a DNS name");
    }
  }
  CHECK(IsRfc1123Subdomain(text) == CheckRfc1123Subdomain(text).empty(), "the same answer");
  CHECK(IsRfc1035Label(text) == CheckRfc1035Label(text).empty(), "the same answer");
  CHECK(IsQualifiedName(text) == CheckQualifiedName(text).empty(), "the same answer");
  CHECK(IsLabelValue(text) == CheckLabelValue(text).empty(), "the same answer");
  CHECK(!IsRfc1123Label(text) || IsRfc1123Subdomain(text), "a label is a subdomain");
  CHECK(HashedName(text, text, text, text).size() <= 253, "a hashed name is a name");
  if (IsIpAddress(text)) {
    CHECK(SameIpAddress(text, text), "an address equals itself");
  } else {
    CHECK(!IsIpv6Address(text) && !IsUnspecifiedAddress(text), "no address");
  }
  return 0;
}
