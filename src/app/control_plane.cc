#include "app/control_plane.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <map>
#include <thread>

#include "app/first_start.h"
#include "app/metrics.h"
#include "app/observation.h"
#include "app/server_settings.h"
#include "app/stores.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/version.h"
#include "control/control_loop.h"
#include "derive/service_hostnames.h"
#include "generate/admin.h"
#include "identity/certificates.h"
#include "identity/tokens.h"
#include "insight/progress.h"
#include "insight/proxy_insights.h"
#include "model/describe.h"
#include "net/event_loop.h"
#include "net/server.h"
#include "policies/all.h"
#include "policies/default_policies.h"
#include "resources/secret/secret.h"
#include "rest/api.h"
#include "rest/diagnostics.h"
#include "rest/dp_endpoint.h"
#include "rest/envoy_admin.h"
#include "rest/progress_endpoint.h"
#include "rest/secrets.h"
#include "runtime/random.h"
#include "runtime/threads.h"
#include "xds/ads_service.h"
#include "xds/hub.h"

namespace kuma::app {
namespace {

constexpr base::Logger kLog("kuma-cp");
constexpr std::chrono::seconds kGoodbye{5};  // for what waits when the process stops

base::Result<net::ServerTlsOptions> TlsOf(const Config& config, const std::string& group,
                                          net::KeyPair certificate) {
  net::ServerTlsOptions tls;
  tls.certificate = std::move(certificate);
  auto minimum = net::ParseTlsVersion(config.String(group + ".tlsMinVersion"));
  if (!minimum) return std::move(minimum).error().Context(group + ".tlsMinVersion");
  tls.min_version = *minimum;
  auto maximum = net::ParseTlsVersion(config.String(group + ".tlsMaxVersion"));
  if (!maximum) return std::move(maximum).error().Context(group + ".tlsMaxVersion");
  tls.max_version = *maximum;
  tls.cipher_suites = config.List(group + ".tlsCipherSuites");
  return tls;
}

rest::Allowed AllowedOf(const Config& config, const std::string& action) {
  return {config.List(base::Format("access.static.{}.users", action)),
          config.List(base::Format("access.static.{}.groups", action))};
}

rest::AccessRules AccessOf(const Config& config) {
  return {.admin_resources = AllowedOf(config, "adminResources"),
          .write_resources = AllowedOf(config, "writeResources"),
          .generate_dp_token = AllowedOf(config, "generateDpToken"),
          .generate_user_token = AllowedOf(config, "generateUserToken"),
          .generate_zone_token = AllowedOf(config, "generateZoneToken"),
          .control_plane_metadata = AllowedOf(config, "controlPlaneMetadata")};
}

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

uint16_t PortOf(const Config& config, const std::string& key) {
  return static_cast<uint16_t>(config.Int(key));
}

}  // namespace

struct ControlPlane::Parts {
  // In the order of construction; what is below may use what is above.
  runtime::SystemClock clock;
  runtime::SystemRandom random;
  // The store answers on its own thread, until it is gone: what takes the answers outlives it.
  std::unique_ptr<runtime::ThreadExecutor> insight_thread;
  std::unique_ptr<runtime::ThreadExecutor> writer;
  std::unique_ptr<store::Store> store;
  std::string instance_id;
  std::string cluster_id;
  model::ControlPlane here;
  rest::KeyMemo token_keys;
  std::unique_ptr<rest::BroughtDataplanes> brought;

  std::unique_ptr<runtime::ThreadPool> pool;
  std::unique_ptr<runtime::ThreadPool> rest_pool;
  std::unique_ptr<net::EventLoops> loops;

  std::unique_ptr<generate::Generator> generator;
  std::unique_ptr<generate::Generator> inspector;  // knows no certificate of admin listeners
  std::unique_ptr<insight::ProxyInsights> insights;
  std::unique_ptr<insight::Progress> progress;
  std::unique_ptr<Observation> observation;
  std::unique_ptr<xds::Hub> hub;
  std::unique_ptr<control::ControlLoop> control;
  std::unique_ptr<xds::AdsService> ads;

  std::unique_ptr<rest::TokenEndpoint> tokens;
  std::unique_ptr<rest::ProgressEndpoint> progress_endpoint;
  std::unique_ptr<rest::EnvoyAdmin> envoy_admin;
  std::unique_ptr<rest::Api> api;
  std::unique_ptr<rest::DpEndpoint> dp;
  std::unique_ptr<rest::Diagnostics> diagnostics;
  std::vector<std::unique_ptr<net::Server>> servers;
  std::map<std::string, uint16_t, std::less<>> ports;  // of the servers, by their names
  std::atomic<bool> serving = false;  // all of them; the list does not change any more

  ~Parts() {
    // Nobody calls in any more before anything goes.
    servers.clear();
    rest_pool.reset();
    envoy_admin.reset();  // its open questions are answered by the Api
    ads.reset();
    loops.reset();
    pool.reset();
    if (writer != nullptr) writer->Stop();
    control.reset();
    if (insight_thread != nullptr) insight_thread->Stop();
  }
};

ControlPlane::ControlPlane(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ControlPlane::~ControlPlane() = default;

base::Result<std::unique_ptr<ControlPlane>> ControlPlane::Start(const Config& config) {
  auto parts = std::make_unique<Parts>();
  Parts& p = *parts;
  TRY(CheckSupported(config));

  // ---- store and what a first start needs
  TRY_ASSIGN(const std::string folder, WorkFolder(config));
  TRY_ASSIGN(p.store, OpenStore(config, p.clock));
  p.here.zone = config.String("multizone.zone.name");
  p.instance_id = base::Format("{}-{}", Hostname(), p.random.Uuid().substr(0, 4));
  const bool user_tokens = config.String("apiServer.authn.type") == "tokens";
  TRY_ASSIGN(const StartResources start,
             EnsureStartResources(*p.store, p.clock, p.random,
                                  {.user_tokens = user_tokens,
                                   .bootstrap_admin_token =
                                       config.Bool("apiServer.authn.tokens.bootstrapAdminToken"),
                                   .zone_tokens = true,
                                   .here = p.here}));
  p.cluster_id = start.cluster_id;

  // ---- threads
  const size_t cores = std::max(1U, std::thread::hardware_concurrency());
  p.insight_thread = std::make_unique<runtime::ThreadExecutor>("insight");
  p.writer = std::make_unique<runtime::ThreadExecutor>("mesh-writer");
  p.pool = std::make_unique<runtime::ThreadPool>("generate", cores, 5);
  p.rest_pool = std::make_unique<runtime::ThreadPool>("rest", 4);
  p.loops = std::make_unique<net::EventLoops>(2, "loop");

  // ---- generation
  generate::Settings generate_settings;
  generate_settings.zone = p.here.zone;
  generate_settings.internal_ranges = config.List("ipam.knownInternalCIDRs");
  generate_settings.admin = generate::AdminAuthorityOf(
      std::make_shared<const identity::CertificateAuthority>(start.admin_ca),
      [&p] { return p.clock.WallNow(); });
  generate::Settings inspect_settings = generate_settings;
  inspect_settings.admin = {
      .epoch = [](std::string_view) { return int64_t{0}; },
      .certificate = [](std::string_view, int64_t) -> base::Result<generate::AdminPair> {
        return generate::AdminPair{};
      },
      .ca_pem = {}};
  p.inspector =
      std::make_unique<generate::Generator>(policies::AllPolicies(), std::move(inspect_settings));
  p.generator =
      std::make_unique<generate::Generator>(policies::AllPolicies(), std::move(generate_settings));

  // ---- what is seen of proxies
  p.brought = std::make_unique<rest::BroughtDataplanes>(Types(), p.here);
  p.insights = std::make_unique<insight::ProxyInsights>(
      insight::Settings{.instance_id = p.instance_id,
                        .count_interval =
                            config.Duration("xdsServer.dataplaneStatusFlushInterval")},
      *p.store, p.clock, *p.insight_thread);
  p.progress = std::make_unique<insight::Progress>(*p.insight_thread, p.clock,
                                                   [&p] { return p.store->revision(); });
  p.observation = std::make_unique<Observation>(*p.insight_thread, *p.insights, *p.progress,
                                                p.random, *p.brought);

  // ---- streams and the mesh writer
  xds::HubOptions hub_options;
  for (size_t i = 0; i < p.loops->size(); ++i) hub_options.loops.push_back(&p.loops->at(i));
  hub_options.clock = &p.clock;
  hub_options.subscribers.push_back({p.insight_thread.get(), [&p](const xds::ProxyEvent& event) {
                                       p.observation->OnEvent(event);
                                     }});
  p.hub = std::make_unique<xds::Hub>(std::move(hub_options));
  derive::Settings derive_settings;
  derive_settings.zone = p.here.zone;
  derive_settings.mesh_service_cidr = config.String("ipam.meshService.cidr");
  derive_settings.deletion_grace_period = config.Duration("meshService.deletionGracePeriod");
  derive_settings.create_default_mesh = !config.Bool("defaults.skipMeshCreation");
  // Kuma prints the one spelling and documents the other.
  derive_settings.create_hostname_generators = !config.Bool("defaults.SkipHostnameGenerators") &&
                                               !config.Bool("defaults.skipHostnameGenerators");
  derive_settings.default_policies = [](const std::string& mesh) {
    return policies::DefaultPolicies(mesh);
  };
  derive_settings.first_signing_key = [](const std::string& mesh) -> model::ResourcePtr {
    const auto key = identity::RsaKey::Generate();
    CHECK(key.has_value(), "an RSA key can be made");
    model::Metadata meta;
    meta.mesh = mesh;
    meta.name = identity::DataplaneKeyPrefix(mesh) + "-1";
    return model::MakeResource(resources::secret::Type(), std::move(meta),
                               resources::secret::WithData(key->PrivatePem().Reveal()));
  };
  p.control = std::make_unique<control::ControlLoop>(
      control::Settings{.oracle_interval = std::chrono::seconds(5), .health = HealthOf(config)},
      std::move(derive_settings),
      control::ControlLoop::Surroundings{
          .store = *p.store,
          .generator = *p.generator,
          .clock = p.clock,
          .writer = *p.writer,
          .pool = *p.pool,
          .publish =
              [&p](std::vector<std::pair<base::ProxyKey, bundle::BundlePtr>> bundles,
                   std::shared_ptr<void> taken) {
                p.hub->PublishAll(std::move(bundles), std::move(taken));
              },
          .newcomers =
              [&p] {
                const xds::HubCounters& streams = p.hub->counters();
                return streams.streams_waiting + streams.streams_entering;
              },
          .withdraw = [&p](const base::ProxyKey& proxy) { p.hub->Withdraw(proxy); },
          .forget = [&p](const base::ProxyKey& proxy) { p.hub->Forget(proxy); },
          .on_round =
              [&p](control::RoundReport report) { p.observation->OnRound(std::move(report)); }});
  p.observation->Attach(*p.control);

  // ---- what answers requests
  const rest::AccessRules access = AccessOf(config);
  const auto verify_user = [&p](std::string_view token) -> base::Result<rest::Principal> {
    TRY_ASSIGN(identity::UserClaims claims,
               rest::CheckUserToken(*p.store, p.token_keys, token, p.clock.WallNow()));
    return rest::Principal{std::move(claims.name), std::move(claims.groups)};
  };
  p.tokens = std::make_unique<rest::TokenEndpoint>(
      *p.store, p.clock, p.random,
      rest::TokenEndpoint::Settings{
          .access = access,
          .issue_dataplane_tokens = config.Bool("dpServer.authn.dpProxy.dpToken.enableIssuer"),
          .issue_user_tokens = config.Bool("apiServer.authn.tokens.enableIssuer"),
          .issue_zone_tokens = config.Bool("dpServer.authn.zoneProxy.zoneToken.enableIssuer")});
  std::string base_path = config.String("apiServer.basePath");
  while (base_path.ends_with("/")) base_path.pop_back();
  p.progress_endpoint = std::make_unique<rest::ProgressEndpoint>(*p.progress, *p.control);
  TRY_ASSIGN(
      identity::KeyPair own,
      identity::ControlPlaneClientCertificate(
          start.admin_ca, identity::EpochOf(identity::kControlPlaneHost, p.clock.WallNow())));
  rest::EnvoyAdmin::Settings envoy_admin{.config_dump = AllowedOf(config, "viewConfigDump"),
                                         .stats = AllowedOf(config, "viewStats"),
                                         .clusters = AllowedOf(config, "viewClusters"),
                                         .tls = {}};
  envoy_admin.tls.ca_pem = start.admin_ca.certificate();
  envoy_admin.tls.certificate.cert_pem = std::move(own.certificate);
  envoy_admin.tls.certificate.key_pem = std::move(own.key);
  p.envoy_admin =
      std::make_unique<rest::EnvoyAdmin>(*p.store, p.loops->at(0), std::move(envoy_admin));
  p.api = std::make_unique<rest::Api>(
      *p.store, Types(), *p.tokens, verify_user, *p.rest_pool,
      rest::ApiSettings{
          .resources = {.here = p.here,
                        .access = access,
                        .strict = config.Bool("apiServer.strictValidation"),
                        .read_only = config.Bool("apiServer.readOnly"),
                        .policies = &p.generator->policies()},
          .insights = {.dns_domain = config.String("dnsServer.domain"),
                       .service_port = config.Int("dnsServer.serviceVipPort"),
                       .now = [&p] { return p.clock.WallNow(); }},
          .localhost_is_admin = config.Bool("apiServer.authn.localhostIsAdmin"),
          .base_path = base_path,
          .hostname = Hostname(),
          .instance_id = p.instance_id,
          .cluster_id = [id = p.cluster_id] { return id; },
          .config = config.Effective(),
          .cors_domains = config.List("apiServer.corsAllowedDomains"),
          .release_removals = [&p](const std::string& mesh) { p.control->ReleaseHeld(mesh); },
          .progress = p.progress_endpoint.get(),
          .envoy_admin = p.envoy_admin.get(),
          .inspection = {.snapshot = [&p] { return p.control->snapshots().Load(); },
                         .generator = p.inspector.get(),
                         .hostnames =
                             [&p](const mesh::Snapshot& snapshot, const model::Resource& service) {
                               return derive::HostnamesOf(snapshot, service, p.here.zone);
                             }}});

  // dpServer.authn.dpProxy.type: "dpToken" is the default of Universal, "none" accepts everybody.
  const std::string dp_authn = config.String("dpServer.authn.dpProxy.type");
  if (!dp_authn.empty() && dp_authn != "dpToken" && dp_authn != "none") {
    return base::Invalid(base::Format(
        "dpServer.authn.dpProxy.type \"{}\": dpToken and none are available", dp_authn));
  }
  rest::VerifyDataplaneToken verify_dataplane;
  if (dp_authn != "none") {
    verify_dataplane = [&p](const model::Metadata& dataplane,
                            const base::Redacted<std::string>& token) {
      return rest::CheckDataplaneToken(*p.store, p.token_keys, token.Reveal(), dataplane,
                                       p.clock.WallNow());
    };
  }
  std::string dp_cert = config.String("dpServer.tlsCertFile");
  std::string dp_key = config.String("dpServer.tlsKeyFile");
  if (dp_cert.empty() && dp_key.empty()) {
    dp_cert = config.String("general.tlsCertFile");
    dp_key = config.String("general.tlsKeyFile");
  }
  TRY_ASSIGN(const net::KeyPair dp_pair, ServerCertificate(dp_cert, dp_key, folder));
  TRY_ASSIGN(const std::string dp_ca, ReadFile(dp_pair.cert_file));
  generate::BootstrapSettings bootstrap;
  bootstrap.admin_address = config.String("bootstrapServer.params.adminAddress");
  bootstrap.admin_port = static_cast<uint32_t>(config.Int("bootstrapServer.params.adminPort"));
  bootstrap.admin_access_log_path = config.String("bootstrapServer.params.adminAccessLogPath");
  bootstrap.admin_unix_socket = config.Bool("bootstrapServer.params.envoyAdminUnixSocket");
  bootstrap.xds_host = config.String("bootstrapServer.params.xdsHost");
  const int64_t xds_port = config.Int("bootstrapServer.params.xdsPort");
  bootstrap.xds_port =
      static_cast<uint32_t>(xds_port != 0 ? xds_port : config.Int("dpServer.port"));
  bootstrap.xds_connect_timeout = config.Duration("bootstrapServer.params.xdsConnectTimeout");
  bootstrap.hds = config.Bool("dpServer.hds.enabled");
  bootstrap.reloadable_tokens = config.Bool("dpServer.authn.enableReloadableTokens");
  bootstrap.token_required = verify_dataplane != nullptr;
  bootstrap.ca_pem = dp_ca;
  p.dp = std::make_unique<rest::DpEndpoint>(*p.store, *p.brought, verify_dataplane, *p.rest_pool,
                                            rest::DpEndpoint::Settings{std::move(bootstrap)});
  p.ads = std::make_unique<xds::AdsService>(
      *p.hub, xds::AdsServiceOptions{.authenticate = MakeStreamAuthentication(
                                         *p.store, *p.brought, *p.rest_pool, verify_dataplane),
                                     .health = config.Bool("dpServer.hds.enabled")
                                                   ? SubscribeToHealth(*p.control)
                                                   : xds::HealthSubscriber()});
  p.diagnostics = std::make_unique<rest::Diagnostics>(rest::Diagnostics::Sources{
      .not_ready = [&p]() -> std::string {
        if (!p.control->ready()) return "the store is being loaded";
        return p.serving ? "" : "ports are being opened";
      },
      .metrics =
          [&p] {
            static const std::vector<std::unique_ptr<net::Server>> none;  // the list still grows
            return CollectMetrics(*p.store, *p.control, *p.hub, p.api->queue(), p.dp->queue(),
                                  p.serving ? p.servers : none);
          },
      .proxies =
          [&p](bool each, std::function<void(std::vector<rest::Metric>)> done) {
            p.progress->AskFreshness([each, done](const std::vector<insight::Freshness>& proxies) {
              done(FreshnessMetrics(proxies, each));
            });
          }});

  // ---- ports; diagnostics first, so that readiness can be asked for from the beginning
  const auto listen = [&p](net::ServerOptions options, net::HttpHandler http,
                           net::GrpcRouter grpc = nullptr) -> base::Status {
    const std::string name = options.name;
    TRY_ASSIGN(auto server,
               net::Server::Start(*p.loops, std::move(options), std::move(http), std::move(grpc)));
    kLog.Info("listening", {{"for", server->url()}});
    p.ports[name] = server->port();
    p.servers.push_back(std::move(server));
    return base::Ok{};
  };
  net::ServerOptions options;
  options.name = "diagnostics";
  options.address = "";
  options.port = PortOf(config, "diagnostics.serverPort");
  if (config.Bool("diagnostics.tlsEnabled")) {
    TRY_ASSIGN(net::KeyPair pair,
               ServerCertificate(config.String("diagnostics.tlsCertFile"),
                                 config.String("diagnostics.tlsKeyFile"), folder));
    TRY_ASSIGN(options.tls, TlsOf(config, "diagnostics", std::move(pair)));
  }
  TRY(listen(options, [&p](net::HttpRequest request, net::HttpResponder responder) {
    p.diagnostics->Handle(std::move(request), std::move(responder));
  }));

  // ---- the engine; requests are taken when it is ready
  TRY(p.control->Start());
  p.insight_thread->Post([&p] { p.insights->Start(); });
  while (!p.control->ready()) std::this_thread::sleep_for(std::chrono::milliseconds(1));

  const auto handle_api = [&p](net::HttpRequest request, net::HttpResponder responder) {
    p.api->Handle(std::move(request), std::move(responder));
  };
  if (config.Bool("apiServer.http.enabled")) {
    options = {};
    options.name = "api";
    options.address = config.String("apiServer.http.interface");
    options.port = PortOf(config, "apiServer.http.port");
    options.limits.body_bytes = 10 << 20;
    TRY(listen(options, handle_api));
  }
  if (config.Bool("apiServer.https.enabled")) {
    options = {};
    options.name = "api-tls";
    options.address = config.String("apiServer.https.interface");
    options.port = PortOf(config, "apiServer.https.port");
    options.limits.body_bytes = 10 << 20;
    std::string cert = config.String("apiServer.https.tlsCertFile");
    std::string key = config.String("apiServer.https.tlsKeyFile");
    if (cert.empty() && key.empty()) {
      cert = config.String("general.tlsCertFile");
      key = config.String("general.tlsKeyFile");
    }
    TRY_ASSIGN(net::KeyPair pair, ServerCertificate(cert, key, folder));
    TRY_ASSIGN(options.tls, TlsOf(config, "apiServer.https", std::move(pair)));
    if (const std::string ca = config.String("apiServer.https.tlsCaFile"); !ca.empty()) {
      options.tls->client_ca_file = ca;
      options.tls->client_certificates = config.Bool("apiServer.https.requireClientCert")
                                             ? net::ClientCertificates::kRequired
                                             : net::ClientCertificates::kOptional;
    }
    TRY(listen(options, handle_api));
  }
  options = {};
  options.name = "dp";
  options.address = "";
  options.port = PortOf(config, "dpServer.port");
  TRY_ASSIGN(options.tls, TlsOf(config, "dpServer", dp_pair));
  TRY(listen(
      options,
      [&p](net::HttpRequest request, net::HttpResponder responder) {
        p.dp->Handle(std::move(request), std::move(responder));
      },
      [&p](const net::GrpcRequest& request) -> net::GrpcAnswer {
        if (auto answer = p.ads->Serve(request)) return *std::move(answer);
        return net::GrpcStatus{net::GrpcCode::kUnimplemented,
                               "unknown service or method: " + request.path};
      }));

  p.serving = true;
  kLog.Info("ready", {{"version", base::Version().version},
                      {"instance", p.instance_id},
                      {"store", config.String("store.type")},
                      {"zone", p.here.zone}});
  return std::unique_ptr<ControlPlane>(new ControlPlane(std::move(parts)));
}

void ControlPlane::Stop() {
  Parts& p = *parts_;
  // Who waits for a rollout waits no longer.
  p.insight_thread->Post([&p] { p.progress->Stop(); });
  // Ports first: streams end because we go, which deregisters nobody.
  std::promise<void> control_stopped;
  p.control->Stop([&control_stopped] { control_stopped.set_value(); });
  control_stopped.get_future().wait_for(kGoodbye);
  std::vector<std::future<void>> drained;
  for (auto& server : p.servers) {
    auto done = std::make_shared<std::promise<void>>();
    drained.push_back(done->get_future());
    server->Drain(std::chrono::seconds(2), [done] { done->set_value(); });
  }
  for (auto& done : drained) done.wait_for(kGoodbye);
  auto stored = std::make_shared<std::promise<void>>();
  p.insight_thread->Post([&p, stored] { p.insights->Stop([stored] { stored->set_value(); }); });
  stored->get_future().wait_for(kGoodbye);
}

uint16_t ControlPlane::Port(std::string_view name) const {
  const auto found = parts_->ports.find(name);
  return found == parts_->ports.end() ? 0 : found->second;
}

void ControlPlane::ReloadCertificates() {
  for (auto& server : parts_->servers) server->ReloadCertificates();
}

}  // namespace kuma::app
