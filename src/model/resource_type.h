#pragma once

// The row of a resource kind: everything generic code (REST, store, kumactl, sync) knows about it.
// Made by Describe<Spec, Status>() of model/describe.h from the field tables; kept in a TypeTable.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/resource.h"
#include "model/value.h"
#include "model/violations.h"

namespace kuma::model {

enum class Scope { kGlobal, kMesh };

// Which rule the names of a kind follow; "Name rules" of Kuma 3.0. Every kind is at least an RFC
// 1123 subdomain.
enum class NameRule { kSubdomain, kMeshName, kRfc1035Label };

// How one half (spec or status) of a kind is handled. All functions are pure and thread-safe.
struct BodyOps {
  const void* tag = nullptr;  // Resource::SpecTag<T>()
  // Wrong types and broken constraints become violations under `path`; every unknown field's path
  // is added to `unknown` and the field is dropped. Defaults of the schema are applied.
  std::shared_ptr<const void> (*decode)(const Value& value, std::string_view path,
                                        Violations& violations,
                                        std::vector<std::string>& unknown) = nullptr;
  // Checks that the field table can say and that are not part of the schema (CheckStruct).
  void (*check)(const void* body, std::string_view path, Violations& violations) = nullptr;
  Value (*encode)(const void* body) = nullptr;
  bool (*equal)(const void* a, const void* b) = nullptr;
  // Equal in everything that configuration may read (fields marked Input{}).
  bool (*equal_inputs)(const void* a, const void* b) = nullptr;
  Value (*schema)() = nullptr;                       // OpenAPI 3.0 schema object
  std::shared_ptr<const void> (*empty)() = nullptr;  // a body with nothing but defaults
};

struct ResourceType {
  std::string_view kind = {};        // "MeshTimeout"
  std::string_view singular = {};    // "meshtimeout": kumactl get/delete; empty: none
  std::string_view plural = {};      // "meshtimeouts": path and kumactl get; empty: no REST path
  std::string_view alt_path = {};    // second spelling of the path, or empty
  std::string_view short_name = {};  // of KRIs, "mt"; empty: none
  std::string_view singular_display_name = {};  // "Mesh Timeout"
  std::string_view plural_display_name = {};
  Scope scope = Scope::kMesh;
  NameRule name_rule = NameRule::kSubdomain;
  bool read_only = false;   // 405 on PUT and DELETE
  bool admin_only = false;  // Secret, GlobalSecret
  bool is_policy = false;
  bool policy_has_to = false;     // outbound confs: a `to` list
  bool policy_has_rules = false;  // inbound confs: a `rules` list
  bool is_insight = false;
  bool inline_spec = false;  // older kinds: spec fields stand at top level
  bool in_federation_export = false;
  // Who may write, by KDS direction.
  bool global_to_zones = false;
  bool zone_to_global = false;
  bool across_zones = false;        // global passes it on to the other zones
  bool writable_in_zones = false;   // in spite of global_to_zones
  bool writable_on_global = false;  // in spite of zone_to_global
  bool hashed_name = false;         // renamed when it travels (HashedName of model/names.h)

  BodyOps spec = {};
  BodyOps status = {};  // decode == nullptr: the kind has no status
  // Beyond what the field table can say; paths are relative to the resource ("spec.to[0]" or, for
  // inlined kinds, "networking.inbound[0]"). May be null.
  void (*validate)(const Resource& resource, Violations& out) = nullptr;
  // Adds read-only members of the REST form that are computed from the resource ("snis" of a
  // MeshService); they stand between `kri` and `spec`. May be null.
  void (*add_computed)(const Resource& resource, Object& out) = nullptr;
};

// All kinds of a program, in a fixed order. Immutable after start-up.
class TypeTable {
 public:
  explicit TypeTable(std::vector<const ResourceType*> types) : types_(std::move(types)) {}
  const ResourceType* Find(std::string_view kind) const;
  const ResourceType* FindByPath(std::string_view path) const;  // plural or alt_path
  const ResourceType* FindBySingular(std::string_view singular) const;
  const ResourceType* FindByShortName(std::string_view short_name) const;
  const std::vector<const ResourceType*>& all() const& { return types_; }
  void all() && = delete;  // the list would be gone with the table

 private:
  std::vector<const ResourceType*> types_;
};

// The Universal JSON form: type, mesh, name, creationTime, modificationTime, labels, kri, then spec
// and status or the inlined spec. Private metadata (owner, revision) is not part of it.
Value EncodeResource(const Resource& resource);

struct Decoded {
  ResourcePtr resource;  // null when violations say why
  // Of the schema; if there is none, those of ResourceType::validate.
  Violations violations;
  std::vector<std::string> unknown;  // paths of unknown fields, dropped
  // Not a resource at all (not an object, a name that is a number, an unknown type): the reason as
  // Kuma's parser puts it. Then there is neither a resource nor a violation.
  std::string unreadable;
};
// Decodes the Universal form: type, metadata, spec; status and times in the input are ignored
// unless `trusted` (rows of our own store, resources of another control plane). Does not check name
// and label syntax (see names.h).
Decoded DecodeResource(const Value& value, const TypeTable& types, bool trusted = false);

// The semantic checks of the kind: those of the field table (BodyOps::check), then
// ResourceType::validate.
void Validate(const Resource& resource, Violations& out);

// The same but with the key and metadata given, for the store: `spec` and `status` are their JSON.
// What breaks a constraint of the schema is kept as far as it can be read (a row may be older than
// the constraint); a body that is no object at all is kInternal.
base::Result<ResourcePtr> DecodeStored(const ResourceType& type, Metadata meta, const Value& spec,
                                       const Value& status);

}  // namespace kuma::model
