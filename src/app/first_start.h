#pragma once

// What a control plane needs before it serves, made once and kept: keys, authorities, the admin's
// token, the id of the cluster, the certificate of the data plane port.

#include <string>

#include "base/result.h"
#include "identity/certificates.h"
#include "model/labels.h"
#include "model/resource_type.h"
#include "net/tls.h"
#include "runtime/clock.h"
#include "runtime/random.h"
#include "store/store.h"

namespace kuma::app {

struct StartSettings {
  bool user_tokens = true;  // user-token-signing-key-1 and, if asked for, admin-user-token
  bool bootstrap_admin_token = true;
  bool zone_tokens = true;  // zone-token-signing-key-1
  model::ControlPlane here;
};

struct StartResources {
  std::string cluster_id;
  identity::CertificateAuthority admin_ca;
};

// Creates what is missing among the global resources, one transaction each; what is there stays.
// Blocks.
base::Result<StartResources> EnsureStartResources(store::Store& store, const runtime::Clock& clock,
                                                  runtime::Random& random,
                                                  const StartSettings& settings);

// Names a certificate and key in files: the configured ones, or `<folder>/kuma-cp.{crt,key}`, made
// now if absent (ECDSA, for localhost, the loopback addresses and this host's name and addresses;
// the key is readable by its owner only).
base::Result<net::KeyPair> ServerCertificate(const std::string& cert_file,
                                             const std::string& key_file,
                                             const std::string& folder);

// The whole text of a file. kUnavailable names the path and the reason.
base::Result<std::string> ReadFile(const std::string& path);

}  // namespace kuma::app
