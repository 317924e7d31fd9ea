#pragma once

// The composition root: builds every part from the configuration, in one file, top to bottom;
// destruction is the reverse.

#include <cstdint>
#include <memory>
#include <string_view>

#include "app/config.h"
#include "base/result.h"

namespace kuma::app {

// Owns all threads of the process but the one that made it. Confined to that thread.
class ControlPlane {
 public:
  // Returns when everything is ready: the store is loaded, ports are open, tokens can be made. An
  // error says what and the way out; nothing is left running then.
  static base::Result<std::unique_ptr<ControlPlane>> Start(const Config& config);
  ~ControlPlane();

  // Lets requests finish, tells proxies to reconnect elsewhere, stores what waits. Deregisters
  // nobody.
  void Stop();
  void ReloadCertificates();
  // Where it listens: "api", "api-tls", "dp", "diagnostics"; 0 if it does not.
  uint16_t Port(std::string_view name) const;

 private:
  struct Parts;
  explicit ControlPlane(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace kuma::app
