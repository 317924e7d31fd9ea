#pragma once

// RSA keys: what tokens are signed with and what certificate authorities hold.

#include <memory>
#include <string>
#include <string_view>

#include "base/redacted.h"
#include "base/result.h"

namespace kuma::identity {

using SecretText = base::Redacted<std::string>;

// A private or public RSA key of at least 2048 bits. Immutable; copies share the key; thread-safe.
class RsaKey {
 public:
  // 2048 bits. Takes some tens of milliseconds.
  static base::Result<RsaKey> Generate();
  // PEM (PKCS#1 or PKCS#8 private, PKCS#1 or SubjectPublicKeyInfo public, the key of an X.509
  // certificate) or DER of the same; text before the PEM block is skipped. kInvalid says what is
  // wrong, never what was in it.
  static base::Result<RsaKey> Read(std::string_view bytes);

  bool has_private() const;
  // "BEGIN RSA PRIVATE KEY". REQUIRES: has_private().
  SecretText PrivatePem() const;
  // "BEGIN RSA PUBLIC KEY", as `kumactl generate public-key` prints.
  std::string PublicPem() const;

  // RSASSA-PKCS1-v1_5 with SHA-256 (RS256); deterministic. REQUIRES: has_private().
  std::string Sign(std::string_view text) const;
  bool Verify(std::string_view text, std::string_view signature) const;

  bool SamePublicKey(const RsaKey& other) const;

  struct State;  // OpenSSL's; internal
  const State& state() const { return *state_; }

 private:
  explicit RsaKey(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace kuma::identity
