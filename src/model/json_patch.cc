#include "model/json_patch.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "base/strings.h"

namespace kuma::model {
namespace {

using Op = JsonPatchOperation::Op;

// An index in a patch makes lists as long as this at most.
constexpr int64_t kMaxListSize = 10'000;
// A few copies of copies would fill any memory, and so would lists in lists.
constexpr size_t kMaxAddedValues = 200'000;
constexpr size_t kMaxAddedBytes = 8 << 20;
// What is deeper than this is nothing that Envoy would read.
constexpr size_t kMaxDepth = 100;

struct Extent {
  size_t values = 0;
  size_t bytes = 0;  // of texts
  size_t depth = 0;
};
Extent ExtentOf(const Value& value) {
  Extent extent{.values = 1, .bytes = 0, .depth = 1};
  const auto add = [&](const Value& child) {
    const Extent more = ExtentOf(child);
    extent.values += more.values;
    extent.bytes += more.bytes;
    extent.depth = std::max(extent.depth, more.depth + 1);
  };
  if (const std::string* text = value.if_string()) extent.bytes = text->size();
  if (const Array* array = value.if_array()) {
    for (const Value& child : *array) add(child);
  }
  if (const Object* object = value.if_object()) {
    for (const auto& [name, child] : *object) {
      extent.bytes += name.size();
      add(child);
    }
  }
  return extent;
}

// What the operations may add beyond what they hold themselves.
class Budget {
 public:
  base::Status Take(size_t values, size_t bytes) {
    if (values > values_ || bytes > bytes_)
      return base::Invalid("the operations copy or fill up too much");
    values_ -= values;
    bytes_ -= bytes;
    return base::Ok{};
  }

 private:
  size_t values_ = kMaxAddedValues;
  size_t bytes_ = kMaxAddedBytes;
};

std::string_view NameOfOp(Op op) {
  switch (op) {
    case Op::kAdd: return "add";
    case Op::kRemove: return "remove";
    case Op::kReplace: return "replace";
    case Op::kMove: return "move";
    case Op::kCopy: return "copy";
  }
  return "";
}

base::Result<std::vector<std::string>> ParsePointer(std::string_view text) {
  std::vector<std::string> tokens;
  if (text.empty()) return tokens;
  if (text.front() != '/')
    return base::Invalid(base::Format("'{}' is no JSON pointer: it begins with '/'", text));
  for (const std::string_view part : base::Split(text.substr(1), '/')) {
    std::string token;
    for (size_t i = 0; i < part.size(); ++i) {
      if (part[i] != '~') {
        token += part[i];
      } else if (i + 1 < part.size() && (part[i + 1] == '0' || part[i + 1] == '1')) {
        token += part[++i] == '0' ? '~' : '/';
      } else {
        return base::Invalid(base::Format("'{}' is no JSON pointer: '~' is written ~0", text));
      }
    }
    tokens.push_back(std::move(token));
  }
  if (tokens.size() > kMaxDepth)
    return base::Invalid(base::Format("a JSON pointer has at most {} parts", kMaxDepth));
  return tokens;
}

// Nothing when it is no number.
std::optional<int64_t> ParseIndex(std::string_view token) {
  const bool negative = token.starts_with('-');
  const auto number = base::ParseUint(negative ? token.substr(1) : token);
  if (!number || *number > static_cast<uint64_t>(kMaxListSize)) return std::nullopt;
  return negative ? -static_cast<int64_t>(*number) : static_cast<int64_t>(*number);
}

// Where in a list of `size` elements; nothing: outside.
std::optional<size_t> Place(std::string_view token, size_t size) {
  auto index = ParseIndex(token);
  if (!index) return std::nullopt;
  if (*index < 0) *index += static_cast<int64_t>(size);
  if (*index < 0 || *index >= static_cast<int64_t>(size)) return std::nullopt;
  return static_cast<size_t>(*index);
}

// Null if absent.
Value* Child(Value& parent, std::string_view token) {
  if (Object* object = parent.if_object()) return object->Find(token);
  if (Array* array = parent.if_array()) {
    const auto at = Place(token, array->size());
    return at ? &(*array)[*at] : nullptr;
  }
  return nullptr;
}

std::string PointerOf(std::span<const std::string> tokens) {
  std::string text;
  for (const std::string& token : tokens) text += "/" + token;
  return text;
}

base::Error Absent(std::span<const std::string> tokens) {
  return base::Invalid(base::Format("there is no {}", PointerOf(tokens)));
}

// The value that holds the last token's.
base::Result<Value*> ParentOf(Value& document, std::span<const std::string> tokens) {
  Value* at = &document;
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    at = Child(*at, tokens[i]);
    if (at == nullptr) return Absent(tokens.first(i + 1));
  }
  return at;
}

base::Status AddTo(Value& parent, const std::string& token, Value value) {
  if (Object* object = parent.if_object()) {
    object->Set(token, std::move(value));
    return base::Ok{};
  }
  Array* array = parent.if_array();
  if (array == nullptr) return base::Invalid(base::Format("{} has no members", parent.TypeName()));
  const auto at = token == "-" ? array->size() : Place(token, array->size() + 1);
  if (!at)
    return base::Invalid(base::Format("'{}' is no place in a list of {}", token, array->size()));
  array->insert(array->begin() + static_cast<std::ptrdiff_t>(*at), std::move(value));
  return base::Ok{};
}

// Fills a list with nulls up to the place that the token names, if it names one.
base::Status FillUp(Value& parent, std::string_view token, Budget& budget) {
  Array* array = parent.if_array();
  const auto place = ParseIndex(token);
  if (array == nullptr || !place || *place < 0 || static_cast<size_t>(*place) <= array->size())
    return base::Ok{};
  TRY(budget.Take(static_cast<size_t>(*place) - array->size(), 0));
  array->resize(static_cast<size_t>(*place));
  return base::Ok{};
}

// Makes what is missing above the last token; a number as a token stands for a list.
base::Status MakeWay(Value& document, std::span<const std::string> tokens, Budget& budget) {
  Value* at = &document;
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    Value* next = Child(*at, tokens[i]);
    if (next == nullptr) {
      const bool list = tokens[i + 1] == "-" || ParseIndex(tokens[i + 1]).has_value();
      Value made = list ? Value(Array()) : Value(Object());
      TRY(FillUp(*at, tokens[i], budget));
      TRY(AddTo(*at, tokens[i], std::move(made)));
      next = tokens[i] == "-" ? &at->if_array()->back() : Child(*at, tokens[i]);
    }
    at = next;
  }
  return tokens.empty() ? base::Status(base::Ok{}) : FillUp(*at, tokens.back(), budget);
}

base::Result<Value> Get(Value& document, std::span<const std::string> tokens) {
  if (tokens.empty()) return document;
  TRY_ASSIGN(Value * parent, ParentOf(document, tokens));
  const Value* found = Child(*parent, tokens.back());
  if (found == nullptr) return Absent(tokens);
  return *found;
}

base::Status Remove(Value& document, std::span<const std::string> tokens) {
  if (tokens.empty()) return base::Invalid("the whole cannot be removed");
  TRY_ASSIGN(Value * parent, ParentOf(document, tokens));
  if (Object* object = parent->if_object(); object != nullptr && object->Erase(tokens.back()))
    return base::Ok{};
  if (Array* array = parent->if_array()) {
    if (const auto at = Place(tokens.back(), array->size())) {
      array->erase(array->begin() + static_cast<std::ptrdiff_t>(*at));
      return base::Ok{};
    }
  }
  return Absent(tokens);
}

base::Status Add(Value& document, std::span<const std::string> tokens, Value value) {
  if (tokens.size() + ExtentOf(value).depth > kMaxDepth)
    return base::Invalid(base::Format("the result is more than {} values deep", kMaxDepth));
  if (tokens.empty()) {
    document = std::move(value);
    return base::Ok{};
  }
  TRY_ASSIGN(Value * parent, ParentOf(document, tokens));
  return AddTo(*parent, tokens.back(), std::move(value));
}

base::Status Apply(Value& document, const JsonPatchOperation& operation, Budget& budget) {
  TRY_ASSIGN(const auto path, ParsePointer(operation.path));
  switch (operation.op) {
    case Op::kAdd:
      TRY(MakeWay(document, path, budget));
      return Add(document, path, operation.value);
    case Op::kRemove: {
      const bool there = Get(document, path).has_value();
      return there ? Remove(document, path) : base::Status(base::Ok{});
    }
    case Op::kReplace: {
      if (path.empty()) return Add(document, path, operation.value);
      TRY_ASSIGN(Value * parent, ParentOf(document, path));
      Value* found = Child(*parent, path.back());
      if (found == nullptr) return Absent(path);
      *found = operation.value;
      return base::Ok{};
    }
    case Op::kMove: {
      TRY_ASSIGN(const auto from, ParsePointer(operation.from));
      TRY_ASSIGN(Value moved, Get(document, from));
      TRY(Remove(document, from));
      return Add(document, path, std::move(moved));
    }
    case Op::kCopy: {
      TRY_ASSIGN(const auto from, ParsePointer(operation.from));
      TRY_ASSIGN(Value copied, Get(document, from));
      const Extent extent = ExtentOf(copied);
      TRY(budget.Take(extent.values, extent.bytes));
      return Add(document, path, std::move(copied));
    }
  }
  return base::Ok{};
}

}  // namespace

base::Result<Value> ApplyJsonPatch(Value document, std::span<const JsonPatchOperation> operations) {
  Budget budget;
  for (size_t i = 0; i < operations.size(); ++i) {
    if (auto done = Apply(document, operations[i], budget); !done.has_value())
      return std::move(done).error().Context(
          base::Format("[{}] {} {}", i, NameOfOp(operations[i].op), operations[i].path));
  }
  return document;
}

}  // namespace kuma::model
