// Refusals of POST /tokens/user. What was asked follows from the recorded answer.

#include <memory>

#include "base/strings.h"
#include "rest/token_endpoint.h"
#include "store/memory/memory_store.h"
#include "tests/conformance/suite.h"

namespace kuma::conformance::tokens_ws {
namespace {

using model::Value;

struct Question {
  model::Object body{
      {"name", "john.doe@example.com"}, {"groups", model::Array{"team-a"}}, {"validFor", "1h"}};
  rest::Principal principal{"admin", {std::string(rest::kAdmin)}};
  bool issuer = true;
};

// The part of `text` in double quotes, or empty.
std::string Quoted(const std::string& text) {
  const auto parts = base::Split(text, '"');
  return parts.size() > 2 ? parts[1] : "";
}

Question QuestionOf(const Value& answer) {
  Question question;
  if (TextOf(answer, "detail").find("disabled") != std::string::npos) question.issuer = false;
  if (answer.Find("status") != nullptr && *answer.Find("status") == Value(403)) {
    // The detail names the user as name/groups.
    const auto who = base::Split(Quoted(TextOf(answer, "detail")), '/');
    question.principal = {who.front(), {}};
    if (who.size() > 1) question.principal.groups = base::Split(who[1], ',');
  }
  if (const Value* fields = answer.Find("invalid_parameters"); fields && fields->if_array()) {
    for (const Value& entry : *fields->if_array()) {
      const std::string field = TextOf(entry, "field");
      if (const std::string given = Quoted(TextOf(entry, "reason")); !given.empty())
        question.body.Set(field, given);
      else
        question.body.Erase(field);
    }
  }
  return question;
}

// Hints are an addition of ours.
void DropHints(Value& value) {
  if (model::Object* object = value.if_object()) {
    object->Erase("hint");
    for (auto& [key, member] : *object) DropHints(member);
  } else if (model::Array* array = value.if_array()) {
    for (Value& element : *array) DropHints(element);
  }
}

std::string Check(const fs::path& golden) {
  const auto wanted = ReadJson(golden);
  if (!wanted.has_value()) return wanted.error().message();
  Question question = QuestionOf(*wanted);
  const runtime::SystemClock clock;
  runtime::SeededRandom random(1);
  const auto store = store::NewMemoryStore(clock, true);
  rest::TokenEndpoint::Settings settings;
  settings.access.generate_user_token.groups = {std::string(rest::kAdmin)};
  settings.issue_user_tokens = question.issuer;
  settings.key_wait = {};
  rest::TokenEndpoint endpoint(*store, clock, random, settings);
  net::HttpRequest request;
  request.method = "POST";
  request.path = "/tokens/user";
  request.body = model::ToJson(std::move(question.body));
  auto answer = model::ParseJson(endpoint.Issue("user", request, question.principal).body);
  if (!answer.has_value()) return "not JSON: " + answer.error().message();
  DropHints(*answer);
  return ValueDifference(*answer, *wanted);
}

}  // namespace

void Run(const fs::path& folder, SuiteReport& report) {
  for (const fs::path& golden : FilesIn(folder, ".golden.json"))
    report.Case(golden.stem().stem(), Check(golden));
}

}  // namespace kuma::conformance::tokens_ws
