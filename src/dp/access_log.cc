#include "dp/access_log.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/format.h"
#include "base/strings.h"
#include "model/value.h"
#include "net/http.h"

namespace kuma::dp {
namespace {

// Envoy goes on while we are not scheduled.
constexpr int kPipeBytes = 256 << 10;
constexpr int kReadsPerTurn = 4;

base::Error PipeError(const std::string& path) {
  return base::Unavailable(
      base::Format("make the pipe for access logs {}: {}", path, std::strerror(errno)));
}

}  // namespace

base::Result<AccessLogLine> ParseAccessLogLine(std::string_view line) {
  AccessLogLine result;
  std::string address;
  if (line.starts_with('{')) {
    auto json = model::ParseJson(line);
    if (!json.has_value()) return std::move(json).error();
    const model::Value* to = json->Find("address");
    model::Value* message = json->if_object()->Find("message");
    if (to == nullptr || to->if_string() == nullptr || message == nullptr)
      return base::Invalid("'address' or 'message' is missing");
    address = *to->if_string();
    if (const std::string* text = message->if_string()) {
      result.message = *text;
    } else {
      result.message = model::ToJson(model::Sorted(std::move(*message))) + "\n";
    }
  } else {
    // "address;message" of older control planes.
    const size_t end = line.find(';');
    if (end == std::string_view::npos) return base::Invalid("neither JSON nor address;message");
    address = line.substr(0, end);
    result.message = std::string(line.substr(end + 1)) + "\n";
  }
  const size_t colon = address.rfind(':');
  const auto port = colon == std::string::npos
                        ? std::nullopt
                        : base::ParseUint(std::string_view(address).substr(colon + 1));
  result.host = address.substr(0, colon);
  if (result.host.starts_with('[') && result.host.ends_with(']'))
    result.host = result.host.substr(1, result.host.size() - 2);
  if (!port || *port == 0 || *port > 65535 || result.host.empty())
    return base::Invalid(base::Format("'{}' is no host:port", address));
  result.port = static_cast<uint16_t>(*port);
  return result;
}

base::Result<std::unique_ptr<AccessLogForwarder>> AccessLogForwarder::Open(net::EventLoop& loop,
                                                                           const std::string& path,
                                                                           Options options) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return PipeError(path);
  if (mkfifo(path.c_str(), 0600) != 0) return PipeError(path);
  // For writing, too: so the pipe has no end when Envoy closes it.
  const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return PipeError(path);
  fcntl(fd, F_SETPIPE_SZ, kPipeBytes);
  return std::unique_ptr<AccessLogForwarder>(
      new AccessLogForwarder(loop, path, fd, std::move(options)));
}

AccessLogForwarder::AccessLogForwarder(net::EventLoop& loop, std::string path, int fd,
                                       Options options)
    : loop_(loop), path_(std::move(path)), options_(std::move(options)), fd_(fd) {
  loop_.Watch(fd_, EPOLLIN, *this);
}

AccessLogForwarder::~AccessLogForwarder() {
  Report();
  loop_.Unwatch(fd_, *this);
  close(fd_);
  unlink(path_.c_str());
}

void AccessLogForwarder::OnReady(uint32_t) {
  for (int i = 0; i < kReadsPerTurn && ReadSome(); ++i) {
  }
}

void AccessLogForwarder::ReadAll() {
  while (ReadSome()) {
  }
}

bool AccessLogForwarder::ReadSome() {
  std::array<char, 16 << 10> buffer;
  const ssize_t got = read(fd_, buffer.data(), buffer.size());
  if (got <= 0) return got < 0 && errno == EINTR;
  std::string_view bytes(buffer.data(), static_cast<size_t>(got));
  for (size_t end; (end = bytes.find('\n')) != std::string_view::npos;
       bytes.remove_prefix(end + 1)) {
    const std::string_view rest = bytes.substr(0, end);
    if (skipping_) {
      skipping_ = false;
    } else if (partial_.empty()) {
      TakeLine(rest);
    } else {
      partial_ += rest;
      TakeLine(partial_);
    }
    partial_.clear();
  }
  if (skipping_) return true;
  partial_ += bytes;
  if (partial_.size() > options_.max_line) {
    ++counts_.unreadable;
    ReportLater();
    skipping_ = true;
    partial_.clear();
    partial_.shrink_to_fit();
  }
  return true;
}

void AccessLogForwarder::TakeLine(std::string_view text) {
  if (text.empty()) return;
  const auto line = ParseAccessLogLine(text);
  if (!line.has_value()) {
    if (counts_.unreadable++ == reported_.unreadable)
      log_.Warn("a line of the access log has no destination",
                {{"reason", line.error().message()}});
    return ReportLater();
  }
  Destination* destination = DestinationOf(*line);
  if (destination == nullptr) {
    ++counts_.no_sender;
    return ReportLater();
  }
  if (destination->sender->Send(line->message)) {
    ++counts_.taken;
  } else {
    ++counts_.not_sent;
    ++destination->dropped;
    ReportLater();
  }
}

AccessLogForwarder::Destination* AccessLogForwarder::DestinationOf(const AccessLogLine& line) {
  const std::string name = net::Address{line.host, line.port}.ToString();
  if (const auto found = destinations_.find(name); found != destinations_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second.place);
    return &found->second;
  }
  if (destinations_.size() >= options_.max_destinations) {
    // The one that was not used for longest makes room, unless something waits in it.
    const auto oldest = std::find_if(recent_.rbegin(), recent_.rend(), [&](const auto& one) {
      return destinations_.at(one).sender->queued() == 0;
    });
    if (oldest == recent_.rend()) return nullptr;
    destinations_.erase(*oldest);
    recent_.erase(std::next(oldest).base());
  }
  recent_.push_front(name);
  net::TcpSender::Options sender = options_.sender;
  sender.host = line.host;
  sender.port = line.port;
  Destination& destination = destinations_[name];
  destination.place = recent_.begin();
  destination.sender = std::make_unique<net::TcpSender>(
      loop_, std::move(sender), [this, name](const base::Status& status) {
        if (status.has_value()) {
          log_.Info("connected to the TCP backend of access logs", {{"address", name}});
        } else {
          log_.Warn("no connection to the TCP backend of access logs",
                    {{"reason", status.error().message()}});
        }
      });
  return &destination;
}

void AccessLogForwarder::ReportLater() {
  if (report_due_) return;
  report_due_ = true;
  report_ = loop_.PostAfter(options_.report_every, [this] { Report(); });
}

void AccessLogForwarder::Report() {
  report_due_ = false;
  for (auto& [name, destination] : destinations_) {
    if (destination.dropped == 0) continue;
    log_.Warn("access logs were dropped: the TCP backend does not take them fast enough",
              {{"address", name}, {"messages", destination.dropped}});
    destination.dropped = 0;
  }
  if (const uint64_t lost = counts_.no_sender - reported_.no_sender; lost > 0)
    log_.Warn("access logs were dropped: too many TCP backends",
              {{"messages", lost}, {"most", options_.max_destinations}});
  if (const uint64_t lost = counts_.unreadable - reported_.unreadable; lost > 0)
    log_.Warn("lines of the access log were dropped: no destination, or too long",
              {{"lines", lost}, {"longest", options_.max_line}});
  reported_ = counts_;
}

}  // namespace kuma::dp
