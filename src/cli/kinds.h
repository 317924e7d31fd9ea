#pragma once

// The resource kinds that kumactl knows: how they are called on the command line and where they lie
// in the API.

#include <span>
#include <string>
#include <string_view>

namespace kuma::cli {

struct Kind {
  std::string_view kind;      // "MeshTimeout"
  std::string_view singular;  // "meshtimeout": `get meshtimeout NAME`
  std::string_view plural;    // "meshtimeouts": `get meshtimeouts`, and in paths
  bool in_mesh = true;
  std::string_view singular_alias;  // or empty
  std::string_view plural_alias;
  bool is_policy = false;
};

// In the order of `kumactl get --help`.
std::span<const Kind> AllKinds();
const Kind* FindKind(std::string_view kind);
const Kind* FindKindBySingular(std::string_view singular);  // or its alias

// "/meshes/default/meshtimeouts", "/zones"; with a name "/meshes/default/meshtimeouts/web".
std::string PathOf(const Kind& kind, std::string_view mesh, std::string_view name = {});

}  // namespace kuma::cli
