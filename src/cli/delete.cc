#include "base/format.h"
#include "base/strings.h"
#include "cli/commands.h"
#include "cli/kinds.h"

namespace kuma::cli {
namespace {

Strings Singulars() {
  Strings names;
  for (const Kind& row : AllKinds()) names.emplace_back(row.singular);
  return names;
}

base::Status Delete(Invocation& invocation, const std::string& type, const std::string& name,
                    const std::string& mesh) {
  const Kind* kind = FindKindBySingular(type);
  if (kind == nullptr) {
    const Strings near = Nearest(type, Singulars());
    return base::Invalid(base::Format(
        "unknown TYPE: {}. Allowed values: {}{}", type, base::Join(Singulars(), ", "),
        near.empty() ? "" : "\n  hint: did you mean " + base::Join(near, " or ") + "?"));
  }
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  auto reply = server->Call("DELETE", PathOf(*kind, mesh, name));
  const std::string failed =
      base::Format("failed to delete {} with the name \"{}\"", kind->kind, name);
  if (!reply.has_value()) return std::move(reply).error().Context(failed);
  if (reply->status == 404) {
    return base::NotFound(base::Format("there is no {} with name \"{}\"", kind->kind, name));
  }
  if (!reply->ok()) return base::Invalid(base::Format("{}: {}", failed, DescribeFailure(*reply)));
  invocation.out() << base::Format("deleted {} \"{}\"\n", kind->kind, name);
  return base::Ok{};
}

}  // namespace

void AddDelete(Invocation& invocation, Command& root) {
  auto mesh = std::make_shared<std::string>("default");
  root.children.push_back(
      {.name = "delete",
       .aliases = {},
       .arguments = "TYPE NAME",
       .help = "Delete Kuma resources",
       .flags = {{.name = "mesh", .letter = 'm', .help = "mesh to use", .target = mesh.get()}},
       .children = {},
       .run =
           [&invocation, mesh](const Strings& arguments) {
             return Delete(invocation, arguments[0], arguments[1], *mesh);
           },
       .first_argument = Singulars(),
       .example = "  kumactl delete meshtimeout web -m default"});
}

}  // namespace kuma::cli
