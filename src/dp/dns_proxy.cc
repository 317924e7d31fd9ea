#include "dp/dns_proxy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "model/value.h"

namespace kuma::dp {
namespace {

constexpr base::Logger kLog("dns");

constexpr uint16_t kTypeA = 1;
constexpr uint16_t kTypeAaaa = 28;
constexpr uint16_t kClassInternet = 1;
constexpr size_t kHeader = 12;
constexpr size_t kLargestUdpAnswer = 512;  // what every client takes
// Of the flags (RFC 1035 4.1.1).
constexpr uint16_t kResponse = 0x8000;
constexpr uint16_t kOpcode = 0x7800;
constexpr uint16_t kAuthoritative = 0x0400;
constexpr uint16_t kTruncated = 0x0200;
constexpr uint16_t kRecursionDesired = 0x0100;
constexpr uint16_t kRecursionAvailable = 0x0080;
constexpr uint16_t kServerFailure = 2;

uint16_t Number(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 |
                               static_cast<uint8_t>(bytes[at + 1]));
}
void Append(uint16_t number, std::string& out) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number & 0xff);
}

struct Question {
  std::string name;  // in lower case, without the last dot
  uint16_t type = 0;
  uint16_t klass = 0;
  size_t end = 0;  // behind it
};

// The first question; nothing: there is none, or it is malformed.
std::optional<Question> ParseQuestion(std::string_view query) {
  if (query.size() < kHeader || Number(query, 4) == 0) return std::nullopt;
  Question question;
  size_t at = kHeader;
  for (;;) {
    if (at >= query.size()) return std::nullopt;
    const auto size = static_cast<uint8_t>(query[at++]);
    if (size == 0) break;
    if (size > 63 || at + size > query.size() || at - kHeader + size > 255) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    question.name += base::ToLower(query.substr(at, size));
    at += size;
  }
  if (at + 4 > query.size()) return std::nullopt;
  question.type = Number(query, at);
  question.klass = Number(query, at + 2);
  question.end = at + 4;
  return question;
}

// Header of an answer, with the first question behind it.
std::string Begin(std::string_view query, const std::optional<Question>& question, uint16_t flags,
                  size_t answers) {
  std::string out(query.substr(0, 2));
  const uint16_t asked = Number(query, 2) & (kOpcode | kRecursionDesired);
  Append(static_cast<uint16_t>(kResponse | kRecursionAvailable | asked | flags), out);
  Append(question ? 1 : 0, out);
  Append(static_cast<uint16_t>(answers), out);
  Append(0, out);
  Append(0, out);
  if (question) out += query.substr(kHeader, question->end - kHeader);
  return out;
}

}  // namespace

base::Result<DnsTable> ParseDnsTable(std::string_view json) {
  TRY_ASSIGN(const model::Value document, model::ParseJson(json));
  const model::Value* records = document.Find("records");
  if (records == nullptr || records->if_array() == nullptr)
    return base::Invalid("'records' is missing or no list");
  DnsTable table;
  if (const model::Value* ttl = document.Find("ttl"); ttl != nullptr && ttl->if_int() != nullptr)
    table.ttl = static_cast<uint32_t>(std::clamp<int64_t>(*ttl->if_int(), 0, INT32_MAX));
  for (const model::Value& record : *records->if_array()) {
    const model::Value* name = record.Find("name");
    const model::Value* ips = record.Find("ips");
    if (name == nullptr || name->if_string() == nullptr)
      return base::Invalid("a record has no 'name'");
    DnsTable::Addresses& addresses = table.names[base::ToLower(*name->if_string())];
    if (ips == nullptr || ips->if_array() == nullptr) continue;
    for (const model::Value& ip : *ips->if_array()) {
      std::array<char, 16> bytes;
      const char* text = ip.if_string() == nullptr ? "" : ip.if_string()->c_str();
      if (inet_pton(AF_INET, text, bytes.data()) == 1) {
        addresses.v4.emplace_back(bytes.data(), 4);
      } else if (inet_pton(AF_INET6, text, bytes.data()) == 1) {
        addresses.v6.emplace_back(bytes.data(), 16);
      } else {
        kLog.Warn("a name has something that is no address",
                  {{"name", *name->if_string()}, {"address", text}});
      }
    }
  }
  return table;
}

std::optional<std::string> AnswerFrom(const DnsTable& table, std::string_view query,
                                      net::DnsTransport transport) {
  const auto question = ParseQuestion(query);
  if (!question || (Number(query, 2) & (kResponse | kOpcode)) != 0 ||
      question->klass != kClassInternet ||
      (question->type != kTypeA && question->type != kTypeAaaa))
    return std::nullopt;
  const auto found = table.names.find(question->name);
  if (found == table.names.end()) return std::nullopt;
  const auto& addresses = question->type == kTypeA ? found->second.v4 : found->second.v6;
  std::string answer = Begin(query, question, kAuthoritative, addresses.size());
  for (const std::string& address : addresses) {
    Append(0xc000 | kHeader, answer);  // the name of the question
    Append(question->type, answer);
    Append(kClassInternet, answer);
    Append(static_cast<uint16_t>(table.ttl >> 16), answer);
    Append(static_cast<uint16_t>(table.ttl & 0xffff), answer);
    Append(static_cast<uint16_t>(address.size()), answer);
    answer += address;
  }
  if (transport == net::DnsTransport::kUdp && answer.size() > kLargestUdpAnswer)
    return Begin(query, question, kAuthoritative | kTruncated, 0);
  return answer;
}

std::string FailureOf(std::string_view query) {
  return Begin(query, ParseQuestion(query), kServerFailure, 0);
}

std::string FirstNameserver(std::string_view resolv_conf) {
  for (const std::string& line : base::Split(resolv_conf, '\n')) {
    std::string_view rest = base::Trim(line);
    constexpr std::string_view kWord = "nameserver";
    if (!rest.starts_with(kWord)) continue;
    rest.remove_prefix(kWord.size());
    if (rest.empty() || (rest.front() != ' ' && rest.front() != '\t')) continue;
    rest = base::Trim(rest);
    return std::string(rest.substr(0, rest.find_first_of(" \t#;")));
  }
  return {};
}

base::Result<std::unique_ptr<DnsProxy>> DnsProxy::Start(net::EventLoop& loop, Options options) {
  std::unique_ptr<DnsProxy> proxy(new DnsProxy(loop, options));
  const net::DnsHandler handler = [self = proxy.get()](std::string_view query,
                                                       net::DnsTransport transport,
                                                       const net::DnsAnswer& answer) {
    self->Handle(query, transport, answer);
  };
  TRY_ASSIGN(auto server, net::DnsServer::Start(loop, options.listen, handler));
  proxy->servers_.push_back(std::move(server));
  if (options.ipv6) {
    options.listen.host = "::1";
    options.listen.port = proxy->port();
    auto more = net::DnsServer::Start(loop, options.listen, handler);
    if (more.has_value()) proxy->servers_.push_back(*std::move(more));
  }
  return proxy;
}

DnsProxy::DnsProxy(net::EventLoop& loop, const Options& options) {
  if (!options.others.host.empty())
    others_ = std::make_unique<net::DnsClient>(loop, options.others);
}

void DnsProxy::SetTable(DnsTable table) {
  if (!std::exchange(has_table_, true))
    kLog.Info("names of the mesh are answered", {{"names", table.names.size()}});
  table_ = std::move(table);
}

void DnsProxy::Handle(std::string_view query, net::DnsTransport transport,
                      const net::DnsAnswer& answer) {
  if (auto known = AnswerFrom(table_, query, transport)) return answer(*std::move(known));
  if (others_ == nullptr) return answer(FailureOf(query));
  others_->Ask(query, transport,
               [answer, query = std::string(query)](const base::Result<std::string>& reply) {
                 if (reply.has_value()) return answer(*reply);
                 kLog.Warn("no answer from the name server of this host",
                           {{"reason", reply.error().message()}});
                 answer(FailureOf(query));
               });
}

}  // namespace kuma::dp
