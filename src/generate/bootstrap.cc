#include "generate/bootstrap.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/format.h"
#include "base/ids.h"
#include "base/strings.h"

namespace kuma::generate {
namespace {

using model::Array;
using model::Object;
using model::Value;

constexpr std::string_view kAds = "system_ads";
constexpr std::string_view kAccessLogSink = "system_access_log_sink";
constexpr std::string_view kValidation = "cp_validation_ctx";

// Reads members of a request; a wrong type becomes a violation.
class Reader {
 public:
  Reader(const Value& value, std::string path, model::Violations& violations)
      : value_(value), path_(std::move(path)), violations_(violations) {}

  void Text(std::string_view key, std::string& out) {
    Read(key, "a string", [&](const Value& member) {
      const std::string* text = member.if_string();
      if (text != nullptr) out = *text;
      return text != nullptr;
    });
  }
  void Flag(std::string_view key, bool& out) {
    Read(key, "a boolean", [&](const Value& member) {
      const bool* flag = member.if_bool();
      if (flag != nullptr) out = *flag;
      return flag != nullptr;
    });
  }
  template <class Number>
  void Unsigned(std::string_view key, Number& out) {
    Read(key, "a non-negative number", [&](const Value& member) {
      const int64_t* number = member.if_int();
      if (number == nullptr || *number < 0 ||
          static_cast<uint64_t>(*number) > std::numeric_limits<Number>::max())
        return false;
      out = static_cast<Number>(*number);
      return true;
    });
  }
  void Texts(std::string_view key, std::vector<std::string>& out) {
    Read(key, "a list of strings", [&](const Value& member) {
      const Array* list = member.if_array();
      if (list == nullptr) return false;
      for (const Value& element : *list) {
        const std::string* text = element.if_string();
        if (text == nullptr) return false;
        if (std::find(out.begin(), out.end(), *text) == out.end()) out.push_back(*text);
      }
      return true;
    });
  }
  void Map(std::string_view key, Value& out) {
    Read(key, "an object", [&](const Value& member) {
      if (member.if_object() == nullptr) return false;
      out = member;
      return true;
    });
  }
  Reader At(std::string_view key) {
    static const Value kNone;
    const Value* member = value_.Find(key);
    return Reader(member == nullptr ? kNone : *member, model::JoinPath(path_, key), violations_);
  }

 private:
  template <class F>
  void Read(std::string_view key, std::string_view wanted, F read) {
    const Value* member = value_.Find(key);
    if (member == nullptr || member->is_null() || read(*member)) return;
    violations_.Add(model::JoinPath(path_, key), base::Format("must be {}", wanted));
  }

  const Value& value_;
  std::string path_;
  model::Violations& violations_;
};

bool IsIp(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

std::string DurationText(std::chrono::nanoseconds value) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(value);
  const auto rest = (value - seconds).count();
  if (rest == 0) return base::Format("{}s", seconds.count());
  if (rest % 1'000'000 == 0) return base::Format("{}.{:03}s", seconds.count(), rest / 1'000'000);
  return base::Format("{}.{:09}s", seconds.count(), rest);
}

Object Typed(std::string_view type, Object fields) {
  fields.Set("@type", Value(base::Format("type.googleapis.com/{}", type)));
  return fields;
}

Value InlinePem(std::string_view pem) { return Object{{"inlineBytes", base::EncodeBase64(pem)}}; }

Value Http2Options() {
  return Object{{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                 Typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                       {{"explicitHttpConfig", Object{{"http2ProtocolOptions", Object{}}}}})}};
}

Value Endpoint(std::string_view cluster, Value address) {
  return Object{
      {"clusterName", cluster},
      {"endpoints",
       Array{Object{{"lbEndpoints",
                     Array{Object{{"endpoint", Object{{"address", std::move(address)}}}}}}}}}};
}

Object StaticCluster(std::string_view name, std::string_view type, Value address,
                     std::chrono::nanoseconds connect_timeout) {
  return Object{
      {"name", name},
      {"type", type},
      {"connectTimeout", DurationText(connect_timeout)},
      {"loadAssignment", Endpoint(name, std::move(address))},
      {"typedExtensionProtocolOptions", Http2Options()},
      {"upstreamConnectionOptions",
       Object{{"tcpKeepalive",
               Object{{"keepaliveProbes", 3}, {"keepaliveTime", 10}, {"keepaliveInterval", 10}}}}},
  };
}

// The token comes from a file that Envoy reads again: only Google's gRPC client can do that.
Value GoogleGrpc(const BootstrapRequest& request, const BootstrapSettings& settings,
                 const std::string& host, std::string_view ca) {
  const std::string bracketed =
      host.find(':') == std::string::npos ? host : base::Format("[{}]", host);
  Object service{
      {"targetUri", base::Format("{}:{}", bracketed, settings.xds_port)},
      {"statPrefix", "ads"},
      {"credentialsFactoryName", "envoy.grpc_credentials.file_based_metadata"},
      {"callCredentials",
       Array{Object{{"fromPlugin",
                     Object{{"name", "envoy.grpc_credentials.file_based_metadata"},
                            {"typedConfig",
                             Typed("envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
                                   {{"secretData",
                                     Object{{"filename", request.dataplane_token_path}}}})}}}}}},
      {"channelArgs",
       Object{{"args",
               Object{{"grpc.http2.max_pings_without_data", Object{{"intValue", "0"}}},
                      {"grpc.keepalive_time_ms", Object{{"intValue", "10000"}}},
                      {"grpc.keepalive_timeout_ms", Object{{"intValue", "30000"}}},
                      {"grpc.max_receive_message_length",
                       Object{{"intValue",
                               std::to_string(settings.xds_grpc_max_receive_message_bytes)}}}}}}},
  };
  if (!ca.empty()) {
    service.Set("channelCredentials",
                Object{{"sslCredentials", Object{{"rootCerts", InlinePem(ca)}}}});
  }
  return Object{{"googleGrpc", std::move(service)}};
}

Value Ads() {
  return Object{{"ads", Object{}}, {"initialFetchTimeout", "0s"}, {"resourceApiVersion", "V3"}};
}

Value VersionOf(const Value& version) {
  // Only what the node's version message has, and no defaults, as protobuf's JSON.
  constexpr std::array<std::string_view, 4> kKumaDp = {"version", "gitTag", "gitCommit",
                                                       "buildDate"};
  constexpr std::array<std::string_view, 3> kEnvoy = {"version", "build", "kumaDpCompatible"};
  const auto pick = [&version](std::string_view part, auto names) {
    Object result;
    for (const std::string_view name : names) {
      const Value* member = version.At({part, name});
      if (member == nullptr || *member == Value("") || *member == Value(false)) continue;
      result.Set(name, *member);
    }
    return result;
  };
  return Object{{"kumaDp", pick("kumaDp", kKumaDp)}, {"envoy", pick("envoy", kEnvoy)}};
}

void SortKeys(Value& value) {
  if (Object* object = value.if_object()) {
    object->SortKeys();
    for (auto& [key, member] : *object) SortKeys(member);
  } else if (Array* list = value.if_array()) {
    for (Value& element : *list) SortKeys(element);
  }
}

std::string SocketPath(std::string_view workdir, std::string_view name) {
  constexpr size_t kLimit = 98;  // with ".sock" it fits a socket address everywhere
  std::string path(workdir);
  if (!path.empty() && path.back() != '/') path.push_back('/');
  path.append(name);
  return path.substr(0, kLimit) + ".sock";
}

Object NodeMetadata(const BootstrapRequest& request) {
  Array features;
  for (const std::string& feature : request.features) features.emplace_back(feature);
  Object metadata{
      {"version", VersionOf(request.version)},
      {"features", std::move(features)},
      {"workdir", request.workdir},
      {"metricsCertPath", request.metrics_cert_path},
      {"metricsKeyPath", request.metrics_key_path},
      {"systemCaPath", request.system_ca_path},
      {"ipv6Enabled", request.ipv6_enabled},
      {"spireAgent.socketPath", request.spire_socket_path},
      {"dataplane.proxyType", request.proxy_type},
  };
  const auto set_port = [&metadata](std::string_view key, uint32_t port) {
    if (port != 0) metadata.Set(key, Value(std::to_string(port)));
  };
  set_port("dataplane.dns.port", request.dns_port);
  set_port("dataplane.readinessReporter.port", request.readiness_port);
  if (!request.dataplane_resource.empty())
    metadata.Set("dataplane.resource", request.dataplane_resource);
  if (request.app_probe_proxy_enabled) metadata.Set("dataplane.appProbeProxy.enabled", "true");
  const Object* dynamic = request.dynamic_metadata.if_object();
  if (dynamic != nullptr && !dynamic->empty()) metadata.Set("dynamicMetadata", *dynamic);
  if (const Object* given = request.transparent_proxy.if_object()) {
    Value config = *given;
    Object& redirect = *[&config] {
      Value& member = (*config.if_object())["redirect"];
      if (member.if_object() == nullptr) member = Object{};
      return member.if_object();
    }();
    Value& vnet = redirect["vnet"];
    if (vnet.if_object() == nullptr) vnet = Object{};
    if (vnet.Find("networks") == nullptr) vnet.if_object()->Set("networks", Array{});
    metadata.Set("transparentProxy", std::move(config));
  }
  if (request.otel_env.if_object() != nullptr) metadata.Set("otelEnvInventory", request.otel_env);
  return metadata;
}

}  // namespace

const std::string kTokenRequired =
    "Dataplane Token is required. Generate token using 'kumactl generate dataplane-token > "
    "/path/file' and provide "
    "it via --dataplane-token-file=/path/file argument to Kuma DP";

BootstrapRequest ParseBootstrapRequest(const Value& body, model::Violations& violations) {
  BootstrapRequest request;
  if (body.if_object() == nullptr) {
    violations.Add("", "must be an object");
    return request;
  }
  Reader reader(body, "", violations);
  std::string token;
  reader.Text("mesh", request.mesh);
  reader.Text("name", request.name);
  reader.Text("proxyType", request.proxy_type);
  if (request.proxy_type.empty()) request.proxy_type = "dataplane";
  reader.Text("dataplaneToken", token);
  request.dataplane_token = base::Redacted<std::string>(std::string(base::Trim(token)));
  reader.Text("dataplaneTokenPath", request.dataplane_token_path);
  reader.Text("dataplaneResource", request.dataplane_resource);
  reader.Map("version", request.version);
  reader.Text("caCert", request.ca_cert);
  reader.Map("dynamicMetadata", request.dynamic_metadata);
  reader.Map("otelEnv", request.otel_env);
  reader.Unsigned("dnsPort", request.dns_port);
  reader.Unsigned("readinessPort", request.readiness_port);
  reader.Flag("appProbeProxyDisabled", request.app_probe_proxy_enabled);
  reader.Text("operatingSystem", request.operating_system);
  reader.Texts("features", request.features);
  reader.At("resources").Unsigned("maxHeapSizeBytes", request.max_heap_size_bytes);
  reader.Text("workdir", request.workdir);
  reader.At("metricsResources").Text("certPath", request.metrics_cert_path);
  reader.At("metricsResources").Text("keyPath", request.metrics_key_path);
  reader.Text("systemCaPath", request.system_ca_path);
  reader.Map("dataplaneConfig", request.transparent_proxy);
  reader.Flag("ipv6Enabled", request.ipv6_enabled);
  reader.At("spireResources").Text("socketPath", request.spire_socket_path);
  return request;
}

base::Result<Value> MakeBootstrap(const BootstrapRequest& request,
                                  const BootstrapDataplane& dataplane,
                                  const BootstrapSettings& settings, std::string_view host,
                                  bool host_is_ipv4_only) {
  const std::string& token = request.dataplane_token.Reveal();
  if (settings.token_required && token.empty() && request.dataplane_token_path.empty())
    return base::Invalid(kTokenRequired);
  if (request.proxy_type != "dataplane")
    return base::Invalid(base::Format("unknown proxy type {}", request.proxy_type));

  const std::string xds_host = settings.xds_host.empty() ? std::string(host) : settings.xds_host;
  const std::string& ca = request.ca_cert.empty() ? settings.ca_pem : request.ca_cert;
  const bool token_file = settings.reloadable_tokens && !request.dataplane_token_path.empty();

  const auto grpc_services = [&] {
    Value service = token_file ? GoogleGrpc(request, settings, xds_host, ca)
                               : Value(Object{{"envoyGrpc", Object{{"clusterName", kAds}}}});
    if (!token_file && !token.empty()) {
      service.if_object()->Set("initialMetadata",
                               Array{Object{{"key", "authorization"}, {"value", token}}});
    }
    return Array{std::move(service)};
  };
  const auto api_source = [&](std::string_view type) {
    return Object{{"apiType", type},
                  {"transportApiVersion", "V3"},
                  {"setNodeOnFirstMessageOnly", true},
                  {"grpcServices", grpc_services()}};
  };

  const Value sink_address = Object{
      {"pipe", Object{{"path", AccessLogSocket(request.workdir, request.name, request.mesh)}}}};
  Array clusters{
      StaticCluster(kAccessLogSink, "STATIC", sink_address, settings.xds_connect_timeout)};
  if (!token_file) {
    Object ads = StaticCluster(
        kAds, IsIp(xds_host) ? "STATIC" : "STRICT_DNS",
        Object{{"socketAddress", Object{{"address", xds_host}, {"portValue", settings.xds_port}}}},
        settings.xds_connect_timeout);
    if (host_is_ipv4_only) ads.Set("dnsLookupFamily", "V4_ONLY");
    ads.Set("transportSocket",
            Object{{"name", "envoy.transport_sockets.tls"},
                   {"typedConfig",
                    Typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                          {{"sni", xds_host},
                           {"commonTlsContext",
                            Object{{"tlsParams", Object{{"tlsMinimumProtocolVersion", "TLSv1_2"}}},
                                   {"validationContextSdsSecretConfig",
                                    Object{{"name", kValidation}}}}}})}});
    clusters.emplace_back(std::move(ads));
  }

  Array names;
  for (const std::string_view type : {"DNS", "IP_ADDRESS"}) {
    names.emplace_back(Object{{"sanType", type}, {"matcher", Object{{"exact", xds_host}}}});
  }
  Object validation{{"matchTypedSubjectAltNames", std::move(names)}};
  validation.Set("trustedCa", InlinePem(ca));

  Object metadata = NodeMetadata(request);
  const auto tag = [](std::string_view name, std::string_view regex) {
    return Object{{"tagName", name}, {"regex", regex}};
  };
  Object bootstrap{
      {"staticResources",
       Object{{"secrets",
               Array{Object{{"name", kValidation}, {"validationContext", std::move(validation)}}}},
              {"clusters", std::move(clusters)}}},
      {"dynamicResources",
       Object{{"ldsConfig", Ads()}, {"cdsConfig", Ads()}, {"adsConfig", api_source("DELTA_GRPC")}}},
      {"layeredRuntime",
       Object{{"layers",
               Array{Object{{"name", "kuma"},
                            {"staticLayer",
                             Object{{"re2.max_program_size.error_level", int64_t{4'294'967'295}},
                                    {"re2.max_program_size.warn_level", 1000}}}}}}}},
      {"statsConfig", Object{{"statsTags", Array{tag("name", "^grpc\\.((.+)\\.)"),
                                                 tag("status", "^grpc.*streams_closed(_([0-9]+))"),
                                                 tag("worker", "(worker_([0-9]+)\\.)"),
                                                 tag("listener", "((.+?)\\.)rbac\\.")}}}},
      {"defaultRegexEngine",
       Object{{"name", "envoy.regex_engines.google_re2"},
              {"typedConfig", Typed("envoy.extensions.regex_engines.v3.GoogleRE2", {})}}},
  };
  if (settings.hds) bootstrap.Set("hdsConfig", api_source("GRPC"));

  const uint32_t admin_port =
      dataplane.admin_port != 0 ? dataplane.admin_port : settings.admin_port;
  if (admin_port != 0) {
    metadata.Set("dataplane.admin.port", std::to_string(admin_port));
    metadata.Set("dataplane.admin.address", settings.admin_address);
    Object admin;
    if (settings.admin_unix_socket && !request.workdir.empty()) {
      const std::string socket = AdminSocket(request.workdir);
      metadata.Set("dataplane.admin.socketPath", socket);
      constexpr int kOwnerOnly = 0600;
      admin.Set("address", Object{{"pipe", Object{{"path", socket}, {"mode", kOwnerOnly}}}});
    } else {
      admin.Set("address", Object{{"socketAddress", Object{{"address", settings.admin_address},
                                                           {"portValue", admin_port}}}});
    }
    if (!settings.admin_access_log_path.empty()) {
      admin.Set("accessLog",
                Array{Object{
                    {"name", "envoy.access_loggers.file"},
                    {"typedConfig", Typed("envoy.extensions.access_loggers.file.v3.FileAccessLog",
                                          {{"path", settings.admin_access_log_path}})}}});
    }
    bootstrap.Set("admin", std::move(admin));
  }
  bootstrap.Set("node",
                Object{{"id", request.Key().NodeId()},
                       {"cluster", dataplane.workload.empty() ? "unknown" : dataplane.workload},
                       {"metadata", std::move(metadata)}});
  Value result = std::move(bootstrap);
  SortKeys(result);
  return result;
}

base::Result<std::string> BootstrapYaml(const BootstrapRequest& request,
                                        const BootstrapDataplane& dataplane,
                                        const BootstrapSettings& settings, std::string_view host,
                                        bool host_is_ipv4_only) {
  TRY_ASSIGN(const Value bootstrap,
             MakeBootstrap(request, dataplane, settings, host, host_is_ipv4_only));
  return model::ToYaml(bootstrap);
}

std::string AdminSocket(std::string_view workdir) {
  return SocketPath(workdir, "kuma-envoy-admin");
}
std::string AccessLogSocket(std::string_view workdir, std::string_view name,
                            std::string_view mesh) {
  return SocketPath(workdir, base::Format("kuma-al-{}-{}", name, mesh));
}
std::string MetricsSocket(std::string_view workdir, std::string_view name, std::string_view mesh) {
  return SocketPath(workdir, base::Format("kuma-mh-{}-{}", name, mesh));
}
std::string DynamicConfigSocket(std::string_view workdir) {
  return SocketPath(workdir, "kuma-mesh-metric-config");
}
std::string ReadinessSocket(std::string_view workdir) {
  return SocketPath(workdir, "kuma-readiness-reporter");
}
std::string OpenTelemetrySocket(std::string_view workdir, std::string_view backend) {
  return SocketPath(workdir, base::Format("kuma-otel-{}", backend));
}

}  // namespace kuma::generate
