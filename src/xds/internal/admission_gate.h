#pragma once

// How many new streams of one loop are being brought into step at a time. When thousands of proxies
// come back at once, each waits here instead of all of them in the queues behind: those queues stay
// short, and what changes meanwhile does not wait for the whole storm.
//
//   Ask -- a place is free --> inside (enter is called) -- Place dies --> the next one enters
//       -- none is free -----> waiting -- Place dies --> forgotten
//       -- too many wait ----> false
//
// Proxies without any configuration go first: they serve nothing. Those that come back have one and
// wait without harm; one in four that enter is of theirs, so that they are not forgotten. Health
// streams come last.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>

namespace kuma::xds::internal {

enum class Urgency : uint8_t { kFresh, kReturning, kHealth };

// Confined to one loop. Outlived by its places.
class AdmissionGate {
 public:
  struct Limits {
    size_t inside = 64;
    size_t waiting = 16384;
  };
  // Right to be inside, or to wait for it. Destroying it lets the next one in.
  class Place;

  // The two are kept up to date and outlive the places.
  AdmissionGate(Limits limits, std::atomic<uint64_t>& waiting_everywhere,
                std::atomic<uint64_t>& inside_everywhere);
  // `enter` is called when `place` is set, at once or later, at most once, never after the place
  // died. False: too many wait, there is no place.
  bool Ask(Urgency urgency, std::function<void()> enter, std::unique_ptr<Place>& place);

  size_t inside() const;
  size_t waiting() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

class AdmissionGate::Place {
 public:
  Place(std::shared_ptr<State> state, Urgency urgency, std::function<void()> enter);
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  friend struct AdmissionGate::State;
  const std::shared_ptr<State> state_;
  const Urgency urgency_;
  std::function<void()> enter_;     // until it is inside
  std::list<Place*>::iterator at_;  // in its queue, until it is inside
};

}  // namespace kuma::xds::internal
