#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/ids.h"

namespace kuma::model {

using base::Revision;
using Labels = std::map<std::string, std::string>;
using WallTime = std::chrono::system_clock::time_point;

// Identity of a stored resource. `mesh` is empty for global kinds.
struct ResourceKey {
  std::string kind;
  std::string mesh;
  std::string name;
  auto operator<=>(const ResourceKey&) const = default;
  std::string ToString() const;  // "MeshTimeout default/web" or "Mesh default"
};

struct Metadata {
  std::string mesh = {};  // empty for global kinds
  std::string name = {};
  Labels labels = {};
  WallTime creation_time = {};
  WallTime modification_time = {};
  Revision revision = {};  // of the last write; what compare-and-set expects. Set by the store.
  // Deleting the owner deletes this (the Mesh of a mesh-scoped resource, and so on).
  std::optional<ResourceKey> owner = {};
  // A Dataplane that its own proxy registered: its life follows the proxy's connection.
  bool owned_by_proxy = false;

  bool operator==(const Metadata&) const = default;

  // Value of a label, or empty.
  std::string_view Label(std::string_view key) const {
    const auto found = labels.find(std::string(key));
    return found == labels.end() ? std::string_view() : std::string_view(found->second);
  }
};

struct ResourceType;

// Immutable once made. `spec` and `status` point to the struct of its kind (resources/<type>/*.h).
class Resource {
 public:
  Resource(const ResourceType& type, Metadata meta, std::shared_ptr<const void> spec,
           std::shared_ptr<const void> status = nullptr)
      : type_(&type), meta_(std::move(meta)), spec_(std::move(spec)), status_(std::move(status)) {}

  const ResourceType& type() const { return *type_; }
  const Metadata& meta() const { return meta_; }
  const std::string& mesh() const { return meta_.mesh; }
  const std::string& name() const { return meta_.name; }
  ResourceKey key() const;

  const std::shared_ptr<const void>& spec() const { return spec_; }
  const std::shared_ptr<const void>& status() const { return status_; }  // may be null

  // REQUIRES: T is the spec (status) type of this kind; checked in debug builds.
  template <class T>
  const T& Spec() const {
    DCHECK(IsSpec(SpecTag<T>()), "wrong spec type for this kind");
    return *static_cast<const T*>(spec_.get());
  }
  // Null when the kind has no status or none was written yet.
  template <class T>
  const T* Status() const {
    DCHECK(!status_ || IsStatus(SpecTag<T>()), "wrong status type for this kind");
    return static_cast<const T*>(status_.get());
  }

  template <class T>
  static const void* SpecTag() {
    static const char tag = 0;
    return &tag;
  }

 private:
  bool IsSpec(const void* tag) const;
  bool IsStatus(const void* tag) const;

  const ResourceType* type_;
  Metadata meta_;
  std::shared_ptr<const void> spec_;
  std::shared_ptr<const void> status_;
};
using ResourcePtr = std::shared_ptr<const Resource>;

}  // namespace kuma::model
