#include "xds/health_session.h"

#include <algorithm>
#include <utility>

namespace kuma::xds {

std::shared_ptr<const std::string> HealthSession::OnPlan(HealthPlan plan) {
  names_ = std::move(plan.names);
  std::sort(names_.begin(), names_.end());
  std::shared_ptr<const std::string> wanted =
      plan.specifier == nullptr ? idle_ : std::move(plan.specifier);
  if (sent_ != nullptr && *sent_ == *wanted) return nullptr;
  sent_ = std::move(wanted);
  last_.reset();
  return sent_;
}

std::optional<HealthReport> HealthSession::OnReport(HealthReport report) {
  std::erase_if(report, [this](const auto& entry) {
    return !std::binary_search(names_.begin(), names_.end(), entry.first);
  });
  if (report.empty() || last_ == report) return std::nullopt;
  last_ = report;
  return report;
}

}  // namespace kuma::xds
