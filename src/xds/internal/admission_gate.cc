#include "xds/internal/admission_gate.h"

#include <array>
#include <utility>

namespace kuma::xds::internal {
namespace {

constexpr uint64_t kTurnOfReturning = 4;

}  // namespace

struct AdmissionGate::State {
  State(Limits given, std::atomic<uint64_t>& waiting_gauge, std::atomic<uint64_t>& inside_gauge)
      : limits(given), waiting_everywhere(waiting_gauge), inside_everywhere(inside_gauge) {}

  std::list<Place*>& QueueOf(Urgency urgency) { return queues[static_cast<size_t>(urgency)]; }

  Place* Next() {
    const bool turn = ++entered % kTurnOfReturning == 0;
    for (const Urgency urgency : {turn ? Urgency::kReturning : Urgency::kFresh,
                                  turn ? Urgency::kFresh : Urgency::kReturning, Urgency::kHealth}) {
      if (!QueueOf(urgency).empty()) return QueueOf(urgency).front();
    }
    return nullptr;
  }

  void LetIn() {
    // Whoever enters may leave at once: then this loop goes on, not a deeper one.
    if (std::exchange(letting_in, true)) return;
    while (inside < limits.inside && waiting > 0) {
      Place& next = *Next();
      Remove(next);
      ++inside;
      ++inside_everywhere;
      std::exchange(next.enter_, nullptr)();  // the place may be gone afterwards
    }
    letting_in = false;
  }

  void Leave(Place& place) {
    if (place.enter_ == nullptr) {
      --inside;
      --inside_everywhere;
      LetIn();
    } else {
      Remove(place);
    }
  }
  void Remove(Place& place) {
    QueueOf(place.urgency_).erase(place.at_);
    --waiting;
    --waiting_everywhere;
  }

  const Limits limits;
  std::atomic<uint64_t>& waiting_everywhere;
  std::atomic<uint64_t>& inside_everywhere;
  std::array<std::list<Place*>, 3> queues;
  size_t waiting = 0;
  size_t inside = 0;
  uint64_t entered = 0;
  bool letting_in = false;
};

AdmissionGate::Place::Place(std::shared_ptr<State> state, Urgency urgency,
                            std::function<void()> enter)
    : state_(std::move(state)), urgency_(urgency), enter_(std::move(enter)) {
  std::list<Place*>& queue = state_->QueueOf(urgency);
  at_ = queue.insert(queue.end(), this);
  ++state_->waiting;
  ++state_->waiting_everywhere;
}
AdmissionGate::Place::~Place() { state_->Leave(*this); }

AdmissionGate::AdmissionGate(Limits limits, std::atomic<uint64_t>& waiting_everywhere,
                             std::atomic<uint64_t>& inside_everywhere)
    : state_(std::make_shared<State>(limits, waiting_everywhere, inside_everywhere)) {}
size_t AdmissionGate::inside() const { return state_->inside; }
size_t AdmissionGate::waiting() const { return state_->waiting; }

bool AdmissionGate::Ask(Urgency urgency, std::function<void()> enter,
                        std::unique_ptr<Place>& place) {
  if (state_->waiting >= state_->limits.waiting) return false;
  place = std::make_unique<Place>(state_, urgency, std::move(enter));
  state_->LetIn();
  return true;
}

}  // namespace kuma::xds::internal
