#include "model/resource_type.h"

#include "base/format.h"
#include "model/duration.h"
#include "model/kri.h"

namespace kuma::model {
namespace {

// Members of the Universal form that are no part of an inlined spec.
bool IsHeadMember(const ResourceType& type, std::string_view name) {
  for (const std::string_view head :
       {"type", "mesh", "name", "labels", "creationTime", "modificationTime", "kri"})
    if (name == head) return true;
  // Computed members of a resource that was read and is written back.
  return name == "snis" && type.add_computed != nullptr;
}

std::string NotAString(std::string_view member, const Value& value) {
  const std::string_view found = value.is_number() ? "number"
                                 : value.if_bool() ? "bool"
                                                   : value.TypeName();
  return base::Format(
      "json: cannot unmarshal {} into Go struct field ResourceMeta.{} of type string", found,
      member);
}

// The text of a member of the head; null stands for absent.
std::string ReadText(const Object& object, std::string_view member, std::string& unreadable) {
  const Value* value = object.Find(member);
  if (!value || value->is_null()) return {};
  if (const std::string* text = value->if_string()) return *text;
  if (unreadable.empty()) unreadable = NotAString(member, *value);
  return {};
}

WallTime ReadTime(const Object& object, std::string_view member) {
  const Value* value = object.Find(member);
  const std::string* text = value ? value->if_string() : nullptr;
  const auto time = text ? ParseRfc3339(*text) : std::nullopt;
  return time ? *time : WallTime{};
}

Labels ReadLabels(const Object& object, std::string& unreadable) {
  Labels labels;
  const Value* value = object.Find("labels");
  if (!value || value->is_null()) return labels;
  const Object* members = value->if_object();
  if (!members) {
    unreadable = base::Format(
        "json: cannot unmarshal {} into Go struct field ResourceMeta.labels of type "
        "map[string]string",
        value->TypeName());
    return labels;
  }
  for (const auto& [key, member] : *members) {
    if (const std::string* text = member.if_string())
      labels[key] = *text;
    else if (!member.is_null() && unreadable.empty())
      unreadable = NotAString("labels", member);
  }
  return labels;
}

}  // namespace

const ResourceType* TypeTable::Find(std::string_view kind) const {
  for (const ResourceType* type : types_)
    if (type->kind == kind) return type;
  return nullptr;
}

const ResourceType* TypeTable::FindByPath(std::string_view path) const {
  if (path.empty()) return nullptr;
  for (const ResourceType* type : types_)
    if (type->plural == path || type->alt_path == path) return type;
  return nullptr;
}

const ResourceType* TypeTable::FindBySingular(std::string_view singular) const {
  if (singular.empty()) return nullptr;
  for (const ResourceType* type : types_)
    if (type->singular == singular) return type;
  return nullptr;
}

const ResourceType* TypeTable::FindByShortName(std::string_view short_name) const {
  if (short_name.empty()) return nullptr;
  for (const ResourceType* type : types_)
    if (type->short_name == short_name) return type;
  return nullptr;
}

Value EncodeResource(const Resource& resource) {
  const ResourceType& type = resource.type();
  const Metadata& meta = resource.meta();
  Object object;
  object.AppendNew("type", type.kind);
  if (type.scope == Scope::kMesh) object.AppendNew("mesh", meta.mesh);
  object.AppendNew("name", meta.name);
  object.AppendNew("creationTime", ToRfc3339(meta.creation_time));
  object.AppendNew("modificationTime", ToRfc3339(meta.modification_time));
  if (!meta.labels.empty()) {
    Object labels;
    for (const auto& [key, value] : meta.labels) labels.AppendNew(key, value);
    object.AppendNew("labels", std::move(labels));
  }
  if (!type.short_name.empty()) object.AppendNew("kri", KriOf(resource).ToString());
  if (type.add_computed) type.add_computed(resource, object);
  Value spec = type.spec.encode(resource.spec() ? resource.spec().get() : type.spec.empty().get());
  if (type.inline_spec) {
    for (auto& [key, member] : *spec.if_object()) object.AppendNew(key, std::move(member));
  } else {
    object.AppendNew("spec", std::move(spec));
  }
  if (type.status.decode) {
    const auto status = resource.status() ? resource.status() : type.status.empty();
    object.AppendNew("status", type.status.encode(status.get()));
  }
  return object;
}

Decoded DecodeResource(const Value& value, const TypeTable& types, bool trusted) {
  Decoded result;
  const Object* object = value.if_object();
  if (!object) {
    result.unreadable = base::Format(
        "json: cannot unmarshal {} into Go value of type v1alpha1.ResourceMeta", value.TypeName());
    return result;
  }
  const std::string kind = ReadText(*object, "type", result.unreadable);
  Metadata meta;
  meta.mesh = ReadText(*object, "mesh", result.unreadable);
  meta.name = ReadText(*object, "name", result.unreadable);
  meta.labels = ReadLabels(*object, result.unreadable);
  if (!result.unreadable.empty()) return result;
  const ResourceType* type = types.Find(kind);
  if (!type) {
    result.unreadable = kind.empty() ? "field type cannot be empty"
                                     : base::Format("invalid resource type \"{}\"", kind);
    return result;
  }
  if (type->scope == Scope::kGlobal)
    meta.mesh.clear();
  else if (meta.mesh.empty())
    meta.mesh = "default";
  if (trusted) {
    meta.creation_time = ReadTime(*object, "creationTime");
    meta.modification_time = ReadTime(*object, "modificationTime");
  }

  std::shared_ptr<const void> spec;
  std::shared_ptr<const void> status;
  const std::string_view path = type->inline_spec ? "" : "spec";
  if (type->inline_spec) {
    Object inlined;
    for (const auto& [key, member] : *object)
      if (!IsHeadMember(*type, key)) inlined.AppendNew(key, member);
    spec = type->spec.decode(inlined, path, result.violations, result.unknown);
  } else {
    const Value* body = object->Find("spec");
    spec = type->spec.decode(body ? *body : Value(), path, result.violations, result.unknown);
    for (const auto& [key, member] : *object)
      if (!IsHeadMember(*type, key) && key != "spec" && key != "status")
        result.unknown.push_back(key);
  }
  if (trusted && type->status.decode) {
    // A status is never a reason to refuse: other control planes may know more of it than we do.
    const Value* body = object->Find("status");
    Violations ignored;
    std::vector<std::string> unknown;
    if (body && !body->is_null()) status = type->status.decode(*body, "status", ignored, unknown);
  }
  if (!result.violations.empty()) return result;

  auto resource =
      std::make_shared<const Resource>(*type, std::move(meta), std::move(spec), std::move(status));
  Validate(*resource, result.violations);
  if (result.violations.empty()) result.resource = std::move(resource);
  return result;
}

void Validate(const Resource& resource, Violations& out) {
  const ResourceType& type = resource.type();
  if (type.spec.check) type.spec.check(resource.spec().get(), type.inline_spec ? "" : "spec", out);
  if (type.validate) type.validate(resource, out);
}

base::Result<ResourcePtr> DecodeStored(const ResourceType& type, Metadata meta, const Value& spec,
                                       const Value& status) {
  Violations violations;
  std::vector<std::string> unknown;
  auto decoded = type.spec.decode(spec, "spec", violations, unknown);
  std::shared_ptr<const void> decoded_status;
  if (type.status.decode && !status.is_null())
    decoded_status = type.status.decode(status, "status", violations, unknown);
  // Rows of an older schema may break newer constraints; only what cannot be read at all is a
  // fault.
  if (!spec.if_object() && !spec.is_null())
    return base::Internal(base::Format("stored {} {}/{}: its spec is not an object", type.kind,
                                       meta.mesh, meta.name));
  return ResourcePtr(std::make_shared<Resource>(type, std::move(meta), std::move(decoded),
                                                std::move(decoded_status)));
}

}  // namespace kuma::model
