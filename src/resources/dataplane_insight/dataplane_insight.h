#pragma once

// What was observed of a proxy: its connections, versions, certificate. Nothing of it is an input
// of configuration.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::dataplane_insight {

using model::WallTime;

struct ServiceStats {
  uint64_t responses_sent = 0;
  uint64_t responses_acknowledged = 0;
  uint64_t responses_rejected = 0;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("responsesSent", &ServiceStats::responses_sent, "Responses sent."),
        Field("responsesAcknowledged", &ServiceStats::responses_acknowledged,
              "Responses acknowledged."),
        Field("responsesRejected", &ServiceStats::responses_rejected, "Responses rejected."),
    };
  }
};
struct SubscriptionStatus {
  std::optional<WallTime> last_update_time;
  std::optional<ServiceStats> total;
  std::optional<ServiceStats> cds;
  std::optional<ServiceStats> eds;
  std::optional<ServiceStats> lds;
  std::optional<ServiceStats> rds;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("lastUpdateTime", &SubscriptionStatus::last_update_time, "Time of the last change."),
        Field("total", &SubscriptionStatus::total, "All types together."),
        Field("cds", &SubscriptionStatus::cds, "Clusters."),
        Field("eds", &SubscriptionStatus::eds, "Endpoints."),
        Field("lds", &SubscriptionStatus::lds, "Listeners."),
        Field("rds", &SubscriptionStatus::rds, "Routes."),
    };
  }
};
struct KumaDpVersion {
  std::string version;
  std::string git_tag;
  std::string git_commit;
  std::string build_date;
  bool kuma_cp_compatible = false;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("version", &KumaDpVersion::version, "Version of kuma-dp."),
        Field("gitTag", &KumaDpVersion::git_tag, "Git tag of kuma-dp."),
        Field("gitCommit", &KumaDpVersion::git_commit, "Git commit of kuma-dp."),
        Field("buildDate", &KumaDpVersion::build_date, "Build date of kuma-dp."),
        Field("kumaCpCompatible", &KumaDpVersion::kuma_cp_compatible,
              "Whether it fits the control plane."),
    };
  }
};
struct EnvoyVersion {
  std::string version;
  std::string build;
  bool kuma_dp_compatible = false;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("version", &EnvoyVersion::version, "Version of Envoy."),
        Field("build", &EnvoyVersion::build, "Build of Envoy."),
        Field("kumaDpCompatible", &EnvoyVersion::kuma_dp_compatible, "Whether it fits kuma-dp."),
    };
  }
};
struct Version {
  std::optional<KumaDpVersion> kuma_dp;
  std::optional<EnvoyVersion> envoy;
  std::map<std::string, std::string> dependencies;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("kumaDp", &Version::kuma_dp, "kuma-dp."),
        Field("envoy", &Version::envoy, "Envoy."),
        Field("dependencies", &Version::dependencies,
              "Versions of other programs, such as CoreDNS."),
    };
  }
};
struct Subscription {
  std::string id;
  std::string control_plane_instance_id;
  std::optional<WallTime> connect_time;
  std::optional<WallTime> disconnect_time;  // absent: connected
  std::optional<SubscriptionStatus> status;
  std::optional<Version> version;
  uint32_t generation = 0;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("id", &Subscription::id, "Id of the connection."),
        Field("controlPlaneInstanceId", &Subscription::control_plane_instance_id,
              "Who holds the connection."),
        Field("connectTime", &Subscription::connect_time, "Time of the connection."),
        Field("disconnectTime", &Subscription::disconnect_time, "Time of its end."),
        Field("status", &Subscription::status, "What was sent and answered."),
        Field("version", &Subscription::version, "Versions at the other end."),
        Field("generation", &Subscription::generation,
              "Raised from time to time while the connection is open."),
    };
  }
};
struct Mtls {
  std::optional<WallTime> certificate_expiration_time;
  std::optional<WallTime> last_certificate_regeneration;
  uint32_t certificate_regenerations = 0;
  std::string issued_backend;
  std::vector<std::string> supported_backends;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("certificateExpirationTime", &Mtls::certificate_expiration_time,
              "End of the current certificate."),
        Field("lastCertificateRegeneration", &Mtls::last_certificate_regeneration,
              "Time of the last certificate."),
        Field("certificateRegenerations", &Mtls::certificate_regenerations,
              "Number of certificates so far."),
        Field("issuedBackend", &Mtls::issued_backend, "Backend of the current certificate."),
        Field("supportedBackends", &Mtls::supported_backends, "Backends that the proxy trusts."),
    };
  }
};
struct Signal {
  bool enabled = false;
  bool env_allowed = false;
  bool env_input_present = false;
  std::string state;
  std::vector<std::string> override_kinds;
  std::vector<std::string> missing_fields;
  std::vector<std::string> blocked_reasons;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("enabled", &Signal::enabled, "Whether the signal is exported."),
        Field("envAllowed", &Signal::env_allowed,
              "Whether variables of the environment may set it."),
        Field("envInputPresent", &Signal::env_input_present,
              "Whether the environment has such variables."),
        Field("state", &Signal::state, "Outcome."),
        Field("overrideKinds", &Signal::override_kinds, "What was overridden."),
        Field("missingFields", &Signal::missing_fields, "What is missing."),
        Field("blockedReasons", &Signal::blocked_reasons, "Why it is not exported."),
    };
  }
};
struct OpenTelemetryBackend {
  std::string name;
  std::optional<Signal> traces;
  std::optional<Signal> logs;
  std::optional<Signal> metrics;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("name", &OpenTelemetryBackend::name, "Name of the backend."),
        Field("traces", &OpenTelemetryBackend::traces, "Traces."),
        Field("logs", &OpenTelemetryBackend::logs, "Logs."),
        Field("metrics", &OpenTelemetryBackend::metrics, "Metrics."),
    };
  }
};
struct OpenTelemetry {
  std::vector<OpenTelemetryBackend> backends;
  static constexpr auto Fields() {
    return std::tuple{model::Field("backends", &OpenTelemetry::backends, "Backends of the proxy.")};
  }
};

struct Spec {
  std::vector<Subscription> subscriptions;
  std::optional<Mtls> mtls;
  model::JsonText metadata;  // of the Envoy node
  std::optional<OpenTelemetry> open_telemetry;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("subscriptions", &Spec::subscriptions, "Connections of the proxy, oldest first."),
        Field("mTLS", &Spec::mtls, "Certificate of the proxy."),
        Field("metadata", &Spec::metadata, "What the proxy told about itself."),
        Field("openTelemetry", &Spec::open_telemetry,
              "OpenTelemetry backends as resolved for the proxy."),
    };
  }
};

const model::ResourceType& Type();

// The last connection, or null; and whether it is open.
const Subscription* LastSubscription(const Spec& spec);
bool IsOnline(const Spec& spec);

}  // namespace kuma::resources::dataplane_insight
