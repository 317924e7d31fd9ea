#pragma once

#include <string_view>

namespace kuma::app {

// Tells systemd about the state of this process ("READY=1", "STOPPING=1"; sd_notify(3)) when it was
// started as a unit of Type=notify; does nothing otherwise. Never blocks, never fails.
void NotifyService(std::string_view state);

}  // namespace kuma::app
