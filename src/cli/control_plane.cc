#include "cli/control_plane.h"

#include <future>
#include <utility>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::cli {
namespace {

std::string Text(const model::Value& object, std::string_view key) {
  const model::Value* value = object.Find(key);
  const std::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? *text : "";
}

// A transport error with the way out.
base::Error WithHint(const base::Error& error, const std::string& url) {
  const bool certificate = error.message().find("certificate") != std::string::npos;
  return {error.code(),
          error.message() +
              (certificate
                   ? "\n  hint: --ca-cert-file of `kumactl config control-planes add` names the CA "
                     "that is "
                     "trusted; a control plane with a certificate of its own making keeps it as "
                     "kuma-cp.crt in its work folder"
                   : base::Format("\n  hint: is the control plane at {} running? `kumactl config "
                                  "control-planes list` shows which one is asked",
                                  url))};
}

}  // namespace

base::Result<std::unique_ptr<ControlPlane>> ControlPlane::Make(const ApiServer& server,
                                                               runtime::Duration timeout) {
  auto made = std::unique_ptr<ControlPlane>(new ControlPlane);
  made->url_ = server.url;
  while (made->url_.ends_with('/')) made->url_.pop_back();
  if (auto probe = net::MakeRequest("GET", made->url_ + "/"); !probe.has_value()) {
    return std::move(probe).error().Context("the URL of the control plane");
  }
  for (const auto& [key, value] : server.headers) made->headers_.Add(key, value);
  if (server.auth_type == "tokens") {
    std::string token;
    for (const auto& [key, value] : server.auth_conf) {
      if (key == "token") token = value;
    }
    if (token.empty()) {
      return base::Invalid(
          "authentication type \"tokens\" needs a token: --auth-conf token=<user token>");
    }
    made->headers_.Set("authorization", "Bearer " + token);
  } else if (!server.auth_type.empty()) {
    return base::Invalid(base::Format(
        "authentication plugin of type \"{}\" not found; known: tokens", server.auth_type));
  }
  net::ClientOptions options;
  options.tls.ca_file = server.ca_cert_file;
  options.tls.skip_verify = server.skip_verify;
  options.tls.certificate.cert_file = server.client_cert_file;
  options.tls.certificate.key_file = server.client_key_file;
  options.request_timeout = timeout.count() > 0 ? timeout : std::chrono::hours(1);
  if (timeout.count() > 0) options.connect_timeout = std::min(options.connect_timeout, timeout);
  made->client_ = std::make_unique<net::HttpClient>(made->loop_, std::move(options));
  return made;
}

base::Result<Reply> ControlPlane::Call(std::string_view method, std::string_view target,
                                       std::string body) {
  TRY_ASSIGN(net::HttpRequest request,
             net::MakeRequest(std::string(method), url_ + std::string(target)));
  request.headers = headers_;
  request.headers.Set("accept", "application/json");
  if (!body.empty()) request.headers.Set("content-type", "application/json");
  request.body = std::move(body);
  std::promise<base::Result<net::HttpResponse>> answer;
  client_->Send(std::move(request), [&answer](base::Result<net::HttpResponse> result) {
    answer.set_value(std::move(result));
  });
  auto response = answer.get_future().get();
  if (!response.has_value()) return WithHint(std::move(response).error(), url_);
  return Reply{.status = response->status,
               .body = std::move(response->body),
               .headers = std::move(response->headers)};
}

base::Result<model::Value> ControlPlane::GetJson(std::string_view target) {
  TRY_ASSIGN(const Reply reply, Call("GET", target));
  if (!reply.ok()) {
    // A 404 without a problem is about the path, not about what it names.
    const bool absent = reply.status == 404 && model::ParseJson(reply.body).has_value();
    return base::Error(absent ? base::Code::kNotFound : base::Code::kInvalid,
                       DescribeFailure(reply));
  }
  auto value = model::ParseJson(reply.body);
  if (!value.has_value())
    return std::move(value).error().Context(base::Format("the answer to GET {}", target));
  return value;
}

base::Result<model::Array> ControlPlane::GetAllItems(const std::string& target) {
  model::Array all;
  const std::string pages = target + (target.find('?') == std::string::npos ? "?" : "&");
  for (std::string offset;;) {
    const std::string from = offset.empty() ? "" : "&offset=" + net::PercentEncode(offset);
    TRY_ASSIGN(model::Value list, GetJson(base::Format("{}size=1000{}", pages, from)));
    model::Value* items = list.Find("items") != nullptr ? list.if_object()->Find("items") : nullptr;
    if (items != nullptr && items->if_array() != nullptr) {
      for (model::Value& item : *items->if_array()) all.push_back(std::move(item));
    }
    std::string next = NextOffset(list);
    if (next.empty() || next == offset) return all;
    offset = std::move(next);
  }
}

std::string NextOffset(const model::Value& list) {
  const model::Value* next = list.Find("next");
  const auto url = net::ParseUrl(next != nullptr && next->if_string() ? *next->if_string() : "");
  net::HttpRequest parsed;
  if (!url.has_value() || !net::ParseTarget(url->target, parsed)) return "";
  const std::string* offset = parsed.FindQuery("offset");
  return offset != nullptr ? *offset : "";
}

std::string DescribeFailure(const Reply& reply) {
  const auto parsed = model::ParseJson(reply.body);
  if (!parsed.has_value() || parsed->if_object() == nullptr || Text(*parsed, "title").empty()) {
    if (reply.status == 404) {
      return base::Format("the control plane does not serve this; it is of another version ({})",
                          base::Trim(reply.body));
    }
    return base::Format("({}): {}", reply.status, base::Trim(reply.body));
  }
  std::string hints;
  const auto add_hint = [&hints](const std::string& field, const std::string& hint) {
    if (!hint.empty())
      hints += base::Format("\n  hint: {}{}", field.empty() ? "" : field + ": ", hint);
  };
  std::string text = base::Format("{} ({})", Text(*parsed, "title"), Text(*parsed, "detail"));
  add_hint("", Text(*parsed, "hint"));
  const model::Value* parameters = parsed->Find("invalid_parameters");
  if (parameters != nullptr && parameters->if_array() != nullptr) {
    for (const model::Value& parameter : *parameters->if_array()) {
      text += base::Format(";{}={} ", Text(parameter, "field"), Text(parameter, "reason"));
      add_hint(Text(parameter, "field"), Text(parameter, "hint"));
    }
  }
  return text + hints;
}

}  // namespace kuma::cli
