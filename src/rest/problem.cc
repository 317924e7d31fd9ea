#include "rest/problem.h"

#include "base/log.h"

namespace kuma::rest {
namespace {

using model::Array;
using model::Object;
using model::Value;

constexpr base::Logger kLog("rest");

struct Row {
  base::Code code;
  int status;
  std::string_view title;   // empty: the operation's
  std::string_view detail;  // empty: the error's message
};
constexpr Row kRows[] = {
    {base::Code::kInvalid, 400, "Bad Request", ""},
    {base::Code::kNotFound, 404, "", "Not found"},
    {base::Code::kConflict, 409, "Conflict", ""},
    {base::Code::kDenied, 403, "Access Denied", ""},
    {base::Code::kUnavailable, 503, "Service unavailable", ""},
    {base::Code::kCancelled, 499, "", ""},
    {base::Code::kInternal, 500, "", "Internal Server Error"},
};

}  // namespace

net::HttpResponse Json(int status, const Value& body) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Set("content-type", "application/json");
  response.body = model::ToJson(body, 1) + "\n";
  return response;
}

net::HttpResponse Text(int status, std::string body) {
  net::HttpResponse response;
  response.status = status;
  response.headers.Set("content-type", "text/plain; charset=utf-8");
  response.body = std::move(body);
  return response;
}

net::HttpResponse ToResponse(const Problem& problem) {
  Object body{{"type", "/std-errors"},
              {"status", problem.status},
              {"title", problem.title},
              {"detail", problem.detail}};
  Array parameters;
  Array causes;
  for (const model::Violation& violation : problem.invalid.list()) {
    Object parameter{{"field", violation.path}, {"reason", violation.message}};
    if (!violation.hint.empty()) parameter.Set("hint", violation.hint);
    parameters.emplace_back(std::move(parameter));
    causes.emplace_back(Object{{"field", violation.path}, {"message", violation.message}});
  }
  if (!parameters.empty()) body.Set("invalid_parameters", std::move(parameters));
  body.Set("details", problem.detail);
  if (!causes.empty()) body.Set("causes", std::move(causes));
  if (!problem.hint.empty()) body.Set("hint", problem.hint);
  return Json(problem.status, Value(std::move(body)));
}

Problem ProblemOf(const base::Error& error, std::string_view title) {
  for (const Row& row : kRows) {
    if (row.code != error.code()) continue;
    if (row.code == base::Code::kInternal) {
      kLog.Error("request failed", {{"operation", title}, {"error", error.message()}});
    }
    Problem problem;
    problem.status = row.status;
    problem.title = row.title.empty() ? title : row.title;
    problem.detail = row.detail.empty() ? error.message() : std::string(row.detail);
    return problem;
  }
  return Problem{500, std::string(title), "Internal Server Error", {}, {}};
}

Problem NotValid(std::string_view title, model::Violations violations) {
  return Problem{400, std::string(title), "Resource is not valid", std::move(violations), {}};
}

Problem NotFound(std::string_view title) {
  return Problem{404, std::string(title), "Not found", {}, {}};
}

}  // namespace kuma::rest
