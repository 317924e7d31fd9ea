#include "app/stores.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "app/server_settings.h"
#include "base/format.h"
#include "policies/schemas.h"
#include "resources/all.h"
#include "store/memory/memory_store.h"
#include "store/sqlite/backup.h"
#include "store/sqlite/sqlite_store.h"

namespace kuma::app {
namespace {

std::string SqlitePath(const Config& config) { return DatabaseOf(config, WorkFolderOf(config)); }

base::Result<store::HistoryLimits> LimitsOf(const Config& config) {
  const int64_t revisions = config.Int("store.history.revisions");
  if (revisions < 0) {
    return base::Invalid("store.history.revisions: must not be negative; 0 keeps no history");
  }
  const auto age = config.Duration("store.history.maxAge");
  if (age.count() <= 0) return base::Invalid("store.history.maxAge: must be greater than 0");
  return store::HistoryLimits{static_cast<size_t>(revisions), age};
}

base::Status IsSqlite(const Config& config) {
  if (const std::string type = config.String("store.type"); type != "sqlite") {
    return base::Invalid(base::Format(
        "store.type is \"{}\": only a sqlite store is a file that can be saved and put back",
        type));
  }
  return base::Ok{};
}

}  // namespace

const model::TypeTable& Types() {
  static const model::TypeTable types([] {
    std::vector<const model::ResourceType*> all = resources::AllResourceTypes();
    const auto& policies = policies::AllPolicySchemas();
    all.insert(all.end(), policies.begin(), policies.end());
    return all;
  }());
  return types;
}

base::Result<std::string> WorkFolder(const Config& config) {
  std::string folder = WorkFolderOf(config);
  // With its parents; what exists is fine.
  for (size_t at = 1; at <= folder.size(); ++at) {
    if (at == folder.size() || folder[at] == '/') mkdir(folder.substr(0, at).c_str(), 0755);
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return base::Unavailable(
        base::Format("the work directory {} cannot be written (general.workDir, "
                     "KUMA_GENERAL_WORK_DIR)",
                     folder));
  }
  return folder;
}

base::Result<std::unique_ptr<store::Store>> OpenStore(const Config& config,
                                                      const runtime::Clock& clock) {
  TRY_ASSIGN(const store::HistoryLimits history, LimitsOf(config));
  const std::string type = config.String("store.type");
  if (type == "memory") return store::NewMemoryStore(clock, /*inline_commits=*/false, history);
  if (type == "sqlite") return store::OpenSqliteStore(SqlitePath(config), Types(), clock, history);
  return base::Invalid(base::Format(
      "store.type \"{}\" is not available: sqlite (the default) and memory are", type));
}

base::Status Backup(const Config& config, const std::string& file) {
  TRY(IsSqlite(config));
  TRY_ASSIGN(const store::BackupReport report, store::BackUpSqliteStore(SqlitePath(config), file));
  std::printf("saved %zu resources at revision %llu to %s\n", report.resources,
              static_cast<unsigned long long>(report.revision.value), file.c_str());
  return base::Ok{};
}

base::Status Restore(const Config& config, const std::string& file) {
  TRY(IsSqlite(config));
  const std::string path = SqlitePath(config);
  TRY_ASSIGN(const store::RestoreReport report,
             store::RestoreSqliteStore(file, path, Types(), runtime::SystemClock().WallNow()));
  std::printf("restored %zu resources of revision %llu to %s\n", report.resources,
              static_cast<unsigned long long>(report.revision.value), path.c_str());
  if (!report.kept.empty()) std::printf("the replaced store is kept as %s\n", report.kept.c_str());
  return base::Ok{};
}

}  // namespace kuma::app
