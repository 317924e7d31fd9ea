#include "app/first_start.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/format.h"
#include "base/log.h"
#include "identity/tokens.h"
#include "model/describe.h"
#include "resources/config/config.h"
#include "resources/global_secret/global_secret.h"
#include "rest/access.h"
#include "rest/secrets.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("start");
constexpr std::string_view kAdminToken = "admin-user-token";
constexpr std::string_view kAdminCa = "envoy-admin-ca";
constexpr std::string_view kInterCpCa = "inter-cp-ca";
constexpr std::string_view kClusterId = "kuma-cluster-id";

using MakeBytes = std::function<base::Result<std::string>()>;

model::Metadata Named(const model::ResourceType& type, std::string_view name,
                      const model::ControlPlane& here) {
  model::Metadata meta;
  meta.name = name;
  meta.labels = model::ComputeLabels(type, meta, here);
  return meta;
}

// The data of a GlobalSecret that is made if it is absent. Another instance may make it at the same
// moment: then its counts.
base::Result<std::string> EnsureSecret(store::Store& store, std::string_view name,
                                       const MakeBytes& make) {
  using namespace resources::global_secret;
  const model::ResourceKey key{"GlobalSecret", "", std::string(name)};
  auto found = store.Get(key);
  if (!found && found.error().code() == base::Code::kNotFound) {
    TRY_ASSIGN(std::string bytes, make());
    store::Write write;
    // No label, as Kuma makes them: they belong to this control plane alone.
    model::Metadata meta;
    meta.name = name;
    write.resource = model::MakeResource(Type(), std::move(meta), WithData(std::move(bytes)));
    write.expected = model::Revision{};
    if (auto done = store.Commit({.writes = {std::move(write)}, .cause = {}});
        !done && done.error().code() != base::Code::kConflict) {
      return std::move(done).error().Context(base::Format("create GlobalSecret {}", name));
    }
    found = store.Get(key);
  }
  if (!found) return std::move(found).error().Context(base::Format("read GlobalSecret {}", name));
  return RevealData((*found)->Spec<Spec>());
}

base::Result<std::string> NewKey() {
  TRY_ASSIGN(const identity::RsaKey key, identity::RsaKey::Generate());
  return key.PrivatePem().Reveal();
}

base::Status EnsureKey(store::Store& store, std::string_view prefix) {
  TRY_ASSIGN(const identity::TokenKeys keys, rest::ReadKeys(store, "", prefix));
  if (!keys.empty() || !keys.unreadable().empty()) return base::Ok{};
  TRY_ASSIGN(const std::string made, EnsureSecret(store, base::Format("{}-1", prefix), NewKey));
  return made.empty() ? base::Status(base::Internal("a signing key is empty"))
                      : base::Status(base::Ok{});
}

base::Result<std::string> EnsureClusterId(store::Store& store, runtime::Random& random,
                                          const model::ControlPlane& here) {
  using namespace resources::config;
  const model::ResourceKey key{"Config", "", std::string(kClusterId)};
  auto found = store.Get(key);
  if (!found && found.error().code() == base::Code::kNotFound) {
    store::Write write;
    write.resource =
        model::MakeResource(Type(), Named(Type(), kClusterId, here), Spec{random.Uuid()});
    write.expected = model::Revision{};
    if (auto done = store.Commit({.writes = {std::move(write)}, .cause = {}});
        !done && done.error().code() != base::Code::kConflict) {
      return std::move(done).error().Context("create Config kuma-cluster-id");
    }
    found = store.Get(key);
  }
  if (!found) return std::move(found).error().Context("read Config kuma-cluster-id");
  return (*found)->Spec<Spec>().config;
}

// Names and addresses under which clients may reach this host.
std::vector<std::string> Hosts() {
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) == 0 && name[0] != '\0') hosts.emplace_back(name);
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) == 0) {
    for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr) continue;
      char text[INET6_ADDRSTRLEN] = {};
      const void* address = nullptr;
      if (at->ifa_addr->sa_family == AF_INET) {
        address = &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr;
      } else if (at->ifa_addr->sa_family == AF_INET6) {
        address = &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr;
      }
      if (address != nullptr &&
          inet_ntop(at->ifa_addr->sa_family, address, text, sizeof text) != nullptr &&
          std::find(hosts.begin(), hosts.end(), text) == hosts.end()) {
        hosts.emplace_back(text);
      }
    }
    freeifaddrs(list);
  }
  return hosts;
}

base::Error FileError(std::string_view what, const std::string& path) {
  return base::Unavailable(base::Format("{} {}: {}", what, path, std::strerror(errno)));
}

// Through a temporary file, so that a crash leaves either all of it or nothing.
base::Status WriteFile(const std::string& path, std::string_view text, mode_t mode) {
  const std::string temporary = path + ".tmp";
  unlink(temporary.c_str());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return FileError("write", temporary);
  bool ok = true;
  for (size_t done = 0; ok && done < text.size();) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    ok = n > 0;
    if (ok) done += static_cast<size_t>(n);
  }
  ok = ok && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  errno = error;
  if (!ok || rename(temporary.c_str(), path.c_str()) != 0) return FileError("write", path);
  return base::Ok{};
}

}  // namespace

base::Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError("read", path);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return FileError("read", path);
  return std::move(text).str();
}

base::Result<StartResources> EnsureStartResources(store::Store& store, const runtime::Clock& clock,
                                                  runtime::Random& random,
                                                  const StartSettings& settings) {
  const model::ControlPlane& here = settings.here;
  TRY_ASSIGN(std::string cluster_id, EnsureClusterId(store, random, here));
  if (settings.zone_tokens) TRY(EnsureKey(store, identity::kZoneKeyPrefix));
  if (settings.user_tokens) {
    TRY(EnsureKey(store, identity::kUserKeyPrefix));
    if (settings.bootstrap_admin_token) {
      TRY_ASSIGN(const std::string token,
                 EnsureSecret(store, kAdminToken, [&]() -> base::Result<std::string> {
                   TRY_ASSIGN(const identity::TokenKeys keys,
                              rest::ReadKeys(store, "", identity::kUserKeyPrefix));
                   const std::string admin(rest::kAdmin);
                   return identity::IssueUserToken(
                       {admin, {admin}}, keys,
                       {clock.WallNow(), identity::kDefaultTokenValidity, random.Uuid()});
                 }));
      if (token.empty()) return base::Internal("the admin's token is empty");
    }
  }
  const auto new_authority = [&clock](std::string_view name) {
    return [&clock, name]() -> base::Result<std::string> {
      TRY_ASSIGN(const auto authority,
                 identity::CertificateAuthority::Generate(name, clock.WallNow()));
      return authority.ToSecret().Reveal();
    };
  };
  TRY_ASSIGN(const std::string inter_cp,
             EnsureSecret(store, kInterCpCa, new_authority(identity::kInterCpCaName)));
  if (inter_cp.empty()) return base::Internal("the authority of control planes is empty");
  TRY_ASSIGN(const std::string admin_ca,
             EnsureSecret(store, kAdminCa, new_authority(identity::kEnvoyAdminCaName)));
  auto authority = identity::CertificateAuthority::Read(admin_ca);
  if (!authority) {
    return std::move(authority).error().Context(
        "GlobalSecret envoy-admin-ca is unusable; delete it and start again to get a new one");
  }
  return StartResources{std::move(cluster_id), *std::move(authority)};
}

base::Result<net::KeyPair> ServerCertificate(const std::string& cert_file,
                                             const std::string& key_file,
                                             const std::string& folder) {
  net::KeyPair pair;
  if (!cert_file.empty() || !key_file.empty()) {
    if (cert_file.empty() || key_file.empty()) {
      return base::Invalid(base::Format(
          "a certificate and its key are needed together: certificate \"{}\", key \"{}\"",
          cert_file, key_file));
    }
    pair.cert_file = cert_file;
    pair.key_file = key_file;
    return pair;
  }
  pair.cert_file = folder + "/kuma-cp.crt";
  pair.key_file = folder + "/kuma-cp.key";
  const bool has_cert = access(pair.cert_file.c_str(), F_OK) == 0;
  const bool has_key = access(pair.key_file.c_str(), F_OK) == 0;
  if (has_cert && has_key) return pair;
  const std::vector<std::string> hosts = Hosts();
  TRY_ASSIGN(const net::SelfSigned made, net::MakeSelfSigned(hosts));
  TRY(WriteFile(pair.key_file, made.key_pem.Reveal(), 0600));
  TRY(WriteFile(pair.cert_file, made.cert_pem, 0644));
  kLog.Info("made a self-signed certificate", {{"certificate", pair.cert_file}});
  return pair;
}

}  // namespace kuma::app
