#pragma once

// Certificates of admin listeners from the authority of the control plane (GlobalSecret
// envoy-admin-ca).

#include <functional>
#include <memory>

#include "generate/generate.h"
#include "identity/certificates.h"
#include "model/resource.h"

namespace kuma::generate {

// `now`: thread-safe; decides the epoch of a certificate and nothing else.
AdminAuthority AdminAuthorityOf(std::shared_ptr<const identity::CertificateAuthority> authority,
                                std::function<model::WallTime()> now);

}  // namespace kuma::generate
