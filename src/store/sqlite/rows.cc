#include "store/sqlite/rows.h"

#include <chrono>
#include <map>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "model/value.h"

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
