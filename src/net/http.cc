#include "net/http.h"

#include <algorithm>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::net {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

uint16_t DefaultPort(std::string_view scheme) {
  if (scheme == "http") return 80;
  if (scheme == "https") return 443;
  return 0;
}

}  // namespace

Headers::Headers(std::initializer_list<Field> fields) {
  for (const Field& field : fields) Add(field.first, field.second);
}

void Headers::Add(std::string_view name, std::string value) {
  fields_.emplace_back(base::ToLower(name), std::move(value));
}

void Headers::Set(std::string_view name, std::string value) {
  Remove(name);
  Add(name, std::move(value));
}

void Headers::Remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& f) { return base::EqualsIgnoreCase(f.first, name); });
}

const std::string* Headers::Find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (base::EqualsIgnoreCase(field.first, name)) return &field.second;
  }
  return nullptr;
}

std::string_view Headers::Get(std::string_view name) const {
  const std::string* value = Find(name);
  return value == nullptr ? std::string_view() : *value;
}

std::vector<std::string_view> Headers::GetAll(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field& field : fields_) {
    if (base::EqualsIgnoreCase(field.first, name)) values.push_back(field.second);
  }
  return values;
}

std::string Address::ToString() const {
  if (port == 0 && host.starts_with("unix:")) return host;
  if (host.find(':') != std::string::npos) return base::Format("[{}]:{}", host, port);
  return base::Format("{}:{}", host, port);
}

const std::string* HttpRequest::FindQuery(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

struct HttpResponder::State {
  State(Answer given, std::shared_ptr<const std::atomic<bool>> flag)
      : answer(std::move(given)), gone(std::move(flag)) {}
  ~State() {
    if (answered.exchange(true)) return;
    HttpResponse response;
    response.status = 500;
    response.headers.Add("content-type", "text/plain");
    response.body = "the request was not answered\n";
    answer(std::move(response));
  }

  const Answer answer;
  const std::shared_ptr<const std::atomic<bool>> gone;
  std::atomic<bool> answered = false;
};

HttpResponder::HttpResponder(Answer answer, std::shared_ptr<const std::atomic<bool>> gone)
    : state_(std::make_shared<State>(std::move(answer), std::move(gone))) {}

void HttpResponder::Send(HttpResponse response) const {
  if (state_->answered.exchange(true)) return;
  state_->answer(std::move(response));
}

bool HttpResponder::peer_gone() const { return state_->gone != nullptr && state_->gone->load(); }

std::optional<std::string> PercentDecode(std::string_view text, bool plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string PercentEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out += c;
    } else {
      out += base::Format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool ParseTarget(std::string_view target, HttpRequest& request) {
  // `target` may be a view of what is replaced here.
  request.target = std::string(target);
  target = request.target;
  request.path.clear();
  request.query.clear();
  // Absolute form, as sent to proxies: only path and query count.
  if (!target.starts_with('/')) {
    if (target == "*") {
      request.path = "*";
      return true;
    }
    const size_t authority = target.find("://");
    if (authority == std::string_view::npos) return false;
    const size_t slash = target.find('/', authority + 3);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  target = target.substr(0, target.find('#'));
  const size_t mark = target.find('?');
  auto path = PercentDecode(target.substr(0, mark));
  if (!path.has_value()) return false;
  request.path = *std::move(path);
  if (mark == std::string_view::npos) return true;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    auto key = PercentDecode(pair.substr(0, equals), true);
    auto value = PercentDecode(
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!key.has_value() || !value.has_value()) return false;
    request.query.emplace_back(*std::move(key), *std::move(value));
  }
  return true;
}

base::Result<Url> ParseUrl(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return base::Invalid(base::Format("\"{}\" is not a URL: {}", text, why));
  };
  Url url;
  const size_t separator = text.find("://");
  if (separator == std::string_view::npos || separator == 0) return wrong("it has no scheme");
  url.scheme = base::ToLower(text.substr(0, separator));
  std::string_view rest = text.substr(separator + 3);
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return wrong("it has spaces or control characters");
  }
  const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, end);
  std::string_view target = rest.substr(end);
  target = target.substr(0, target.find('#'));
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  if (authority.find('@') != std::string_view::npos)
    return wrong("user and password are not supported");
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return wrong("missing ]");
    url.host = std::string(authority.substr(1, close - 1));
    authority.remove_prefix(close + 1);
    if (!authority.empty() && !authority.starts_with(':')) return wrong("something follows ]");
    if (!authority.empty()) port = authority.substr(1);
  } else {
    const size_t colon = authority.rfind(':');
    url.host = std::string(authority.substr(0, colon));
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
    if (url.host.find(':') != std::string::npos) return wrong("an IPv6 address needs brackets");
  }
  if (url.host.empty()) return wrong("it has no host");
  if (port.empty()) {
    url.port = DefaultPort(url.scheme);
  } else {
    const auto number = base::ParseUint(port);
    if (!number.has_value() || *number == 0 || *number > 65535)
      return wrong("the port is not valid");
    url.port = static_cast<uint16_t>(*number);
  }
  return url;
}

base::Result<HttpRequest> MakeRequest(std::string method, std::string_view url) {
  TRY_ASSIGN(Url parsed, ParseUrl(url));
  if (parsed.scheme != "http" && parsed.scheme != "https") {
    return base::Invalid(base::Format("\"{}\": the scheme must be http or https", url));
  }
  HttpRequest request;
  request.method = std::move(method);
  request.scheme = parsed.scheme;
  const bool default_port = parsed.port == DefaultPort(parsed.scheme);
  const std::string host =
      parsed.host.find(':') == std::string::npos ? parsed.host : "[" + parsed.host + "]";
  request.authority = default_port ? host : base::Format("{}:{}", host, parsed.port);
  if (!ParseTarget(parsed.target, request)) {
    return base::Invalid(base::Format("\"{}\" is not a URL: broken percent-encoding", url));
  }
  return request;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

}  // namespace kuma::net
