#pragma once

// Answers of the REST API: bodies, errors and their statuses, as Kuma 3.0 spells them.

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/value.h"
#include "model/violations.h"
#include "net/http.h"

namespace kuma::rest {

// The error body. `detail` is for this case, `title` names the operation.
struct Problem {
  int status = 500;
  std::string title;
  std::string detail;
  model::Violations invalid;
  std::string hint;  // the way out; an added field, empty: left out
};

net::HttpResponse ToResponse(const Problem& problem);

// JSON indented by one space, as every answer but /config.
net::HttpResponse Json(int status, const model::Value& body);
net::HttpResponse Text(int status, std::string body);

// What an operation's error means to its caller. Internal errors are logged and not shown.
Problem ProblemOf(const base::Error& error, std::string_view title);

Problem NotValid(std::string_view title, model::Violations violations);
Problem NotFound(std::string_view title);

}  // namespace kuma::rest
