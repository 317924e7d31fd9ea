#include "insight/timeline.h"

#include <algorithm>
#include <utility>

namespace kuma::insight {

std::string_view NameOf(TimelineEvent::What what) {
  switch (what) {
    case TimelineEvent::What::kConnected: return "connected";
    case TimelineEvent::What::kChanged: return "changed";
    case TimelineEvent::What::kGiven: return "given";
    case TimelineEvent::What::kSent: return "sent";
    case TimelineEvent::What::kAcknowledged: return "acknowledged";
    case TimelineEvent::What::kRejected: return "rejected";
    case TimelineEvent::What::kInStep: return "inStep";
    case TimelineEvent::What::kStalled: return "stalled";
    case TimelineEvent::What::kAnswersAgain: return "answersAgain";
    case TimelineEvent::What::kDisconnected: return "disconnected";
  }
  return "";
}

std::string_view ShortName(xds::XdsType type) {
  const std::string_view url = bundle::TypeUrl(type);
  return url.substr(url.rfind('.') + 1);
}

void Timeline::Add(TimelineEvent event) {
  if (ring_.size() < kMaxEvents) {
    ring_.push_back(std::move(event));
    return;
  }
  ring_[next_] = std::move(event);
  next_ = (next_ + 1) % kMaxEvents;
}

std::vector<TimelineEvent> Timeline::events() const {
  std::vector<TimelineEvent> events(ring_);
  std::rotate(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(next_), events.end());
  return events;
}

}  // namespace kuma::insight
