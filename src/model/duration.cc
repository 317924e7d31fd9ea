#include "model/duration.h"

#include <cstdint>
#include <cstdlib>
#include <limits>

#include "base/format.h"

namespace kuma::model {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kLimit = uint64_t{1} << 63;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::optional<uint64_t> UnitOf(std::string_view name) {
  if (name == "ns") return 1;
  if (name == "us" || name == "\u00b5s" || name == "\u03bcs") return 1'000;
  if (name == "ms") return 1'000'000;
  if (name == "s") return kSecond;
  if (name == "m") return 60 * kSecond;
  if (name == "h") return 3600 * kSecond;
  return std::nullopt;
}

std::string WithoutTrailingZeros(std::string digits) {
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  return digits;
}

// `value` in units of 10^digits of the base unit: (1500, 3) -> "1.5".
std::string Decimal(uint64_t value, int digits) {
  uint64_t power = 1;
  for (int i = 0; i < digits; ++i) power *= 10;
  const std::string fraction = WithoutTrailingZeros(base::Format("{:0{}d}", value % power, digits));
  return std::to_string(value / power) + (fraction.empty() ? "" : "." + fraction);
}

}  // namespace

std::optional<Duration> ParseDuration(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return Duration{};
  if (text.empty()) return std::nullopt;
  uint64_t total = 0;
  size_t at = 0;
  while (at < text.size()) {
    uint64_t whole = 0;
    const size_t start = at;
    for (; at < text.size() && IsDigit(text[at]); ++at) {
      if (whole > kLimit / 10) return std::nullopt;
      whole = whole * 10 + static_cast<uint64_t>(text[at] - '0');
      if (whole > kLimit) return std::nullopt;
    }
    const bool before_point = at != start;
    uint64_t fraction = 0;
    double scale = 1;
    bool after_point = false;
    if (at < text.size() && text[at] == '.') {
      ++at;
      const size_t mark = at;
      bool full = false;
      for (; at < text.size() && IsDigit(text[at]); ++at) {
        if (full || fraction > (kLimit - 1) / 10) {
          full = true;  // digits that no longer count
          continue;
        }
        fraction = fraction * 10 + static_cast<uint64_t>(text[at] - '0');
        scale *= 10;
      }
      after_point = at != mark;
    }
    if (!before_point && !after_point) return std::nullopt;
    const size_t unit_start = at;
    while (at < text.size() && text[at] != '.' && !IsDigit(text[at])) ++at;
    const auto unit = UnitOf(text.substr(unit_start, at - unit_start));
    if (!unit) return std::nullopt;
    if (whole > kLimit / *unit) return std::nullopt;
    uint64_t part = whole * *unit;
    if (fraction > 0)
      part += static_cast<uint64_t>(static_cast<double>(fraction) *
                                    (static_cast<double>(*unit) / scale));
    if (part > kLimit) return std::nullopt;
    total += part;
    if (total > kLimit) return std::nullopt;
  }
  if (negative) {
    if (total == kLimit)
      return Duration{std::chrono::nanoseconds(std::numeric_limits<int64_t>::min())};
    return Duration{std::chrono::nanoseconds(-static_cast<int64_t>(total))};
  }
  if (total > kLimit - 1) return std::nullopt;
  return Duration{std::chrono::nanoseconds(static_cast<int64_t>(total))};
}

std::string ToString(Duration duration) {
  const int64_t count = duration.value.count();
  if (count == 0) return "0s";
  const uint64_t size =
      count < 0 ? ~static_cast<uint64_t>(count) + 1 : static_cast<uint64_t>(count);
  std::string text = count < 0 ? "-" : "";
  if (size < 1'000) return text + std::to_string(size) + "ns";
  if (size < 1'000'000) return text + Decimal(size, 3) + "\u00b5s";
  if (size < kSecond) return text + Decimal(size, 6) + "ms";
  const uint64_t hours = size / (3600 * kSecond);
  const uint64_t minutes = size / (60 * kSecond) % 60;
  if (hours > 0) text += std::to_string(hours) + "h";
  if (hours > 0 || minutes > 0) text += std::to_string(minutes) + "m";
  return text + Decimal(size % (60 * kSecond), 9) + "s";
}

// ------------------------------------------------------------------------------------------------

namespace {

using std::chrono::days;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

// Go's zero time: what Kuma shows where no time is known. We keep the epoch for it.
constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool Skip(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::optional<int> Number(size_t digits) {
    if (text_.size() - at_ < digits) return std::nullopt;
    int number = 0;
    for (size_t i = 0; i < digits; ++i, ++at_) {
      if (!IsDigit(text_[at_])) return std::nullopt;
      number = number * 10 + (text_[at_] - '0');
    }
    return number;
  }
  // The digits of a fraction, as nanoseconds; at least one digit.
  std::optional<int64_t> Nanoseconds() {
    int64_t value = 0;
    size_t count = 0;
    for (; at_ < text_.size() && IsDigit(text_[at_]); ++at_, ++count)
      if (count < 9) value = value * 10 + (text_[at_] - '0');
    if (count == 0) return std::nullopt;
    for (; count < 9; ++count) value *= 10;
    return value;
  }
  bool AtEnd() const { return at_ == text_.size(); }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::string ToRfc3339(system_clock::time_point time) {
  if (time == system_clock::time_point{}) return std::string(kZeroTime);
  const auto whole = std::chrono::floor<seconds>(time);
  const auto day = std::chrono::floor<days>(whole);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(whole - day);
  const auto fraction = std::chrono::duration_cast<nanoseconds>(time - whole).count();
  std::string text =
      base::Format("{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}", static_cast<int>(date.year()),
                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                   clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (fraction != 0) text += "." + WithoutTrailingZeros(base::Format("{:09d}", fraction));
  return text + "Z";
}

std::optional<system_clock::time_point> ParseRfc3339(std::string_view text) {
  if (text == kZeroTime) return system_clock::time_point{};
  Reader reader(text);
  const auto year = reader.Number(4);
  if (!year || !reader.Skip('-')) return std::nullopt;
  const auto month = reader.Number(2);
  if (!month || !reader.Skip('-')) return std::nullopt;
  const auto day = reader.Number(2);
  if (!day || !(reader.Skip('T') || reader.Skip('t'))) return std::nullopt;
  const auto hour = reader.Number(2);
  if (!hour || *hour > 23 || !reader.Skip(':')) return std::nullopt;
  const auto minute = reader.Number(2);
  if (!minute || *minute > 59 || !reader.Skip(':')) return std::nullopt;
  const auto second = reader.Number(2);
  if (!second || *second > 60) return std::nullopt;
  int64_t fraction = 0;
  if (reader.Skip('.')) {
    const auto digits = reader.Nanoseconds();
    if (!digits) return std::nullopt;
    fraction = *digits;
  }
  int64_t offset = 0;
  if (!reader.Skip('Z') && !reader.Skip('z')) {
    const bool east = reader.Skip('+');
    if (!east && !reader.Skip('-')) return std::nullopt;
    const auto hours = reader.Number(2);
    if (!hours || *hours > 23 || !reader.Skip(':')) return std::nullopt;
    const auto minutes = reader.Number(2);
    if (!minutes || *minutes > 59) return std::nullopt;
    offset = (east ? 1 : -1) * (*hours * 3600 + *minutes * 60);
  }
  if (!reader.AtEnd()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // The clock counts nanoseconds in 64 bits: about 1677 to 2262.
  if (!date.ok() || *year < 1678 || *year > 2261) return std::nullopt;
  const auto time = std::chrono::sys_days(date) +
                    seconds(*hour * 3600 + *minute * 60 + *second - offset) + nanoseconds(fraction);
  return std::chrono::time_point_cast<system_clock::duration>(time);
}

}  // namespace kuma::model
