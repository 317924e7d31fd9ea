// Tokens. The input is taken as a whole token, and as header, claims and signature that are encoded here. Nobody gets in
// without the key.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "identity/tokens.h"

namespace {

using namespace kuma;  // NOLINT: one small program

std::string Base64Url(std::string_view text) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63];
  }
  if (count > 0) out += kDigits[bits << (6 - count) & 63];
  return out;
}

struct Setup {
  Setup() {
    auto key = identity::RsaKey::Generate();
    CHECK(key.has_value(), "a key");
    keys.Add({"1", *key});
  }
  identity::TokenKeys keys;
  identity::Revocations revoked;
};

void Check(std::string_view token, const identity::Checking& checking) {
  CHECK(!identity::CheckDataplaneToken(token, checking).has_value(), "not signed by us");
  CHECK(!identity::CheckZoneToken(token, checking).has_value(), "not signed by us");
  CHECK(!identity::CheckUserToken(token, checking).has_value(), "not signed by us");
  (void)identity::ClaimedMesh(token);
  (void)identity::LooksLike(token);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const Setup setup;
  const identity::Checking checking{setup.keys, setup.revoked,
                                    model::WallTime(std::chrono::hours(500'000))};
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  Check(text, checking);
  const size_t first = text.find('\n');
  const size_t second = first == std::string_view::npos ? first : text.find('\n', first + 1);
  if (second != std::string_view::npos) {
    Check(Base64Url(text.substr(0, first)) + "." +
              Base64Url(text.substr(first + 1, second - first - 1)) + "." +
              Base64Url(text.substr(second + 1)),
          checking);
  }
  (void)identity::ParseRevocations(text);
  return 0;
}
