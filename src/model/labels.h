#pragma once

// Labels that the control plane sets or checks on a write.

#include <optional>
#include <string>

#include "model/names.h"
#include "model/resource_type.h"

namespace kuma::model {

// What the labels of a resource say about the control plane that it was written to.
struct ControlPlane {
  enum class Mode { kZone, kGlobal };
  enum class Environment { kUniversal, kKubernetes };
  Mode mode = Mode::kZone;
  Environment environment = Environment::kUniversal;
  std::string zone = "default";  // its own name, in mode kZone
  bool federated = false;        // a zone with a global control plane
  // multizone.zone.disableOriginLabelValidation: a federated zone does not ask for the origin
  // label.
  bool check_origin = true;
};

// The labels of a resource that a user (or we for him) writes here: display name and origin are
// set, mesh, zone and environment where absent. Not for resources that come from another control
// plane.
Labels ComputeLabels(const ResourceType& type, const Metadata& meta, const ControlPlane& here);

// Refuses labels that claim what is not so, and such that are no labels by their syntax (REST
// answers 400).
void CheckLabels(const ResourceType& type, const Metadata& meta, const ControlPlane& here,
                 Violations& out);

// Whether a resource of this origin may be written or deleted here. Paths are below `path`:
// "labels", or empty.
void CheckOriginForWrite(const ResourceType& type, const Metadata& meta, const ControlPlane& here,
                         std::string_view path, Violations& out);

// An update keeps what says where a resource is from; both are labels as computed.
void CheckImmutableLabels(const Labels& before, const Labels& after, Violations& out);

}  // namespace kuma::model
