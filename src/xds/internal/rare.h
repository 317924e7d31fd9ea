#pragma once

// A set or map that nearly every session leaves empty: then it costs a pointer, and a look at it no
// cache line of its own.

#include <memory>

namespace kuma::xds::internal {

template <class Container>
class Rare {
 public:
  bool empty() const { return held_ == nullptr || held_->empty(); }
  const Container& operator*() const {
    static const Container kNothing;
    return held_ == nullptr ? kNothing : *held_;
  }
  const Container* operator->() const { return &**this; }
  // To be changed.
  Container& Use() {
    if (held_ == nullptr) held_ = std::make_unique<Container>();
    return *held_;
  }
  void Set(Container container) {
    if (container.empty())
      held_.reset();
    else
      Use() = std::move(container);
  }
  void clear() { held_.reset(); }

 private:
  std::unique_ptr<Container> held_;
};

}  // namespace kuma::xds::internal
