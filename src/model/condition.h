#pragma once

// What the control plane found out about a resource, as its status says it.

#include <string>
#include <tuple>

#include "model/fields.h"

namespace kuma::model {

struct Condition {
  std::string type;
  std::string status;  // True, False, Unknown
  std::string reason;
  std::string message;
  static constexpr auto Fields() {
    return std::tuple{
        Field("type", &Condition::type, "What the condition says.", Required{}, MaxLength{316}),
        Field("status", &Condition::status, "True, False or Unknown.", Required{},
              OneOf("True", "False", "Unknown")),
        Field("reason", &Condition::reason, "Why, in one word.", Required{}, MinLength{1},
              MaxLength{1024}),
        Field("message", &Condition::message, "Why, for people.", Required{}, MaxLength{32768}),
    };
  }
};

}  // namespace kuma::model
