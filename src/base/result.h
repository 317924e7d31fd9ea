#pragma once

// Errors are values: operations return Result<T>; no exception leaves a room.
// User input yields model::Violations instead (a list of everything wrong, with field paths).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace kuma::base {

// A code exists only if some caller reacts differently to it.
enum class Code : uint8_t {
  kInvalid,  // the request itself is wrong; repeating it cannot succeed
  kNotFound,
  kConflict,  // somebody else wrote first, or it exists already
  kDenied,
  kUnavailable,  // may succeed later
  kCancelled,
  kInternal,
};

std::string_view ToString(Code code);

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // Puts "context: " before the message; use it when an error passes upward.
  Error&& Context(std::string_view context) && {
    message_ = std::string(context) + ": " + message_;
    return std::move(*this);
  }

  bool operator==(const Error&) const = default;

 private:
  Code code_;
  std::string message_;
};

// Shaped like std::expected<T, Error>, which needs C++23.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  template <class U>
  requires(!std::is_same_v<std::remove_cvref_t<U>, T> &&
           !std::is_same_v<std::remove_cvref_t<U>, Error> &&
           !std::is_same_v<std::remove_cvref_t<U>, Result> && std::is_convertible_v<U, T>)
      Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // REQUIRES: has_value().
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& value() {
    CHECK(has_value(), "Result holds an error: " + std::get<1>(state_).message());
    return std::get<0>(state_);
  }
  const T& value() const {
    CHECK(has_value(), "Result holds an error: " + std::get<1>(state_).message());
    return std::get<0>(state_);
  }

  // REQUIRES: !has_value().
  const Error& error() const& {
    CHECK(!has_value(), "Result holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    CHECK(!has_value(), "Result holds a value");
    return std::get<1>(std::move(state_));
  }

 private:
  std::variant<T, Error> state_;
};

struct Ok {
  bool operator==(const Ok&) const = default;
};
using Status = Result<Ok>;

inline Error Invalid(std::string message) { return {Code::kInvalid, std::move(message)}; }
inline Error NotFound(std::string message) { return {Code::kNotFound, std::move(message)}; }
inline Error Conflict(std::string message) { return {Code::kConflict, std::move(message)}; }
inline Error Denied(std::string message) { return {Code::kDenied, std::move(message)}; }
inline Error Unavailable(std::string message) { return {Code::kUnavailable, std::move(message)}; }
inline Error Internal(std::string message) { return {Code::kInternal, std::move(message)}; }

}  // namespace kuma::base

// TRY(status): returns the error of a Status from the enclosing function.
#define TRY(expression)                                            \
  do {                                                             \
    if (auto try_result_ = (expression); !try_result_.has_value()) \
      return std::move(try_result_).error();                       \
  } while (false)

// TRY_ASSIGN(auto page, store.List(query)): declares or assigns the value, or returns the error.
#define TRY_ASSIGN(target, expression) \
  TRY_ASSIGN_IMPL_(TRY_CONCAT_(try_assign_, __LINE__), target, expression)
#define TRY_ASSIGN_IMPL_(temporary, target, expression)            \
  auto temporary = (expression);                                   \
  if (!temporary.has_value()) return std::move(temporary).error(); \
  target = *std::move(temporary)
#define TRY_CONCAT_(a, b) TRY_CONCAT_INNER_(a, b)
#define TRY_CONCAT_INNER_(a, b) a##b
