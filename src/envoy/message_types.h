#pragma once

// Every message of Envoy's API, whether our library compiles it in or not: JSON, unpacking of Any,
// merging. What is not compiled in is a dynamic message, made from descriptors that the program
// carries and reads when the first such message is asked for.
//
// All functions are thread-safe. Type names may be type URLs
// ("type.googleapis.com/envoy.config.cluster.v3.Cluster") or full names.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>

#include "base/result.h"

namespace kuma::envoy {

// An empty message. kInvalid: there is no such type in Envoy's API.
base::Result<std::unique_ptr<google::protobuf::Message>> NewMessage(std::string_view type);

// kInvalid: no such type, or the bytes are none of it.
base::Result<std::unique_ptr<google::protobuf::Message>> Unpack(const google::protobuf::Any& any);

// Reads protobuf's JSON into an empty message; members that the type does not have are skipped.
// kInvalid: see ReviewJson for more.
base::Status FromJson(std::string_view json, google::protobuf::Message& into);

// Protobuf's JSON. kInvalid: an Any in it is of a type that Envoy's API does not have.
base::Result<std::string> ToJson(const google::protobuf::Message& message);

// What is wrong with JSON for a type, all of it with paths
// ("filterChains[0].filters[1].typedConfig.maxRequestBytes").
struct JsonReview {
  struct Fault {
    std::string path;  // empty: the message names it
    std::string message;
  };
  std::vector<Fault> faults;         // FromJson refuses it; sorted by path
  std::vector<std::string> unknown;  // paths of members that the type does not have; sorted
};
JsonReview ReviewJson(std::string_view json, std::string_view type);

// As protobuf merges: set fields replace, messages are merged, lists are joined, entries of maps
// replaced; but a duration is replaced as a whole. REQUIRES: both are of one type and made alike.
void Merge(const google::protobuf::Message& from, google::protobuf::Message& into);

}  // namespace kuma::envoy
