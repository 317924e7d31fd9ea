// Keys, certificates and authorities as users and stores give them: PEM and DER.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "identity/certificates.h"
#include "identity/keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace kuma::identity;  // NOLINT: one small program
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto key = RsaKey::Read(text); key.has_value()) {
    const auto again = RsaKey::Read(key->PublicPem());
    CHECK(again.has_value() && again->SamePublicKey(*key), "a key is read as it was written");
    CHECK(!key->Verify("text", "signature"), "no signature of it");
  } else {
    CHECK(!key.error().message().empty(), "an error says something");
  }
  if (const auto authority = CertificateAuthority::Read(text); authority.has_value()) {
    const auto again = CertificateAuthority::Read(authority->ToSecret().Reveal());
    CHECK(again.has_value() && again->certificate() == authority->certificate(),
          "an authority is read as it was written");
  }
  (void)IsCa(text).has_value();
  (void)CoversHost(text, "kuma-cp").has_value();
  (void)CoversHost(text, "127.0.0.1").has_value();
  if (const auto validity = ValidityOf(text); validity.has_value()) {
    (void)(validity->not_before < validity->not_after);
  }
  return 0;
}
