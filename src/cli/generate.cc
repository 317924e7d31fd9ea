#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/config_file.h"
#include "identity/certificates.h"
#include "identity/tokens.h"
#include "model/duration.h"
#include "model/value.h"
#include "runtime/random.h"

namespace kuma::cli {
namespace {

using model::Array;
using model::Object;

struct Options {
  std::string name, mesh = "default", proxy_type, workload, zone, valid_for, kid, signing_key_path;
  StringMap tags;
  Strings groups, scope;
};

Array ToArray(const Strings& texts) { return Array(texts.begin(), texts.end()); }

using Sign =
    std::function<base::Result<std::string>(const identity::TokenKeys&, const identity::Issuing&)>;

// Without a server, with the private key of a file.
base::Status SignHere(Invocation& invocation, const Options& options, const Sign& sign) {
  if (options.signing_key_path.empty() || options.kid.empty()) {
    return base::Invalid(
        "--signing-key-path and --kid belong together: the private key, and the id by which the "
        "control plane knows its public key");
  }
  const auto valid_for = model::ParseDuration(options.valid_for);
  if (!valid_for || valid_for->value <= std::chrono::nanoseconds(0)) {
    return base::Invalid(
        options.valid_for.empty()
            ? "--valid-for is needed to sign without a server, for example 720h"
            : base::Format("invalid argument \"{}\" for \"--valid-for\" flag: not a "
                           "duration such as 720h",
                           options.valid_for));
  }
  TRY_ASSIGN(const std::string pem, ReadFile(options.signing_key_path));
  auto key = identity::RsaKey::Read(pem);
  if (!key.has_value()) return std::move(key).error().Context(options.signing_key_path);
  if (!key->has_private())
    return base::Invalid(options.signing_key_path + ": this is a public key; a private one signs");
  identity::TokenKeys keys;
  keys.Add({.kid = options.kid, .key = *std::move(key)});
  runtime::SystemRandom random;
  TRY_ASSIGN(
      const std::string token,
      sign(keys, {.now = invocation.environment().clock.WallNow(),
                  .valid_for = std::chrono::duration_cast<std::chrono::seconds>(valid_for->value),
                  .id = random.Uuid(),
                  .kid = options.kid}));
  invocation.out() << token;
  return base::Ok{};
}

base::Status Issue(Invocation& invocation, const Options& options, std::string_view kind,
                   Object body, const Sign& sign) {
  if (!options.signing_key_path.empty() || !options.kid.empty())
    return SignHere(invocation, options, sign);
  body.Set("validFor", options.valid_for);
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  auto reply = server->Call("POST", base::Format("/tokens/{}", kind), model::ToJson(body));
  const std::string failed = base::Format("failed to generate a {} token", kind);
  if (!reply.has_value()) return std::move(reply).error().Context(failed);
  if (!reply->ok()) return base::Invalid(base::Format("{}: {}", failed, DescribeFailure(*reply)));
  invocation.out() << reply->body;
  if (const std::string* valid_for = reply->headers.Find("kuma-token-valid-for");
      options.valid_for.empty() && valid_for != nullptr) {
    invocation.err() << base::Format("The token is valid for {}; --valid-for sets another time\n",
                                     *valid_for);
  }
  return base::Ok{};
}

base::Status DataplaneToken(Invocation& invocation, const Options& options) {
  Object tags;
  identity::DataplaneClaims claims{.name = options.name,
                                   .mesh = options.mesh,
                                   .tags = {},
                                   .type = options.proxy_type,
                                   .workload = options.workload};
  for (const auto& [key, values] : options.tags) {
    claims.tags[key] = base::Split(values, ',');
    tags.Set(key, ToArray(claims.tags[key]));
  }
  return Issue(invocation, options, "dataplane",
               Object{{"name", options.name},
                      {"mesh", options.mesh},
                      {"tags", std::move(tags)},
                      {"type", options.proxy_type},
                      {"workload", options.workload}},
               [&claims](const identity::TokenKeys& keys, const identity::Issuing& issuing) {
                 return identity::IssueDataplaneToken(claims, keys, issuing);
               });
}

// --- Keys and certificates

base::Status SigningKey(Invocation& invocation, const std::string& format) {
  if (format != "pem" && format != "pem-base64") {
    return base::Invalid(base::Format(
        "invalid argument \"{}\" for \"--format\" flag: one of pem-base64, pem", format));
  }
  TRY_ASSIGN(const identity::RsaKey key, identity::RsaKey::Generate());
  const identity::SecretText pem = key.PrivatePem();
  invocation.out() << (format == "pem" ? pem.Reveal() : base::EncodeBase64(pem.Reveal()));
  return base::Ok{};
}

base::Status PublicKey(Invocation& invocation, const std::string& path) {
  TRY_ASSIGN(const std::string pem, ReadFile(path));
  auto key = identity::RsaKey::Read(pem);
  if (!key.has_value()) return std::move(key).error().Context(path);
  invocation.out() << key->PublicPem();
  return base::Ok{};
}

struct CertificateOptions {
  std::string type, key_type = "rsa", cert_file = "cert.pem", key_file = "key.pem";
  Strings hosts;
};

base::Status WritePem(Invocation& invocation, const std::string& path, const std::string& pem,
                      std::string_view what) {
  if (path == "-") {
    invocation.out() << pem;
    return base::Ok{};
  }
  TRY(WritePrivateFile(path, pem));
  invocation.out() << base::Format("{} saved in {}\n", what, path);
  return base::Ok{};
}

base::Status TlsCertificate(Invocation& invocation, const CertificateOptions& options) {
  if (options.type != "server" && options.type != "client") {
    return base::Invalid(base::Format(
        "invalid argument \"{}\" for \"--type\" flag: one of client, server", options.type));
  }
  if (options.key_type != "rsa" && options.key_type != "ecdsa") {
    return base::Invalid(base::Format(
        "invalid argument \"{}\" for \"--key-type\" flag: one of rsa, ecdsa", options.key_type));
  }
  if (options.hosts.empty())
    return base::Invalid("at least one hostname must be given: --hostname=HOST1[,HOST2...]");
  TRY_ASSIGN(
      const identity::KeyPair pair,
      identity::SelfSignedCertificate(options.type == "server" ? identity::CertificateUse::kServer
                                                               : identity::CertificateUse::kClient,
                                      options.key_type == "rsa" ? identity::CertificateKey::kRsa
                                                                : identity::CertificateKey::kP256,
                                      options.hosts, invocation.environment().clock.WallNow()));
  TRY(WritePem(invocation, options.key_file, pair.key.Reveal(), "Private key"));
  return WritePem(invocation, options.cert_file, pair.certificate, "Certificate");
}

void AddKeys(Invocation& invocation, Command& group) {
  const auto add = [&](std::string name, std::string help, std::vector<Flag> flags,
                       std::function<base::Status(const Strings&)> run, std::string example) {
    group.children.push_back({.name = std::move(name),
                              .aliases = {},
                              .arguments = "",
                              .help = std::move(help),
                              .flags = std::move(flags),
                              .children = {},
                              .run = std::move(run),
                              .first_argument = {},
                              .example = std::move(example)});
  };
  const auto format = std::make_shared<std::string>("pem-base64");
  add(
      "signing-key", "Generate signing keys",
      {{.name = "format",
        .help = "output format",
        .target = format.get(),
        .values = {"pem-base64", "pem"}}},
      [&invocation, format](const Strings&) { return SigningKey(invocation, *format); },
      "  # A new key for dataplane tokens of mesh default\n"
      "  echo \"{ type: Secret, mesh: default, name: dataplane-token-signing-key-default-2, data: "
      "{{ key "
      "}} }\" |\n    kumactl apply --var key=$(kumactl generate signing-key) -f -");
  const auto path = std::make_shared<std::string>();
  add(
      "public-key", "Generate public key out of signing key",
      {{.name = "signing-key-path",
        .help = "path to a file with a signing key in PEM",
        .target = path.get(),
        .required = true}},
      [&invocation, path](const Strings&) { return PublicKey(invocation, *path); },
      "  kumactl generate public-key --signing-key-path key.pem");
  const auto options = std::make_shared<CertificateOptions>();
  add(
      "tls-certificate", "Generate a TLS certificate",
      {{.name = "type",
        .help = "who shows the certificate",
        .target = &options->type,
        .required = true,
        .values = {"client", "server"}},
       {.name = "hostname",
        .help = "DNS names and addresses, divided by commas",
        .target = &options->hosts},
       {.name = "key-type",
        .help = "kind of the private key",
        .target = &options->key_type,
        .values = {"rsa", "ecdsa"}},
       {.name = "cert-file",
        .help = "path of the certificate; - is standard output",
        .target = &options->cert_file},
       {.name = "key-file",
        .help = "path of the private key; - is standard output",
        .target = &options->key_file}},
      [&invocation, options](const Strings&) { return TlsCertificate(invocation, *options); },
      "  # For the ports of a control plane\n"
      "  kumactl generate tls-certificate --type=server --hostname=localhost,127.0.0.1");
}

}  // namespace

void AddGenerate(Invocation& invocation, Command& root) {
  Command group{.name = "generate",
                .aliases = {},
                .arguments = "",
                .help = "Generate resources, tokens, etc",
                .flags = {},
                .children = {},
                .run = nullptr};
  const auto add = [&](std::string_view kind, std::string_view help,
                       const std::shared_ptr<Options>& options, std::vector<Flag> flags,
                       base::Status (*run)(Invocation&, const Options&)) {
    flags.push_back({.name = "valid-for",
                     .help = "how long the token will be valid (for example \"24h\")",
                     .target = &options->valid_for});
    flags.push_back({.name = "kid",
                     .help = "ID of the key of --signing-key-path, as the control plane knows it",
                     .target = &options->kid});
    flags.push_back({.name = "signing-key-path",
                     .help = "private key in PEM: the token is signed without a server",
                     .target = &options->signing_key_path});
    group.children.push_back(
        {.name = base::Format("{}-token", kind),
         .aliases = {},
         .arguments = "",
         .help = std::string(help),
         .flags = std::move(flags),
         .children = {},
         .run = [&invocation, options, run](const Strings&) { return run(invocation, *options); }});
  };
  const auto dataplane = std::make_shared<Options>();
  add("dataplane", "Generate Dataplane Token that is used to prove Dataplane identity.", dataplane,
      {{.name = "mesh", .letter = 'm', .help = "mesh to use", .target = &dataplane->mesh},
       {.name = "name", .help = "name of the Dataplane", .target = &dataplane->name},
       {.name = "proxy-type",
        .help = "type of the Dataplane (\"dataplane\")",
        .target = &dataplane->proxy_type},
       {.name = "tag",
        .help = "required label values for Dataplane (split values by comma to provide multiple)",
        .target = &dataplane->tags},
       {.name = "workload",
        .help = "workload that the Dataplane must have",
        .target = &dataplane->workload}},
      DataplaneToken);
  const auto user = std::make_shared<Options>();
  add("user", "Generate User Token.", user,
      {{.name = "group", .help = "groups of the user", .target = &user->groups},
       {.name = "name", .help = "name of the user", .target = &user->name}},
      [](Invocation& target, const Options& options) {
        return Issue(target, options, "user",
                     Object{{"name", options.name}, {"groups", ToArray(options.groups)}},
                     [&](const identity::TokenKeys& keys,
                         const identity::Issuing& issuing) -> base::Result<std::string> {
                       if (options.name.empty())
                         return base::Invalid("--name is needed: the name of the user");
                       return identity::IssueUserToken(
                           {.name = options.name, .groups = options.groups}, keys, issuing);
                     });
      });
  const auto zone = std::make_shared<Options>();
  add("zone", "Generate Zone Token.", zone,
      {{.name = "scope", .help = "scopes of the token", .target = &zone->scope},
       {.name = "zone", .help = "name of the zone", .target = &zone->zone}},
      [](Invocation& target, const Options& options) {
        return Issue(target, options, "zone",
                     Object{{"zone", options.zone}, {"scope", ToArray(options.scope)}},
                     [&](const identity::TokenKeys& keys, const identity::Issuing& issuing) {
                       return identity::IssueZoneToken(
                           {.zone = options.zone, .scope = options.scope}, keys, issuing);
                     });
      });
  AddKeys(invocation, group);
  root.children.push_back(std::move(group));
}

}  // namespace kuma::cli
