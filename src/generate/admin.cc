#include "generate/admin.h"

namespace kuma::generate {

AdminAuthority AdminAuthorityOf(std::shared_ptr<const identity::CertificateAuthority> authority,
                                std::function<model::WallTime()> now) {
  AdminAuthority result;
  result.ca_pem = authority->certificate();
  result.epoch = [now = std::move(now)](std::string_view address) {
    return identity::EpochOf(address, now());
  };
  result.certificate = [authority = std::move(authority)](
                           std::string_view address, int64_t epoch) -> base::Result<AdminPair> {
    TRY_ASSIGN(identity::KeyPair pair,
               identity::AdminServerCertificate(*authority, address, epoch));
    return AdminPair{std::move(pair.certificate), std::move(pair.key)};
  };
  return result;
}

}  // namespace kuma::generate
