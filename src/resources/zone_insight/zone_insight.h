#pragma once

// What was observed of a zone. Nothing of it is an input of configuration.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::resources::zone_insight {

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
  std::map<std::string, ServiceStats> stat;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("lastUpdateTime", &SubscriptionStatus::last_update_time, "Time of the last change."),
        Field("total", &SubscriptionStatus::total, "All kinds together."),
        Field("stat", &SubscriptionStatus::stat, "By kind of resource."),
    };
  }
};
struct KumaCpVersion {
  std::string version;
  std::string git_tag;
  std::string git_commit;
  std::string build_date;
  bool kuma_cp_global_compatible = false;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("version", &KumaCpVersion::version, "Version of the zone's control plane."),
        Field("gitTag", &KumaCpVersion::git_tag, "Its git tag."),
        Field("gitCommit", &KumaCpVersion::git_commit, "Its git commit."),
        Field("buildDate", &KumaCpVersion::build_date, "Its build date."),
        Field("kumaCpGlobalCompatible", &KumaCpVersion::kuma_cp_global_compatible,
              "Whether it fits the global control plane."),
    };
  }
};
struct Version {
  std::optional<KumaCpVersion> kuma_cp;
  static constexpr auto Fields() {
    return std::tuple{model::Field("kumaCp", &Version::kuma_cp, "The zone's control plane.")};
  }
};
struct Subscription {
  std::string id;
  std::string global_instance_id;
  std::optional<WallTime> connect_time;
  std::optional<WallTime> disconnect_time;
  std::optional<SubscriptionStatus> status;
  std::optional<Version> version;
  uint32_t generation = 0;
  std::string config;
  bool auth_token_provided = false;
  std::string zone_instance_id;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("id", &Subscription::id, "Name of the connection."),
        Field("globalInstanceId", &Subscription::global_instance_id,
              "The global control plane's instance that holds it."),
        Field("connectTime", &Subscription::connect_time, "Time of the connection."),
        Field("disconnectTime", &Subscription::disconnect_time, "Time of its end."),
        Field("status", &Subscription::status, "What was sent and answered."),
        Field("version", &Subscription::version, "Version at the other end."),
        Field("generation", &Subscription::generation,
              "Raised from time to time while the connection is open."),
        Field("config", &Subscription::config, "Configuration of the zone's control plane."),
        Field("authTokenProvided", &Subscription::auth_token_provided,
              "Whether the zone showed a token."),
        Field("zoneInstanceId", &Subscription::zone_instance_id,
              "The zone control plane's instance that holds it."),
    };
  }
};
struct EnvoyAdminStreams {
  std::string config_dump_global_instance_id;
  std::string stats_global_instance_id;
  std::string clusters_global_instance_id;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("configDumpGlobalInstanceId", &EnvoyAdminStreams::config_dump_global_instance_id,
              "Instance with the stream of configurations."),
        Field("statsGlobalInstanceId", &EnvoyAdminStreams::stats_global_instance_id,
              "Instance with the stream of statistics."),
        Field("clustersGlobalInstanceId", &EnvoyAdminStreams::clusters_global_instance_id,
              "Instance with the stream of clusters."),
    };
  }
};
struct HealthCheck {
  std::optional<WallTime> time;
  static constexpr auto Fields() {
    return std::tuple{model::Field("time", &HealthCheck::time, "Time of the last sign of life.")};
  }
};
struct Stream {
  std::string global_instance_id;
  std::optional<WallTime> connect_time;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("globalInstanceId", &Stream::global_instance_id, "Instance with the stream."),
        Field("connectTime", &Stream::connect_time, "Time of its beginning."),
    };
  }
};
struct Streams {
  std::optional<Stream> clusters;
  std::optional<Stream> config_dump;
  std::optional<Stream> stats;
  std::optional<Stream> global_to_zone;
  std::optional<Stream> zone_to_global;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("clusters", &Streams::clusters, "Clusters of proxies."),
        Field("configDump", &Streams::config_dump, "Configurations of proxies."),
        Field("stats", &Streams::stats, "Statistics of proxies."),
        Field("globalToZone", &Streams::global_to_zone, "Resources from global."),
        Field("zoneToGlobal", &Streams::zone_to_global, "Resources to global."),
    };
  }
};

struct Spec {
  std::vector<Subscription> subscriptions;
  std::optional<EnvoyAdminStreams> envoy_admin_streams;
  std::optional<HealthCheck> health_check;
  std::optional<Streams> kds_streams;
  static constexpr auto Fields() {
    using model::Field;
    return std::tuple{
        Field("subscriptions", &Spec::subscriptions, "Connections of the zone, oldest first."),
        Field("envoyAdminStreams", &Spec::envoy_admin_streams, "Deprecated: kdsStreams."),
        Field("healthCheck", &Spec::health_check, "Signs of life of the zone."),
        Field("kdsStreams", &Spec::kds_streams, "Open streams of the zone."),
    };
  }
};

const model::ResourceType& Type();

// Whether the last connection is open.
bool IsOnline(const Spec& spec);

}  // namespace kuma::resources::zone_insight
