#include "store/sqlite/rows.h"

#include <chrono>
#include <map>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "model/value.h"
#include "store/internal/history.h"

namespace kuma::store::sqlite {
namespace {

constexpr base::Logger kLog("store");

int64_t ToNumber(model::WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

model::WallTime ToTime(int64_t number) {
  return model::WallTime(
      std::chrono::duration_cast<model::WallTime::duration>(std::chrono::nanoseconds(number)));
}

int64_t ToNumber(Revision revision) { return static_cast<int64_t>(revision.value); }

std::string EncodeLabels(const model::Labels& labels) {
  model::Object object;
  for (const auto& [key, value] : labels) object.AppendNew(key, value);
  return model::ToJson(std::move(object));
}

base::Result<model::Labels> DecodeLabels(std::string_view text) {
  TRY_ASSIGN(const model::Value value, model::ParseJson(text));
  const model::Object* object = value.if_object();
  if (object == nullptr) return base::Internal("labels are no object");
  model::Labels labels;
  for (const auto& [key, label] : *object) {
    if (label.if_string() == nullptr) return base::Internal("a label is no string");
    labels.emplace(key, *label.if_string());
  }
  return labels;
}

// Columns in the order of kColumns.
constexpr std::string_view kColumns =
    "kind, mesh, name, revision, created, modified, labels, owner_kind, owner_mesh, owner_name, "
    "owned_by_proxy, spec, "
    "status";

ResourceKey KeyOf(const Statement& row) {
  return {std::string(row.Text(0)), std::string(row.Text(1)), std::string(row.Text(2))};
}

base::Result<ResourcePtr> DecodeRow(const Statement& row, const model::ResourceType& type) {
  model::Metadata meta;
  meta.mesh = row.Text(1);
  meta.name = row.Text(2);
  meta.revision.value = static_cast<uint64_t>(row.Number(3));
  meta.creation_time = ToTime(row.Number(4));
  meta.modification_time = ToTime(row.Number(5));
  TRY_ASSIGN(meta.labels, DecodeLabels(row.Text(6)));
  if (!row.IsNull(7)) {
    meta.owner =
        ResourceKey{std::string(row.Text(7)), std::string(row.Text(8)), std::string(row.Text(9))};
  }
  meta.owned_by_proxy = row.Number(10) != 0;
  TRY_ASSIGN(const model::Value spec, model::ParseJson(row.Text(11)));
  model::Value status;
  if (!row.IsNull(12)) {
    TRY_ASSIGN(status, model::ParseJson(row.Text(12)));
  }
  TRY_ASSIGN(ResourcePtr resource, model::DecodeStored(type, std::move(meta), spec, status));
  if (resource->spec() == nullptr) return base::Internal("its spec does not fit the kind");
  return resource;
}

// Columns in the order of the table.
constexpr std::string_view kHistoryColumns =
    "revision, time, user, address, note, kind, mesh, name, before_labels, before_spec, "
    "after_labels, after_spec";

base::Result<std::optional<HistoryState>> DecodeState(const Statement& row, int column) {
  if (row.IsNull(column)) return std::optional<HistoryState>();
  HistoryState state;
  TRY_ASSIGN(state.labels, DecodeLabels(row.Text(column)));
  if (!row.IsNull(column + 1)) {
    TRY_ASSIGN(state.spec, model::ParseJson(row.Text(column + 1)));
  }
  return std::optional<HistoryState>(std::move(state));
}

base::Result<HistoryEntry> DecodeEntry(const Statement& row) {
  HistoryEntry entry;
  entry.revision.value = static_cast<uint64_t>(row.Number(0));
  entry.time = ToTime(row.Number(1));
  entry.origin = {std::string(row.Text(2)), std::string(row.Text(3)), std::string(row.Text(4))};
  entry.key = {std::string(row.Text(5)), std::string(row.Text(6)), std::string(row.Text(7))};
  TRY_ASSIGN(entry.before, DecodeState(row, 8));
  TRY_ASSIGN(entry.after, DecodeState(row, 10));
  return entry;
}

}  // namespace

base::Result<std::unique_ptr<RowWriter>> RowWriter::Make(Database& database) {
  auto writer = std::unique_ptr<RowWriter>(new RowWriter());
  for (const int is_insight : {0, 1}) {
    const std::string_view table = is_insight != 0 ? "insight" : "resource";
    TRY_ASSIGN(writer->put_[is_insight],
               database.Prepare(base::Format(
                   "INSERT OR REPLACE INTO {} ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   table, kColumns)));
    TRY_ASSIGN(writer->erase_[is_insight],
               database.Prepare(
                   base::Format("DELETE FROM {} WHERE kind = ? AND mesh = ? AND name = ?", table)));
  }
  TRY_ASSIGN(writer->set_counter_, database.Prepare("UPDATE counter SET value = ? WHERE name = ?"));
  TRY_ASSIGN(
      writer->record_,
      database.Prepare(base::Format(
          "INSERT INTO history ({}, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          kHistoryColumns)));
  TRY_ASSIGN(writer->drop_history_, database.Prepare("DELETE FROM history WHERE revision <= ?"));
  return writer;
}

base::Status RowWriter::Put(const model::Resource& resource) {
  const model::ResourceType& type = resource.type();
  const model::Metadata& meta = resource.meta();
  const std::string labels = EncodeLabels(meta.labels);
  const std::string spec = model::ToJson(type.spec.encode(resource.spec().get()));
  std::string status;

  Statement& put = put_[type.is_insight ? 1 : 0];
  put.Bind(1, type.kind).Bind(2, meta.mesh).Bind(3, meta.name);
  put.Bind(4, ToNumber(meta.revision));
  put.Bind(5, ToNumber(meta.creation_time)).Bind(6, ToNumber(meta.modification_time));
  put.Bind(7, labels);
  if (meta.owner.has_value()) {
    put.Bind(8, meta.owner->kind).Bind(9, meta.owner->mesh).Bind(10, meta.owner->name);
  } else {
    put.BindNull(8).BindNull(9).BindNull(10);
  }
  put.Bind(11, int64_t{meta.owned_by_proxy});
  put.Bind(12, spec);
  if (resource.status() != nullptr && type.status.encode != nullptr) {
    status = model::ToJson(type.status.encode(resource.status().get()));
    put.Bind(13, status);
  } else {
    put.BindNull(13);
  }
  return put.Run();
}

base::Status RowWriter::Erase(const ResourceKey& key, bool is_insight) {
  return erase_[is_insight ? 1 : 0].Bind(1, key.kind).Bind(2, key.mesh).Bind(3, key.name).Run();
}

base::Status RowWriter::SetCounters(const Counters& counters) {
  TRY(set_counter_.Bind(1, ToNumber(counters.revision)).Bind(2, "revision").Run());
  return set_counter_.Bind(1, ToNumber(counters.reserved)).Bind(2, "reserved").Run();
}

base::Status RowWriter::Record(const HistoryEntry& entry, size_t position) {
  record_.Bind(1, ToNumber(entry.revision)).Bind(2, ToNumber(entry.time));
  record_.Bind(3, entry.origin.user).Bind(4, entry.origin.address).Bind(5, entry.origin.note);
  record_.Bind(6, entry.key.kind).Bind(7, entry.key.mesh).Bind(8, entry.key.name);
  std::string texts[4];  // bound by reference until the end
  size_t at = 0;
  for (const auto* state : {&entry.before, &entry.after}) {
    const int column = static_cast<int>(9 + at);
    record_.BindNull(column).BindNull(column + 1);
    if (state->has_value()) {
      texts[at] = EncodeLabels((*state)->labels);
      record_.Bind(column, texts[at]);
      if (!(*state)->spec.is_null()) {
        texts[at + 1] = model::ToJson((*state)->spec);
        record_.Bind(column + 1, texts[at + 1]);
      }
    }
    at += 2;
  }
  record_.Bind(13, static_cast<int64_t>(position));
  return record_.Run();
}

base::Status RowWriter::DropHistory(Revision cut) {
  TRY(drop_history_.Bind(1, ToNumber(cut)).Run());
  return set_counter_.Bind(1, ToNumber(cut)).Bind(2, "history_after").Run();
}

base::Result<Revision> ReadHistoryStart(Database& database) {
  TRY_ASSIGN(const int64_t value,
             database.QueryNumber("SELECT value FROM counter WHERE name = 'history_after'"));
  return Revision{static_cast<uint64_t>(value)};
}

base::Status ReadHistoryRevisions(Database& database,
                                  const std::function<void(Revision, model::WallTime)>& load) {
  TRY_ASSIGN(Statement row, database.Prepare("SELECT revision, time FROM history "
                                             "WHERE position = 0 ORDER BY revision"));
  for (;;) {
    TRY_ASSIGN(const bool more, row.Step());
    if (!more) return base::Ok{};
    load(Revision{static_cast<uint64_t>(row.Number(0))}, ToTime(row.Number(1)));
  }
}

base::Result<HistoryPage> ReadHistory(Database& database, const HistoryQuery& query) {
  HistoryPage page;
  TRY_ASSIGN(page.complete_after, ReadHistoryStart(database));
  TRY_ASSIGN(Statement row,
             database.Prepare(base::Format(
                 "SELECT {} FROM history WHERE revision > ?1 AND revision < ?2 AND time >= ?3 "
                 "AND (?4 = '' OR kind = ?4) AND (?5 = '' OR mesh = ?5) AND (?6 = '' OR name = ?6) "
                 "ORDER BY revision DESC, position",
                 kHistoryColumns)));
  row.Bind(1, ToNumber(query.after)).Bind(2, ToNumber(query.before));
  row.Bind(3, ToNumber(query.since));
  row.Bind(4, query.kind).Bind(5, query.mesh).Bind(6, query.name);
  for (;;) {
    TRY_ASSIGN(const bool more, row.Step());
    if (!more) return page;
    TRY_ASSIGN(HistoryEntry entry, DecodeEntry(row));
    if (!internal::AddToPage(query, std::move(entry), page)) return page;
  }
}

base::Result<Counters> ReadCounters(Database& database) {
  constexpr std::string_view kQuery = "SELECT value FROM counter WHERE name = ";
  TRY_ASSIGN(const int64_t revision, database.QueryNumber(base::Format("{}'revision'", kQuery)));
  TRY_ASSIGN(const int64_t reserved, database.QueryNumber(base::Format("{}'reserved'", kQuery)));
  return Counters{Revision{static_cast<uint64_t>(revision)},
                  Revision{static_cast<uint64_t>(reserved)}};
}

base::Status ReadResources(Database& database, const std::string& path,
                           const model::TypeTable& types,
                           const std::function<void(ResourcePtr)>& load) {
  std::map<std::string, size_t> unknown_kinds;
  TRY_ASSIGN(Statement row,
             database.Prepare(base::Format(
                 "SELECT {} FROM resource UNION ALL SELECT {} FROM insight", kColumns, kColumns)));
  for (;;) {
    TRY_ASSIGN(const bool more, row.Step());
    if (!more) break;
    const ResourceKey key = KeyOf(row);
    const model::ResourceType* type = types.Find(key.kind);
    if (type == nullptr) {
      ++unknown_kinds[key.kind];
      continue;
    }
    base::Result<ResourcePtr> resource = DecodeRow(row, *type);
    if (!resource.has_value()) {
      return base::Internal(base::Format(
          "{}: {} cannot be read: {}: restore a backup, or delete this row with sqlite3", path,
          key.ToString(), resource.error().message()));
    }
    load(*std::move(resource));
  }
  for (const auto& [kind, count] : unknown_kinds) {
    kLog.Warn("stored resources of an unknown kind are kept but not used",
              {{"path", path}, {"kind", kind}, {"count", count}});
  }
  return base::Ok{};
}

}  // namespace kuma::store::sqlite
