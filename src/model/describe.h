#pragma once

// Describe<Spec, Status>({...}) makes the row of a resource kind from its field tables:
//
//   const model::ResourceType& Type() {
//     static const model::ResourceType type = model::Describe<Spec, Status>({.kind = "MeshService",
//     ...}); return type;
//   }

#include <memory>

#include "model/fields.h"
#include "model/resource_type.h"

namespace kuma::model {

struct NoStatus {};

template <HasFields T, bool kProtoJson>
BodyOps BodyOf() {
  BodyOps ops;
  ops.tag = Resource::SpecTag<T>();
  ops.decode = [](const Value& value, std::string_view path, Violations& violations,
                  std::vector<std::string>& unknown) -> std::shared_ptr<const void> {
    auto body = std::make_shared<T>();
    DecodeStruct(TableOf<T>(), value, body.get(), path, {.proto_json = kProtoJson}, violations,
                 unknown);
    return body;
  };
  ops.check = [](const void* body, std::string_view path, Violations& violations) {
    CheckStruct(TableOf<T>(), body, path, violations);
  };
  ops.encode = [](const void* body) {
    return EncodeStruct(TableOf<T>(), body, {.proto_json = kProtoJson, .redact = false});
  };
  ops.equal = [](const void* a, const void* b) { return EqualStruct(TableOf<T>(), a, b, false); };
  ops.equal_inputs = [](const void* a, const void* b) {
    return EqualStruct(TableOf<T>(), a, b, true);
  };
  ops.schema = [] { return SchemaOfStruct(TableOf<T>(), kProtoJson); };
  ops.empty = []() -> std::shared_ptr<const void> { return std::make_shared<T>(); };
  return ops;
}

// Kinds with `inline_spec` are those that Kuma defines by protobuf messages; they follow protobuf's
// JSON. What a policy has (`to`, `rules`) follows from the members of its spec.
template <HasFields Spec, class Status = NoStatus>
ResourceType Describe(ResourceType row) {
  row.spec = row.inline_spec ? BodyOf<Spec, true>() : BodyOf<Spec, false>();
  if constexpr (HasFields<Status>)
    row.status = row.inline_spec ? BodyOf<Status, true>() : BodyOf<Status, false>();
  row.policy_has_to = row.is_policy && requires(const Spec& spec) { spec.to; };
  row.policy_has_rules = row.is_policy && requires(const Spec& spec) { spec.rules; };
  return row;
}

template <HasFields Spec>
ResourcePtr MakeResource(const ResourceType& type, Metadata meta, Spec spec) {
  return std::make_shared<Resource>(type, std::move(meta),
                                    std::make_shared<const Spec>(std::move(spec)));
}
template <HasFields Spec, HasFields Status>
ResourcePtr MakeResource(const ResourceType& type, Metadata meta, Spec spec, Status status) {
  return std::make_shared<Resource>(type, std::move(meta),
                                    std::make_shared<const Spec>(std::move(spec)),
                                    std::make_shared<const Status>(std::move(status)));
}

}  // namespace kuma::model
