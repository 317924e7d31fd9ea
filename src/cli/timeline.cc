#include "base/format.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "model/value.h"
#include "net/http.h"

namespace kuma::cli {
namespace {

using model::Value;

std::string Text(const Value& object, std::string_view key) {
  const Value* value = object.Find(key);
  if (value == nullptr) return "";
  if (value->if_int() != nullptr) return base::Format("{}", *value->if_int());
  return value->if_string() != nullptr ? *value->if_string() : "";
}

// "3 resources, 1 removed, 2048 bytes", or the server's words.
std::string Detail(const Value& event) {
  std::string text = Text(event, "detail");
  if (Text(event, "event") == "sent") {
    text = base::Format("{} resources, {} bytes", Text(event, "resources"), Text(event, "bytes"));
    if (const std::string removed = Text(event, "removed"); removed != "0")
      text += base::Format(", {} removed", removed);
  }
  return text;
}

}  // namespace

base::Status PrintTimeline(Invocation& invocation, const std::string& mesh, const std::string& name,
                           const std::string& output) {
  TRY_ASSIGN(const OutputFormat format, ParseOutputFormat(output));
  TRY_ASSIGN(ControlPlane * server, invocation.Server());
  TRY_ASSIGN(const Reply reply,
             server->Call("GET", base::Format("/meshes/{}/dataplanes/{}/_timeline",
                                              net::PercentEncode(mesh), net::PercentEncode(name))));
  if (!reply.ok()) return base::Invalid(DescribeFailure(reply));
  TRY_ASSIGN(const Value timeline, model::ParseJson(reply.body));
  if (!IsTable(format)) {
    PrintValue(timeline, format, invocation.out());
    return base::Ok{};
  }
  Table table{.headers = {"TIME", "EVENT", "REVISION", "TYPE", "DETAIL"}, .rows = {}, .footer = ""};
  const Value* items = timeline.Find("items");
  if (items != nullptr && items->if_array() != nullptr) {
    for (const Value& event : *items->if_array()) {
      table.rows.push_back({Text(event, "time"), Text(event, "event"), Text(event, "revision"),
                            Text(event, "type"), Detail(event)});
    }
  }
  table.Print(invocation.out());
  return base::Ok{};
}

}  // namespace kuma::cli
